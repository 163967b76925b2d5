"""Watch: released numbers in, alerts out. Nothing here can see a report, a case or a key."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

import faust

from schemas import topics
from schemas.events import Alert, Release
from streams.agents.common import (
    Parts,
    Row,
    batches,
    channel,
    decoded,
    deliver,
    keep,
    persist,
    plain_row,
    token,
)


class Watch(Protocol):
    """What looks at releases as they come."""

    def look(self, releases: Sequence[Release]) -> list[Alert]:
        """Return the alerts these releases open, update or close."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WatchParts(Parts):
    """What the watching agents are given.

    Attributes:
        watch: looks at releases.
        tell: is told of alerts once they are kept; what it was told before, it knows.
        tell_releases: likewise of releases, which say whether a source was silent.
    """

    watch: Watch
    tell: Callable[[Sequence[Alert]], None] = lambda alerts: None
    tell_releases: Callable[[Sequence[Release]], None] = lambda releases: None


def attach(app: faust.App, parts: WatchParts) -> None:
    """Give a Faust app the agents that watch."""
    _watch(app, parts)
    keep(
        app,
        parts,
        topics.ALERTS,
        Alert,
        "released.alerts",
        alert_row,
        lambda alerts, rows: parts.tell(alerts),
    )


def _watch(app: faust.App, parts: WatchParts) -> None:
    """Insert releases, look at them, and tell: ``releases`` to ``released.*`` and ``alerts``."""

    @app.agent(channel(app, topics.RELEASES), name="watch")
    async def watch(stream: Any) -> None:
        async for events in batches(stream, parts):
            releases = list(decoded(parts.codec, Release, events))
            cells = [row for release in releases for row in cell_rows(release)]
            await persist(parts.store.insert, "released.cells", cells, token(events))
            manifests = [manifest_row(release) for release in releases]
            await persist(parts.store.insert, "released.releases", manifests, token(events))
            alerts = await persist(parts.watch.look, releases)
            await deliver(app, [(topics.ALERTS, a.alert_id.encode(), parts.codec.encode(a)) for a in alerts])
            await persist(parts.tell_releases, releases)


def cell_rows(release: Release) -> Iterable[Row]:
    """Return the rows of ``released.cells``, one for each cell of the release."""
    shared = {
        name: getattr(release, name)
        for name in (
            "table",
            "window_start",
            "window_end",
            "mechanism",
            "noise_scale",
            "e90",
            "domain_version",
            "release_id",
        )
    }
    return ({**shared, **plain_row(cell, release.window_end)} for cell in release.cells)


def manifest_row(release: Release) -> Row:
    """Return the row of ``released.releases``."""
    return {**plain_row(release, release.window_end), "cells": len(release.cells)}


def alert_row(alert: Alert, now: datetime) -> Row:
    """Return the row of ``released.alerts``."""
    known = {"since": alert.since or alert.opened_at, "last_alarm_at": alert.last_alarm_at or alert.opened_at}
    return {
        **plain_row(alert, now),
        **known,
        "parts": [(p.indicator, p.sector, p.region) for p in alert.parts],
    }
