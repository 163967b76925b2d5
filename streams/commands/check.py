"""``chorus source new``, ``check`` and ``preview``: what would become of a sample, before anything leaves."""

import json
import shutil
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import click

from connectors import sources
from connectors.mapping import BadMapping, Mapped, load
from connectors.operating.unsealed import field_classes
from connectors.scaffold import scaffold
from connectors.systems import systems
from streams import checking, console
from streams.checking import ReadText, Seen
from streams.console import example
from streams.reading import build as build_reader


@click.command(epilog=example("chorus source check sample.json --source hotline"))
@click.argument(
    "files", nargs=-1, required=True, type=click.Path(exists=True, dir_okay=False, path_type=Path)
)
@click.option("--source", "name", help="A connected source, whose mapping is used.")
@click.option(
    "--mapping", "mapping_name", help="A mapping; without both, the one that reads most of the file."
)
@click.option(
    "--manifest",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="JSON that says of files with which headers, URL and signing secret they came: their proof is looked at too.",
)
@click.option(
    "--texts/--no-texts", default=True, help="Also say which codes the words suggest (takes seconds)."
)
@click.option("--json", "as_json", is_flag=True, help="Print the outcome of each file as JSON.")
def check(
    files: Sequence[Path],
    name: str | None,
    mapping_name: str | None,
    manifest: Path | None,
    texts: bool,
    as_json: bool,
) -> None:
    """Show what would become of files of a source: which question becomes what, never an answer. Accepts nothing.

    Files are seen in the order given: what comes twice is a DUPLICATE the second time.
    """
    node = console.node()
    found = sources.find(node.home, name) if name else None
    mapping_name = mapping_name or (found.mapping if found else None)
    fixed = load(mapping_name, node.home) if mapping_name not in (None, "canonical") else None
    candidates = [fixed] if fixed else [] if mapping_name else checking.mappings(node.home)
    read_text: ReadText | None = None
    before: set[tuple[str, bytes]] = set()
    failed = False
    for path in files:
        try:
            mapping = fixed or next(iter(checking.fitting(path, candidates)), None)
            seen = checking.look(path, mapping, before, found) if mapping or mapping_name else []
        except ValueError as error:  # a file that cannot be read is one as well
            failed = True
            if as_json:
                click.echo(
                    json.dumps(
                        {
                            "file": path.name,
                            "mapping": None,
                            "expect": {"op": "DEAD_LETTER", "reason": "UNREADABLE"},
                        }
                    )
                )
            click.echo(f"{path.name}: {error}", err=True)
            continue
        if not seen and not mapping and not mapping_name:
            failed = True
            if as_json:
                click.echo(
                    json.dumps(
                        {
                            "file": path.name,
                            "mapping": None,
                            "expect": {"op": "DEAD_LETTER", "reason": "UNMAPPABLE"},
                        }
                    )
                )
            click.echo(
                f"{path.name}: no mapping reads this form; `chorus source new NAME {path.name}` makes a first one",
                err=True,
            )
            continue
        if texts and read_text is None and any(_has_text(s) for s in seen):
            read_text = build_reader(str(node.home))
        failed |= any(s.op == "DEAD_LETTER" for s in seen)
        outcomes = [checking.expected(s, read_text) for s in seen]
        if as_json:
            shape = outcomes[0] if len(outcomes) == 1 else {"n_records": len(outcomes), "records": outcomes}
            told = {"file": path.name, "mapping": mapping.name if mapping else None, "expect": shape}
            if manifest:
                told["verify"] = checking.proof(
                    path, mapping, json.loads(manifest.read_text(encoding="utf-8"))
                )
            click.echo(json.dumps(told))
        else:
            _show(path, mapping, seen, outcomes)
    sys.exit(1 if failed else 0)


def _has_text(seen: Seen) -> bool:
    body = checking.report_of(seen)
    return bool(body and body.narratives)


