"""How well the suggester agrees with a human: what ``chorus bench suggest`` prints.

The unit is a message. A label of a message is right when the human's labels of its template have it too.
"""

import csv
import json
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from schemas.codelists import codes
from streams.steps.suggest import Suggester

NONE = "none"


@dataclass(frozen=True, slots=True)
class Judged:
    """One message: what a human saw in its template, and what was suggested."""

    language: str
    gold: dict[str, frozenset[str]]  # by kind of suggestion
    suggested: dict[str, frozenset[str]]


def judged(suggester: Suggester, corpus: Path, gold: Path, *, hint: bool = True) -> list[Judged]:
    """Read messages and labels, and ask the suggester about each message.

    Args:
        suggester: asked with the spans that the corpus says are identifying taken out.
        corpus: JSON lines with ``text``, ``lang``, ``spans`` and a ``note`` that has ``tpl=`` in it.
        gold: CSV with ``template``, ``indicators``, ``issues`` and ``severity``.
        hint: whether the suggester is told the language.

    Raises:
        KeyError: a message's template has no labels.
    """
    with gold.open(encoding="utf-8", newline="") as rows:
        labels = {
            row["template"]: {
                "INDICATOR": frozenset(row["indicators"].split()),
                "ISSUE": frozenset(row["issues"].split()),
                "SEVERITY": frozenset(row["severity"].split()),
            }
            for row in csv.DictReader(rows)
        }
    found = []
    for line in corpus.read_text(encoding="utf-8").splitlines():
        row = json.loads(line)
        removed = [(span["start"], span["end"]) for span in row["spans"]]
        said = suggester.suggest(row["text"], row["lang"] if hint else None, removed)
        suggested = {
            kind: frozenset(s.code for s in said if s.kind == kind)
            for kind in ("INDICATOR", "ISSUE", "SEVERITY")
        }
        template = row["note"].partition("tpl=")[2].partition(";")[0]
        found.append(Judged(row["lang"], labels[template], suggested))
    return found


def report(messages: Sequence[Judged], unhinted: Sequence[Judged]) -> str:
    """The tables as Markdown: agreement per indicator, confusion, per language, per issue, severity."""
    indicators = list(codes("ilo_forced_labour_indicators"))
    languages = sorted({m.language for m in messages})
    return "\n\n".join(
        [
            f"{len(messages)} messages, {sum(not m.gold['INDICATOR'] for m in messages)} of them without an indicator.",
            "### Per indicator\n\n"
            + _table("indicator", "INDICATOR", [(c, c, messages) for c in indicators], messages),
            "### Confusion of indicators\n\n" + _confusion(messages, indicators),
            "### Indicators per language\n\n"
            + _table(
                "language",
                "INDICATOR",
                [(x, None, [m for m in messages if m.language == x]) for x in languages],
            ),
            "### Indicators without a language hint\n\n"
            + _table("told", "INDICATOR", [("the language", None, messages), ("nothing", None, unhinted)]),
            "### Per issue\n\n"
            + _table("issue", "ISSUE", [(c, c, messages) for c in codes("issue_codes")], messages),
            "### Severity\n\n" + _severity(messages),
        ]
    )


def _counts(messages: Iterable[Judged], kind: str, code: str | None) -> tuple[int, int, int]:
    """Gold, suggested and both: of one code, or of all."""
    gold = suggested = both = 0
    for m in messages:
        g, s = m.gold[kind], m.suggested[kind]
        if code is not None:
            g, s = g & {code}, s & {code}
        gold, suggested, both = gold + len(g), suggested + len(s), both + len(g & s)
    return gold, suggested, both


def _table(
    head: str,
    kind: str,
    rows: Iterable[tuple[str, str | None, Sequence[Judged]]],
    everything: Sequence[Judged] | None = None,
) -> str:
    lines = [(name, *_counts(messages, kind, code)) for name, code, messages in rows]
    lines = [line for line in lines if line[1] or line[2]]
    if everything is not None:
        lines.append(("**all**", *_counts(everything, kind, None)))
    return _markdown(
        [head, "gold", "suggested", "true positives", "precision", "recall"],
        ((name, g, s, both, _ratio(both, s), _ratio(both, g)) for name, g, s, both in lines),
    )


def _confusion(messages: Sequence[Judged], indicators: list[str]) -> str:
    """For each gold indicator what was suggested: itself, or instead or besides it one that is not gold."""
    cells: Counter[tuple[str, str]] = Counter()
    for m in messages:
        gold, suggested = m.gold["INDICATOR"], m.suggested["INDICATOR"]
        for row in gold or {NONE}:
            cells.update((row, column) for column in suggested - gold | suggested & {row})
            if row not in suggested and (row != NONE or not suggested):
                cells[row, NONE] += 1
    columns = [*indicators, NONE]
    return _markdown(
        ["gold \\ suggested", *columns],
        ([row, *(cells[row, column] or "" for column in columns)] for row in columns),
    )


def _severity(messages: Sequence[Judged]) -> str:
    cells = Counter((_one(m.gold["SEVERITY"]), _one(m.suggested["SEVERITY"])) for m in messages)
    levels = [level for level in codes("severity") if level != "UNKNOWN"] + [NONE]
    return _markdown(
        ["gold \\ suggested", *levels],
        ([row, *(cells[row, column] or "" for column in levels)] for row in levels),
    )


def _one(labels: frozenset[str]) -> str:
    return next(iter(labels), NONE)


def _ratio(part: int, whole: int) -> str:
    return f"{part / whole:.2f}" if whole else "-"


def _markdown(head: Sequence[str], rows: Iterable[Iterable[object]]) -> str:
    def lines() -> Iterator[str]:
        yield "| " + " | ".join(head) + " |"
        yield "|---|" + "---:|" * (len(head) - 1)
        for row in rows:
            yield "| " + " | ".join(map(str, row)) + " |"

    return "\n".join(lines())
