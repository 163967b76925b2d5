"""``chorus deadletter``: what could not be understood."""

import json

import click

from streams import console
from streams.console import example


@click.group()
def deadletter() -> None:
    """Look at what could not be understood: reasons and places, never words."""


@deadletter.command(name="list", epilog=example("chorus deadletter list --json"))
@click.option("--json", "as_json", is_flag=True, help="Print as JSON.")
def deadletter_list(as_json: bool) -> None:
    """List dead letters, newest first."""
    columns = ["dead_letter_id", "at_hour", "source_id", "reason", "stage", "topic", "partition", "offset"]
    rows = console.node().db.query(
        f"SELECT {', '.join(columns)} FROM sealed.dead_letters FINAL ORDER BY at_hour DESC LIMIT 1000"  # noqa: S608
    )
    if as_json:
        click.echo(json.dumps([dict(zip(columns, map(str, row), strict=True)) for row in rows]))
    else:
        for row in rows:
            click.echo("\t".join(map(str, row)))
