"""Seeded bugs for the auditor: each undoes one fix in the real component, and nothing else.

``python tests/audit_bugs.py`` runs the whole audit against each and prints the table of docs/audit.md.
``--first`` ends each at the first part that flags it, ``--full`` attacks a real node; names of bugs after it only those.
"""

import json
import logging
import sys
import tempfile
import tomllib
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from importlib.resources import files
from pathlib import Path
from random import SystemRandom
from typing import Any
from unittest.mock import patch
from weakref import WeakKeyDictionary

import click

sys.path.insert(0, str(Path(__file__).parents[1]))

import streams.journal
import streams.ledger
import streams.releaser
import streams.steps.admit
from connectors.settings import ConnectorSettings
from connectors.web import server
from schemas.events import Cell, Release
from streams.audit.battery import CANARIES, Finding, enough, parts
from streams.audit.full import audit_full
from streams.journal import Journal
from streams.ledger import Units
from streams.releaser import Releaser
from streams.settings import StreamSettings
from streams.steps.admit import admit
from streams.steps.count import count
from streams.steps.deidentify import Deidentifier
from streams.steps.draw import _mechanism, draw
from streams.steps.noise import Noise
from streams.steps.policy import parse
from streams.steps.register import Register, Workplace, normal
from streams.steps.windows import day_number

POLICY = parse(tomllib.loads((files("streams") / "privacy.toml").read_text(encoding="utf-8")), "strict", "TH")

# Parts of the audit, in its order.
CANARY, ROTATED, WORKPLACE, PERSON, FLOOD, CASCADE, FUTURE, LATE = range(8)

Bug = Callable[[], Any]
BUGS: dict[str, tuple[Bug, int]] = {}


def seeded(name: str, first: int) -> Callable[[Callable[[ExitStack], None]], None]:
    """Register a bug; ``first`` is the part that should see it best: with ``--first`` it is tried first."""

    def add(sow: Callable[[ExitStack], None]) -> None:
        @contextmanager
        def sown() -> Iterator[None]:
            with ExitStack() as stack:
                sow(stack)
                yield

        sown.__doc__ = sow.__doc__
        BUGS[name] = sown, first

    return add


def put(stack: ExitStack, owner: Any, name: str, value: Any) -> None:
    stack.enter_context(patch.object(owner, name, value))


def sampled(counts: list[int], noise: Noise, scale: float) -> list[int]:
    return [int(v) for v in _mechanism(replace(noise, scale=scale))([int(c) for c in counts])]


def remembering_counts(stack: ExitStack) -> list[list[int]]:
    """Keep what was counted last: what a bug before the noise would have at hand."""
    last: list[list[int]] = [[]]

    def counting(admitted, domain):
        last[0] = count(admitted, domain)
        return last[0]

    put(stack, streams.journal, "count", counting)
    return last


# The noise.


@seeded("no noise", CANARY)
def _(stack):
    """Counts are released as they are."""
    put(stack, streams.journal, "draw", lambda counts, **_: list(counts))


@seeded("half scale", CANARY)
def _(stack):
    """The noise has half the scale that is promised."""
    put(
        stack,
        streams.journal,
        "draw",
        lambda counts, *, noise, **_: sampled(counts, noise, noise.scale / 2),
    )


@seeded("table split forgotten", CANARY)
def _(stack):
    """R6: each table is drawn as if it alone had what all of them have together."""
    whole = POLICY.milli_epsilon_per_own_week
    put(
        stack,
        streams.journal,
        "draw",
        lambda counts, *, noise, sensitivity, loss: sampled(counts, noise, sensitivity * 1000 / whole),
    )


@seeded("fixed noise vector", LATE)
def _(stack):
    """One noise for each cell, for all windows of a node: the difference of two windows has none."""
    known: dict[int, list[int]] = {}
    begin = Journal.__init__

    def beginning(self, *arguments):
        known.clear()
        begin(self, *arguments)

    def fixed(counts, **how):
        noise = known.setdefault(len(counts), draw([0] * len(counts), **how))
        return [c + n for c, n in zip(counts, noise, strict=True)]

    put(stack, Journal, "__init__", beginning)
    put(stack, streams.journal, "draw", fixed)


