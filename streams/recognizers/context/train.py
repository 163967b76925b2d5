"""Train the context model: ``python -m streams.recognizers.context.train --public FOLDER``.

From the annotated messages in ``tests/corpus``, each refilled several times with names of all kinds, and from the
licensed public corpora (their persons only; `tests/corpus/README.md` says where they come from). The same inputs give
the same model. Writes ``model.crfsuite`` and the figures of ``CARD.md`` beside this file.
"""

import hashlib
import random
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import click
import pycrfsuite

from streams.recognizers import Redactor, build_redactor
from streams.recognizers._reading import Reading, Token
from streams.recognizers._shadow import shadow
from streams.recognizers._words import judged
from streams.recognizers.context import features
from streams.recognizers.context.corpus import Row, read_rows
from streams.recognizers.context.refill import refilled, unlisted, varied

HERE = Path(__file__).parent
_ENTITY = {
    "PERSON": "PERSON",
    "WORKPLACE": "ORGANIZATION",
    "ADDRESS": "LOCATION",
    "VEHICLE_OR_VESSEL": "VEHICLE_ID",
    "SOCIAL_HANDLE": "SOCIAL_HANDLE",
}
_PARAMETERS = {"c1": 0.1, "c2": 0.5, "max_iterations": 120, "feature.minfreq": 2}


def training_files(corpus: Path) -> list[Path]:
    """The annotated messages of a folder that may be trained on."""
    return [corpus / "dev.jsonl", *sorted(corpus.glob("??.txt"))]


def labels(tokens: Sequence[Token], spans: Iterable[Any]) -> list[str]:
    """For each token the entity of the identifier it lies in, or O."""
    named = [(span["start"], span["end"], _ENTITY[span["label"]]) for span in spans if span["label"] in _ENTITY]
    return [
        next((entity for start, end, entity in named if token.start < end and start < token.end), "O")
        for token in tokens
    ]


def examples(redactor: Redactor, rows: Iterable[Row]) -> Iterator[tuple[list[list[str]], list[str]]]:
    """Attributes and labels of each message."""
    for row in rows:
        reading = read(redactor, row)
        if reading.items:
            yield features(reading), labels(judged(reading), row["spans"])


def read(redactor: Redactor, row: Row) -> Reading:
    """A message as the recognisers read it; its text must be its own shadow."""
    seen = shadow(row["text"])
    if len(seen.text) != len(row["text"]):
        raise ValueError("a message for training must not hold invisible or combining characters")
    reading = redactor.reader(row["lang"]).read(seen.text)
    judged(reading)
    return reading


def public_rows(folder: Path) -> Iterator[dict[str, Any]]:
    """Sentences of the public corpora in which every entity is a person, or which have none."""
    thai = (folder / "thai-ner/data-1.5.txt").read_text(encoding="utf-8").splitlines()
    for line in thai:
        if row := _tagged(line, "th", "PERSON"):
            yield row
    for language, path, tag in (
        ("ne", folder / "nepali-ner/total.bio", "PER"),
        ("id", folder / "idner-news-2k/train.txt", "PER"),
        ("hi", folder / "IL-NER-hindi/Hindi-dev.txt", "NEP"),
    ):
        for block in re.split(r"\n\s*\n", path.read_text(encoding="utf-8")):
            words = [line.split() for line in block.splitlines() if len(line.split()) >= 2]
            if row := _columns([(word[0], word[-1]) for word in words], language, tag):
                yield row


def _tagged(line: str, language: str, person: str) -> dict[str, Any] | None:
    pieces = re.split(r"\[(/?)([A-Z]+)\]", line.strip())
    text, spans, opened = pieces[0], [], None
    for closing, tag, following in zip(pieces[1::3], pieces[2::3], pieces[3::3], strict=True):
        if tag != person:
            return None
        if closing and opened is not None:
            spans.append({"start": opened, "end": len(text), "label": "PERSON"})
            opened = None
        elif not closing:
            opened = len(text)
        text += following
    return _usable(text, spans, language)


def _columns(words: Sequence[tuple[str, str]], language: str, person: str) -> dict[str, Any] | None:
    text, spans = "", []
    for word, tag in words:
        kind = re.sub("^[BIES]-", "", tag.upper())
        if kind not in ("O", person) and not kind.startswith(person):
            return None
        text += " " if text else ""
        if kind != "O":
            if spans and spans[-1]["end"] == len(text) - 1 and not tag.upper().startswith("B"):
                spans[-1]["end"] = len(text) + len(word)
            else:
                spans.append({"start": len(text), "end": len(text) + len(word), "label": "PERSON"})
        text += word
    return _usable(text, spans, language)


def _usable(text: str, spans: list[dict[str, Any]], language: str) -> dict[str, Any] | None:
    if not spans or not 20 <= len(text) <= 300 or len(shadow(text).text) != len(text):
        return None
    return {"lang": language, "text": text, "spans": spans}


def train(redactor: Redactor, rows: Sequence[Row], public: Sequence[Row], seed: int, model: Path) -> int:
    """Train on rows, refilled, and public rows; returns how many messages the model has seen."""
    rng = random.Random(seed)  # noqa: S311
    trainer = pycrfsuite.Trainer(algorithm="lbfgs", params=_PARAMETERS, verbose=False)
    seen = 0
    many = [row for row in rows if len(shadow(row["text"]).text) == len(row["text"])]
    filled = [
        refilled(row, rng, filler)
        for row in many
        for filler in ((unlisted, varied, varied, varied) if row["spans"] else (unlisted,))
    ]
    usual = [row for row in (*many, *filled, *public) if len(shadow(row["text"]).text) == len(row["text"])]
    for attributes, wanted in examples(redactor, usual):
        trainer.append(attributes, wanted)
        seen += 1
    trainer.train(str(model))
    return seen


@click.command()
@click.option("--corpus", type=click.Path(path_type=Path, exists=True), default=Path("tests/corpus"), show_default=True)
@click.option("--public", type=click.Path(path_type=Path, exists=True), help="Folder of the public corpora.")
@click.option("--each", default=700, show_default=True, help="Public sentences of each language.")
@click.option("--seed", default=7, show_default=True)
@click.option("--model", type=click.Path(path_type=Path), default=HERE / "model.crfsuite")
def main(corpus: Path, public: Path | None, each: int, seed: int, model: Path) -> None:
    """Train the context model."""
    files = training_files(corpus)
    rows = [row for path in files for row in read_rows(path)]
    count: Counter[str] = Counter()
    chosen = []
    for row in public_rows(public) if public else ():
        count[row["lang"]] += 1
        if count[row["lang"]] <= each:
            chosen.append(row)
    seen = train(build_redactor(context=False), rows, chosen, seed, model)
    digest = hashlib.sha256(b"".join(path.read_bytes() for path in files)).hexdigest()[:16]
    click.echo(f"messages {seen}, of them public {len(chosen)}; corpus {digest}; model {model.stat().st_size} bytes")


if __name__ == "__main__":
    main()
