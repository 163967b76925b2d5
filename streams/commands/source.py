"""``chorus source``: connect sources and look at them."""

import base64
import json
from dataclasses import replace
from typing import TextIO, get_args

import click

from connectors import sources
from connectors.entrusted import may_entrust
from connectors.mapping import load
from connectors.secrets import seal_secret
from connectors.settings import ConnectorSettings
from connectors.systems import Scheme, systems
from connectors.verify import SIGNED
from streams import console
from streams.commands.check import check, new, preview
from streams.commands.run import run
from streams.console import example


@click.group()
def source() -> None:
    """Connect sources and look at them."""


@source.command(name="add", epilog=example("chorus source add hotline"))
@click.argument("name")
@click.option("--connector", help="The system it is, such as kobo or twilio; http if it is new.")
@click.option("--mapping", help="Mapping of its form; canonical if it is new.")
@click.option("--scheme", type=click.Choice(get_args(Scheme)), help="How its deliveries prove who sent them.")
@click.option("--header", help="With --scheme static_header: which header, such as x-api-key.")
@click.option(
    "--secret-file", type=click.File(), help="With a scheme that signs: the signing secret; - is stdin."
)
@click.option("--pull-url", help="Where it is asked for reports.")
@click.option("--pull-login-file", type=click.File(), help="The token or password for that; - is stdin.")
@click.option(
    "--pull", "pull_options", multiple=True, help="NAME=VALUE: what else the system needs to be asked."
)
@click.option("--test/--live", default=None, help="Whether its reports never count and never become cases.")
@click.option(
    "--deidentify",
    "where",
    type=click.Choice(get_args(sources.Where)),
    help="Where its reports are de-identified: in the stream, or at the source, before anything is sealed."
    " The stream if it is new.",
)
def source_add(
    name: str,
    connector: str | None,
    mapping: str | None,
    scheme: Scheme | None,
    header: str | None,
    secret_file: TextIO | None,
    pull_url: str | None,
    pull_login_file: TextIO | None,
    pull_options: tuple[str, ...],
    test: bool | None,
    where: sources.Where | None,
) -> None:
    """Connect a source, or give one a second secret; a secret that we make is shown once.

    What you do not say of a source that is connected stays as it is.
    """
    node = console.node()
    before = sources.existing(node.home, name)
    found = before or sources.Source(name)
    found = replace(
        found,
        connector=connector or found.connector,
        scheme=scheme or found.scheme,
        header=header or found.header,
        test=found.test if test is None else test,
        deidentify=where or found.deidentify,
        mapping=mapping or found.mapping,
    )
    if connector and connector not in ("http", *systems()):
        raise click.BadParameter(
            f"the systems are http, {', '.join(sorted(systems()))}", param_hint="--connector"
        )
    system = systems().get(found.connector)
    other = before is None or before.connector != found.connector
    if system and scheme is None and (other or found.scheme not in (*system.schemes, "")):
        # One that is only asked needs no secret to call with.
        found = replace(found, scheme="" if pull_url else next(iter(system.schemes), ""))
    allowed = system.schemes if system else ("bearer",)
    if found.scheme and found.scheme not in allowed:
        raise click.BadParameter(f"this system has {', '.join(allowed) or 'none'}", param_hint="--scheme")
    if mapping not in (None, "canonical"):
        load(mapping, node.home)
    if found.scheme == "static_header" and not found.header:
        found = replace(found, header=system.header if system else "authorization")
    if pull_url or pull_options or pull_login_file:
        is_mailbox = found.connector == "email" and (pull_url or "imaps://").startswith("imaps://")
        if not (is_mailbox or (system and system.pull)):
            raise click.BadParameter("this system cannot be asked", param_hint="--pull-url")
        options = dict(found.pull)
        options |= {"url": pull_url} if pull_url else {}
        for option in pull_options:
            key, _, value = option.partition("=")
            options[key] = int(value) if value.isdecimal() else value
        if pull_login_file:
            options["sealed"] = seal_secret(node.tokens, pull_login_file.read().strip())
        found = replace(found, pull=options)
    made = ""
    if found.scheme in SIGNED:
        if secret_file:
            sealed = seal_secret(node.tokens, secret_file.read().strip())
            found = replace(found, signing=(*found.signing[-1:], sealed))
        elif not found.signing:
            raise click.BadParameter(f"{found.scheme} signs: give its secret", param_hint="--secret-file")
    elif found.scheme and not (before and (found.pull != before.pull or test is not None)):
        found, made = sources.with_secret(found)
    try:
        sources.write(node.home, found)
    except ValueError as error:
        raise click.ClickException(str(error)) from None
    # The secret alone goes to stdout, so that a script can take it.
    if made:
        click.echo(made)
    click.echo(_what_to_set(found, node.settings), err=True)


def _what_to_set(found: sources.Source, settings: ConnectorSettings) -> str:
    base = settings.public_url or f"http://{settings.host}:{settings.port}"
    if found.connector == "http":
        return f"Send reports to {base}/v1/reports with the header Authorization: Bearer SECRET"
    how = {
        "": "It cannot call; it is asked, or its files are submitted.",
        "bearer": f"Let it call {base}/v1/hooks/{found.name} with the header Authorization: Bearer SECRET",
        "static_header": f"Let it call {base}/v1/hooks/{found.name} with the header {found.header}: SECRET",
        "basic": f"Let it call {base}/v1/hooks/{found.name} with the user {found.name} and SECRET as the password",
        "secret_path": f"Let it call {base}/v1/hooks/{found.name}/SECRET",
    }
    return how.get(found.scheme, f"Let it call {base}/v1/hooks/{found.name}; it signs with its own secret.")


@source.command(name="live", epilog=example("chorus source live hotline"))
@click.argument("name")
def source_live(name: str) -> None:
    """Let the reports of a source in test mode count from now on. What came before never does."""
    node = console.node()
    sources.write(node.home, replace(sources.find(node.home, name), test=False))
    click.echo(f"{name} is live: its reports count")


@source.command(name="sealing-key", epilog=example("chorus source sealing-key hotline"))
@click.argument("name")
@click.option(
    "--new", "fresh", is_flag=True, help="Make a new one; the last one still opens, older ones do not."
)
def source_sealing_key(name: str, fresh: bool) -> None:
    """Print the public key to which a producer elsewhere seals the reports that it publishes to Kafka itself.

    It may be shown to anybody; what proves that the source sent them is its token.
    """
    node = console.node()
    found = sources.find(node.home, name)
    if not may_entrust(found):
        raise click.ClickException(
            "only a source with a bearer token, whose reports are de-identified in the stream, may publish itself"
        )
    keys = node.keys()
    public = keys.new_sealing_key(name) if fresh else keys.sealing_key(name)
    click.echo(base64.urlsafe_b64encode(public))
    if not node.settings.kafka:
        click.echo(
            "A producer elsewhere needs a Kafka that keeps what it is given: set CHORUS_KAFKA.", err=True
        )


for _command in (new, check, preview):
    source.add_command(_command)


@source.command(name="list", epilog=example("chorus source list --json"))
@click.option("--json", "as_json", is_flag=True, help="Print as JSON.")
def source_list(as_json: bool) -> None:
    """List the connected sources."""
    node = console.node()
    connected = sources.connected(node.home).values()
    rows = [
        {
            "name": s.name,
            "connector": s.connector,
            "mapping": s.mapping,
            "deidentify": s.deidentify,
            "test": s.test,
        }
        for s in connected
    ]
    click.echo(json.dumps(rows) if as_json else "\n".join("\t".join(map(str, r.values())) for r in rows))


source.add_command(run)