@seeded("noise on non-empty cells only", CANARY)
def _(stack):
    """R5: what nobody reported is released as an exact 0."""
    put(
        stack,
        streams.journal,
        "draw",
        lambda counts, **how: [v if c else 0 for c, v in zip(counts, draw(counts, **how), strict=True)],
    )


# Once and for ever.


@seeded("fresh noise on replay", CANARY)
def _(stack):
    """R3: a node that starts again draws what it had released once more."""
    last = remembering_counts(stack)
    release, again = Journal.release, Journal.publish_again
    counted: WeakKeyDictionary[Journal, dict[tuple[str, int], tuple[Any, list[int]]]] = WeakKeyDictionary()

    def releasing(self, table, window_start, *arguments):
        payload = release(self, table, window_start, *arguments)
        counted.setdefault(self, {})[table.name, int(window_start.timestamp())] = table, last[0]
        return payload

    def redrawing(self):
        for (name, start), (table, counts) in counted.get(self, {}).items():
            old = self._codec.decode(Release, self._payload(table, datetime.fromtimestamp(start, UTC)))
            values = draw(counts, noise=table.noise, sensitivity=table.cells, loss=table.loss)
            new = replace(
                old, cells=tuple(replace(c, value=v) for c, v in zip(old.cells, values, strict=True))
            )
            self._db.execute(
                "UPDATE release SET payload = ? WHERE name = ? AND window_start = ?",
                (self._codec.encode(new), name, start),
            )
        again(self)

    put(stack, Journal, "release", releasing)
    put(stack, Journal, "publish_again", redrawing)


@seeded("late correction with the same noise", LATE)
def _(stack):
    """R4: what comes late is added to the window it belongs to, and that window goes out again."""
    releasing = Releaser.release_due

    def correcting(self, now):
        done = releasing(self, now)
        landed = self._landed(now - timedelta(days=2), now)
        for table in self._policy.tables:
            for hour, c in landed:
                start = int(hour.timestamp()) // (3600 * table.window_hours) * 3600 * table.window_hours
                payload = self._journal._payload(table, datetime.fromtimestamp(start, UTC))
                considered = self._journal._db.one(
                    "SELECT 1 FROM considered WHERE name = ? AND contribution_id = ?",
                    *(table.name, c.contribution_id),
                )
                if payload is None or considered:
                    continue
                event = self._journal._codec.decode(Release, payload)
                cells = tuple(_plus_one(cell, c) for cell in event.cells)
                self._journal._db.execute(
                    "UPDATE release SET payload = ?, published = 0 WHERE name = ? AND window_start = ?",
                    (self._journal._codec.encode(replace(event, cells=cells)), table.name, start),
                )
                self._journal._db.execute(
                    "INSERT INTO considered VALUES (?, ?, ?)", (table.name, c.contribution_id, start)
                )
        return done

    put(stack, Releaser, "release_due", correcting)


def _plus_one(cell: Cell, c: Any) -> Cell:
    here = (
        cell.indicator in c.indicators
        and cell.sector in (c.sector, "ALL")
        and cell.region in (c.region, "ALL")
    )
    return replace(cell, value=cell.value + 1) if here else cell


# What is released.


@seeded("non-empty cells only", WORKPLACE)
def _(stack):
    """R5: a cell is released only if somebody reported it; its noise hides how many, not that."""
    last, event = remembering_counts(stack), Journal._event

    def filled(self, table, start, end, cells, coverage):
        return event(
            self, table, start, end, tuple(c for c, n in zip(cells, last[0], strict=True) if n), coverage
        )

    put(stack, Journal, "_event", filled)


@seeded("small true counts suppressed", WORKPLACE)
def _(stack):
    """R5: cells with one or two workplaces are left out, for privacy."""
    last, event = remembering_counts(stack), Journal._event

    def large(self, table, start, end, cells, coverage):
        kept = tuple(c for c, n in zip(cells, last[0], strict=True) if not 0 < n < 3)
        return event(self, table, start, end, kept, coverage)

    put(stack, Journal, "_event", large)