def _show(
    path: Path, mapping: Mapped | None, seen: Sequence[Seen], outcomes: Sequence[Mapping[str, Any]]
) -> None:
    click.echo(f"{path.name}: {len(seen)} records, mapping {mapping.name if mapping else 'canonical'}")
    records = [s.record for s in seen if s.record]
    if mapping and records:
        for place in checking.places(mapping, records, field_classes()):
            click.echo(
                f"  {place.path[:50]:50} -> {place.target:22} {place.privacy:12} {place.filled}/{len(records)}"
            )
    for name, what in (
        ("unread", "nobody reads"),
        ("ambiguous", "day and month may be the other way round in"),
        ("left_out", "no list knows the answer in"),
    ):
        names = sorted({n for s in seen if s.findings for n in getattr(s.findings, name)})
        if names:
            click.echo(f"  {what}: {', '.join(n[:60] for n in names)}")
    if any(s.findings and s.findings.form_known is False for s in seen):
        click.echo(
            "  the form is of a version that the mapping does not know: look whether questions have changed"
        )
    for number, outcome in enumerate(outcomes, 1):
        shown = {
            k: v
            for k, v in outcome.items()
            if k not in ("op", "mapping", "verification") and v not in (None, [], "", False)
        }
        click.echo(f"  {number}. {outcome['op']}  " + "  ".join(f"{k}={_short(v)}" for k, v in shown.items()))


def _short(value: Any) -> str:
    return ",".join(map(str, value)) if isinstance(value, list) else str(value)


@click.command(name="new", epilog=example("chorus source new survey sample.json --connector kobo"))
@click.argument("name")
@click.argument("sample", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--connector", default="file", show_default=True, help="The system the sample is of.")
@click.option("--tz", default="UTC", show_default=True, help="Time zone of times that carry none.")
@click.option("--force", is_flag=True, help="Write over a mapping of this name.")
def new(name: str, sample: Path, connector: str, tz: str, force: bool) -> None:
    """Make a first mapping from a sample: a report as the system sends it. Only names of questions are written.

    It goes into `mappings/` of the state folder. Look at every line: what it guesses is marked.
    """
    node = console.node()
    if not sources.NAME.fullmatch(name):
        raise click.BadParameter("lower-case letters, digits and underscores, 40 at most", param_hint="NAME")
    if connector != "file" and connector not in systems():
        raise click.BadParameter(f"the systems are {', '.join(sorted(systems()))}", param_hint="--connector")
    path = node.home / "mappings" / f"{name}.yaml"
    if path.exists() and not force:
        raise click.ClickException(f"{path} is there already: --force writes over it")
    try:
        record = checking.first_record(sample, connector)
    except ValueError as error:
        raise click.ClickException(f"{sample.name}: {error}") from None
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    path.write_text(
        scaffold(name, systems().get(connector), record, checking.shared(connector), tz, node.stream.country),
        encoding="utf-8",
    )
    click.echo(str(path))
    try:
        load(name, node.home)
    except BadMapping as error:
        raise click.ClickException(f"mend it before it can be used: {error}") from None
    click.echo(
        f"Now look at every line of it, and: chorus source check {sample.name} --mapping {name}", err=True
    )


@click.command(epilog=example("chorus source preview sample.json --source hotline"))
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--source", "name", help="A connected source, whose mapping is used.")
@click.option(
    "--mapping", "mapping_name", help="A mapping; without both, the one that reads most of the file."
)
@click.option(
    "--records", default=3, show_default=True, type=click.IntRange(1, 100), help="How many to show."
)
def preview(file: Path, name: str | None, mapping_name: str | None, records: int) -> None:
    """Show reports beside what leaves of them, on this terminal only; nothing is accepted and no copy is left.

    What is shown are the worker's words: see that nobody looks over your shoulder.
    """
    if not sys.stdout.isatty():
        raise click.ClickException(
            "a preview holds the worker's words: it goes to a terminal and nowhere else"
        )
    node = console.node()
    found = sources.find(node.home, name) if name else None
    mapping_name = mapping_name or (found.mapping if found else None)
    try:
        mapping = load(mapping_name, node.home) if mapping_name not in (None, "canonical") else None
        if mapping is None and mapping_name is None:
            mapping = next(iter(checking.fitting(file, checking.mappings(node.home))), None)
        seen = checking.look(file, mapping, set(), found)
    except ValueError as error:
        raise click.ClickException(str(error)) from None
    reports = [s for s in seen if checking.report_of(s)][:records]
    if not reports:
        raise click.ClickException("none of it becomes a report: `chorus source check` says why")
    for number, one in enumerate(reports, 1):
        click.echo(click.style(f"report {number} of {len(seen)}", bold=True))
        for before, after in checking.side_by_side(one, node.deidentifier(), node.read_all, node.now()):
            click.echo(checking.columns(before, after, shutil.get_terminal_size().columns))
    node.close()
