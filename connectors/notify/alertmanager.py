"""Alertmanager's JSON, both ways: as its webhook sends it, and as its API takes it.

``format = "webhook"`` is what receivers made for Alertmanager understand (webhook payload, version 4).
``format = "api"`` hands alerts to an Alertmanager (``/api/v2/alerts``), which then routes them by its own rules. It
forgets alerts when it restarts, and would resolve what is not told again within minutes: so an open alert is given an
end far ahead, and its real one when it closes; what has no end of its own, such as a test, lasts an hour.
"""

import json
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import Any, Literal

from pydantic import Field

from connectors.notifying.channel import Channel, Options, Secret, Sent, Url
from connectors.notifying.http import HttpRequest, send_http
from connectors.notifying.message import Item, Message

NO_END = "0001-01-01T00:00:00Z"  # Go's zero time: how Alertmanager says "not ended"
FAR = timedelta(days=120)  # longer than an episode lasts
EVENT = timedelta(hours=1)
_NAMES = {"SOURCE_SILENT": "ChorusSourceSilent", "CASE_URGENT": "ChorusCaseUrgent"}
_NAMES |= {"CASE_CLUSTER": "ChorusCaseCluster", "TEST": "ChorusTest"}
_FIGURES = ("value", "baseline", "e90", "peak_value", "score", "threshold", "false_per_year")


class AlertmanagerOptions(Options):
    """Where Alertmanager's JSON goes.

    Attributes:
        url: of a receiver, whole; with ``format = "api"`` the address of Alertmanager.
        format: ``webhook`` or ``api``.
        headers: such as ``Authorization``; their values are secrets.
    """

    url: Url
    format: Literal["webhook", "api"] = "webhook"
    headers: dict[str, Secret] = Field(default_factory=dict, max_length=30)


def prepare(options: AlertmanagerOptions, message: Message, now: datetime) -> HttpRequest:
    """Return the request; its body is the same at every try."""
    url = options.url.get_secret_value()
    if options.format == "api":
        url = f"{url.rstrip('/')}/api/v2/alerts"
        document: Any = [_posted(item, message) for item in message.items]
    else:
        document = _webhook(message)
    headers = {name.lower(): value.get_secret_value() for name, value in options.headers.items()}
    headers |= {"content-type": "application/json", "user-agent": "chorus"}
    return HttpRequest(now, "POST", url, headers, json.dumps(document, ensure_ascii=False).encode())


def _webhook(message: Message) -> dict[str, Any]:
    alerts = [_alert(item) for item in message.items]
    labels = _common(alert["labels"] for alert in alerts)
    group = {"alertname": labels["alertname"]} if "alertname" in labels else {}
    return {
        "version": "4",
        "groupKey": "{}:{" + ", ".join(f'{k}="{v}"' for k, v in group.items()) + "}",
        "truncatedAlerts": 0,
        "status": "firing" if any(alert["status"] == "firing" for alert in alerts) else "resolved",
        "receiver": message.channel,
        "groupLabels": group,
        "commonLabels": labels,
        "commonAnnotations": _common(alert["annotations"] for alert in alerts),
        "externalURL": message.page,
        "alerts": alerts,
    }


def _alert(item: Item) -> dict[str, Any]:
    ended = _ended(item)
    return {
        "status": "resolved" if ended else "firing",
        "labels": {**_labels(item), "severity": item.severity},
        "annotations": _annotations(item),
        "startsAt": _started(item),
        "endsAt": ended or NO_END,
        "generatorURL": item.link,
        "fingerprint": sha256(item.notice.key.encode()).hexdigest()[:16],
    }


def _posted(item: Item, message: Message) -> dict[str, Any]:
    return {
        "labels": _labels(item),
        "annotations": _annotations(item),
        "startsAt": _started(item),
        "endsAt": _ended(item) or _time(message.at + (FAR if item.notice.alert else EVENT)),
        "generatorURL": item.link,
    }


def _labels(item: Item) -> dict[str, str]:
    """Return what names the alert: the same from its opening to its end, so without its severity.

    Alertmanager takes an alert with another label for another alert.
    """
    notice = item.notice
    labels = {
        "alertname": _NAMES.get(notice.kind, "ChorusAlert"),
        "chorus_key": notice.key,
        "indicator": notice.indicator,
        "sector": notice.sector,
        "region": notice.region,
        "organisation": notice.organisation if notice.case else "",
    }
    return {name: value for name, value in labels.items() if value}


def _annotations(item: Item) -> dict[str, str]:
    facts = item.notice.facts
    figures = {name: str(facts[name]) for name in _FIGURES if name in facts}
    return {"summary": item.title, "description": item.body, "severity": item.severity, **figures}


def _started(item: Item) -> str:
    return _time(item.notice.facts["opened_at"] if item.notice.alert else item.notice.at)


def _ended(item: Item) -> str:
    """Return when an alert closed, or when a wider one took it over; empty while it is open."""
    facts = item.notice.facts
    if item.notice.alert and (facts["state"] == "CLOSED" or facts.get("part_of")):
        return _time(facts.get("closed_at") or facts["updated_at"])
    return ""


def _common(of: Iterable[Mapping[str, str]]) -> dict[str, str]:
    first, *others = of
    return {name: value for name, value in first.items() if all(o.get(name) == value for o in others)}


def _time(at: datetime) -> str:
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


async def send(options: AlertmanagerOptions, request: HttpRequest) -> Sent:
    """Send the request."""
    return await send_http(options, request)


CHANNEL = Channel("alertmanager", AlertmanagerOptions, prepare, send)
