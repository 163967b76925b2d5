"""Messages: what people read, in their language, of one notice or several. Pure.

Words come from the catalogues (``schemas/telling.py``), figures from released rows; nothing else is in a message.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from urllib.parse import quote

from connectors.notifying.notice import Notice, Severity, severity
from schemas import telling

_ALERTS = {"ALERT_OPENED": "opened", "ALERT_UPDATED": "updated", "ALERT_ACKNOWLEDGED": "acknowledged"}
_CASES = {"CASE_URGENT": "case_urgent", "CASE_CLUSTER": "case_cluster"}


@dataclass(frozen=True, slots=True)
class Item:
    """One notice in words.

    Attributes:
        notice: what it is about.
        severity: how much it matters.
        title: one line.
        body: the whole reason, or what else is to be said.
        link: where to read on; empty where the page has no address.
    """

    notice: Notice
    severity: Severity
    title: str
    body: str
    link: str


@dataclass(frozen=True, slots=True)
class Message:
    """What goes out at once on one channel.

    Attributes:
        message_id: the same however often it is sent: 32 hexadecimal digits.
        at: when it was put together, UTC.
        channel: name of the channel.
        language: of its words.
        subject: one line.
        items: what it tells, in order.
        page: address of the page; may be empty.
    """

    message_id: str
    at: datetime
    channel: str
    language: str
    subject: str
    items: tuple[Item, ...]
    page: str

    def more(self, count: int) -> str:
        """Say that so many items are left out."""
        return _say("more", self.language, count=count)


def compose(
    message_id: str, at: datetime, channel: str, language: str, notices: Sequence[Notice], page: str
) -> Message:
    """Put a message together; the same arguments make the same message.

    Args:
        message_id: its name.
        at: when it was put together, UTC.
        channel: name of the channel.
        language: of its words.
        notices: at least one.
        page: address of the page, without a slash at the end; may be empty.
    """
    items = tuple(_item(notice, language, page) for notice in notices)
    first = items[0].title
    subject = first if len(items) == 1 else _say("several", language, count=len(items), first=first)
    return Message(message_id, at, channel, language, " ".join(subject.split()), items, page)


def _item(notice: Notice, language: str, page: str) -> Item:
    link = page
    if notice.alert:
        title, body = _title(notice, language), telling.reason(notice.facts, language)
        link = page and f"{page}/alerts/{quote(str(notice.facts['alert_id']))}"
    elif notice.case:
        title, body = _say(_CASES[notice.kind], language), _say("case_body", language)
        name, place = ("cluster_id", "?cluster=") if notice.kind == "CASE_CLUSTER" else ("case_id", "/")
        found = f"{place}{quote(str(notice.facts[name]))}" if name in notice.facts else ""
        link = page and f"{page}/cases{found}"
    elif notice.kind == "SOURCE_SILENT":
        title = telling.phrase("silence.SOURCE_SILENT", language)
        figures = {name: notice.facts[name] for name in ("heard", "connected")}
        body = telling.phrase("silence.source_silent", language, **figures)
    else:
        title, body = _say("test", language), _say("test_body", language, chorus="Chorus")
    return Item(notice, severity(notice), title, body, link)


def _title(notice: Notice, language: str) -> str:
    headline = telling.headline(notice.facts, language)
    if notice.kind == "ALERT_CLOSED":  # the headline says that it is over
        return headline
    joined = notice.kind == "ALERT_UPDATED" and notice.facts.get("part_of")
    name = "joined" if joined else _ALERTS[notice.kind]
    return _say(name, language, headline=headline, organisation=notice.organisation)


def _say(name: str, language: str, **values: object) -> str:
    return telling.phrase(f"notify.{name}", language, **values)


def plain(message: Message, most: int = 0) -> str:
    """Return a message as plain text.

    Args:
        message: the message.
        most: longest text in UTF-16 units, as chat services count; 0 for no limit. What has no room is left out
            item by item, first its reason, and the text says how many are missing.
    """
    whole = ["\n".join(part for part in (item.title, item.body, item.link) if part) for item in message.items]
    text = "\n\n".join(whole)
    if not most or units(text) <= most:
        return text
    titles = [item.title for item in message.items]
    for kept in range(len(titles), 0, -1):
        left_out = [message.more(len(titles) - kept)] if kept < len(titles) else []
        text = "\n".join([*titles[:kept], *left_out, message.page]).strip()
        if len(titles) > 1 and units(text) <= most:
            return text
    return _cut(whole[0], most)


def units(text: str) -> int:
    """Return the length of text in UTF-16 units."""
    return len(text.encode("utf-16-le")) // 2


def _cut(text: str, most: int) -> str:
    while units(text) > most - 1:
        text = text[: -max(1, (units(text) - most) // 2)]
    return f"{text}…"
