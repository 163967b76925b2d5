"""Any HTTP gateway that takes a text: LINE, Signal, and others, by a template of the request.

A template is a TOML value whose texts may hold ``{text}``, ``{subject}``, ``{link}``, ``{id}`` and ``{uuid}``. They are
filled in text by text and written as JSON afterwards, so that no message can break out of its place.
"""

import json
import re
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any, Literal
from uuid import UUID

from pydantic import Field, model_validator

from connectors.notifying.channel import Channel, Options, Secret, Sent, Url
from connectors.notifying.http import HttpRequest, send_http
from connectors.notifying.message import Message, plain

_NAMES = ("text", "subject", "link", "id", "uuid")
_PLACE = re.compile(r"\{(\w+)\}")


class GatewayOptions(Options):
    """How a gateway is called.

    Attributes:
        method: of the request.
        url: its address.
        headers: may hold ``{id}`` and ``{uuid}``; their values are secrets.
        body: template of the JSON document.
        longest: most UTF-16 units of ``{text}``; 0 for no limit.
        done: statuses that mean the gateway has had this message before.
    """

    method: Literal["POST", "PUT"] = "POST"
    url: Url
    headers: dict[str, Secret] = Field(default_factory=dict, max_length=30)
    body: dict[str, Any] | list[Any]
    longest: int = Field(2000, ge=0)
    done: tuple[int, ...] = ()

    @model_validator(mode="after")
    def _known_places(self) -> "GatewayOptions":
        headers = [value.get_secret_value() for value in self.headers.values()]
        for text in (*_texts(self.body), *headers):
            if unknown := set(_PLACE.findall(text)) - set(_NAMES):
                raise ValueError(f"knows no {{{min(unknown)}}}; known are {', '.join(_NAMES)}")
        for text in headers:
            if set(_PLACE.findall(text)) - {"id", "uuid"}:
                raise ValueError("headers may hold {id} and {uuid}, and nothing of the message")
        if not {"text", "subject"} & {name for text in _texts(self.body) for name in _PLACE.findall(text)}:
            raise ValueError("body has neither {text} nor {subject}: it would say nothing")
        return self


def prepare(options: GatewayOptions, message: Message, now: datetime) -> HttpRequest:
    """Return the request, filled in."""
    values = {
        "text": plain(message, options.longest),
        "subject": message.subject,
        "link": message.items[0].link if len(message.items) == 1 else message.page,
        "id": message.message_id,
        "uuid": str(UUID(message.message_id)),
    }
    body = _filled(options.body, values)
    headers = {
        name.lower(): _fill(value.get_secret_value(), values) for name, value in options.headers.items()
    }
    return HttpRequest(
        now,
        options.method,
        options.url.get_secret_value(),
        {"content-type": "application/json", "user-agent": "chorus", **headers},
        json.dumps(body, ensure_ascii=False).encode(),
    )


def _fill(text: str, values: Mapping[str, str]) -> str:
    return _PLACE.sub(lambda found: values[found[1]], text)


def _filled(template: Any, values: Mapping[str, str]) -> Any:
    if isinstance(template, str):
        return _fill(template, values)
    if isinstance(template, list):
        return [_filled(value, values) for value in template]
    if isinstance(template, dict):
        return {name: _filled(value, values) for name, value in template.items()}
    return template


def _texts(template: Any) -> Iterator[str]:
    if isinstance(template, str):
        yield template
    inner: Any = template.values() if isinstance(template, dict) else template
    if isinstance(template, dict | list):
        for value in inner:
            yield from _texts(value)


async def send(options: GatewayOptions, request: HttpRequest) -> Sent:
    """Send the request."""
    return await send_http(options, request, options.done)


CHANNEL = Channel("gateway", GatewayOptions, prepare, send)
