"""``chorus source health``: is each source heard, and understood?"""

import json
from dataclasses import asdict

import click

from connectors.operating.health import Health
from streams import console, operating
from streams.console import example


@click.command(name="health", epilog=example("chorus source health hotline --json"))
@click.argument("name", required=False)
@click.option("--json", "as_json", is_flag=True, help="Print as JSON.")
def source_health(name: str | None, as_json: bool) -> None:
    """Show how sources are: last heard, backlog, dead letters, silence, drift.

    These are counts before noise: for you, and for nobody whom you would not show a report.
    """
    node = console.node()
    try:
        with operating.letters(node) as letters:
            found = operating.healths(node, operating.dead_letters(node, letters), name)
    finally:
        node.close()
    if as_json:
        click.echo(json.dumps([asdict(one) for one in found], default=str))
        return
    for one in found:
        _say(one)


def _say(one: Health) -> None:
    week = one.week
    click.echo(f"{one.name}{' (test: nothing counts)' if one.test else ''}")
    last = one.last_accepted.isoformat(timespec="minutes") if one.last_accepted else "never"
    click.echo(f"  last heard      {last}")
    click.echo(
        f"  seven days      {week.accepted} accepted, {week.duplicates} duplicates, {week.tests} tests"
    )
    click.echo(
        f"  not taken       {week.refused} not verified, {week.too_large} too large, {week.ignored} no reports"
    )
    dead = ", ".join(f"{n} {reason}" for reason, n in one.dead.items())
    click.echo(f"  dead letters    {dead or 'none'}")
    oldest = f", oldest {one.waiting.oldest:%Y-%m-%dT%H:%MZ}" if one.waiting.oldest else ""
    click.echo(f"  waiting         {one.waiting.count}{oldest}")
    if week.consent_unknown is not None:
        click.echo(f"  consent unknown {week.consent_unknown:.0%}")
    if week.mapped is not None:
        click.echo(f"  mapped          {week.mapped:.0%} of what is filled in")
    click.echo(f"  silence         {one.silence.state}, {one.silence.hours} whole hours")
    if one.pull:
        for name, at in (("last pull", one.pull.pulled_at), ("last sweep", one.pull.swept_at)):
            click.echo(f"  {name:<16}{at.isoformat(timespec='minutes') if at else 'never'}")
    for warning in one.warnings:
        click.echo(f"  ! {warning}")
