"""Twilio: messages (SMS, WhatsApp and others), calls, recordings; forms, JSON of its event streams, and its API.

A record has Twilio's own parameters, and besides ``kind`` (``message``, ``call`` or ``recording``), ``report_id``,
``scheme`` (``sms``, ``whatsapp``, ``messenger``, ``voice`` ...), ``phone`` (None where the caller withheld it),
``withheld`` and ``media``: a list of ``{url, content_type}``.
"""

import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import quote

import httpx

from connectors.pulling.asking import ask, ask_one, moment, oldest_first, user_and_password
from connectors.reading import urlencoded
from connectors.reading.payload import dicts, json_value, without
from connectors.systems import Answers, Delivered, Listed, Page, Pull, Record, System, Unreadable

# What Twilio gives as the number of a caller who withheld it: words on a telephone's keys (ANONYMOUS, RESTRICTED,
# BLOCKED, UNKNOWN, UNAVAILABLE), with or without the plus; or the words themselves. Where an account has telephone
# numbers blacked out, its API shows the last four digits as XXXX.
_WITHHELD = re.compile(
    r"(?:\+?(?:266696687|7378742833|2562533|8656696|86282452253|\d*XXXX)|anonymous|restricted|blocked|unknown|unavailable|private)?",
    re.IGNORECASE,
)
_MOST_MEDIA = 100


def _records(delivered: Delivered) -> list[Record]:
    if urlencoded.is_form(delivered) or delivered.body.lstrip()[:1] not in (b"{", b"["):
        return [_record(_form(delivered.body))]
    value = json_value(delivered.body)
    if isinstance(value, dict):
        value = next((value[n] for n in _LISTS if isinstance(value.get(n), list)), [value])
    given = dicts(value)
    return [_record(_as_sent(v) if _is_resource(v) else _event(v)) for v in given if _may_be_report(v)]


def _form(body: bytes) -> dict[str, Any]:
    try:
        body.decode()
    except UnicodeDecodeError:
        raise Unreadable("encoding") from None
    try:
        # A name that comes twice counts once: the first, as the rest may be a stranger's.
        return dict(reversed(urlencoded.pairs(body.strip())))
    except UnicodeDecodeError:
        raise Unreadable("encoding") from None
    except ValueError:
        raise Unreadable("size") from None


def _event(value: dict[str, Any]) -> dict[str, Any]:
    """Return the parameters of an event (CloudEvents), under the names they have in a form."""
    data = value.get("data") if "specversion" in value else value
    if not isinstance(data, dict):
        raise Unreadable("shape")
    named = {_name(k): v for k, v in data.items()}
    return named | ({"EventType": value["type"]} if "specversion" in value and "type" in value else {})


def _name(key: str) -> str:
    return "".join(part[:1].upper() + part[1:] for part in key.split("_"))


def _record(given: dict[str, Any]) -> Record:
    """Tell what it is of: a recording of a call has the call's id as well."""
    if given.get("RecordingSid"):
        kind, ident = "recording", given.get("CallSid") or given["RecordingSid"]
    elif given.get("CallSid"):
        kind, ident = "call", given["CallSid"]
    else:
        ident = given.get("MessageSid") or given.get("SmsMessageSid") or given.get("SmsSid")
        kind = "message"
    if not isinstance(ident, str):
        raise Unreadable("shape")
    prefix, colon, number = str(given.get("From") or "").strip().rpartition(":")
    withheld = _WITHHELD.fullmatch(number) is not None
    # The token of a call is a key to it, and nothing of a report.
    return without(given, "CallToken") | {
        "kind": kind,
        "report_id": ident,
        "scheme": (prefix.lower() if colon else "sms") if kind == "message" else "voice",
        "phone": None if withheld else number,
        "withheld": withheld,
        "media": _media(given),
    }


def _media(given: dict[str, Any]) -> list[dict[str, Any]]:
    """Join ``MediaUrl0`` with ``MediaContentType0`` and so on, and add a recording."""
    urls = [(given.get(f"MediaUrl{n}"), given.get(f"MediaContentType{n}")) for n in range(_MOST_MEDIA)]
    if given.get("RecordingUrl"):
        urls.append((given["RecordingUrl"], "audio/x-wav"))
    return [{"url": url, "content_type": kind} for url, kind in urls if url]


# The API (2010-04-01). Its lists have the newest first, of both directions, and their pages are held by a token, so
# that none moves when something comes or goes. The dates of a filter are read to the day: the rest is sorted out here.

_LISTS = {"messages": ("Messages", "DateSent"), "calls": ("Calls", "StartTime")}
_LIMIT = 1000  # the most that a list gives at once
# What its API calls what a delivery has under another name; all else is about routes and prices.
_SENT = {
    "account_sid": "AccountSid",
    "api_version": "ApiVersion",
    "from": "From",
    "to": "To",
}
_SENT_MESSAGE = {
    "sid": "MessageSid",
    "body": "Body",
    "num_media": "NumMedia",
    "num_segments": "NumSegments",
    "messaging_service_sid": "MessagingServiceSid",
    "status": "SmsStatus",
}
_SENT_CALL = {
    "sid": "CallSid",
    "status": "CallStatus",
    "direction": "Direction",
    "caller_name": "CallerName",
    "forwarded_from": "ForwardedFrom",
    "duration": "CallDuration",
}


