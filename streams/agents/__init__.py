"""Faust agents, a few lines each: those of the path, of the cases, and those that watch what is released.

A process may have any of the three; ``streams/app.py`` says which.
"""

from dataclasses import dataclass

import faust

from streams.agents import cases, path, watch
from streams.agents.cases import CaseParts
from streams.agents.path import PathParts
from streams.agents.watch import WatchParts


@dataclass(frozen=True, slots=True)
class Agents:
    """What the agents of this process are given; None where it has no agents of that kind."""

    path: PathParts | None = None
    cases: CaseParts | None = None
    watch: WatchParts | None = None


def attach(app: faust.App, agents: Agents) -> None:
    """Give a Faust app its agents, one per topic and kind."""
    if agents.path:
        path.attach(app, agents.path)
    if agents.cases:
        cases.attach(app, agents.cases)
    if agents.watch:
        watch.attach(app, agents.watch)
