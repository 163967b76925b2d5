"""``chorus notify``: who is told of alerts, and what came of it."""

import json
import re
import sys
from collections.abc import Callable
from dataclasses import asdict
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, TypeVar

import click

from connectors.notifying.channel import DONE, OUTCOMES
from connectors.notifying.config import cases_everywhere, in_clear, read, routeless
from connectors.notifying.notice import Notice
from connectors.notifying.notifier import attempt, config_file, queue_file
from connectors.notifying.queue import Delivery, Queue
from connectors.notifying.rules import Silence, matchers
from streams import console, operating
from streams.app import system_clock
from streams.console import example

Command = TypeVar("Command", bound=Callable[..., Any])
_UNITS = {"m": timedelta(minutes=1), "h": timedelta(hours=1), "d": timedelta(days=1)}


@click.group()
def notify() -> None:
    """Tell people of alerts: by mail, webhook, Alertmanager, Telegram, LINE, Signal."""


def _which(command: Command) -> Command:
    return click.option("--cases", is_flag=True, help="The notifications of the case path, not of alerts.")(
        command
    )


def _as_json(command: Command) -> Command:
    return click.option("--json", "as_json", is_flag=True, help="Print as JSON.")(command)


def _files(cases: bool) -> tuple[Path, Queue]:
    home, name = console.settings()[0].home, "notify-cases" if cases else "notify"
    return config_file(home, name), Queue(queue_file(home, name))


@notify.command(epilog=example("chorus notify check"))
@_which
def check(cases: bool) -> None:
    """Say whether notify.toml can be used, and what looks wrong in it. Nothing is sent."""
    path, _ = _files(cases)
    config = read(path)
    if not config.instances:
        click.echo(f"{path.name} names no channel: nobody is told")
        return
    for name, instance in config.instances.items():
        routes = sum(name in route.channels for route in config.routes)
        click.echo(f"{name}\t{instance.channel.name}\t{instance.options.language}\t{routes} routes")
    warnings = [f"no route leads to {name}" for name in routeless(config)]
    warnings += [f"routes[{n}] names no organisation, so it takes no case" for n in cases_everywhere(config)]
    warnings += [f"{name} goes in clear: its address begins with http://" for name in in_clear(config)]
    if path.stat().st_mode & 0o077:
        warnings.append(f"others on this machine may read the secrets in it: chmod 600 {path.name}")
    for warning in warnings:
        click.echo(f"! {warning}")


@notify.command(epilog=example("chorus notify test duty_mail"))
@click.argument("channel", required=False)
@_which
@_as_json
def test(channel: str | None, cases: bool, as_json: bool) -> None:
    """Send a test through one channel, or through each, and say what came back. It says that it is a test.

    Routes, quiet hours and silences do not hold it up; it is on record like any message.
    """
    path, queue = _files(cases)
    config = read(path)
    if channel and channel not in config.instances:
        raise click.ClickException(
            f"there is no [channels.{channel}]; there are: {', '.join(config.instances)}"
        )
    told = {}
    for name, instance in config.instances.items():
        if channel in (None, name):
            now = system_clock()
            notice = Notice(f"test/{name}/{now.isoformat()}", f"test/{name}", "TEST", "", "", "", "", now)
            told[name], _ = attempt(
                *(queue, instance, queue.keep(name, notice, now), config.page, system_clock),
                *(lambda low, high: high, timedelta(0)),
            )
    if as_json:
        click.echo(json.dumps({name: asdict(sent) for name, sent in told.items()}))
    for name, sent in () if as_json else told.items():
        code = f" {sent.code}" if sent.code else ""
        click.echo(f"{name}\t{sent.outcome}{code}\t{OUTCOMES[sent.outcome]}")
    if not told:
        raise click.ClickException(f"{path.name} names no channel")
    sys.exit(0 if all(sent.outcome in DONE for sent in told.values()) else 1)


def _print(found: list[Delivery], as_json: bool) -> None:
    rows = [asdict(one) for one in found]
    if as_json:
        click.echo(json.dumps(rows, default=lambda at: at.isoformat()))
    for one in () if as_json else found:
        at = (one.ended_at or one.formed_at).isoformat(timespec="seconds")
        last = f"{one.outcome} {one.code or ''}".strip()
        due = f"again {one.due.isoformat(timespec='seconds')}" if one.due else ""
        cells = (
            at,
            one.message_id,
            one.channel,
            one.state,
            ",".join(one.kinds),
            f"tries {one.tries}",
            last,
            due,
        )
        click.echo("\t".join(cells).rstrip())