def _is_resource(value: Mapping[str, Any]) -> bool:
    return isinstance(value.get("sid"), str) and "direction" in value


def _may_be_report(value: Mapping[str, Any]) -> bool:
    """Tell whether somebody sent it, and all of it is there: what the API lists is also what was sent to them."""
    return not _is_resource(value) or (value["direction"] == "inbound" and value.get("status") != "receiving")


def _as_sent(row: Mapping[str, Any], media: list[dict[str, Any]] | None = None) -> dict[str, Any]:
    """Return a message or call of the API under the names it has in a delivery, and its time."""
    names = _SENT | (_SENT_CALL if _is_call(row["sid"]) else _SENT_MESSAGE)
    given = {name: row[key] for key, name in names.items() if row.get(key) is not None}
    for number, one in enumerate(media or []):
        given |= {f"MediaUrl{number}": one["url"], f"MediaContentType{number}": one["content_type"]}
    return given | {"Timestamp": _time(row).isoformat()}


def _is_call(sid: str) -> bool:
    return sid.startswith("CA")


def _time(row: Mapping[str, Any]) -> datetime:
    """Return when a message was sent or a call began, in UTC; raises ``Unreadable``."""
    said = row.get("date_sent") or row.get("start_time") or row.get("date_created")
    try:
        when = parsedate_to_datetime(str(said))
    except ValueError:
        raise Unreadable("shape") from None
    return (when if when.tzinfo else when.replace(tzinfo=UTC)).astimezone(UTC)


def _wanted(options: Mapping[str, str]) -> list[tuple[str, str]]:
    """Return ``(list, number)`` of everything that is to be asked for; no number: every number of the account."""
    return [
        (what.strip(), number.strip())
        for what in options.get("what", "messages").split(",")
        for number in options.get("to", "").split(",")
    ]


def _walk(
    http: httpx.Client, options: Mapping[str, str], after: datetime | None = None
) -> Iterator[tuple[datetime, dict[str, Any]]]:
    """Yield what came in, of a time or later, with its time."""
    for what, number in _wanted(options):
        name, when = _LISTS[what]
        url = f"{_base(options)}/{name}.json"
        params = {"PageSize": options.get("page_size", str(_LIMIT))}
        if number:
            params["To"] = number
        if after:
            params[f"{when}>"] = f"{after:%Y-%m-%d}"
        while url:
            page = ask(http, url, params or None)
            if not isinstance(page, dict):
                raise Unreadable("shape")
            for row in dicts(page.get(what)):
                if not _is_resource(row):
                    raise Unreadable("shape")
                at = _time(row)
                if _may_be_report(row) and (after is None or at >= after):
                    yield at, row
            url, params = _link(options, page.get("next_page_uri")), {}


def _base(options: Mapping[str, str]) -> str:
    return options["url"].rstrip("/")


def _link(options: Mapping[str, str], uri: Any) -> str:
    """Return the address of what the API names by its path alone; empty where it names nothing."""
    return str(httpx.URL(options["url"]).join(uri)) if isinstance(uri, str) and uri else ""


def _whole(http: httpx.Client, options: Mapping[str, str], row: Mapping[str, Any]) -> Record:
    """Return a message with its media, which only a list of their own has, or a call."""
    media = []
    if str(row.get("num_media") or "0") != "0":
        page = ask_one(http, f"{_base(options)}/Messages/{quote(row['sid'], safe='')}/Media.json")
        for one in dicts(page.get("media_list") or []) if isinstance(page, dict) else []:
            url = _link(options, str(one.get("uri") or "").removesuffix(".json"))
            media.append({"url": url, "content_type": one.get("content_type")})
    return _record(_as_sent(row, media))


def _since(http: httpx.Client, options: Mapping[str, str], checkpoint: str | None) -> Iterator[Page]:
    for page in oldest_first(_walk(http, options, moment(checkpoint) if checkpoint else None)):
        yield Page(tuple(_whole(http, options, row) for row in page.records), page.checkpoint)


def _sweep(http: httpx.Client, options: Mapping[str, str]) -> Iterator[Listed]:
    for at, row in _walk(http, options):
        yield Listed(row["sid"], "", at=at)


def _fetch(http: httpx.Client, options: Mapping[str, str], root_ids: list[str]) -> Iterator[Record]:
    for sid in root_ids:
        name = "Calls" if _is_call(sid) else "Messages"
        row = ask_one(http, f"{_base(options)}/{name}/{quote(sid, safe='')}.json")
        if isinstance(row, dict) and _is_resource(row) and _may_be_report(row):
            yield _whole(http, options, row)


def _login(options: Mapping[str, str], secret: str) -> Mapping[str, Any]:
    if any(what not in _LISTS for what, _ in _wanted(options)):
        raise ValueError("what is messages, calls or both")
    return {"auth": user_and_password(secret)}


def _content(record: Record) -> str | None:
    # Its delivery, its event and its row in the list say the same of a message with more or less about its route.
    return (
        f"{record.get('report_id')} {record.get('Body') or ''}" if record.get("kind") == "message" else None
    )


SYSTEM = System(
    name="twilio",
    records=_records,
    schemes=("twilio",),
    answers=Answers(accepted=204, bad=204, busy=503),  # an empty answer: no reply is sent to the worker
    pull=Pull(_since, _login, _sweep, _fetch, forgets=True, says_less=True),
    form="kind",
    content=_content,
)
