"""``chorus deadletter``: what could not be understood."""

import json
import re
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, replace
from datetime import datetime, timedelta
from typing import Any, TypeVar
from uuid import UUID

import click
from tqdm import tqdm

from connectors.keystore import KeyMissing
from connectors.operating.access import AccessLog
from connectors.operating.buried import NoSuchLetter, Wanted, to_json
from connectors.operating.deadletters import DeadLetters, NotWithdrawn
from connectors.operating.replay import Became
from connectors.operating.unsealed import Shown, readable
from connectors.seal import Unsealable
from streams import console, operating
from streams.app import system_clock
from streams.console import example

Command = TypeVar("Command", bound=Callable[..., Any])
_COLUMNS = ("dead_letter_id", "at_hour", "source_id", "reason", "stage", "topic", "partition", "offset")
_SAID = {
    "accepted": "accepted",
    "duplicate": "was there already",
    "superseded": "a newer version of it is there already",
    "dead": "still dead",
    "skipped": "no report, says the mapping",
    "gone": "cannot be read any more",
    "empty": "nothing was kept: mend it and submit it again at its source",
    "no source": "its source is not connected",
    "no mapping": "its source's mapping cannot be used: `chorus source check` says why",
}


@click.group()
def deadletter() -> None:
    """Look at what could not be understood, mend it and try it again, or destroy it."""


def _since(context: click.Context, parameter: click.Parameter, value: str | None) -> datetime | None:
    if value is None:
        return None
    now = system_clock()
    if found := re.fullmatch(r"([0-9]{1,4})([dh])", value):
        return (
            now - timedelta(days=int(found[1])) if found[2] == "d" else now - timedelta(hours=int(found[1]))
        )
    try:
        at = datetime.fromisoformat(value)
    except ValueError:
        raise click.BadParameter("a time such as 2026-11-20, 2026-11-20T08:00 (UTC), 7d or 12h") from None
    return at if at.tzinfo else at.replace(tzinfo=now.tzinfo)


def _choice(command: Command) -> Command:
    """Add the options by which dead letters are chosen."""
    options = (
        click.option("--source", help="Only of this source."),
        click.option("--reason", help="Only with this reason, such as UNMAPPABLE."),
        click.option("--since", callback=_since, help="Only since then: 2026-11-20, 7d, 12h."),
    )
    for option in reversed(options):
        command = option(command)
    return command


@contextmanager
def _work() -> Iterator[DeadLetters]:
    node = console.node()
    try:
        with operating.letters(node) as letters:
            yield operating.dead_letters(node, letters)
    except (NoSuchLetter, NotWithdrawn) as error:
        raise click.ClickException(str(error)) from None
    except (KeyMissing, Unsealable):
        raise click.ClickException("this dead letter cannot be read any more") from None
    finally:
        node.close()


@deadletter.command(name="list", epilog=example("chorus deadletter list --source hotline --since 7d --json"))
@_choice
@click.option("--all", "closed", is_flag=True, help="Also those replayed, discarded or withdrawn.")
@click.option("--json", "as_json", is_flag=True, help="Print as JSON.")
def deadletter_list(
    source: str | None, reason: str | None, since: datetime | None, closed: bool, as_json: bool
) -> None:
    """List dead letters, newest first: reasons and places, never words."""
    with _work() as work:
        found = work.listed(Wanted(None, source, reason, since), closed=closed)
    rows = [{n: to_json(one.letter)[n] for n in _COLUMNS} | {"fate": one.fate or ""} for one in found]
    rows = [{n: "" if v is None else str(v) for n, v in row.items()} for row in rows]
    if as_json:
        click.echo(json.dumps(rows))
    for row in () if as_json else rows:
        click.echo("\t".join(row.values()).rstrip())


