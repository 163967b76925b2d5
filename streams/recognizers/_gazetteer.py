"""The deployment's own names: employers, agencies, vessels, dormitories, villages that the operator has listed.

CSV files with the columns ``kind``, ``name`` and ``aliases`` (separated by ``;``), never in git, read again when they
change. The register of workplaces counts as such a file.
"""

import csv
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

from streams.recognizers._finder import Finder, Found
from streams.recognizers._lexicon import COMPANY_HEAD, INDUSTRY, WORKPLACE, WORKPLACE_AFTER, Lexicon
from streams.recognizers._reading import Reading
from streams.steps.known import BadGazetteer, KnownNames

KINDS = {
    "EMPLOYER": "ORGANIZATION",
    "AGENCY": "ORGANIZATION",
    "VESSEL": "VEHICLE_ID",
    "DORMITORY": "LOCATION",
    "VILLAGE": "LOCATION",
    "PLACE": "LOCATION",
    "PERSON": "PERSON",
}
"""Kind of a listed name -> Presidio entity."""

_GENERIC = COMPANY_HEAD | INDUSTRY | WORKPLACE | WORKPLACE_AFTER
_PAUSE = 1.0  # seconds between two looks at the files


def read_names(paths: Iterable[Path]) -> Iterator[tuple[str, str]]:
    """(name, Presidio entity) of every name and alias in the files.

    Raises:
        BadGazetteer: a file is no CSV in UTF-8, a column is missing, or a kind is unknown.
    """
    for path in paths:
        for line, row in enumerate(_rows(path), 2):
            kind = "EMPLOYER" if "workplace_id" in row else (row.get("kind") or "").strip().upper()
            if kind not in KINDS or not row.get("name"):
                raise BadGazetteer(
                    f"{path.name}, line {line}: columns are kind, name, aliases; kinds {', '.join(KINDS)}"
                )
            for name in (row["name"], *(row.get("aliases") or "").split(";")):
                yield name, KINDS[kind]


def _rows(path: Path) -> list[dict[str, str]]:
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            return list(csv.DictReader(file))
    except (UnicodeError, csv.Error):
        pass  # the error holds what stands in the file
    raise BadGazetteer(f"{path.name}: not CSV in UTF-8")


def distinctive(name: str, lexicon: Lexicon) -> str:
    """A firm's name without the generic words at its ends: how people say it."""
    words = name.replace(",", " ").replace(".", " ").split()

    def generic(word: str) -> bool:
        return any(
            bits & _GENERIC and len(phrase) == 1 for phrase, bits in lexicon.cues.get(word.lower(), ())
        )

    while len(words) > 1 and generic(words[-1]):
        words.pop()
    while len(words) > 1 and generic(words[0]):
        words.pop(0)
    return " ".join(words)


class Gazetteer:
    """The names of some files, read again when a file changes."""

    def __init__(self, paths: Callable[[], Sequence[Path]], lexicon: Lexicon) -> None:
        """``paths``: the files as they are now; ``lexicon`` tells which words of a firm's name are generic.

        Raises:
            BadGazetteer: a file cannot be used.
        """
        self._paths, self._lexicon = paths, lexicon
        self._lock = threading.Lock()
        self._looked = time.monotonic()
        self._stamp = self._stamps()
        self._known = self._read()

    @property
    def known(self) -> KnownNames[str]:
        """The names as they are now. A changed file that cannot be used leaves the names as they were."""
        if time.monotonic() - self._looked >= _PAUSE:
            with self._lock:
                self._looked = time.monotonic()
                stamp = self._stamps()
                if stamp != self._stamp:
                    self._stamp = stamp
                    try:
                        self._known = self._read()
                    except (BadGazetteer, OSError):
                        self._stamp = ()  # try again at the next look
        return self._known

    def _stamps(self) -> tuple[tuple[str, int, int], ...]:
        return tuple((str(path), path.stat().st_mtime_ns, path.stat().st_size) for path in self._paths())

    def _read(self) -> KnownNames[str]:
        names = dict(read_names(self._paths()))
        shorter = {
            distinctive(name, self._lexicon): kind for name, kind in names.items() if kind == "ORGANIZATION"
        }
        return KnownNames((shorter | names).items())


class Known(Finder):
    """Names of the gazetteer."""

    ENTITIES = ("ORGANIZATION", "VEHICLE_ID", "LOCATION", "PERSON")

    def __init__(self, language: str, gazetteer: Gazetteer) -> None:
        """Serve one language; all share one gazetteer."""
        super().__init__(language)
        self._gazetteer = gazetteer

    def find(self, reading: Reading) -> Iterator[Found]:
        """See the class."""
        return self._gazetteer.known.find(reading.text)
