"""GlobaLeaks: the reports of a recipient, through that recipient's session.

The list has answers without labels and is only a listing: its records have ``listed`` true. A report has its answers
joined with its questionnaire:

- ``answers``: by label, always a list: texts, labels of options, true, or (for a group of fields) objects like this;
- ``by_field``: the same by the field's id, which no translation changes;
- ``identity``: in the same way who the worker is, where they said so; else empty;
- ``comments``: ``{content, from_whistleblower}`` of those everybody sees; ``files``: ``{id, name, type, size}``;
- ``edited``: whether it was changed after it was created.

What a recipient has masked stays masked, whoever we log in as. What tells of the recipients' work and not of the
report (who read it when, status, reminders) is left out, so that reading it again is the same delivery again.

Reading a report marks it as opened, for the worker to see, and is written into the audit log of that server.

The archive that a recipient downloads is read by ``connectors/files/globaleaks_export.py``, into the same shape.
"""

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

import httpx

from connectors.files import globaleaks_export
from connectors.pulling.asking import ask, ask_one, moment
from connectors.pulling.globaleaks_login import Login
from connectors.reading.payload import dicts, json_value
from connectors.systems import Delivered, Listed, Page, Pull, Record, System, Unreadable

_KEPT = ("id", "creation_date", "context_id", "progressive", "score", "tor", "mobile", "identity_provided")
_MASK = "\u2591"
_AT_ONCE = 20  # reports between two checkpoints


def _records(delivered: Delivered) -> list[Record]:
    value = json_value(delivered.body)
    return [_record(v) for v in dicts(value if isinstance(value, list) else [value])]


def _record(tip: dict[str, Any]) -> Record:
    if not isinstance(tip.get("id"), str):
        raise Unreadable("shape")
    if "questionnaires" not in tip:
        if "update_date" not in tip:
            raise Unreadable("shape")
        return {"id": tip["id"], "listed": True, "accessible": tip.get("accessible", True)}
    masked = _masks(dicts(tip.get("redactions") or []))
    answers: dict[str, list[Any]] = {}
    by_field: dict[str, list[Any]] = {}
    identity: dict[str, list[Any]] = {}
    for form in dicts(tip["questionnaires"]):
        steps = dicts(form.get("steps") or [])
        given = form.get("answers")
        fields = [f for step in steps for f in dicts(step.get("children") or [])]
        for field in fields:
            if field.get("template_id") == "whistleblower_identity":
                identity = _identity(field, tip.get("data"), masked)
                continue
            values = _values(field, given if isinstance(given, dict) else {}, masked)
            if values:
                answers[str(field.get("label"))] = answers.get(str(field.get("label")), []) + values
                by_field[str(field.get("id"))] = values
    return {k: tip.get(k) for k in _KEPT} | {
        "listed": False,
        "answers": answers,
        "by_field": by_field,
        "identity": identity,
        "comments": [_comment(c, masked) for c in dicts(tip.get("comments") or []) if _public(c)],
        "files": [_file(f) for f in dicts(tip.get("wbfiles") or [])],
        "edited": str(tip.get("update_date") or "") > str(tip.get("creation_date") or ""),
    }


# Masks: by what they are of (a field or a comment) and the place of the answer, ranges of characters, ends included.
_Masks = Mapping[tuple[str, str], list[tuple[int, int]]]


def _masks(redactions: list[dict[str, Any]]) -> _Masks:
    found: dict[tuple[str, str], list[tuple[int, int]]] = {}
    for redaction in redactions:
        key = str(redaction.get("reference_id")), str(redaction.get("entry"))
        for way in ("temporary_redaction", "permanent_redaction"):
            for part in dicts(redaction.get(way) or []):
                start, end = part.get("start"), part.get("end")
                if isinstance(start, int) and isinstance(end, int):
                    found.setdefault(key, []).append((start, end))
    return found


def _mask(text: str, ranges: list[tuple[int, int]]) -> str:
    letters = list(text)
    for start, end in ranges:
        for place in range(max(0, start), min(len(letters), end + 1)):
            letters[place] = _MASK
    return "".join(letters)


