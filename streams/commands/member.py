"""``chorus member``: who signs in to the page, and what their organisation sees."""

import json

import click

from connectors.members import ROLES, BadMember, Directory, Member, Organisation, Scope
from streams import console
from streams.console import example


@click.group()
def member() -> None:
    """Who signs in to the page, and what their organisation sees."""


def _directory() -> Directory:
    return console.node().directory


def _listed(text: str) -> frozenset[str]:
    return frozenset(code.strip() for code in text.split(",") if code.strip())


@member.command(
    epilog=example(
        "chorus member organisation union --label 'Fishers Union' --language th --regions TH-74,TH-76"
    )
)
@click.argument("name")
@click.option("--label", default="", help="Its name for people.")
@click.option(
    "--language", default="en", show_default=True, help="The language it reads: en, th, my, km, lo."
)
@click.option("--indicators", default="", help="ILO indicators it watches, by a comma; without: all.")
@click.option("--sectors", default="", help="ISIC sections it watches, by a comma; without: all.")
@click.option("--regions", default="", help="ISO 3166-2 provinces it watches, by a comma; without: all.")
@click.option("--sources", default="", help="Sources whose cases it holds, by a comma; without: none.")
def organisation(
    name: str, label: str, language: str, indicators: str, sectors: str, regions: str, sources: str
) -> None:
    """Add an organisation, or change what is known of it."""
    try:
        scope = Scope(_listed(indicators), _listed(sectors), _listed(regions))
        _directory().add_organisation(
            Organisation(name, label, language, scope, tuple(sorted(_listed(sources))))
        )
    except BadMember as error:
        raise click.ClickException(str(error)) from None
    click.echo(f"{name} can have members now: chorus member add {name} NAME")


@member.command(epilog=example("chorus member add union somsri --role ACT --role CASES"))
@click.argument("organisation")
@click.argument("name")
@click.option(
    "--role",
    "roles",
    multiple=True,
    type=click.Choice(list(ROLES)),
    help="What they may do besides WATCH; may be given several times.",
)
def add(organisation: str, name: str, roles: tuple[str, ...]) -> None:
    """Add a member, or give one a new password and these roles. The password is shown this once."""
    try:
        password = _directory().add_member(organisation, name, {"WATCH", *roles})
    except BadMember as error:
        raise click.ClickException(str(error)) from None
    click.echo(f"name      {name}\npassword  {password}")


@member.command(epilog=example("chorus member remove somsri"))
@click.argument("name")
def remove(name: str) -> None:
    """Remove a member; every session of theirs ends."""
    if not _directory().remove(name):
        raise click.ClickException("there is no such member")
    click.echo(f"{name} is gone")


@member.command(name="list", epilog=example("chorus member list --json"))
@click.option("--json", "as_json", is_flag=True, help="Print as JSON.")
def list_members(as_json: bool) -> None:
    """List organisations and their members."""
    directory = _directory()
    of: dict[str, list[Member]] = {one.name: [] for one in directory.organisations()}
    for one in directory.members():
        of[one.organisation.name].append(one)
    if as_json:
        click.echo(json.dumps([_plain(one, of[one.name]) for one in directory.organisations()]))
        return
    for found in directory.organisations():
        click.echo(f"{found.name}  {found.label} ({found.language})")
        for one in of[found.name]:
            click.echo(f"  {one.name}  {', '.join(sorted(one.roles))}")


def _plain(one: Organisation, members: list[Member]) -> dict[str, object]:
    return {
        "name": one.name,
        "label": one.label,
        "language": one.language,
        "indicators": sorted(one.scope.indicators),
        "sectors": sorted(one.scope.sectors),
        "regions": sorted(one.scope.regions),
        "sources": list(one.sources),
        "members": [{"name": m.name, "roles": sorted(m.roles)} for m in members],
    }
