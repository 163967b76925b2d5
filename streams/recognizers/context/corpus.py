"""Annotated messages: what the context model learns from, and what de-identification is measured on."""

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

Row = Mapping[str, Any]
"""An annotated message: id, lang, text, spans (start, end, label), note (register, template, noise)."""


def read_rows(path: Path) -> list[dict[str, Any]]:
    """The annotated messages of a JSON-lines file, or of a text file with a message a line (see `annotated`)."""
    lines = [line for line in path.read_text(encoding="utf-8").split("\n") if line.strip()]
    if path.suffix == ".jsonl":
        return [json.loads(line) for line in lines]
    return [annotated(line, path.stem, number) for number, line in enumerate(lines, 1)]


def annotated(line: str, language: str, number: int) -> dict[str, Any]:
    """A message with its identifiers marked in it, as a row; every such message is a template of its own.

    >>> row = annotated("chat\\tI am [[PERSON|Malee]]\\\\nhelp", "en", 7)
    >>> row["text"], row["spans"]
    ('I am Malee\\nhelp', [{'start': 5, 'end': 10, 'label': 'PERSON'}])
    """
    register, _, marked = line.partition("\t")
    pieces = re.split(r"\[\[([A-Z_]+)\|(.+?)\]\]", marked.replace("\\n", "\n"))
    text, spans = pieces[0], []
    for label, value, after in zip(pieces[1::3], pieces[2::3], pieces[3::3], strict=True):
        spans.append({"start": len(text), "end": len(text) + len(value), "label": label})
        text += value + after
    note = f"{register};tpl={language}-t{number};noise=none"
    return {"id": f"{language}-{number}", "lang": language, "text": text, "spans": spans, "note": note}


def template_of(row: Row) -> str:
    """The name of the template a message was made from."""
    return str(row["note"]).split("tpl=")[1].split(";")[0]
