"""``chorus source``: connect sources and look at them."""

import json
from typing import get_args

import click

from connectors import sources
from connectors.mapping import load
from streams import console
from streams.commands.run import run
from streams.console import example


@click.group()
def source() -> None:
    """Connect sources and look at them."""


@source.command(name="add", epilog=example("chorus source add hotline"))
@click.argument("name")
@click.option("--mapping", help="Mapping of its form; canonical if it is new.")
@click.option(
    "--deidentify",
    "where",
    type=click.Choice(get_args(sources.Where)),
    help="Where its reports are de-identified: in the stream, or at the source, before anything is sealed."
    " The stream if it is new.",
)
def source_add(name: str, mapping: str | None, where: sources.Where | None) -> None:
    """Connect a source, or give one a second token; the token is shown once.

    What you do not say of a source that is connected stays as it is.
    """
    node = console.node()
    if mapping not in (None, "canonical"):
        load(mapping, node.home)
    try:
        click.echo(sources.add(node.home, name, mapping, where))
    except ValueError as error:
        raise click.ClickException(str(error)) from None


@source.command(name="list", epilog=example("chorus source list --json"))
@click.option("--json", "as_json", is_flag=True, help="Print as JSON.")
def source_list(as_json: bool) -> None:
    """List the connected sources."""
    node = console.node()
    connected = sources.connected(node.home).values()
    rows = [{"name": s.name, "mapping": s.mapping, "deidentify": s.deidentify} for s in connected]
    click.echo(json.dumps(rows) if as_json else "\n".join("\t".join(r.values()) for r in rows))


source.add_command(run)
