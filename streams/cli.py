"""The command ``chorus``."""

import asyncio
import contextlib
import csv
import json
import logging
import os
import re
import shutil
import socket
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict, replace
from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID

import click
from tqdm import tqdm

from connectors import sources
from connectors.broker import EmbeddedBroker
from connectors.clickhouse import ClickHouse, Unanswered, migrate
from connectors.files.submit import submit as submit_file
from connectors.grants import grants
from connectors.intake import native, report_uid
from connectors.mapping import BadMapping, load
from connectors.notifying.config import BadNotifyFile
from connectors.settings import ConnectorSettings
from schemas.settings import BadSetting
from streams import console, logs
from streams import demo as demonstration
from streams.app import EVERYTHING, Node, Part, running, stop_signal, until_stopped
from streams.commands.audit import audit
from streams.commands.bench import bench
from streams.commands.cases import cases
from streams.commands.deadletter import deadletter
from streams.commands.health import source_health
from streams.commands.member import member
from streams.commands.notify import notify
from streams.commands.privacy import privacy
from streams.commands.release import release
from streams.commands.source import source
from streams.console import example
from streams.ledger import ReleaseRefused
from streams.pool import NoReader
from streams.settings import read
from streams.simulate import season
from streams.steps.known import BadGazetteer
from streams.steps.policy import UnsafePolicy
from streams.steps.register import BadRegister

_log = logging.getLogger("streams.cli")
_USER_ERRORS = (
    BadSetting,
    BadMapping,
    BadNotifyFile,
    UnsafePolicy,
    BadRegister,
    BadGazetteer,
    NoReader,
    sources.UnknownSource,
    ConnectionError,
    Unanswered,
    ReleaseRefused,
)


_CLOSED = re.compile(
    r"\b(sealed|cases|default|system|information_schema)\b|\b(file|url|remote\w*|s3|sqlite|merge\w*)\s*\(",
    re.I,
)


class _Group(click.Group):
    """Turns what a user can mend into a message instead of a traceback."""

    def invoke(self, ctx: click.Context) -> object:
        try:
            return super().invoke(ctx)
        except _USER_ERRORS as error:
            raise click.ClickException(str(error)) from None


@click.group(cls=_Group, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="chorus-intake", prog_name="chorus")
def main() -> None:
    """Many voices, heard together; none singled out."""
    logs.configure()


@contextlib.contextmanager
def _broker(settings: ConnectorSettings) -> Iterator[tuple[str, bool]]:
    """Yield bootstrap servers, and whether that broker forgets: the one that is set, or the embedded one."""
    if settings.kafka:
        yield settings.kafka, False
        return
    with EmbeddedBroker(settings.home / "broker.log") as broker:
        yield broker.bootstrap, True


def _serve(parts: frozenset[Part], *, may_migrate: bool = True) -> None:
    settings, stream = console.settings()
    if not settings.kafka and parts != EVERYTHING:
        raise click.ClickException("set CHORUS_KAFKA: only `chorus up` brings its own broker")
    with _broker(settings) as (bootstrap, forgets):
        node = Node(settings, stream, bootstrap, broker_forgets=forgets, may_migrate=may_migrate)

        async def serve() -> int:
            stop = stop_signal()
            async with running(node, parts) as run:
                _log.info("ready%s", f": {run.url}" if run.url else "")
                return await until_stopped(run, stop, keep_door="door" in parts)

        sys.exit(asyncio.run(serve()))


@main.command(epilog=example("chorus up"))
def up() -> None:
    """Run everything on one machine: broker, door, stream, release, page."""
    _serve(EVERYTHING)


@main.command(epilog=example("CHORUS_KAFKA=kafka:9092 chorus worker --path-only"))
@click.option("--path-only", is_flag=True, help="`chorus watch` and `chorus cases run` run somewhere else.")
def worker(path_only: bool) -> None:
    """Run the path: de-identify, count, release; and keep cases, and watch. Several may run."""
    _serve(frozenset({"worker"}) if path_only else EVERYTHING - {"door"})


