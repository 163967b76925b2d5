"""The headers of a mail: names, addresses, times, threads; who sent it, as far as the own server says so.

Every header is what a stranger wrote: nothing of it is believed but what the server of the hotline put there.
"""

import hashlib
import re
from collections.abc import Iterable, Mapping
from datetime import UTC
from email.errors import HeaderParseError
from email.header import decode_header
from email.utils import getaddresses, parsedate_to_datetime
from typing import Any, Literal

from connectors.files.charsets import decoded, repaired

Kind = Literal["MESSAGE", "AUTO_REPLY", "BOUNCE", "LIST"]
Headers = Mapping[str, list[str]]

_LONGEST = 16_384  # characters of one header that are looked at
_ID = re.compile(r"<([^<>\s]{3,998})>")
_ADDRESS = re.compile(r"[^\s@<>\"(),:;\\\[\]]{1,64}@[^\s@<>\"(),:;\\]{1,253}")
_RESULT = re.compile(r"\s*(dkim|dmarc|spf)\s*(?:/\s*\d+\s*)?=\s*([a-z]+)", re.IGNORECASE)
_DOMAIN = re.compile(r"header\.(?:d|i)\s*=\s*\"?(?:[^\s;@\"]*@)?([^\s;@\"]+)", re.IGNORECASE)
_ZONE = re.compile(
    r"(?:[+-]\d{4}|\b(?:GMT|UTC?|EST|EDT|CST|CDT|MST|MDT|PST|PDT|Z))\s*(?:\(.*)?$", re.IGNORECASE
)
_CODED = re.compile(r"=\?[^?\s]{1,60}\?[bBqQ]\?[^?\s]*\?=")
_ATOM = "encodedword"  # stands for one while addresses are told apart
# What ends lines, hides, or turns the direction of what follows.
_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069]+")
_DAEMON = re.compile(r"(?:mailer-daemon|postmaster|mail\.?delivery)[^@]*@", re.IGNORECASE)


def text(raw: str) -> str:
    """Return a header's text on one line; what it is encoded in may be declared wrong, or not at all."""
    value = _bytes_read(raw[:_LONGEST])
    if "=?" in value:
        try:
            parts = decode_header(re.sub(r"\r?\n(?=[ \t])", "", value))
            value = "".join(p if isinstance(p, str) else decoded(p, charset)[0] for p, charset in parts)
        except (HeaderParseError, ValueError, LookupError):
            pass
    return " ".join(_CONTROL.sub(" ", repaired(value)).split())


def _bytes_read(raw: str) -> str:
    try:
        raw.encode("utf-8")
        return raw
    except UnicodeEncodeError:  # bytes beyond ASCII, which the parser keeps as surrogates
        return decoded(raw.encode("utf-8", "surrogateescape"))[0]


def person(raws: Iterable[str]) -> dict[str, str | None]:
    """Return ``name`` and ``address`` of the first person these headers name."""
    for raw in raws:
        line = re.sub(r"[\r\n]+", " ", raw[:_LONGEST])
        # What is encoded is a name, whatever it looks like.
        coded = _CODED.findall(line)
        for name, address in getaddresses([_CODED.sub(_ATOM, line)])[:1]:
            first, *rest = name.split(_ATOM)
            name = first + "".join(word + after for word, after in zip(coded, rest, strict=False))
            found = _ADDRESS.fullmatch(_bytes_read(address))
            return {"name": text(name) or None, "address": found[0] if found else None}
    return {"name": None, "address": None}


def when(dates: Iterable[str], received: Iterable[str]) -> str | None:
    """Return when a mail was sent, with its zone; without one, when the last server got it; else None."""
    for raw in [*dates][:1] + [r.rpartition(";")[2] for r in [*received][:1]]:
        line = " ".join(raw[:200].split())
        if not _ZONE.search(line):
            continue
        try:
            moment = parsedate_to_datetime(line)
            if moment.year > 2400:  # a clock that counts Buddhist years
                moment = moment.replace(year=moment.year - 543)
            return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).isoformat()
        except (ValueError, TypeError, OverflowError, IndexError):
            continue
    return None


