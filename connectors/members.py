"""Members: the people who sign in, the organisations they belong to, and what each organisation sees first.

One SQLite file, ``members.db``. Passwords are kept as scrypt hashes (RFC 7914) only. A name of a member is a name that
the organisation gave a colleague, shown to nobody outside it: in what others see there are organisations only.
"""

import hashlib
import hmac
import json
import re
import secrets
import threading
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from connectors.sqlite import open_database
from schemas.codelists import codes

ROLES = {
    "WATCH": "sees what its organisation watches",
    "ACT": "acknowledges, assigns and closes alerts",
    "CASES": "reads the cases its organisation holds",
    "DISCLOSE": "asks for, or agrees to, the disclosure of an original report",
}
ALL, OTHER = "ALL", "OTHER"
_NAME = re.compile(r"[a-z][a-z0-9_.-]{0,39}")
_DDL = """
CREATE TABLE IF NOT EXISTS organisations (name TEXT PRIMARY KEY, label TEXT NOT NULL, language TEXT NOT NULL,
  scope TEXT NOT NULL, sources TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS members (name TEXT PRIMARY KEY, organisation TEXT NOT NULL REFERENCES organisations (name),
  roles TEXT NOT NULL, salt BLOB NOT NULL, hash BLOB NOT NULL, version INTEGER NOT NULL) WITHOUT ROWID;
"""


class BadMember(ValueError):
    """A name, role, code or language is none; the message says which are."""


@dataclass(frozen=True, slots=True)
class Scope:
    """What an organisation watches: codes of each kind; an empty set is every code.

    Attributes:
        indicators: ILO indicators.
        sectors: ISIC sections.
        regions: ISO 3166-2 provinces.
    """

    indicators: frozenset[str] = frozenset()
    sectors: frozenset[str] = frozenset()
    regions: frozenset[str] = frozenset()

    def __post_init__(self) -> None:
        """Refuse codes that are none.

        Raises:
            BadMember: naming the first.
        """
        lists = ("ilo_forced_labour_indicators", "isic4_sections", "iso3166_2_selected")
        for chosen, name in zip((self.indicators, self.sectors, self.regions), lists, strict=True):
            if unknown := sorted(chosen - {*codes(name), OTHER}):
                raise BadMember(f"{unknown[0]!r} is no code of {name}")

    def covers(self, row: Mapping[str, Any]) -> bool:
        """Tell whether a row's ``indicator``, ``sector`` and ``region`` lie within; ALL lies within everything."""
        asked = (
            (self.indicators, "indicator"),
            (self.sectors, "sector"),
            (self.regions, "region"),
        )
        return all(not chosen or row[field] == ALL or row[field] in chosen for chosen, field in asked)


@dataclass(frozen=True, slots=True)
class Organisation:
    """An organisation that signs in.

    Attributes:
        name: short and unchanging: what others see of it is this.
        label: its name for people.
        language: BCP 47 tag of the language it reads.
        scope: what it watches.
        sources: the sources whose cases it holds.
    """

    name: str
    label: str
    language: str = "en"
    scope: Scope = Scope()
    sources: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Member:
    """Somebody who signs in.

    Attributes:
        name: unique on this node.
        organisation: theirs.
        roles: some of ``ROLES``.
        version: of the password: a session of an older one has ended.
    """

    name: str
    organisation: Organisation
    roles: frozenset[str]
    version: int