@main.command(epilog=example("CHORUS_KAFKA=kafka:9092 CLICKHOUSE_URL=clickhouse://... chorus watch"))
def watch() -> None:
    """Look at what is released, and raise alerts.

    Needs no key, and no right in ClickHouse but those of the role chorus_watch: it can read nothing but releases.
    """
    _serve(frozenset({"watch"}), may_migrate=False)


@cases.command(name="run", epilog=example("CHORUS_KAFKA=kafka:9092 chorus cases run"))
def cases_run() -> None:
    """Keep cases for their holders, and tell them of urgent ones and of clusters at once.

    In ClickHouse it needs the rights of the role chorus_cases_keeper and no others: CHORUS_CASES_CLICKHOUSE_URL.
    """
    _serve(frozenset({"cases"}), may_migrate=False)


main.add_command(cases)


@main.command(epilog=example("CHORUS_KAFKA=kafka:9092 chorus web"))
def web() -> None:
    """Run the door and the page."""
    _serve(frozenset({"door"}))


@main.command(epilog=example("chorus demo --days 30 --exit"))
@click.option(
    "--days", default=60, show_default=True, type=click.IntRange(1, 365), help="Length of the season."
)
@click.option(
    "--reports", default=140, show_default=True, type=click.IntRange(1, 5000), help="Reports a day."
)
@click.option("--seed", default=1, show_default=True, help="Seed of the simulated reports; noise has none.")
@click.option(
    "--home", type=click.Path(path_type=Path), help="Keep the state here instead of a temporary folder."
)
@click.option("--exit", "leave", is_flag=True, help="Leave at once instead of showing the page.")
@click.option("--json", "as_json", is_flag=True, help="Print the summary as JSON.")
def demo(days: int, reports: int, seed: int, home: Path | None, leave: bool, as_json: bool) -> None:
    """Play a simulated season in under two minutes, ending with alerts on the page."""
    settings, stream = read(os.environ)
    folder = home or Path(tempfile.mkdtemp(prefix="chorus-demo-"))
    if home and home.exists() and any(home.iterdir()):
        raise click.ClickException("--home must be a new or empty folder")
    folder.mkdir(parents=True, exist_ok=True)
    start = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    played = season(seed, start, days, reports)
    tokens = demonstration.prepare(folder, played)
    clock = demonstration.HandClock(start)
    settings = replace(settings, home=folder, port=settings.port if _port_is_free(settings.port) else 0)
    status = 1
    try:
        with _broker(settings) as (bootstrap, forgets):
            node = Node(settings, stream, bootstrap, now=clock, broker_forgets=forgets)

            async def show() -> bool:
                async with running(node) as run:
                    summary = await demonstration.play(run, clock, played, tokens, quiet=as_json)
                    say = demonstration.as_json if as_json else demonstration.in_words
                    click.echo(say(summary))
                    if not leave:
                        click.echo(f"The page is at {run.url} - press Ctrl-C to leave.", err=as_json)
                        await until_stopped(run, stop_signal(), keep_door=True)
                    return summary.good

            status = 0 if asyncio.run(show()) else 1
    finally:
        if home is None:
            shutil.rmtree(folder, ignore_errors=True)
    sys.exit(status)


def _port_is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


@main.command(name="migrate", epilog=example("CLICKHOUSE_URL=clickhouse://... chorus migrate --grants"))
@click.option("--grants", "with_grants", is_flag=True, help="Also make, or renew, the roles on a server.")
def migrate_command(with_grants: bool) -> None:
    """Bring ClickHouse to the newest schema."""
    node = console.node()
    if with_grants and not node.settings.clickhouse_url:
        raise click.ClickException("chDB has no users: set CLICKHOUSE_URL")
    db = ClickHouse(node.settings.clickhouse_url, node.home / "chdb")
    done = migrate(db)
    for statement in grants() if with_grants else ():
        db.command(statement)
    click.echo("\n".join(done) if done else "nothing to do")


