"""Scaffolding: a first mapping, guessed from the names and the shape of one sample record.

Only names of questions are written, and the id of the form; never an answer, for a sample is somebody's report. A
guess is marked as one. What could not be guessed is listed, so that nothing is left out unseen.
"""

import csv
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cache
from importlib.resources import files
from typing import Any

import jmespath

from connectors.systems import Record, System

_PLAIN = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_MOST = 300  # leaves


@dataclass(frozen=True, slots=True)
class Leaf:
    """A place in a record: its JMESPath, the words of its name, and what kind of value lies there."""

    path: str
    words: str
    kind: str
    rule: str = ""


@dataclass(frozen=True, slots=True)
class _Guess:
    """A target, the rule it gets, the words that point to it, and the kinds of value that fit."""

    target: str
    rule: str
    words: str
    kinds: str


@cache
def _guesses() -> tuple[_Guess, ...]:
    """Read the guesses: looked through from the top; each target is taken once, by the first leaf that fits."""
    text = (files("connectors.mappings") / "guesses.csv").read_text(encoding="utf-8")
    return tuple(_Guess(**row) for row in csv.DictReader(text.splitlines()))


# Names that servers and telephones give, and not the form.
_OF_SERVERS = re.compile(r"\b(instance|edits?|status|version|quality|sim ?id|is deleted)\b")
_NEEDED = ("consent", "admin1", "narrative")


def leaves(record: Record) -> Iterator[Leaf]:
    """Yield the places of a record where a value lies, with at most 300 of them."""
    found = _walk(record, "", "")
    yield from (leaf for leaf, _ in zip(found, range(_MOST), strict=False))


def _walk(value: Any, path: str, name: str) -> Iterator[Leaf]:
    if isinstance(value, Mapping) and value:
        for key, inner in value.items():
            step = key if _PLAIN.fullmatch(key) else json.dumps(key, ensure_ascii=False)
            yield from _walk(inner, f"{path}.{step}" if path else step, f"{name} {key}")
    elif isinstance(value, list) and any(isinstance(item, Mapping) for item in value):
        yield Leaf(path, _words(name), "objects")
    else:
        yield Leaf(path, _words(name), _kind(value))


def _words(name: str) -> str:
    apart = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", name)
    return re.sub(r"[\W_]+", " ", apart).strip().lower()


def _kind(value: Any) -> str:
    if isinstance(value, bool):
        return "bool"
    if isinstance(value, int | float):
        return "number"
    if isinstance(value, list):
        return "list"
    text = str(value or "").strip()
    if not text:
        return "empty"
    if re.fullmatch(r"\d{4}-\d\d-\d\d([T ].*)?|\d{1,2}[/.]\d{1,2}[/.]\d{2,4}.*", text):
        return "time"
    if re.fullmatch(r"[+(]?\d[\d ().-]{7,}", text):
        return "phone"
    if re.fullmatch(r"[\d.,]+", text):
        return "number"
    return "text"


def guess(found: list[Leaf]) -> dict[str, Leaf]:
    """Return per target the place it is probably told in.

    The last words of a name weigh most: in ``worker/phone`` it is ``phone`` that counts.
    """
    taken: dict[str, Leaf] = {}
    left = [
        leaf for leaf in found if leaf.kind not in ("objects", "empty") and not _OF_SERVERS.search(leaf.words)
    ]
    for how in (r"{0}", r"(?:.* )?(?:{0})", r"(?:.* )?(?:{0})(?: .*)?"):
        for one in _guesses():
            if one.target in taken:
                continue
            pattern = re.compile(how.format(f"(?:{one.words})"))
            kinds = {*one.kinds.split()}
            kinds |= {"list"} if "text" in kinds else set()  # of a list its first, where one answer is meant
            leaf = next((x for x in left if x.kind in kinds and pattern.fullmatch(x.words)), None)
            if leaf:
                first = "[0]" if leaf.kind == "list" and "list" not in one.kinds else ""
                taken[one.target] = replace(leaf, path=leaf.path + first, rule=one.rule)
                left.remove(leaf)
    return taken