class Directory:
    """Organisations and members. Safe to share between threads; processes may share the file."""

    def __init__(self, path: Path) -> None:
        """Open the file at ``path``."""
        self._db, self._lock = open_database(path, _DDL), threading.Lock()

    def add_organisation(self, organisation: Organisation) -> None:
        """Add an organisation, or change what is known of it.

        Raises:
            BadMember: its name is none.
        """
        _named(organisation.name)
        if not re.fullmatch(r"[a-z]{2,3}", organisation.language):
            raise BadMember("a language is two or three letters, such as th")
        scope = {field: sorted(chosen) for field, chosen in asdict(organisation.scope).items()}
        row = (
            organisation.name,
            organisation.label.strip()[:80] or organisation.name,
            organisation.language,
            json.dumps(scope),
            json.dumps(organisation.sources),
        )
        with self._lock, self._db.write():
            self._db.execute(
                "INSERT INTO organisations VALUES (?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET label = excluded.label,"
                " language = excluded.language, scope = excluded.scope, sources = excluded.sources",
                row,
            )

    def add_member(self, organisation: str, name: str, roles: Iterable[str]) -> str:
        """Add a member, or give one a new password and these roles; every session of theirs ends.

        Returns:
            The password, 120 random bits: it is nowhere else.

        Raises:
            BadMember: a name or role is none, or the member belongs to another organisation.
        """
        chosen = sorted(set(roles))
        if unknown := [role for role in chosen if role not in ROLES]:
            raise BadMember(f"{unknown[0]!r} is no role: {', '.join(ROLES)}")
        _named(name)
        password, salt = secrets.token_urlsafe(15), secrets.token_bytes(16)
        row = (name, organisation, json.dumps(chosen), salt, _slow(password, salt))
        with self._lock, self._db.write():
            if not self._db.one("SELECT 1 FROM organisations WHERE name = ?", organisation):
                raise BadMember("there is no such organisation: `chorus member organisation` adds one")
            there = self._db.one("SELECT organisation FROM members WHERE name = ?", name)
            if there and there[0] != organisation:
                raise BadMember("a member of this name belongs to another organisation")
            self._db.execute(
                "INSERT INTO members VALUES (?, ?, ?, ?, ?, 1) ON CONFLICT DO UPDATE SET roles = excluded.roles,"
                " salt = excluded.salt, hash = excluded.hash, version = version + 1",
                row,
            )
        return password

    def remove(self, name: str) -> bool:
        """Remove a member; tell whether there was one. Their sessions end."""
        with self._lock, self._db.write():
            return self._db.execute("DELETE FROM members WHERE name = ?", (name,)).rowcount > 0

    def sign_in(self, name: str, password: str) -> Member | None:
        """Return the member whose password this is. It takes as long for a name that is none."""
        with self._lock:
            row = self._db.one("SELECT salt, hash FROM members WHERE name = ?", name)
        salt, wanted = row or (bytes(16), bytes(32))
        right = hmac.compare_digest(_slow(password, salt), wanted)
        return self.get(name) if row and right else None

    def get(self, name: str) -> Member | None:
        """Return a member, or None."""
        with self._lock:
            row = self._db.one(
                f"SELECT {_COLUMNS} FROM members AS m JOIN organisations AS o ON o.name = m.organisation"  # noqa: S608
                " WHERE m.name = ?",
                name,
            )
        return _member(row) if row else None

    def members(self) -> list[Member]:
        """Return every member, by organisation."""
        with self._lock:
            rows = self._db.all(
                f"SELECT {_COLUMNS} FROM members AS m JOIN organisations AS o ON o.name = m.organisation"  # noqa: S608
                " ORDER BY o.name, m.name"
            )
        return [_member(row) for row in rows]

    def organisations(self) -> list[Organisation]:
        """Return every organisation, by name."""
        with self._lock:
            rows = self._db.all(
                "SELECT name, label, language, scope, sources FROM organisations ORDER BY name"
            )
        return [_organisation(row) for row in rows]


_COLUMNS = "m.name, m.roles, m.version, o.name, o.label, o.language, o.scope, o.sources"


def _member(row: tuple[Any, ...]) -> Member:
    name, roles, version, *organisation = row
    return Member(name, _organisation(tuple(organisation)), frozenset(json.loads(roles)), version)


def _organisation(row: tuple[Any, ...]) -> Organisation:
    name, label, language, scope, sources = row
    kept = {field: frozenset(chosen) for field, chosen in json.loads(scope).items()}
    return Organisation(name, label, language, Scope(**kept), tuple(json.loads(sources)))


def _named(name: str) -> None:
    if not _NAME.fullmatch(name):
        raise BadMember(
            "a name is lower-case letters, digits, full stops, hyphens and underscores, 40 at most"
        )


def _slow(password: str, salt: bytes) -> bytes:
    # 16 MiB and some 50 ms: sign-ins are rare and braked, and a leaked file must not be guessed through.
    return hashlib.scrypt(password.encode(errors="replace"), salt=salt, n=2**14, r=8, p=1, dklen=32)
