"""All the agents of a node, for tests that act in their place."""

from types import SimpleNamespace

from streams.agents import Agents, cases, path
from streams.agents.cases import CaseParts
from streams.agents.path import PathParts
from streams.agents.watch import WatchParts


def all_agents(store, tokens, codec, now, receiver, *, watch, poison_limit, batch, linger_seconds, **more):
    """Every agent over one store, as ``chorus up`` has them."""
    shared = {
        "store": store,
        "codec": codec,
        "now": now,
        "batch": batch,
        "linger_seconds": linger_seconds,
    }
    end = lambda gone, token: cases.end(store, gone, now(), token)  # noqa: E731
    return Agents(
        PathParts(
            receiver=receiver, tokens=tokens, end_cases=end, poison_limit=poison_limit, **more, **shared
        ),
        CaseParts(tokens=tokens, tell_urgent=lambda cases: None, tell_clusters=lambda found: None, **shared),
        WatchParts(watch=watch, **shared),
    )


def take_back(store, tokens, now, change):
    """What both withdrawing agents do with a change of consent."""
    parts = SimpleNamespace(store=store, tokens=tokens, now=now)
    for act in (path.take_back, cases.take_back):
        act(parts, change)