@main.command(epilog=example("chorus submit complaints.csv --source union"))
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--source", required=True, help="A connected source; its mapping reads the rows.")
@click.option("--json", "as_json", is_flag=True, help="Print the counts as JSON.")
def submit(file: Path, source: str, as_json: bool) -> None:
    """Take in a file of reports, through the source's mapping: a table (CSV, TSV, XLSX), JSON, mail.

    Rows are on the disk, sealed, when this returns; a running `chorus up` or `chorus web` sends them on.
    """
    node = console.node()
    found = sources.find(node.home, source)
    mapping = None if found.mapping == "canonical" else load(found.mapping, node.home)
    total: Counter[str] = Counter(accepted=0, duplicate=0, dead_letter=0)
    try:
        for tally in tqdm(submit_file(file, found, mapping, node.door().accept), unit="batch", disable=None):
            total += tally
    except ValueError as error:
        raise click.ClickException(str(error)) from None
    result = {name: total[name] for name in ("accepted", "duplicate", "dead_letter", "ignored")}
    click.echo(
        json.dumps(result)
        if as_json
        else ", ".join(f"{n} {name.replace('_', ' ')}" for name, n in result.items())
    )


main.add_command(source)
source.add_command(source_health)


main.add_command(deadletter)
main.add_command(notify)
main.add_command(member)


