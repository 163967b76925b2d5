"""A signed webhook, as Standard Webhooks 1.0 has it: HMAC-SHA256 over id, timestamp and body.

The receiver checks the signature with any library of that standard, refuses what is older than five minutes, and knows
by ``webhook-id`` what it has had already. Signing is one line, so the library is only in our tests, as the other side.
"""

import base64
import binascii
import hashlib
import hmac
import json
from datetime import UTC, datetime
from typing import Annotated, Any

from pydantic import AfterValidator, SecretStr

from connectors.notifying.channel import Channel, Options, Secret, Sent, Url
from connectors.notifying.http import HttpRequest, send_http
from connectors.notifying.message import Item, Message


def key(secret: SecretStr) -> bytes:
    """Return the key that a secret such as ``whsec_...`` is.

    Raises:
        ValueError: it is not base64 of 24 to 64 bytes.
    """
    try:
        found = base64.b64decode(secret.get_secret_value().removeprefix("whsec_"), validate=True)
    except (binascii.Error, ValueError):
        found = b""
    if not 24 <= len(found) <= 64:
        raise ValueError("must be whsec_ and 24 to 64 bytes in base64: `openssl rand -base64 32` makes some")
    return found


def _key(secret: SecretStr) -> SecretStr:
    key(secret)
    return secret


class WebhookOptions(Options):
    """An address that takes signed notices.

    Attributes:
        url: the address; https, unless it is on your own network.
        secret: ``whsec_`` and the key in base64.
        old_secret: signs as well, while receivers change over.
    """

    url: Url
    secret: Annotated[Secret, AfterValidator(_key)]
    old_secret: Annotated[Secret, AfterValidator(_key)] | None = None


def prepare(options: WebhookOptions, message: Message, now: datetime) -> HttpRequest:
    """Return the request, signed for this instant; its id and body are the same at every try."""
    document = {
        "type": "chorus.notices",
        "timestamp": _instant(message.at),
        "data": {
            "subject": message.subject,
            "language": message.language,
            "notices": [_notice(item) for item in message.items],
        },
    }
    body = json.dumps(document, ensure_ascii=False, default=plain_value).encode()
    stamp = str(int(now.timestamp()))
    secrets = [secret for secret in (options.secret, options.old_secret) if secret]
    name = f"msg_{message.message_id}"
    headers = {
        "content-type": "application/json",
        "user-agent": "chorus",
        "webhook-id": name,
        "webhook-timestamp": stamp,
        "webhook-signature": " ".join(sign(key(secret), name, stamp, body) for secret in secrets),
    }
    return HttpRequest(now, "POST", options.url.get_secret_value(), headers, body)


def sign(secret: bytes, name: str, stamp: str, body: bytes) -> str:
    """Return the signature ``v1,...`` of a body under an id and a timestamp in seconds."""
    digest = hmac.digest(secret, f"{name}.{stamp}.".encode() + body, hashlib.sha256)
    return f"v1,{base64.b64encode(digest).decode()}"


def _notice(item: Item) -> dict[str, Any]:
    notice = item.notice
    return {
        "id": notice.notice_id,
        "key": notice.key,
        "kind": notice.kind,
        "severity": item.severity,
        "at": _instant(notice.at),
        "indicator": notice.indicator,
        "sector": notice.sector,
        "region": notice.region,
        "organisation": notice.organisation,
        "title": item.title,
        "body": item.body,
        "link": item.link,
        "facts": notice.facts,
    }


def plain_value(value: Any) -> str:
    """Return an instant as JSON has it; for ``json.dumps``.

    Raises:
        TypeError: it is something else.
    """
    if not isinstance(value, datetime):
        raise TypeError(type(value).__name__)
    return _instant(value)


def _instant(at: datetime) -> str:
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


async def send(options: WebhookOptions, request: HttpRequest) -> Sent:
    """Send the request."""
    return await send_http(options, request)


CHANNEL = Channel("webhook", WebhookOptions, prepare, send)