def identity(headers: Headers, raw: bytes) -> tuple[str, str]:
    """Return a mail's own id, and that of the first mail of its thread; a mail without one is its own bytes."""
    own = _ids(headers.get("message-id", ()))
    mine = own[0] if own else "<sha256." + hashlib.sha256(raw).hexdigest() + ">"
    before = _ids(headers.get("references", ())) or _ids(headers.get("in-reply-to", ()))
    return mine, before[0] if before else mine


def _ids(raws: Iterable[str]) -> list[str]:
    found = [m[0] for raw in [*raws][:1] for m in _ID.finditer(raw[:_LONGEST])]
    return [
        i if len(i) <= 200 else "<sha256." + hashlib.sha256(i.encode("utf-8", "replace")).hexdigest() + ">"
        for i in found
    ]


def kind(headers: Headers, content_type: str, sender: str | None) -> Kind:
    """Tell what a mail is: of a person, or of a program."""

    def first(name: str) -> str:
        return (headers.get(name) or [""])[0].strip().lower()

    if content_type == "multipart/report" or first("return-path") == "<>" or _DAEMON.match(sender or ""):
        return "BOUNCE"
    if first("auto-submitted").partition(";")[0].strip() not in ("", "no"):
        return "AUTO_REPLY"
    if first("precedence") == "auto_reply" or any(n in headers for n in ("x-autoreply", "x-autorespond")):
        return "AUTO_REPLY"
    if first("precedence") in ("bulk", "list", "junk") or any(n.startswith("list-") for n in headers):
        return "LIST"
    return "MESSAGE"


def authentication(headers: Headers, authserv_id: str, sender: str | None) -> dict[str, Any]:
    """Return what the hotline's own mail server found of who sent a mail (RFC 8601).

    Args:
        headers: those of the mail.
        authserv_id: the server's name, as it writes it; empty where none is trusted.
        sender: the address in From.

    Returns:
        ``dkim``, ``dmarc``, ``spf`` as the server says, and ``passed``: whether the domain of From sent it.
    """
    found: dict[str, Any] = {"passed": False}
    for raw in headers.get("authentication-results", ()) if authserv_id else ():
        identifier, _, rest = _uncommented(raw[:_LONGEST]).partition(";")
        if identifier.split()[:1] != [authserv_id] and identifier.lower().split()[:1] != [
            authserv_id.lower()
        ]:
            continue
        domain = (sender or "").rpartition("@")[2].lower()
        for part in rest.split(";"):
            result = _RESULT.match(part)
            if result is None:
                continue
            method, verdict = result[1].lower(), result[2].lower()
            found.setdefault(method, verdict)
            signer = _DOMAIN.search(part)
            aligned = method == "dmarc" or (
                method == "dkim" and signer is not None and _same(domain, signer[1].lower())
            )
            found["passed"] |= verdict == "pass" and aligned
        found["passed"] = (
            found["passed"] and found.get("dmarc", "pass") == "pass" and len(headers.get("from", ())) == 1
        )
        break  # the topmost is the server's; what stands below came with the mail
    return found


def _same(domain: str, signer: str) -> bool:
    return bool(domain) and (domain == signer or domain.endswith("." + signer)) and "." in signer


def _uncommented(line: str) -> str:
    kept, depth = [], 0
    for char in line:
        depth += char == "("
        if not depth:
            kept.append(char)
        depth -= char == ")" and depth > 0
    return "".join(kept)


def file_name(raw: str | None) -> str | None:
    """Return an attachment's name without folders, control characters or turned text; None without one."""
    name = text(raw or "").replace("\\", "/").rpartition("/")[2]
    return name.lstrip(". ")[-150:] or None
