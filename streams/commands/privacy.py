"""The commands ``chorus privacy ...``: what the sealed zone could still give away, in bands."""

import json
from dataclasses import asdict

import click

from streams import console
from streams.app import system_clock
from streams.console import example
from streams.steps.uniqueness import CROWD
from streams.texts import dropped_texts
from streams.uniqueness import kept


@click.group()
def privacy() -> None:
    """Look at what the sealed zone could still give away."""


@privacy.command(name="uniqueness", epilog=example("chorus privacy uniqueness --json"))
@click.option("--json", "as_json", is_flag=True, help="Print as JSON.")
def privacy_uniqueness(as_json: bool) -> None:
    """Say how many contributions stand alone on what is left of them: in bands, looked at once a week.

    Prints the newest figure that the worker has kept; it never counts anew.
    """
    node = console.node()
    newest = kept(node.db)
    if newest is None:
        click.echo("null" if as_json else "no whole week has been looked at yet")
        return
    until, found = newest
    if as_json:
        click.echo(json.dumps({"until": f"{until}", **asdict(found), "decided": node.stream.coarsened}))
        return
    click.echo(f"four weeks until {until}")
    click.echo(f"alone: {found.alone}")
    click.echo(f"in groups of fewer than {CROWD}: {found.small}")
    click.echo(f"coarsened by themselves: {', '.join(found.steps) or 'none'}")
    click.echo(f"coarsened by decision: {', '.join(node.stream.coarsened) or 'none'}")
    click.echo(f"advised (CHORUS_COARSEN): {', '.join(found.advised) or 'none'}")


@privacy.command(name="texts", epilog=example("chorus privacy texts --json"))
@click.option("--json", "as_json", is_flag=True, help="Print as JSON.")
def privacy_texts(as_json: bool) -> None:
    """Say how many cases lost a text, and why: in bands, over the last four whole weeks."""
    found = dropped_texts(console.node().db, system_clock())
    if as_json:
        click.echo(json.dumps(found))
    else:
        click.echo("\n".join(f"{status}: {share}" for status, share in found.items()))