@deadletter.command(epilog=example("chorus deadletter show 0b9c3f5e-..."))
@click.argument("letter", type=click.UUID)
@click.option("--open", "opened", is_flag=True, help="Show its words, on your own terminal; leaves no copy.")
@click.option("--yes", is_flag=True, help="With --open: do not ask.")
@click.option("--force", is_flag=True, help="With --open: also where standard output is no terminal.")
@click.option("--json", "as_json", is_flag=True, help="Print as JSON; never words.")
def show(letter: UUID, opened: bool, yes: bool, force: bool, as_json: bool) -> None:
    """Show what a dead letter is, without its words. Every look is logged."""
    if opened:
        _open(letter, yes, force)
        return
    with _work() as work:
        shown = work.show(letter, operating.who())
    lines = _described(shown)
    if as_json:
        keys = [asdict(key) for key in shown.keys]
        unnamed = dict(zip(("keys", "filled"), shown.unnamed, strict=True))
        click.echo(json.dumps(lines | {"keys": keys, "unnamed": unnamed}))
        return
    for name, value in lines.items():
        click.echo(f"{name:<12}{value}")
    for key in shown.told:
        click.echo(f"  {'filled' if key.filled else 'empty':<8}{key.pii or 'not read':<14}{key.name}")
    if shown.unnamed[0]:
        click.echo(
            f"  and {shown.unnamed[0]} keys whose names are not shown, {shown.unnamed[1]} of them filled"
        )


def _described(shown: Shown) -> dict[str, str]:
    letter, age = shown.letter, system_clock() - shown.letter.at_hour
    return {
        "id": str(letter.dead_letter_id),
        "source": letter.source_id or "",
        "reason": letter.reason,
        "stage": letter.stage,
        "hour": letter.at_hour.isoformat(timespec="minutes"),
        "age": f"{age.days} days {age.seconds // 3600} hours",
        "became": shown.fate or "",
        "mapping": shown.mapping,
        "size": f"{shown.size} bytes" if shown.readable else "cannot be read any more",
        "keys filled": f"{shown.filled} of {len(shown.keys) + shown.unnamed[0]}",
    }


def _open(letter: UUID, yes: bool, force: bool) -> None:
    terminal = sys.stdout.isatty()
    if not (terminal or force):
        raise click.ClickException("standard output is no terminal: words would leave a copy (--force)")
    if not yes:
        click.confirm("This shows what a worker may have told in confidence. Go on?", abort=True, err=True)
    with _work() as work:
        words = readable(work.open(letter, operating.who()))
    if not terminal:
        click.echo(words)
        return
    # The terminal's second screen: when it closes, nothing stays to be scrolled back to.
    click.echo("\x1b[?1049h\x1b[H", nl=False)
    try:
        click.echo(words)
        click.pause("\n-- press a key to close; nothing is kept --")
    finally:
        click.echo("\x1b[2J\x1b[3J\x1b[?1049l", nl=False)


@deadletter.command(epilog=example("chorus deadletter replay --source hotline --reason UNMAPPABLE --dry-run"))
@click.argument("letters", nargs=-1, type=click.UUID)
@_choice
@click.option("--dry-run", is_flag=True, help="Only tell what would become of each.")
@click.option(
    "--as-report",
    is_flag=True,
    help="Take in what was held because it may ask for a withdrawal: you have read it.",
)
@click.option("--json", "as_json", is_flag=True, help="Print as JSON.")
def replay(
    letters: tuple[UUID, ...],
    source: str | None,
    reason: str | None,
    since: datetime | None,
    dry_run: bool,
    as_report: bool,
    as_json: bool,
) -> None:
    """Try dead letters again, with the mapping as it is now; nothing is counted twice."""
    wanted = _wanted(letters, source, reason, since)
    if as_report and not letters:
        raise click.ClickException("--as-report takes dead letters one by one: name them")
    with _work() as work:
        told = work.replay(wanted, operating.who(), dry_run=dry_run, as_report=as_report)
        became = list(tqdm(told, unit="letter", disable=True if as_json else None))
    if letters and not became:
        raise click.ClickException("there is no dead letter of this id")
    if as_json:
        rows = [asdict(one) | {"dead_letter_id": str(one.dead_letter_id)} for one in became]
        click.echo(json.dumps(rows))
        return
    for one in became:
        click.echo(_told(one))
    total = Counter(one.outcome for one in became)
    said = ", ".join(f"{n} {_SAID[outcome].partition(':')[0]}" for outcome, n in total.items())
    click.echo(f"{'would be: ' if dry_run else ''}{said or 'nothing to replay'}")


