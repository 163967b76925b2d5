"""Complaints by e-mail: one mail as a record (RFC 5322, MIME). Pictures and links are never fetched, files never opened.

A record holds ``message_id``, ``thread_root`` (the first mail of the thread), ``reply``, ``kind`` (``MESSAGE``,
``AUTO_REPLY``, ``BOUNCE``, ``LIST``), ``subject``, ``text``, ``from`` and ``reply_to`` (each ``name`` and
``address``), ``date``, ``auth`` (what the own mail server found), ``attachments`` (``name``, ``mime``, ``bytes``,
``ref``) and ``note`` where the text's encoding had to be found out.
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from email import policy
from email.message import EmailMessage, Message
from email.parser import BytesParser
from typing import Any, BinaryIO, TypeVar

from connectors.files.charsets import decoded, repaired
from connectors.files.letters import headers, words
from connectors.sources import Source
from connectors.systems import Delivered, Record, System, Unreadable

LARGEST = 25 << 20  # bytes of one mail
AUTHSERV = (
    "x-chorus-authserv-id"  # under this name a delivery says which server is trusted; no mail can set it
)
_LONGEST_TEXT = 1 << 20  # characters
_HEADER_BYTES = 1 << 19
_MOST_PARTS, _DEEPEST, _MULTIPARTS = 500, 30, 100
_NESTING = re.compile(rb"content-type:[ \t\r\n]*(?:multipart|message)/", re.IGNORECASE)
_T = TypeVar("_T")


@dataclass(slots=True)
class _Found:
    """What the parts of a mail hold."""

    texts: list[str] = field(default_factory=list, repr=False)
    files: list[dict[str, Any]] = field(default_factory=list, repr=False)
    notes: set[str] = field(default_factory=set)
    parts: int = 0


def delivered(raw: bytes, source: Source) -> Delivered:
    """Return a mail as a delivery; the source's ``authserv_id`` (in ``[pull]``) is the server that is trusted."""
    return Delivered(raw, "message/rfc822", headers={AUTHSERV: str(source.pull.get("authserv_id", ""))})


def records(mail: Delivered) -> list[Record]:
    """Return a mail as a record.

    Raises:
        Unreadable: it is none, too large, or nests too deep.
    """
    return [record(mail.body, mail.headers.get(AUTHSERV, ""))]


def record(raw: bytes, authserv_id: str = "") -> dict[str, Any]:
    """Return the bytes of a mail as a record; ``authserv_id`` names the server whose findings are trusted.

    Raises:
        Unreadable: it is none, too large, or nests too deep.
    """
    message = _parsed(raw)
    found: dict[str, list[str]] = {}
    for name, value in message.raw_items():
        found.setdefault(str(name).lower(), []).append(str(value))
    if not found.keys() & {"from", "date", "subject", "received", "message-id", "to"}:
        raise Unreadable("shape")
    sender = headers.person(found.get("from", ()))
    subject = headers.text((found.get("subject") or [""])[0])
    parts = _Found()
    _walk(message, parts, 0, forward=words.is_forward(subject))
    text = "\n\n".join(t for t in parts.texts if t)
    if len(text) > _LONGEST_TEXT:
        raise Unreadable("size")
    own, root = headers.identity(found, raw)
    auth = headers.authentication(found, authserv_id, sender["address"])
    if authserv_id and not auth["passed"]:
        root = own  # whoever knows the id of a mail could otherwise put words of theirs in its place
    return {
        "message_id": own,
        "thread_root": root,
        "reply": root != own,
        "kind": headers.kind(found, _safe(message.get_content_type, "text/plain"), sender["address"]),
        "subject": subject,
        "text": text,
        "from": sender,
        "reply_to": headers.person(found["reply-to"]) if "reply-to" in found else None,
        "date": headers.when(found.get("date", ()), found.get("received", ())),
        "auth": auth,
        "attachments": parts.files,
        "note": ", ".join(sorted(parts.notes)) or None,
    }


def messages(file: BinaryIO) -> Iterator[bytes]:
    """Yield the mails of an mbox file (RFC 4155), each as its bytes.

    Raises:
        Unreadable: a mail is too large.
    """
    held: list[bytes] = []
    size, blank, begun = 0, True, False
    while line := file.readline(LARGEST):
        if blank and line.startswith(b"From "):
            if begun and held:
                yield b"".join(held)
            held, size, begun = [], 0, True
        elif begun or line.strip():
            begun = True
            held.append(line[1:] if re.match(rb">+From ", line) else line)
            size += len(line)
            if size > LARGEST:
                raise Unreadable("size")
        blank = not line.strip()
    if held:
        yield b"".join(held)


