"""The words by which a complaint shows: a text file per language, with issue codes as headings.

docs/suggestions.md is for whoever adds phrases. This module reads the files into values; the step
`suggest` matches them. Reading happens once, when a node starts.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.resources import files
from itertools import product

from schemas.codelists import codes

_WORDS = re.compile(r"words ([a-z_]+)")
_GROUP = re.compile(r"\{([a-z_]+)\}")
_PLAIN = ("negation before", "negation after", "harmless")


class BadLexicon(ValueError):
    """A lexicon file that says something nobody can follow; names the language and the line."""


@dataclass(frozen=True, slots=True)
class Rule:
    """Phrases that together are evidence of an issue.

    ``parts``: for each part the phrases of which one must be there. ``ordered``: in this order.
    """

    issue: str
    parts: tuple[tuple[str, ...], ...]
    ordered: bool


@dataclass(frozen=True, slots=True)
class Lexicon:
    """What one language's file says.

    ``harmless``: longer words in which a phrase or a negation hides and means nothing. ``examples`` are for the tests: a text and the
    issues it must give.
    """

    language: str
    rules: tuple[Rule, ...]
    negation_before: tuple[str, ...]
    negation_after: tuple[str, ...]
    harmless: tuple[str, ...]
    examples: tuple[tuple[str, frozenset[str]], ...]


def parse(language: str, content: str) -> Lexicon:
    """Read the content of a lexicon file.

    Raises:
        BadLexicon: an unknown heading, issue or group of words, or a part without words.
    """
    groups: dict[str, tuple[str, ...]] = {}
    rules: list[Rule] = []
    plain: dict[str, list[str]] = {name: [] for name in _PLAIN}
    examples: list[tuple[str, frozenset[str]]] = []
    for number, heading, line in _lines(content):
        where = f"{language}.txt, line {number}"
        if heading in codes("issue_codes"):
            rules.append(_rule(heading, line, groups, where))
        elif heading in _PLAIN:
            plain[heading] += _alternatives(line)
        elif heading == "examples":
            text, arrow, issues = line.rpartition("=>")
            if not arrow or not set(issues.split()) <= codes("issue_codes").keys():
                raise BadLexicon(f"{where}: an example is `text => ISSUE ISSUE`")
            examples.append((text.strip(), frozenset(issues.split())))
        elif words := _WORDS.fullmatch(heading):
            groups[words[1]] = groups.get(words[1], ()) + _phrases(line, groups, where)
        else:
            raise BadLexicon(f"{where}: no such heading")
    return Lexicon(
        language,
        tuple(rules),
        tuple(plain["negation before"]),
        tuple(plain["negation after"]),
        tuple(plain["harmless"]),
        tuple(examples),
    )


def read() -> tuple[Lexicon, ...]:
    """Read every ``<language>.txt`` of this folder, in alphabetical order.

    Raises:
        BadLexicon: as `parse`.
    """
    found = sorted((f for f in files(__name__).iterdir() if f.name.endswith(".txt")), key=lambda f: f.name)
    return tuple(parse(file.name.removesuffix(".txt"), file.read_text(encoding="utf-8")) for file in found)


def _lines(content: str) -> Iterator[tuple[int, str, str]]:
    heading = ""
    for number, raw in enumerate(content.splitlines(), 1):
        line = raw.partition("#")[0].strip()
        if line.startswith("["):
            heading = line.strip("[]")
        elif line:
            yield number, heading, line


def _alternatives(text: str) -> tuple[str, ...]:
    return tuple(phrase.strip() for phrase in text.split("|") if phrase.strip())


def _phrases(text: str, groups: dict[str, tuple[str, ...]], where: str) -> tuple[str, ...]:
    """The alternatives of a text, with every group of words in them replaced by each of its words."""
    unknown = set(_GROUP.findall(text)) - groups.keys()
    if unknown:
        raise BadLexicon(f"{where}: no words {{{min(unknown)}}} above this line")
    found: list[str] = []
    for phrase in _alternatives(text):
        choices = [groups[t] if i % 2 else (t,) for i, t in enumerate(_GROUP.split(phrase))]
        found += ("".join(chosen) for chosen in product(*choices))
    if not found:
        raise BadLexicon(f"{where}: a part without words")
    return tuple(dict.fromkeys(found))


def _rule(issue: str, line: str, groups: dict[str, tuple[str, ...]], where: str) -> Rule:
    if "..." in line and "&" in line:
        raise BadLexicon(f"{where}: either `...` or `&`")
    parts = tuple(_phrases(text, groups, where) for text in re.split(r"\.\.\.|&", line))
    return Rule(issue, parts, "&" not in line)
