"""Rotate the key of units: new names for the same workplaces, and what they have spent goes with them.

A new name alone would be a new workplace with a full allowance. So the ledger is renamed in one transaction, the
own week of a unit keeps its first day, and what is still under way under an old name counts under the new one.
"""

import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import closing
from pathlib import Path

from connectors.secrets import adopt_unit_key, master_key, next_unit_key
from schemas.codelists import codes
from schemas.tokens import Tokens


def units(workplace_ids: Iterable[str], sources: Iterable[str]) -> Iterator[tuple[str, str]]:
    """Yield every unit that can be named, as (kind, name): see ``Deidentifier`` for who belongs to which."""
    yield from (("WORKPLACE", workplace_id) for workplace_id in workplace_ids)
    yield from (("REGION_POOL", region) for region in codes("iso3166_2_selected"))
    yield from (("SOURCE_POOL", source) for source in sources)


def renamed(named: Iterable[tuple[str, str]], old: Tokens, new: Tokens) -> dict[str, str]:
    """Return the new name of each unit by its old one."""
    return {old.unit(kind, name): new.unit(kind, name) for kind, name in named}


def finish(home: Path) -> None:
    """Finish a rotation that ended between the ledger and the key: the ledger decides which key is right."""
    journal = home / "journal.db"
    if not (home / "secrets" / "units.key.new").is_file() or not journal.is_file():
        return
    with closing(sqlite3.connect(journal)) as db:
        try:
            row = db.execute("SELECT units FROM node").fetchone()
        except sqlite3.OperationalError:  # a journal from before there were rotations
            return
    if row and row[0] == Tokens(master_key(home), next_unit_key(home)).units_mark():
        adopt_unit_key(home)
