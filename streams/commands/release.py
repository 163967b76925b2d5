"""The commands ``chorus release ...``: what is promised, what was released, and how it comes back."""

import json
import os
from datetime import timedelta

import click

from connectors.kafka import values
from schemas import topics
from schemas.codec import Undecodable
from streams.app import read_policy
from streams.commands.ranked import ranked
from streams.commands.view import view
from streams.console import example, node
from streams.restore import lacks, newest, stored
from streams.settings import read
from streams.steps.explain import Coverage, budget, explain, manifest


@click.group()
def release() -> None:
    """See what is promised and what has been released."""


release.add_command(view(lambda: node().db))
release.add_command(ranked(lambda most: node().watcher().ranked(most)))


@release.command(name="explain", epilog=example("chorus release explain"))
@click.option("--json", "as_json", is_flag=True, help="Print it for machines: one manifest per table.")
def release_explain(as_json: bool) -> None:
    """Say in plain sentences what the release promises."""
    policy = read_policy(read(os.environ)[1])
    if as_json:
        click.echo(json.dumps([manifest(policy, table, Coverage()) for table in policy.tables]))
    else:
        click.echo("\n\n".join(click.wrap_text(line, 100) for line in explain(policy)))


@release.command(
    name="manifest", epilog=example("chorus release manifest sector_indicator/2026-01-05T00:00Z")
)
@click.argument("release_id")
def release_manifest(release_id: str) -> None:
    """Print what was promised with one release, as JSON: the very text that was released with it."""
    rows = node().db.query(
        "SELECT manifest FROM released.releases FINAL WHERE release_id = {id:String}", id=release_id
    )
    if not rows or not rows[0][0]:
        raise click.ClickException("there is no manifest of that release")
    click.echo(rows[0][0])


@release.command(name="status", epilog=example("chorus release status --json"))
@click.option("--json", "as_json", is_flag=True, help="Print as JSON.")
def release_status(as_json: bool) -> None:
    """Say how many windows of each table the journal holds, and whether it may release."""
    here = node()
    journal = here.journal()
    journal.check(here.now(), newest(here.db))
    rows = [
        {"table": t, "windows": n, "newest": f"{at:%Y-%m-%dT%H:%MZ}"}
        for t, (n, at) in journal.windows().items()
    ]
    if as_json:
        click.echo(json.dumps(rows))
    else:
        for row in rows:
            click.echo("\t".join(str(value) for value in row.values()))


@release.command(name="budget", epilog=example("chorus release budget"))
@click.option("--json", "as_json", is_flag=True, help="Print as JSON.")
def release_budget(as_json: bool) -> None:
    """Say what is promised, and the most that any workplace can have spent of it.

    What workplaces really spent is data about them: it is in the journal, and no command shows it.
    """
    here = node()
    hours = {table.name: table.window_hours for table in here.policy.tables}
    released = {
        name: (n, newest_start + timedelta(hours=hours.get(name, 24)))
        for name, (n, newest_start) in here.journal().windows().items()
    }
    rows = budget(here.policy, released)
    if as_json:
        click.echo(json.dumps(rows))
        return
    for row in rows:
        click.echo(
            f"{row['table']}: {row['windows_released']} windows released"
            + (f" until {row['until']}" if row["until"] else "")
            + f"; a workplace spends {row['loss_per_own_week']} {row['unit']} in an own week it is counted in;"
            f" at most {row['most_spent_in_a_block']} so far in a block of a year ({row['promised_in_a_block']} promised),"
            f" {row['most_spent_in_a_year']} in a year that touches two ({row['promised_in_a_year']} promised)"
        )


@release.command(name="publish", epilog=example("chorus release publish"))
def release_publish() -> None:
    """Give every release again to Kafka, and through it to ClickHouse, byte for byte as it was.

    For when Kafka has lost them. What ClickHouse lacks goes out again by itself at the next start.
    """
    node().journal().publish_again()
    click.echo("every release goes out again when the worker runs")


@release.command(name="restore", epilog=example("chorus release restore"))
def release_restore() -> None:
    """Take back into the journal what was released and is not in it: after its loss, or with an old copy of it.

    Put the newest copy of journal.db you have into the state folder first, and stop the worker. Releases come
    back as they were and are not drawn again. What workplaces have spent in them cannot come back: they count as
    having spent all they could, so some are not counted until their next own week, or year.
    """
    here = node()
    journal = here.journal()
    try:
        found = journal.restore(
            values(here.bootstrap, topics.RELEASES)
            if here.bootstrap
            else stored(here.db, here.codec, here.policy)
        )
        if here.bootstrap and lacks(here.db, journal.windows()):
            journal.publish_again()
    except Undecodable:
        raise click.ClickException(
            f"something on {topics.RELEASES.name} is no release: nothing was taken back"
        ) from None
    journal.check(here.now(), newest(here.db))
    click.echo(f"{found} windows taken back")
