"""The register of workplaces the operator has verified: names and aliases to one id.

Only a workplace of the register is a privacy unit of its own; otherwise anybody could invent workplaces and
escape the caps.
"""

import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from streams.steps.known import KnownNames

LONGEST = 8_000
"""Code points of a text in which names are looked for: the same as de-identification reads."""

COLUMNS = ("workplace_id", "name", "aliases", "country", "admin1", "isic_division")


class BadRegister(ValueError):
    """A register that cannot be used; the message gives the line, never a name."""


@dataclass(frozen=True, slots=True)
class Workplace:
    """A verified workplace."""

    workplace_id: str = field(repr=False)
    admin1: str = field(repr=False)
    isic_division: str = field(repr=False)


class Register:
    """Look workplaces up by any of their names, or in what somebody tells."""

    def __init__(self, rows: Iterable[Mapping[str, str | None]] = ()) -> None:
        """Read rows with the columns of ``COLUMNS``; aliases are separated by ``;``.

        Raises:
            BadRegister: a column is missing, or two workplaces share a name.
        """
        self._by_name: dict[str, Workplace] = {}
        names: list[tuple[str, Workplace]] = []
        for line, row in enumerate(rows, 2):
            told = {column: value for column in COLUMNS if (value := row.get(column)) is not None}
            if len(told) < len(COLUMNS):
                raise BadRegister(f"line {line}: the columns are {', '.join(COLUMNS)}")
            workplace = Workplace(told["workplace_id"], told["admin1"], told["isic_division"])
            for name in (told["name"], *told["aliases"].split(";")):
                key = normal(name)
                names.append((name, workplace))
                if key and self._by_name.setdefault(key, workplace).workplace_id != workplace.workplace_id:
                    raise BadRegister(f"line {line}: a name of this workplace is another's already")

        self._names = KnownNames(names)

    def find(self, name: str | None) -> Workplace | None:
        """Return the workplace of that name, or None."""
        return self._by_name.get(normal(name)) if name else None

    def mentioned(self, texts: Iterable[str]) -> Workplace | None:
        """Return the workplace that the texts name, if they name one and no other."""
        found = (
            {one for text in texts for _, _, one in self._names.find(text[:LONGEST])} if self._names else ()
        )
        return next(iter(found)) if len(found) == 1 else None

    def ids(self) -> set[str]:
        """Return the id of every workplace."""
        return {workplace.workplace_id for workplace in self._by_name.values()}

    def __len__(self) -> int:
        """Return how many names there are."""
        return len(self._by_name)


def normal(name: str) -> str:
    """Fold a name: compatibility forms, case, spaces and punctuation make no difference."""
    folded = unicodedata.normalize("NFKC", name).casefold()
    return "".join(c for c in folded if unicodedata.category(c)[0] in "LMN")