@notify.command(name="list", epilog=example("chorus notify list --channel duty_mail --json"))
@click.option("--channel", default="", help="Only of this channel.")
@click.option(
    "--state",
    default="",
    type=click.Choice(["", "WAITING", "SENT", "DEAD", "SILENCED"]),
    help="Only these.",
)
@click.option(
    "--most", default=100, show_default=True, type=click.IntRange(1, 100_000), help="Newest messages."
)
@_which
@_as_json
def list_command(channel: str, state: str, most: int, cases: bool, as_json: bool) -> None:
    """List messages, newest first: when, where to, how often tried, what came back. Never what they said."""
    _, queue = _files(cases)
    _print(queue.deliveries(most, state, channel), as_json)
    for name, count in () if as_json else queue.backlog().items():
        click.echo(f"{name}: {count} notices wait for a digest, for quiet hours or a silence to end")


@notify.group()
def silence() -> None:
    """Hold notices back for a while. What is still true at the end is told then."""


def _ends(ctx: click.Context, parameter: click.Parameter, value: str) -> timedelta | datetime:
    found = re.fullmatch(r"([0-9]{1,4})([mhd])", value)
    if found:
        return int(found[1]) * _UNITS[found[2]]
    try:
        at = datetime.fromisoformat(value)
    except ValueError:
        raise click.BadParameter("a time such as 90m, 8h, 3d or 2026-11-30T08:00 (UTC)") from None
    return at if at.tzinfo else at.replace(tzinfo=system_clock().tzinfo)


@silence.command(
    name="add", epilog=example("chorus notify silence add region=TH-74 indicator=RID --until 3d")
)
@click.argument("matcher", nargs=-1, required=True)
@click.option("--until", required=True, callback=_ends, help="When it ends: 90m, 8h, 3d, 2026-11-30T08:00.")
@_which
def silence_add(matcher: tuple[str, ...], until: timedelta | datetime, cases: bool) -> None:
    """Hold back notices that match all of FIELD=VALUE[,VALUE]: key, kind, indicator, sector, region, organisation.

    The key of an alert is its id, as in its address on the page.
    """
    now = system_clock()
    ends = now + until if isinstance(until, timedelta) else until
    try:
        chosen = matchers(matcher)
    except ValueError as error:
        raise click.ClickException(str(error)) from None
    if ends <= now:
        raise click.ClickException("it would have ended already")
    name = _files(cases)[1].silence(chosen, now, ends, operating.who())
    click.echo(f"{name} until {ends.isoformat(timespec='minutes')}")


@silence.command(name="list", epilog=example("chorus notify silence list --json"))
@_which
@_as_json
def silence_list(cases: bool, as_json: bool) -> None:
    """List silences that have not ended."""
    found = [s for s in _files(cases)[1].silences() if s.ends > system_clock()]
    rows = [_row(s) for s in found]
    if as_json:
        click.echo(json.dumps(rows))
    for row in () if as_json else rows:
        click.echo("\t".join([row["silence_id"], " ".join(row["matchers"]), row["ends"], row["by"]]))


def _row(one: Silence) -> dict[str, Any]:
    chosen = [f"{name}={','.join(sorted(values))}" for name, values in one.matchers.items()]
    return {
        "silence_id": one.silence_id,
        "matchers": chosen,
        "starts": one.starts.isoformat(timespec="minutes"),
        "ends": one.ends.isoformat(timespec="minutes"),
        "by": one.by,
    }


@silence.command(name="end", epilog=example("chorus notify silence end 3fa1c2d4"))
@click.argument("silence_id")
@_which
def silence_end(silence_id: str, cases: bool) -> None:
    """End a silence now."""
    if not _files(cases)[1].end_silence(silence_id, system_clock()):
        raise click.ClickException("no silence of this name is still to end")
    click.echo("ended")


@notify.group()
def dead() -> None:
    """Look at messages that could not be delivered, and try them again."""


@dead.command(name="list", epilog=example("chorus notify dead list --json"))
@click.option("--channel", default="", help="Only of this channel.")
@_which
@_as_json
def dead_list(channel: str, cases: bool, as_json: bool) -> None:
    """List messages that were given up, newest first."""
    _print(_files(cases)[1].deliveries(100_000, "DEAD", channel), as_json)


@dead.command(name="replay", epilog=example("chorus notify dead replay --channel duty_mail"))
@click.argument("message", nargs=-1)
@click.option("--channel", default="", help="All of this channel.")
@click.option("--all", "everything", is_flag=True, help="All.")
@_which
def dead_replay(message: tuple[str, ...], channel: str, everything: bool, cases: bool) -> None:
    """Try them again, under the same names; a running `chorus up` or `chorus watch` sends them."""
    if sum(map(bool, (message, channel, everything))) != 1:
        raise click.ClickException("say which: messages, --channel or --all")
    _, queue = _files(cases)
    chosen = message or [d.message_id for d in queue.deliveries(100_000, "DEAD", channel)]
    click.echo(f"{queue.replay(chosen, system_clock())} will be tried again")