def _parsed(raw: bytes) -> EmailMessage:
    if len(raw) > LARGEST:
        raise Unreadable("size")
    if sum(1 for _ in _NESTING.finditer(raw)) > _MULTIPARTS:
        raise Unreadable("depth")
    end = re.search(rb"\r?\n\r?\n", raw)
    if (end.start() if end else len(raw)) > _HEADER_BYTES:
        raise Unreadable("size")
    try:
        return BytesParser(policy=policy.default).parsebytes(raw)
    except RecursionError:
        raise Unreadable("depth") from None
    except Exception:  # the library's own slips on what no mail should be
        raise Unreadable("syntax") from None


def _walk(part: Message, found: _Found, depth: int, *, forward: bool) -> None:
    found.parts += 1
    if depth > _DEEPEST or found.parts > _MOST_PARTS:
        raise Unreadable("depth")
    kind = _safe(part.get_content_type, "application/octet-stream")
    held = part.get_payload()
    if kind.startswith("multipart/") and isinstance(held, list):
        inner = [p for p in held if isinstance(p, Message)]
        if kind == "multipart/alternative":
            inner = _best(inner, found)
        for p in inner:
            _walk(p, found, depth + 1, forward=forward)
    elif kind in ("text/plain", "text/html") and not _is_file(part):
        found.texts.append(_words(part, kind, found, quotes=forward))
    else:
        found.files.append(_listed(part, kind, len(found.files)))


def _best(parts: list[Message], found: _Found) -> list[Message]:
    """Return of several ways to say the same the plain one, unless it is empty; the rest is listed if it is a file."""
    plain = [p for p in parts if _safe(p.get_content_type, "") == "text/plain" and _raw(p).strip()]
    if not plain:
        return [p for p in parts if _safe(p.get_content_type, "") != "text/plain"][-1:] or parts[:1]
    others = [
        p
        for p in parts
        if _safe(p.get_content_type, "") not in ("text/plain", "text/html", "multipart/related")
    ]
    if len(others) > _MOST_PARTS - found.parts:
        raise Unreadable("depth")
    return [plain[0], *(p for p in others if not isinstance(p.get_payload(), list) or p.is_multipart())]


def _words(part: Message, kind: str, found: _Found, *, quotes: bool) -> str:
    text, certain = decoded(_raw(part), _safe(part.get_content_charset, None))
    if not certain:
        found.notes.add("charset unknown")
    mended = repaired(text)
    if mended != text:
        found.notes.add("mojibake repaired")
    if len(mended) > 8 * _LONGEST_TEXT:
        raise Unreadable("size")
    mended = mended.replace("\0", "")
    if kind == "text/html":
        return words.of_html(mended, quotes=quotes)
    if _parameter(part, "format") == "flowed":
        mended = words.unflowed(mended, delsp=_parameter(part, "delsp") == "yes")
    return words.of_plain(mended, quotes=quotes)


def _parameter(part: Message, name: str) -> str:
    return _safe(lambda: str(part.get_param(name, "")), "").lower()


def _is_file(part: Message) -> bool:
    return _safe(part.get_content_disposition, None) == "attachment" or bool(_safe(part.get_filename, None))


def _listed(part: Message, kind: str, number: int) -> dict[str, Any]:
    return {
        "name": headers.file_name(_safe(part.get_filename, None)),
        "mime": kind
        if re.fullmatch(r"[a-z0-9.+-]{1,60}/[a-z0-9.+-]{1,80}", kind)
        else "application/octet-stream",
        "bytes": _size(part),
        "ref": str(number + 1),
    }


def _size(part: Message) -> int | None:
    held = part.get_payload()
    if not isinstance(held, str):
        return None
    if _safe(lambda: str(part.get("content-transfer-encoding", "")), "").strip().lower() == "base64":
        letters = len(held) - held.count("\n") - held.count("\r")
        return letters * 3 // 4 - held[-8:].count("=")
    return len(held)


def _raw(part: Message) -> bytes:
    held = _safe(lambda: part.get_payload(decode=True), None)
    return held if isinstance(held, bytes) else b""


def _safe(read: Callable[[], _T], otherwise: _T) -> _T:
    """Read a header that may be anything: the library's parser stumbles over some (bpo-30681 and its like)."""
    try:
        return read()
    except Exception:
        return otherwise


SYSTEM = System("email", records)