@main.command(epilog=example("chorus deidentify --gazetteer villages.csv < texts.jsonl"))
@click.option(
    "--gazetteer",
    "paths",
    multiple=True,
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="Names of your own to remove: CSV with kind, name, aliases. May be given several times.",
)
@click.option("--theta", type=click.FloatRange(0, 1), help="Dial of the context model: lower removes more.")
def deidentify(paths: tuple[Path, ...], theta: float | None) -> None:
    """Redact texts: JSON lines {id, lang?, text} in, {id, text_redacted, spans} out."""
    from streams.recognizers import THETA, Undecidable, build_redactor

    redactor = build_redactor(theta=THETA if theta is None else theta, gazetteers=lambda: paths)
    for number, line in enumerate(sys.stdin.buffer, 1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
            text, language = row["text"], row.get("lang")
            if not isinstance(text, str) or not isinstance(language, str | None):
                raise TypeError
        except (ValueError, KeyError, TypeError, AttributeError):
            raise click.ClickException(
                f"line {number} is not an object with id, text and perhaps lang"
            ) from None
        try:
            redacted = redactor.redact(text, language)
            spans = [asdict(span) for span in redacted.spans]
            click.echo(json.dumps({"id": row.get("id"), "text_redacted": redacted.text, "spans": spans}))
        except Undecidable as why:
            # Fail closed: a text nobody can judge is removed whole.
            spans = [{"start": 0, "end": len(text), "label": "UNDECIDABLE"}]
            click.echo(
                json.dumps({"id": row.get("id"), "text_redacted": "", "spans": spans, "reason": str(why)})
            )


@main.command(epilog=example("chorus simulate --days 7 > season.jsonl"))
@click.option("--days", default=60, show_default=True, type=click.IntRange(1, 365))
@click.option(
    "--reports", default=140, show_default=True, type=click.IntRange(1, 5000), help="Reports a day."
)
@click.option("--seed", default=1, show_default=True)
@click.option("--start", default="2026-01-01", show_default=True, help="First day, YYYY-MM-DD.")
@click.option(
    "--register", type=click.Path(path_type=Path), help="Also write the register of workplaces here."
)
def simulate(days: int, reports: int, seed: int, start: str, register: Path | None) -> None:
    """Write seeded synthetic reports with planted outbreaks, as canonical JSON lines."""
    played = season(seed, datetime.fromisoformat(start).replace(tzinfo=UTC), days, reports)
    mappings = {name: load(name) for name in ("union_register", "voice_app")}
    for report in demonstration.canonical_reports(played, mappings):
        click.echo(json.dumps(report, ensure_ascii=False))
    if register:
        demonstration.write_register(register, played)


main.add_command(release)


main.add_command(privacy)


@main.command(epilog=example("chorus query 'SELECT * FROM released.alerts FINAL'"))
@click.argument("sql")
def query(sql: str) -> None:
    """Run a query over the released numbers and print JSON lines.

    Reads `released` and `context`. Rights are the server's to enforce; chDB has none, so this refuses to
    name other databases.
    """
    if _CLOSED.search(sql):
        raise click.ClickException("only the databases `released` and `context` are open to queries")
    for row in console.node().db.named(sql, read_only=True):
        click.echo(json.dumps(row, default=str))


@main.command(epilog=example("chorus export releases.csv"))
@click.argument("file", type=click.Path(path_type=Path))
def export(file: Path) -> None:
    """Write every released cell to a CSV file, and the manifest beside it."""
    node = console.node()
    for table, path in (("cells", file), ("releases", file.with_suffix(".manifest.csv"))):
        rows = node.db.named(f"SELECT * FROM released.{table} FINAL ORDER BY ALL")  # noqa: S608
        with path.open("w", encoding="utf-8", newline="") as out:
            if rows:
                writer = csv.DictWriter(out, list(rows[0]))
                writer.writeheader()
                writer.writerows(rows)
        click.echo(f"{len(rows)} rows: {path}")


@main.command(epilog=example("chorus erase 0b9c3f5e-..."))
@click.argument("event_id", type=click.UUID, required=False)
@click.option(
    "--source",
    help="Of this source instead; asks for its own id of the report, which stays out of the history.",
)
def erase(event_id: UUID | None, source: str | None) -> None:
    """Erase a report: its keys at once, its contribution and case as soon as the stream runs.

    What has been released stays as it is: it cannot be traced to the report.
    """
    node = console.node()
    if (event_id is None) == (source is None):
        raise click.UsageError("name the report by its event id, or by --source")
    if source:
        root_id = click.prompt("The source's own id of the report", hide_input=True)
        uid = report_uid(node.tokens, source, native(node.tokens, source, root_id))
        found = uid if node.outbox().knows(uid) else None
    else:
        found = node.outbox().report_of(event_id) if event_id else None
    if found is None:
        raise click.ClickException("this node has no such report")
    gone = node.consent_desk().withdraw(found).keys_erased
    click.echo(f"{gone} keys erased; the withdrawal is on its way")


@main.group()
def key() -> None:
    """Look after keys."""


@key.command(name="rotate", epilog=example("chorus key rotate hotline"))
@click.argument("source_name")
def key_rotate(source_name: str) -> None:
    """Give a source a new wrapping key and rewrap its reports' keys under it."""
    node = console.node()
    sources.find(node.home, source_name)
    click.echo(f"{node.keys().rotate(source_name)} keys rewrapped")


@key.command(name="rotate-units", epilog=example("chorus key rotate-units"))
def key_rotate_units() -> None:
    """Give the units of the privacy ledger new names under a new key; what they have spent goes with them.

    Stop everything first. The register and the sources must hold every workplace and source of this year.
    """
    here = console.node()
    if alive := [
        path for path in (here.home / "run").glob("*.alive") if time.time() - path.stat().st_mtime < 30
    ]:
        raise click.ClickException(f"stop Chorus first: it runs on {', '.join(p.stem for p in alive)}")
    here.rotate_units()
    click.echo("units have new names; the key before is gone")


@main.command(epilog=example("chorus health"))
def health() -> None:
    """Tell whether this host's node said within the last half minute that it is well."""
    path = console.settings()[0].home / "run" / f"{socket.gethostname()}.alive"
    if not path.is_file() or time.time() - path.stat().st_mtime > 30:
        raise click.ClickException("no sign of life")
    click.echo("well")


main.add_command(audit)
main.add_command(bench)


if __name__ == "__main__":
    main()
