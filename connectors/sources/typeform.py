"""Typeform: webhooks and the Responses API; both become one shape, with the answers by their reference.

A record has ``form_id``, ``token``, ``submitted_at``, ``landed_at``, ``hidden``, ``partial`` (begun, never sent) and

- ``answers``: by the field's ``ref``; a text, number, date or boolean as it is; a choice as ``{label, ref, other}``;
  several as ``{labels, refs, other}``;
- ``files``: ``{url, name, ref}`` of every upload.
"""

from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from typing import Any

import httpx

from connectors.pulling.asking import ask
from connectors.reading.payload import dicts, inside, json_value
from connectors.systems import Answers, Delivered, Listed, Page, Pull, Record, System, Unreadable

_MOST = 1000
# Responses may turn up in the API half an hour late.
_LATE = timedelta(minutes=45)


def _records(delivered: Delivered) -> list[Record]:
    value = json_value(delivered.body)
    if isinstance(value, dict) and "items" in value:
        return [_record(item, None) for item in dicts(value["items"])]
    found = dicts(value if isinstance(value, list) else [value])
    return [_record(v.get("form_response", v), v.get("event_type")) for v in found]


def _record(response: Any, event: Any) -> Record:
    if not isinstance(response, dict) or not isinstance(response.get("token"), str):
        raise Unreadable("shape")
    answers = dicts(response.get("answers") or [])
    partial = event == "form_response_partial" or response.get("response_type") in ("partial", "started")
    return {
        "form_id": response.get("form_id"),
        "token": response["token"],
        "landed_at": _time(response.get("landed_at")),
        "submitted_at": _time(response.get("submitted_at")),
        "partial": partial,
        "hidden": response.get("hidden") or {},
        "answers": {_ref(a): _answer(a) for a in answers},
        "files": [f for a in answers for f in _files(a)],
    }


def _time(given: Any) -> Any:
    """Return a time; a response never sent has the year 1 in place of one."""
    return None if not given or str(given).startswith("0001-") else given


def _ref(answer: dict[str, Any]) -> str:
    field = answer.get("field")
    if not isinstance(field, dict):
        raise Unreadable("shape")
    return str(field.get("ref") or field.get("id"))


def _answer(answer: dict[str, Any]) -> Any:
    kind = answer.get("type")
    value = answer.get(kind) if isinstance(kind, str) else None
    if kind == "choice" and isinstance(value, dict):
        return {k: value.get(k) for k in ("label", "ref", "other")}
    if kind == "choices" and isinstance(value, dict):
        return {
            "labels": value.get("labels") or [],
            "refs": value.get("refs") or [],
            "other": value.get("other"),
        }
    return value


def _files(answer: dict[str, Any]) -> Iterator[dict[str, Any]]:
    urls = [answer.get("file_url"), answer.get("audio_url"), answer.get("video_url")]
    several = answer.get("multi_format")
    urls += [several.get(k) for k in ("audio_url", "video_url")] if isinstance(several, dict) else []
    for url in urls:
        if isinstance(url, str):
            yield {"url": url, "name": url.partition("?")[0].rpartition("/")[2], "ref": _ref(answer)}


# The API.


def _since(http: httpx.Client, options: Mapping[str, str], checkpoint: str | None) -> Iterator[Page]:
    """Read in the order of submission; what is read twice is told by its content."""
    params = {"page_size": str(_MOST), "sort": "submitted_at,asc"}
    if options.get("partial") == "yes":
        params["response_type"] = "completed,partial"
    since = _seconds(checkpoint, _LATE) if checkpoint else None
    seen: set[str] = set()
    while True:
        rows = _items(http, options, params | ({"since": since} if since else {}))
        new = [row for row in rows if row.get("token") not in seen]
        seen = {str(row.get("token")) for row in rows}
        times = [str(row["submitted_at"]) for row in rows if _time(row.get("submitted_at"))]
        checkpoint = max([checkpoint or "", *times])
        if new:
            yield Page(tuple(_of(options, row) for row in new), checkpoint)
        if len(rows) < _MOST:
            return
        after = _seconds(max(times), timedelta()) if times else since
        if after == since:  # a thousand within one second: there is no way on
            raise Unreadable("size")
        since = after


def _items(http: httpx.Client, options: Mapping[str, str], params: Mapping[str, str]) -> list[dict[str, Any]]:
    base = options.get("url", "https://api.typeform.com").rstrip("/")
    return dicts(inside(ask(http, f"{base}/forms/{options['form']}/responses", params), "items"))


def _of(options: Mapping[str, str], row: dict[str, Any]) -> Record:
    return _record(row | {"form_id": options["form"]}, None)  # the API leaves out what was asked for


def _seconds(time: str, less: timedelta) -> str:
    try:
        return (datetime.fromisoformat(time) - less).strftime("%Y-%m-%dT%H:%M:%S")
    except ValueError:
        raise Unreadable("shape") from None


def _sweep(http: httpx.Client, options: Mapping[str, str]) -> Iterator[Listed]:
    for page in _since(http, options, None):
        for record in page.records:
            yield Listed(record["token"], str(record["submitted_at"] or ""))


def _fetch(http: httpx.Client, options: Mapping[str, str], ids: list[str]) -> Iterator[Record]:
    for start in range(0, len(ids), 100):
        wanted = ",".join(ids[start : start + 100])
        for row in _items(http, options, {"page_size": "100", "included_response_ids": wanted}):
            yield _of(options, row)


SYSTEM = System(
    name="typeform",
    records=_records,
    schemes=("typeform",),
    answers=Answers(accepted=200, bad=200, busy=503),  # 404 and 410 would switch the webhook off
    pull=Pull(
        since=_since,
        login=lambda options, secret: {"headers": {"Authorization": f"Bearer {secret}"}},
        sweep=_sweep,
        fetch=_fetch,
    ),
    form="form_id",
)
