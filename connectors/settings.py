"""What the doors need to know."""

import re
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from schemas.settings import BadSetting, variable


@dataclass(frozen=True, slots=True)
class ConnectorSettings:
    """Settings of the doors.

    Attributes:
        home: folder of this node's state: sources, secrets, outbox, key store, release journal, chDB.
        kafka: bootstrap servers; without it ``chorus up`` brings its own broker.
        clickhouse_url: ``clickhouse://user:password@host:8123``; without it chDB, in ``home``.
        cases_clickhouse_url: as whom the case path reads and writes its tables; without it as ``clickhouse_url``.
        schema_registry_url: a registry that speaks Confluent's REST protocol; without it the folder.
        host: address the web server listens on.
        port: its port; 0 picks a free one.
        max_report_bytes: largest report taken in one request, bytes.
        public_url: how senders reach this node, such as ``https://intake.example.org``; part of what some of them
            sign. Without it the URL that reaches the node itself.
        outbox_max_bytes: most that may wait in the outbox, bytes; then senders are told to come again.
        outbox_free_bytes: what must stay free on the outbox's disk, bytes.
        outbox_warn_hours: a message that has waited for so long is worth a warning in the log.
        board: who sees alerts and numbers on the web: ``everybody``, or ``members`` who have signed in.
        form_source: name of the source that the web form is, connected by itself; without it there is no form.
        form_leave_url: where the form's "leave quickly" goes: a site that nobody wonders about.
    """

    home: Path = Path(".chorus")
    kafka: str | None = None
    clickhouse_url: str | None = None
    cases_clickhouse_url: str | None = None
    schema_registry_url: str | None = None
    host: str = "127.0.0.1"
    port: int = 8080
    max_report_bytes: int = 1_000_000
    public_url: str = ""
    outbox_max_bytes: int = 4_000_000_000
    outbox_free_bytes: int = 200_000_000
    outbox_warn_hours: int = 24
    board: str = "everybody"
    form_source: str = ""
    form_leave_url: str = "https://www.google.com/"

    def __post_init__(self) -> None:
        """Refuse what is no choice.

        Raises:
            BadSetting: naming the setting and what would be right.
        """
        url = urlsplit(self.public_url)
        if self.public_url and (
            url.scheme not in ("http", "https") or not url.netloc or url.query or url.fragment
        ):
            raise BadSetting(f"{variable('public_url')} must be a URL such as https://intake.example.org")
        if self.board not in ("everybody", "members"):
            raise BadSetting(f"{variable('board')} must be everybody or members")
        for name in ("outbox_max_bytes", "outbox_free_bytes", "outbox_warn_hours"):
            if getattr(self, name) < 0:
                raise BadSetting(f"{variable(name)} must not be negative")
        if self.form_source and not re.fullmatch(r"[a-z][a-z0-9_]{0,39}", self.form_source):
            raise BadSetting(
                f"{variable('form_source')} must be lower-case letters, digits and underscores, 40 at most"
            )
        leave = urlsplit(self.form_leave_url)
        if leave.scheme not in ("http", "https") or not leave.netloc:
            raise BadSetting(f"{variable('form_leave_url')} must be a URL such as https://www.example.org/")