def _told(one: Became) -> str:
    line = f"{one.dead_letter_id}\t{_SAID[one.outcome]}{': ' + one.reason if one.reason else ''}"
    if sum(one.records.values()) > 1:
        line += f" ({', '.join(f'{n} {name}' for name, n in one.records.items())})"
    return line


@deadletter.command(epilog=example("chorus deadletter discard --source hotline --why 'load test'"))
@click.argument("letters", nargs=-1, type=click.UUID)
@_choice
@click.option("--why", required=True, help="The reason, for the access log: no names.")
@click.option("--yes", is_flag=True, help="Do not ask.")
def discard(
    letters: tuple[UUID, ...],
    source: str | None,
    reason: str | None,
    since: datetime | None,
    why: str,
    yes: bool,
) -> None:
    """Destroy the keys of dead letters: nobody can read them any more, wherever their bytes are."""
    wanted = _wanted(letters, source, reason, since)
    if not why.strip():
        raise click.ClickException("say why")
    with _work() as work:
        found = work.listed(wanted, closed=bool(letters))
        counted = Counter(one.letter.reason for one in found)
        for name, n in counted.items():
            click.echo(f"{n}\t{name}")
        if not found:
            click.echo("nothing to discard")
            return
        if not yes:
            click.confirm(f"Destroy {len(found)} dead letters? It cannot be undone.", abort=True)
        # Those that were counted, and none that has come since.
        ids = tuple(one.letter.dead_letter_id for one in found)
        click.echo(f"{work.discard(replace(wanted, ids=ids), operating.who(), why)} discarded")


@deadletter.command(epilog=example("chorus deadletter withdraw 0b9c3f5e-... --event 51d2c8a0-..."))
@click.argument("letter", type=click.UUID)
@click.option("--event", type=click.UUID, help="An event of the report that is meant.")
@click.option(
    "--root", is_flag=True, help="Ask for the source's own id of the report: it stays out of the history."
)
def withdraw(letter: UUID, event: UUID | None, root: bool) -> None:
    """Withdraw the report that a dead letter asks to withdraw; the letter is destroyed too.

    Without an option it is the report whose id the letter itself carries.
    """
    root_id = click.prompt("The source's own id of the report", hide_input=True) if root else None
    with _work() as work:
        gone = work.withdraw(letter, operating.who(), root_id=root_id, event_id=event)
    click.echo(f"{gone} keys erased; the withdrawal is on its way")


@deadletter.command(name="log", epilog=example("chorus deadletter log --json"))
@click.option("--most", default=200, show_default=True, type=click.IntRange(1, 100_000), help="Newest lines.")
@click.option("--json", "as_json", is_flag=True, help="Print as JSON.")
def deadletter_log(most: int, as_json: bool) -> None:
    """Show who looked at dead letters or changed what becomes of them, newest first."""
    entries = AccessLog(console.node().home / "access.db").entries(most)
    if as_json:
        click.echo(json.dumps([asdict(entry) for entry in entries]))
    for entry in () if as_json else entries:
        click.echo("\t".join(str(v) for v in asdict(entry).values()).rstrip())


def _wanted(
    letters: tuple[UUID, ...], source: str | None, reason: str | None, since: datetime | None
) -> Wanted:
    if not (letters or source or reason or since):
        raise click.ClickException("say which: ids, --source, --reason or --since")
    return Wanted(letters or None, source, reason, since)
