"""``chorus source run``: pull a source now."""

import json
import time

import click

from connectors import sources
from connectors.pulling.manners import TROUBLES
from connectors.sources import UnknownSource
from streams import console
from streams.console import example


@click.command(name="run", epilog=example("chorus source run kobo --sweep"))
@click.argument("name")
@click.option("--sweep", is_flag=True, help="Also compare what is at the source with what is here, now.")
@click.option(
    "--backfill", is_flag=True, help="Ask from the beginning; what was taken in already is a repeat."
)
@click.option("--json", "as_json", is_flag=True, help="Print as JSON.")
def run(name: str, sweep: bool, backfill: bool, as_json: bool) -> None:
    """Pull a source once, whatever the time: what is new there comes in.

    A running `chorus up` or `chorus web` does this by itself, and sends on what comes in here. The exit status is 1
    where the pull stopped early; what came in until then stays.
    """
    node = console.node()
    try:
        source = sources.find(node.home, name)
    except (UnknownSource, ValueError) as error:
        raise click.ClickException(str(error)) from None
    if not source.pull:
        raise click.ClickException("its file has no [pull]: see docs/sources.md")
    ran = node.pull_runner(time.sleep).run(source, sweep=sweep or None, backfill=backfill)
    if as_json:
        click.echo(json.dumps({"source": name, "counts": ran.counts, "trouble": ran.trouble}))
    else:
        told = ", ".join(f"{n} {what.replace('_', ' ')}" for what, n in sorted(ran.counts.items()) if n)
        click.echo(told or "nothing new")
        if ran.trouble:
            click.echo(f"{ran.trouble}: {TROUBLES[ran.trouble]}", err=True)
    if ran.trouble:
        raise SystemExit(1)