@seeded("manifest counts reports", FLOOD)
def _(stack):
    """R12: the release says how many reports came in, among what it says of its sources."""
    fresh, event, number = Units.fresh, Journal._event, [0]

    def counting(self, table, contributions):
        found = fresh(self, table, contributions)
        number[0] = len(found)
        return found

    put(stack, Units, "fresh", counting)
    put(stack, Journal, "_event", lambda self, *a: replace(event(self, *a), sources_heard=number[0]))


# Who is counted.


@seeded("workplace cap missing", FLOOD)
def _(stack):
    """A workplace adds to as many cells as it likes."""
    put(stack, streams.journal, "admit", _capped_at(1000))


def _capped_at(cells: int) -> Callable[..., Any]:
    def admitting(contributions, ledger, policy, table, window_start, phase):
        return admit(
            contributions, ledger, policy, replace(table, cells=cells, reserved=0), window_start, phase
        )

    return admitting


@seeded("reports are counted", FLOOD)
def _(stack):
    """Every report adds 1, as if it were a workplace."""

    def everyone(contributions, domain):
        return [sum(cell[0] in c.indicators and _in(cell, c) for c in contributions) for cell in domain]

    fresh, seen = Units.fresh, [[]]

    def remembering(self, table, contributions):
        seen[0] = fresh(self, table, contributions)
        return seen[0]

    put(stack, Units, "fresh", remembering)
    put(stack, streams.journal, "count", lambda admitted, domain: everyone(seen[0], domain))


def _in(cell: tuple[str, str, str], c: Any) -> bool:
    return cell[1] in (c.sector, "ALL") and cell[2] in (c.region, "ALL")


@seeded("two-stage caps", CASCADE)
def _(stack):
    """A person counts once, wherever: whoever reports here first is missing there."""
    contribution = Deidentifier.contribution
    first: WeakKeyDictionary[Any, dict[Any, Any]] = WeakKeyDictionary()

    def once(self, report, body):
        found = contribution(self, report, body)
        told = first.setdefault(self.tokens, {})
        if told.setdefault(body.reporter_phones, report.event_id) != report.event_id:
            return replace(found, countable=False)
        return found

    put(stack, Deidentifier, "contribution", once)


@seeded("cap per person only", FLOOD)
def _(stack):
    """What is capped is the person, not the workplace: a crowd is counted as a crowd."""
    contribution = Deidentifier.contribution

    def personal(self, report, body):
        found = contribution(self, report, body)
        return replace(found, unit=self.tokens.unit("WORKPLACE", found.unit + "".join(body.reporter_phones)))

    put(stack, Deidentifier, "contribution", personal)


@seeded("aliases are workplaces", ROTATED)
def _(stack):
    """A workplace has a ledger under each of its names."""
    find = Register.find

    def by_name(self, name):
        found = find(self, name)
        return found and Workplace(f"{normal(name)}", found.admin1, found.isic_division)

    put(stack, Register, "find", by_name)


@seeded("cap per day", ROTATED)
def _(stack):
    """The ledger of a workplace is empty again each day, not each own week."""

    def daily(unit, window_start, policy, phase):
        return day_number(window_start)

    put(stack, streams.ledger, "own_week", daily)
    put(stack, streams.steps.admit, "own_week", daily)


@seeded("ledger lost by rotation", ROTATED)
def _(stack):
    """A workplace with a new name begins anew."""

    def forgetting(self, names, new, now):
        self._db.execute("UPDATE node SET units = ?", (new.units_mark(),))
        self._units = Units(self._db, self._policy, new)

    put(stack, Journal, "rotate", forgetting)


# Clocks, and what stands beside the numbers.


@seeded("event-time watermark", FUTURE)
def _(stack):
    """A window closes when somebody says that it is later."""
    contribution, releasing = Deidentifier.contribution, Releaser.release_due
    latest: WeakKeyDictionary[Any, datetime] = WeakKeyDictionary()

    def marking(self, report, body):
        if body.submitted_at:
            latest[self.tokens] = max(body.submitted_at, latest.get(self.tokens, body.submitted_at))
        return contribution(self, report, body)

    def closing(self, now):
        return releasing(self, max(now, latest.get(self._journal._units._tokens, now)))

    put(stack, Deidentifier, "contribution", marking)
    put(stack, Releaser, "release_due", closing)