def scaffold(
    name: str,
    system: System | None,
    record: Record,
    like: Mapping[str, Any] | None = None,
    tz: str = "UTC",
    country: str = "TH",
) -> str:
    """Return the YAML of a first mapping.

    Args:
        name: of the mapping.
        system: whose record it is; None for a row of a file.
        record: the sample.
        like: a mapping of another form of this system, from which comes what all its forms share.
        tz: the time zone of times without one.
        country: ISO 3166-1 of its provinces.
    """
    found = list(leaves(record))
    guessed = guess(found)
    used = {leaf.path.removesuffix("[0]") for leaf in guessed.values()}
    rest = [leaf.path for leaf in found if leaf.path not in used]
    shared = {key: (like or {}).get(key) for key in ("id", "op", "fetch_if", "attachments")}
    shared["id"] = shared["id"] or {"root": _id(found), "version": None}
    lines = [
        "# A first mapping, guessed from the names of a sample's fields: look at every line, then take this one away.",
        f"# `chorus source check SAMPLE --mapping {name}` shows what becomes of a report.",
        f"mapping: {name}",
        "version: 1",
        f"connector: {system.name if system else 'file'}",
        f"when: {_quoted(_when(system, record, found))}",
        f"require: [{', '.join(_quoted(guessed[t].path) for t in _NEEDED[1:] if t in guessed)}]",
        f"min_mapped_share: {len(used) / 2 / max(1, len(found)):.2f}",  # half of what the sample has
        *(f"{key}: {_flow(value)}" for key, value in shared.items() if value),
        "fields:",
        f"  channel: {{const: {_CHANNEL.get(system.name, 'ENUMERATOR') if system else 'IN_PERSON'}}}",
        f"  country: {{const: {country}}}",
    ]
    for target, leaf in guessed.items():
        if leaf.rule:
            zone = f", tz: {tz}" if leaf.rule == "as: datetime" else ""
            rule = leaf.rule.replace("country: TH", f"country: {country}")
            split = ", split: ' '" if target == "indicators" and leaf.kind == "text" else ""
            lines.append(f"  {target}: {{path: {_quoted(leaf.path)}, {rule}{zone}{split}}}  # guessed")
    story = guessed.get("narrative")
    lines.append(f"narratives: {{story: {_quoted(story.path)}}}  # guessed" if story else "narratives: {}")
    if story:
        lines.append(f"hold_if: {_quoted(f'withdraws({story.path})')}")
    lines += _consent(guessed)
    lines += ["attachments_policy: list_only", "unmapped: seal"]
    if rest:
        lines += [
            "# Nobody reads these yet; they are sealed with the report:",
            *(f"#   {path}" for path in rest),
        ]
    return "\n".join([*lines, ""])


_CHANNEL = {
    "twilio": "SMS",
    "rapidpro": "SMS",
    "connect": "VOICE_CALL",
    "typeform": "WEB_FORM",
    "globaleaks": "WEB_FORM",
    "ushahidi": "WEB_FORM",
    "primero": "CASE_SYSTEM",
    "email": "EMAIL",
}


def _consent(guessed: Mapping[str, Leaf]) -> list[str]:
    answer, scopes = guessed.get("consent"), guessed.get("scopes")
    lines = ["consent:"]
    if answer is None:
        lines.append(
            "  # No question of consent was found. Without a yes nothing counts: name the question here."
        )
    lines += [
        f"  path: {_quoted(answer.path) if answer else 'consent'}",
        '  map: {"yes": "YES", "no": "NO", "true": "YES", "false": "NO", "1": "YES", "0": "NO"}  # what they answer',
    ]
    if scopes:
        lines += [
            f"  scopes_path: {_quoted(f'split({scopes.path}, ` `)') if scopes.kind == 'text' else scopes.path}"
        ]
        lines += ["  scopes_map: {}  # their words for AGGREGATE_STATISTICS, CASE_HANDLING, ..."]
    else:
        lines += ["  scopes: [AGGREGATE_STATISTICS]  # what a yes includes: read the wording of the question"]
    return lines


def _when(system: System | None, record: Record, found: list[Leaf]) -> str:
    """Return what tells this form from others: its id where the system has one, else names of its questions."""
    if system and system.form:
        form = jmespath.search(system.form, record)
        if isinstance(form, str | int):
            return f"{system.form} == {_literal(form)}"
    names = [key for key in record if not key.startswith("_")][:3]
    return " && ".join(f"contains(keys(@), {_literal(key)})" for key in names) or "`true`"


def _literal(value: str | int) -> str:
    # Backticks hold a JSON literal; only these need escaping inside.
    return "`" + json.dumps(value, ensure_ascii=False).replace("`", "\\`") + "`"


def _id(found: list[Leaf]) -> str:
    for pattern in (r"(?:.* )?(?:uuid|guid|instance id|token)", r"(?:.* )?(?:id|ref|ref no|number|no|key)"):
        for leaf in found:
            if re.fullmatch(pattern, leaf.words):
                return leaf.path
    return "id"


def _flow(value: Any) -> str:
    # JSON is YAML's flow style.
    return json.dumps(value, ensure_ascii=False)


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)