def _values(field: dict[str, Any], answers: Mapping[str, Any], masked: _Masks, deep: int = 0) -> list[Any]:
    """Return what was answered to a field, in words."""
    given = answers.get(str(field.get("id")))
    entries = dicts(given) if isinstance(given, list) else []
    children = dicts(field.get("children") or [])
    if children and deep < 20:
        groups = [
            {str(c.get("label")): v for c in children if (v := _values(c, e, masked, deep + 1))}
            for e in entries
        ]
        return [group for group in groups if group]
    options = {str(o.get("id")): o.get("label") for o in dicts(field.get("options") or [])}
    found: list[Any] = []
    for entry in entries:
        chosen = [label for ident, label in options.items() if entry.get(ident) in (True, "true", "True")]
        value = entry.get("value")
        if isinstance(value, str):
            value = options.get(value) or _mask(
                value, masked.get((str(field["id"]), str(entry.get("index"))), [])
            )
        found += chosen + (
            [value] if value not in (None, "", False) and not isinstance(value, dict | list) else []
        )
    return found


def _identity(field: dict[str, Any], data: Any, masked: _Masks) -> dict[str, list[Any]]:
    """Return who the worker is; it is kept apart from the other answers."""
    given = data.get("whistleblower_identity") if isinstance(data, dict) else None
    children = dicts(field.get("children") or [])
    answers = given if isinstance(given, dict) else {}
    return {str(c.get("label")): v for c in children if (v := _values(c, answers, masked))}


def _public(comment: dict[str, Any]) -> bool:
    # Visibility is a number or a name, by version; anything else is between recipients.
    return comment.get("visibility", 0) in (0, "public")


def _comment(comment: dict[str, Any], masked: _Masks) -> dict[str, Any]:
    ident = str(comment.get("id"))
    ranges = [r for (of, _), several in masked.items() if of == ident for r in several]
    by = comment.get("type")
    return {
        "content": _mask(str(comment.get("content") or ""), ranges),
        "from_whistleblower": by == "whistleblower" if by else comment.get("author_id") is None,
    }


def _file(file: dict[str, Any]) -> dict[str, Any]:
    hidden = file.get("masked") is True
    return {
        "id": file.get("ifile_id") or file.get("id"),
        "name": None if hidden else file.get("name"),
        "type": file.get("type") or file.get("content_type"),
        "size": file.get("size"),
    }


# The API. The list comes whole; each report is asked for on its own.


def _list(http: httpx.Client, options: Mapping[str, str], after: int) -> list[dict[str, Any]]:
    params = {"updated_after": str(after), "updated_before": "32503680000"}
    rows = dicts(ask(http, f"{_base(options)}/api/recipient/rtips", params))
    return sorted((r for r in rows if r.get("accessible", True)), key=lambda r: str(r.get("update_date")))


def _base(options: Mapping[str, str]) -> str:
    return options["url"].rstrip("/")


def _since(http: httpx.Client, options: Mapping[str, str], checkpoint: str | None) -> Iterator[Page]:
    rows = _list(http, options, _seconds(checkpoint) if checkpoint else 0)
    for start in range(0, len(rows), _AT_ONCE):
        some = rows[start : start + _AT_ONCE]
        records = tuple(_fetch(http, options, [str(r.get("id")) for r in some]))
        yield Page(records, str(some[-1].get("update_date") or checkpoint or ""))


def _seconds(time: str) -> int:
    """Return seconds since 1970, rounded down."""
    try:
        then = datetime.fromisoformat(time)
    except ValueError:
        raise Unreadable("shape") from None
    return int((then if then.tzinfo else then.replace(tzinfo=UTC)).timestamp())


def _sweep(http: httpx.Client, options: Mapping[str, str]) -> Iterator[Listed]:
    for row in _list(http, options, 0):
        ends = row.get("expiration_date")  # the site deletes a report then, whatever its worker wants
        at = moment(ends) if ends else None
        yield Listed(str(row.get("id")), str(row.get("update_date") or ""), at=at)


def _fetch(http: httpx.Client, options: Mapping[str, str], ids: list[str]) -> Iterator[Record]:
    for ident in ids:
        tip = ask_one(http, f"{_base(options)}/api/recipient/rtips/{quote(ident, safe='')}")
        if tip is None:  # its time was up, or our access was taken away
            continue
        if not isinstance(tip, dict) or "questionnaires" not in tip:
            raise Unreadable("shape")
        yield _record(tip)


def _login(options: Mapping[str, str], secret: str) -> Mapping[str, Any]:
    if options.get("username"):
        return {"auth": Login(_base(options), options["username"], secret)}
    return {"headers": {"X-Session": secret}}


SYSTEM = System(
    name="globaleaks",
    records=_records,
    pull=Pull(since=_since, login=_login, sweep=_sweep, fetch=_fetch, forgets=True),
    form="context_id",
    export=globaleaks_export.record,
)
