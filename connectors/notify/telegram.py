"""Telegram: a bot writes into a chat (Bot API, ``sendMessage``).

Telegram has no id by which it knows a repeat: where its answer is lost, a message may come twice. It can read what is
sent, so a route to it is for what everybody may read.
"""

import json
from datetime import datetime
from typing import Annotated, Any

from pydantic import AfterValidator, SecretStr

from connectors.notifying.channel import Channel, Options, Secret, Sent, Url
from connectors.notifying.http import HttpRequest, exchange
from connectors.notifying.message import Message, plain

LONGEST = 4096  # UTF-16 units of one message


def _token(secret: SecretStr) -> SecretStr:
    number, colon, rest = secret.get_secret_value().partition(":")
    if not (
        colon and number.isascii() and number.isdigit() and rest.replace("-", "").replace("_", "").isalnum()
    ):
        raise ValueError("must be a bot's token as BotFather gives it: 123456:ABC-...")
    return secret


class TelegramOptions(Options):
    """A bot and the chat it writes into.

    Attributes:
        token: of the bot.
        chat: id of the chat, or ``@name`` of a channel; the bot is a member of it.
        api: address of the Bot API, for a server of your own.
    """

    token: Annotated[Secret, AfterValidator(_token)]
    chat: int | str
    api: Url = SecretStr("https://api.telegram.org")


def prepare(options: TelegramOptions, message: Message, now: datetime) -> HttpRequest:
    """Return the request: plain text without markup, so that nothing in it is taken for one."""
    body = {
        "chat_id": options.chat,
        "text": plain(message, LONGEST),
        "link_preview_options": {"is_disabled": True},
    }
    base = options.api.get_secret_value().rstrip("/")
    url = f"{base}/bot{options.token.get_secret_value()}/sendMessage"
    headers = {"content-type": "application/json", "user-agent": "chorus"}
    return HttpRequest(now, "POST", url, headers, json.dumps(body, ensure_ascii=False).encode())


async def send(options: TelegramOptions, request: HttpRequest) -> Sent:
    """Send the request; how long to wait after a 429 is in the answer's body."""
    sent, body = await exchange(options, request)
    if sent.outcome == "LIMITED":
        return Sent("LIMITED", sent.code, max(sent.again_after, _asked(body)))
    return sent


def _asked(body: bytes) -> float:
    try:
        document: Any = json.loads(body)
        return max(0.0, float(document["parameters"]["retry_after"]))
    except (ValueError, KeyError, TypeError):
        return 0.0


CHANNEL = Channel("telegram", TelegramOptions, prepare, send)