@seeded("raw counter in metrics", FLOOD)
def _(stack):
    """R12: metrics say how many reports were de-identified."""
    contribution, build, counted = Deidentifier.contribution, server.build, [0]

    def counting(self, report, body):
        counted[0] += not report.test
        return contribution(self, report, body)

    def built(parts):
        counted[0] = 0
        return build(replace(parts, health=lambda: {**parts.health(), "reports": counted[0]}))

    put(stack, Deidentifier, "contribution", counting)
    put(stack, server, "build", built)


@seeded("exhaustion is logged", FLOOD)
def _(stack):
    """R8: a line in the log says that a limit was reached."""

    def telling(contributions, *arguments):
        added = admit(contributions, *arguments)
        if len(added) < len({(c.unit, i) for c in contributions for i in c.indicators}):
            logging.getLogger("streams.journal").info("a limit was reached")
        return added

    put(stack, streams.journal, "admit", telling)


@seeded("dated by the newest report", FLOOD)
def _(stack):
    """R12: a release is dated by the newest report in it."""
    releasing, end, newest = Releaser.release_due, streams.releaser._end, {}

    def noting(self, now):
        for hour, _ in self._landed(now - timedelta(days=1), now):
            for table in self._policy.tables:
                start = int(hour.timestamp()) // (3600 * table.window_hours) * 3600 * table.window_hours
                newest[start, table.window_hours] = hour
        return releasing(self, now)

    put(stack, Releaser, "release_due", noting)
    put(stack, streams.releaser, "_end", lambda start, hours: newest.get((start, hours)) or end(start, hours))


def attacked(name: str, *, first: bool) -> list[Finding]:
    """Audit with a bug, or with "nothing"; with ``first`` until a part flags it, the likeliest part before the others."""
    sow, best = BUGS.get(name, (ExitStack, 0))
    acts = parts(POLICY, enough(POLICY), CANARIES)
    found = []
    with sow():
        for number in sorted(range(len(acts)), key=lambda n: (first and n != best, n)):
            # The seed differs from run to run: a bug must not be found by one lucky draw.
            found.append(acts[number](SystemRandom().getrandbits(32)))
            if first and found[-1].flagged:
                break
    return found


def attacked_in_full(name: str, canaries: int, days: int) -> list[Finding]:
    """Audit a real node with a bug."""
    sow, _ = BUGS.get(name, (ExitStack, 0))
    with tempfile.TemporaryDirectory() as home, sow():
        return audit_full(
            *(Path(home), ConnectorSettings(), StreamSettings(), POLICY),
            canaries=canaries,
            days=days,
            seed=SystemRandom().getrandbits(32),
        )


@click.command()
@click.argument("names", nargs=-1)
@click.option("--first", is_flag=True, help="End each at the first part that flags it.")
@click.option("--full", is_flag=True, help="On a real node.")
@click.option("--canaries", default=630, help="With --full.")
@click.option("--days", default=60, help="With --full.")
@click.option("--json", "as_json", is_flag=True, help="Every part, for machines.")
def main(names: tuple[str, ...], first: bool, full: bool, canaries: int, days: int, as_json: bool) -> None:
    """Attack each bug, and print a row of the table."""
    for name in names or BUGS:
        found = attacked_in_full(name, canaries, days) if full else attacked(name, first=first)
        if as_json:
            rows = [[f.name, f.promised, f.reported.epsilon, f.gate.epsilon, f.flagged] for f in found]
            click.echo(json.dumps({name: rows}))
            continue
        worst = max(found, key=lambda f: f.gate.epsilon / f.promised)
        numbers = f"{worst.promised:g} | {worst.reported.epsilon:.2f} | {worst.gate.epsilon:.2f}"
        flagged = sum(f.flagged for f in found)
        click.echo(f"| {name} | {worst.name} | {numbers} | {flagged or '**none**'} |")


if __name__ == "__main__":
    main()
