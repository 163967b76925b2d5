"""Twilio: messages (SMS, WhatsApp and others), calls, recordings; forms, and JSON of its event streams.

A record has Twilio's own parameters, and besides ``kind`` (``message``, ``call`` or ``recording``), ``report_id``,
``scheme`` (``sms``, ``whatsapp``, ``messenger``, ``voice`` ...), ``phone`` (None where the caller withheld it),
``withheld`` and ``media``: a list of ``{url, content_type}``.
"""

import re
from typing import Any

from connectors.reading import urlencoded
from connectors.reading.payload import dicts, json_value, without
from connectors.systems import Answers, Delivered, Record, System, Unreadable

# What Twilio gives as the number of a caller who withheld it: words on a telephone's keys (ANONYMOUS, RESTRICTED,
# BLOCKED, UNKNOWN, UNAVAILABLE), with or without the plus; or the words themselves.
_WITHHELD = re.compile(
    r"(?:\+?(?:266696687|7378742833|2562533|8656696|86282452253)|anonymous|restricted|blocked|unknown|unavailable|private)?",
    re.IGNORECASE,
)
_MOST_MEDIA = 100


def _records(delivered: Delivered) -> list[Record]:
    if urlencoded.is_form(delivered) or delivered.body.lstrip()[:1] not in (b"{", b"["):
        return [_record(_form(delivered.body))]
    value = json_value(delivered.body)
    return [_record(_event(v)) for v in dicts(value if isinstance(value, list) else [value])]


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


SYSTEM = System(
    name="twilio",
    records=_records,
    schemes=("twilio",),
    answers=Answers(accepted=204, bad=204, busy=503),  # an empty answer: no reply is sent to the worker
    form="kind",
)
