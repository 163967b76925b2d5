"""Pulling and reconciling: a source whose webhook loses things loses nothing with us.

A pull asks for what is new, page by page, oldest first, and notes how far it came only when a page is durable. A sweep
compares ids: what is missing here is fetched, what changed is a revision, what vanished is withdrawn. What was submitted
long before it first comes in is history and is never counted. `docs/sources.md` says all this to operators.
"""

import logging
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import httpx

from connectors.intake import canonical_json
from connectors.mapping import BadMapping
from connectors.pulling.manners import Client, Manners, Pace, Trouble, origins
from connectors.pulling.pulled import Fetch, Options, Parts, Taker
from connectors.pulling.sweep import Sweep
from connectors.secrets import open_secret
from connectors.sources import Source, email
from connectors.sqlite import NotNow
from connectors.systems import Pull, Unreadable, systems
from connectors.taking import take

_log = logging.getLogger(__name__)


class Stopping(Exception):
    """The process is stopping: what waits ends."""


@dataclass(frozen=True, slots=True)
class Ran:
    """What a run did: counts by outcome, for the operator alone, and why it stopped early (else empty).

    ``accepted`` new reports and revisions, of which ``history``; ``duplicate``; ``withdrawn``; ``dead_letter``;
    ``ignored`` (no reports, says the mapping); ``too_old``; ``unfetched``. Of a sweep: ``listed``; ``missing`` here;
    ``changed``; ``unseen`` (known by the webhook alone, so compared); ``returned``; ``vanished``; ``doubted``.
    """

    source: str
    counts: Mapping[str, int] = field(default_factory=dict)
    trouble: str = ""


class Runner:
    """Pulls sources. One instance per thread."""

    def __init__(self, parts: Parts) -> None:
        """Hold the parts."""
        self._parts = parts
        self._paces: dict[tuple[str, int], Pace] = {}

    def due(self, source: Source) -> bool:
        """Tell whether a source may be asked by itself: not while its login is refused, or it asked us to wait."""
        state = self._parts.pulls.state(source.name)
        if state.until and state.until > self._parts.now():
            return False
        return not (state.trouble == "LOGIN" and state.config == self._config(source))

    def run(self, source: Source, *, sweep: bool | None = None, backfill: bool = False) -> Ran:
        """Pull a source, and sweep it where that is due.

        Args:
            source: with ``[pull]``.
            sweep: whether to sweep; None: where ``sweep_hours`` have passed.
            backfill: begin at the beginning, whatever has been pulled.

        Raises:
            Stopping: the process stops; what was not noted is asked for again.
        """
        pulls, now = self._parts.pulls, self._parts.now
        counts: Counter[str] = Counter()
        trouble, until = "", None
        try:
            with pulls.held(source.name):
                trouble, until = self._guarded(source, counts, sweep, backfill)
                pulls.stopped(source.name, trouble, now(), until)
        except Trouble as why:  # somebody else is at it
            trouble = why.code
        return Ran(source.name, dict(counts), trouble)

    def _guarded(
        self, source: Source, counts: Counter[str], sweep: bool | None, backfill: bool
    ) -> tuple[str, datetime | None]:
        # Names of classes only: the message of an error may hold a body or an address.
        try:
            self._run(source, counts, sweep, backfill)
        except Trouble as why:
            return why.code, why.until
        except Unreadable:
            return "UNREADABLE", None
        except httpx.HTTPStatusError as why:
            return "LOGIN" if why.response.status_code in (401, 403) else "HTTP", None
        except httpx.InvalidURL:
            return "CONFIG", None
        except httpx.HTTPError:
            return "ELSEWHERE", None  # too many redirects; all else has been waited out below
        except BadMapping:
            return "CONFIG", None
        except NotNow:
            return "FULL", None
        except Stopping:
            raise
        except Exception as error:
            _log.error("source %s cannot be pulled: %s", source.name, type(error).__name__)
            return "BROKEN", None
        return "", None

    def _run(self, source: Source, counts: Counter[str], sweep: bool | None, backfill: bool) -> None:
        parts, options = self._parts, Options.read(source.pull)
        try:
            secret = open_secret(parts.tokens, source.pull["sealed"]) if source.pull.get("sealed") else ""
        except ValueError:
            raise Trouble("CONFIG") from None
        theirs = {k: _text(v) for k, v in source.pull.items() if k != "sealed"}
        is_mailbox = options.url.startswith("imaps://")
        # A mailbox numbers its mails in the order in which they can be seen.
        overlap = timedelta(0 if is_mailbox else options.overlap_minutes / 1440)
        mapping = parts.mapping(source)
        checkpoint = parts.pulls.begin(source.name, parts.now(), overlap, self._config(source))
        taker = Taker(parts, source, mapping, options, counts)
        taker.ongoing = not backfill and parts.pulls.state(source.name).pulled_at is not None
        if backfill:
            checkpoint = None
        if is_mailbox:
            if parts.mailbox is None:
                raise Trouble("CONFIG")
            for message, reached in parts.mailbox({**theirs, "login": secret}, checkpoint):
                taker.page(take(source, mapping, email.delivered(message, source), "PULL_TLS"), reached)
            parts.pulls.pulled(source.name, parts.now(), overlap)
            return
        system = systems().get(source.connector)
        if system is None or system.pull is None:
            raise Trouble("CONFIG")
        pull = system.pull
        manners = Manners(
            origins(theirs.values()),
            int(options.max_body_mb * 1_000_000),
            options.timeout_seconds,
            options.attempts,
            options.ca_file,
        )
        allowed = options.requests_per_hour
        pace = self._paces.setdefault((source.name, allowed), Pace(allowed, parts.now, parts.sleep))
        try:
            login = pull.login(theirs, secret)
        except (ValueError, KeyError):
            raise Trouble("CONFIG") from None
        with Client(manners, pace, login, parts.now, parts.sleep) as http:
            taker.fetch, taker.says_less = _fetcher(pull, http, theirs), pull.says_less
            due = self._sweep_due(source.name, options) if sweep is None else sweep
            swept = Sweep(taker, pull, http, theirs) if pull.sweep and due else None
            failed = _tried(swept.listing) if swept else None
            for page in pull.since(http, theirs, checkpoint):
                taker.page(taker.understood(page.records), page.checkpoint)
            parts.pulls.pulled(source.name, parts.now(), overlap)
            if failed:
                raise failed
            if swept:
                swept.settle()

    def _sweep_due(self, name: str, options: Options) -> bool:
        last = self._parts.pulls.state(name).swept_at
        if not options.sweep_hours:
            return False
        return last is None or self._parts.now() - last >= timedelta(hours=options.sweep_hours)

    def _config(self, source: Source) -> bytes:
        told = canonical_json({"pull": dict(source.pull), "connector": source.connector})
        return self._parts.tokens.digest("pull-config", source.name, told.decode())


def _fetcher(pull: Pull, http: httpx.Client, options: Mapping[str, str]) -> Fetch | None:
    fetch = pull.fetch
    return None if fetch is None else lambda ids: fetch(http, options, ids)


def _tried(listing: Callable[[], None]) -> Exception | None:
    """List; return what went wrong, so that the pull goes on: a broken listing must not keep new reports away."""
    try:
        listing()
    except Trouble as why:
        if why.code in ("LOGIN", "LIMITED", "ELSEWHERE"):  # it would be the same for the pull
            raise
        return why
    except (Unreadable, httpx.HTTPError) as why:
        return why
    return None


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return ",".join(map(_text, value)) if isinstance(value, list | tuple) else str(value)
