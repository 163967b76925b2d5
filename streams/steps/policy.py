"""The privacy policy: ``privacy.toml`` read, checked and frozen. Each number of the promise has a name."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from itertools import product
from typing import Any, cast

from schemas.codelists import codes, provinces
from streams.steps.noise import MECHANISMS, Mechanism, Noise

# What each dimension of a table may hold, for ever and whatever is reported; see ``Policy.domain``.
OTHER = "OTHER"
ALL = "ALL"
Cell = tuple[str, str, str]  # (indicator, sector, region)

# Beyond this loss per own week the word "private" would mislead: e^4 is odds of 55 to 1.
MOST_MILLI_EPSILON = 4000
MOST_MICRO_RHO = 2_000_000


class UnsafePolicy(ValueError):
    """A policy that is unknown, impossible or unsafe; the message says which setting and why."""


@dataclass(frozen=True, slots=True)
class Table:
    """One released table.

    Attributes:
        name: its name in ``privacy.toml``.
        window_hours: length of a window, hours; divides a day.
        by: dimensions, of ``indicator``, ``sector`` and ``region``.
        cells: most distinct cells a unit adds to in an own week, 1 each: the L1 sensitivity.
        reserved: how many of those only severe reports may take.
        noise_scale: b of the discrete Laplace noise, or sigma of the discrete Gaussian.
        milli_epsilon: loss per unit and own week, thousandths of epsilon; 0 where the noise is Gaussian.
        mechanism: which noise.
        micro_rho: with Gaussian noise, the loss per unit and own week, millionths of rho (zCDP).
    """

    name: str
    window_hours: int
    by: tuple[str, ...]
    cells: int
    reserved: int
    noise_scale: int
    milli_epsilon: int
    mechanism: Mechanism = "discrete_laplace"
    micro_rho: int = 0

    @property
    def windows_per_year(self) -> int:
        """How many windows a year has."""
        return 365 * 24 // self.window_hours

    @property
    def noise(self) -> Noise:
        """The noise of every cell."""
        return Noise(self.mechanism, self.noise_scale)

    @property
    def loss(self) -> int:
        """The promised loss in the mechanism's own whole unit: milli-epsilon or micro-rho."""
        return self.milli_epsilon if self.mechanism == "discrete_laplace" else self.micro_rho


@dataclass(frozen=True, slots=True)
class Policy:
    """Everything the release promises.

    Attributes:
        codes: per dimension, the codes of the domain, without ``OTHER``.
    """

    profile: str
    country: str
    domain_version: int
    close_offset_seconds: int
    publish_offset_seconds: int
    own_week_days: int
    own_weeks_per_year: int
    severe_indicators: frozenset[str]
    tables: tuple[Table, ...]
    codes: Mapping[str, tuple[str, ...]] = field(repr=False, default_factory=dict)

    @property
    def own_weeks_in_a_year(self) -> int:
        """How many own weeks make one block of the yearly cap."""
        return 365 // self.own_week_days

    @property
    def milli_epsilon_per_own_week(self) -> int:
        """Loss of a workplace over the tables with Laplace noise in one own week, thousandths of epsilon."""
        return sum(t.milli_epsilon for t in self.tables)

    @property
    def micro_rho_per_own_week(self) -> int:
        """Loss of a workplace over the tables with Gaussian noise in one own week, millionths of rho."""
        return sum(t.micro_rho for t in self.tables)

    def domain(self, table: Table) -> tuple[Cell, ...]:
        """Return every cell of a table, in the fixed order in which it is released.

        The domain is public and comes from configuration and code lists alone, so which cells exist tells
        nothing.
        """
        values = {
            name: (*self.codes[name], OTHER) if name in table.by else (ALL,)
            for name in ("indicator", "sector", "region")
        }
        return cast("tuple[Cell, ...]", tuple(product(*values.values())))


_TOP = {
    "close_offset_seconds",
    "publish_offset_seconds",
    "own_week_days",
    "own_weeks_per_year",
    "severe_indicators",
    "domain",
    "tables",
    "profiles",
}
_DOMAIN = {"version", "indicators", "sectors", "regions"}
_TABLE = {"window_hours", "by", "cells", "reserved"}
_NOISE: dict[str, set[str]] = {
    "discrete_laplace": {"noise_scale", "milli_epsilon"},
    "discrete_gaussian": {"noise_scale", "micro_rho"},
}
_DIMENSIONS = ("indicator", "sector", "region")
_NAME = re.compile(r"[a-z][a-z0-9_]{0,39}")


def parse(document: Mapping[str, Any], profile: str, country: str) -> Policy:
    """Build a policy from a parsed ``privacy.toml``.

    Args:
        document: the parsed file.
        profile: name of the profile to use.
        country: ISO 3166-1 alpha-2 code whose provinces are the places of the domain.

    Raises:
        UnsafePolicy: with the setting and the reason.
    """
    _same("privacy.toml", document, _TOP)
    for name in ("domain", "tables", "profiles"):
        _mapping(name, document[name])
    if profile not in document["profiles"]:
        raise UnsafePolicy(f"there is no profile {profile!r}; profiles: {', '.join(document['profiles'])}")
    if not document["tables"]:
        raise UnsafePolicy("tables: at least one, or nothing is released")
    # Every profile is checked, also those that are not in use: a mistake should not wait for the day of change.
    for name, noise in document["profiles"].items():
        _same(f"profile {name}", _mapping(f"profile {name}", noise), set(document["tables"]))
        _profile(name, [_table(t, spec, noise[t]) for t, spec in document["tables"].items()])
    lists = _domain(document["domain"], country)
    days = _count("own_week_days", document["own_week_days"])
    if days > 28:
        raise UnsafePolicy(f"own_week_days: {days} is more than 28: a workplace would be silent for too long")
    weeks = _count("own_weeks_per_year", document["own_weeks_per_year"])
    if weeks > 365 // days:
        raise UnsafePolicy(f"own_weeks_per_year: a year has {365 // days} own weeks of {days} days")
    close = _count("close_offset_seconds", document["close_offset_seconds"], least=0)
    publish = _count("publish_offset_seconds", document["publish_offset_seconds"])
    if not close < publish <= 3600:
        raise UnsafePolicy(
            "publish_offset_seconds must be more than close_offset_seconds, or the time that counting takes shows;"
            " and at most an hour"
        )
    return Policy(
        profile=profile,
        country=country,
        domain_version=_count("domain.version", document["domain"]["version"]),
        close_offset_seconds=close,
        publish_offset_seconds=publish,
        own_week_days=days,
        own_weeks_per_year=weeks,
        severe_indicators=frozenset(
            _codes("severe_indicators", document["severe_indicators"], lists["indicator"])
        ),
        tables=tuple(
            _table(name, spec, document["profiles"][profile][name])
            for name, spec in document["tables"].items()
        ),
        codes=lists,
    )


def _domain(given: Mapping[str, Any], country: str) -> dict[str, tuple[str, ...]]:
    _same("domain", given, _DOMAIN)
    if not provinces(country):
        raise UnsafePolicy(f"no provinces are listed for country {country!r}")
    known = {
        "indicator": tuple(codes("ilo_forced_labour_indicators")),
        "sector": tuple(codes("isic4_sections")),
        "region": provinces(country),
    }
    return {
        name: all_of if given[f"{name}s"] == "ALL" else _codes(f"domain.{name}s", given[f"{name}s"], all_of)
        for name, all_of in known.items()
    }


def _codes(name: str, given: Any, known: Iterable[str]) -> tuple[str, ...]:
    if not isinstance(given, list) or not all(isinstance(code, str) for code in given):
        raise UnsafePolicy(f"{name} must be a list of codes")
    if unknown := sorted(set(given) - set(known)):
        raise UnsafePolicy(f"{name}: unknown: {', '.join(unknown)}")
    if twice := sorted({code for code in given if given.count(code) > 1}):
        raise UnsafePolicy(f"{name}: more than once, so that its cells would be, too: {', '.join(twice)}")
    return tuple(given)


def _profile(name: str, tables: list[Table]) -> None:
    """Refuse tables that are sound one by one and unsafe together."""
    mechanisms = {t.mechanism for t in tables}
    if len(mechanisms) > 1:
        raise UnsafePolicy(f"profile {name}: one mechanism for all tables: their losses must add up")
    epsilon, rho = sum(t.milli_epsilon for t in tables), sum(t.micro_rho for t in tables)
    if epsilon > MOST_MILLI_EPSILON or rho > MOST_MICRO_RHO:
        raise UnsafePolicy(
            f"profile {name}: the tables together lose more than epsilon {MOST_MILLI_EPSILON / 1000:g} (rho "
            f"{MOST_MICRO_RHO / 1_000_000:g}) per own week: that protects nobody"
        )
    daily = {t.noise for t in tables if t.window_hours == 24}
    if len(daily) > 1:
        raise UnsafePolicy(f"profile {name}: daily tables need one noise_scale: they are watched together")


def _table(name: str, table: Any, noise: Any) -> Table:
    if not _NAME.fullmatch(name):
        raise UnsafePolicy("tables: a name is lower-case letters, digits and underscores, 40 at most")
    _same(f"tables.{name}", _mapping(f"tables.{name}", table), _TABLE)
    mechanism = _mapping(f"noise of {name}", noise).get("mechanism", "discrete_laplace")
    if mechanism not in MECHANISMS:
        raise UnsafePolicy(f"{name}.mechanism: one of {', '.join(MECHANISMS)}")
    _same(f"noise of {name}", {k: v for k, v in noise.items() if k != "mechanism"}, _NOISE[mechanism])
    hours = _count(f"{name}.window_hours", table["window_hours"])
    cells = _count(f"{name}.cells", table["cells"])
    reserved = _count(f"{name}.reserved", table["reserved"], least=0)
    scale = _count(f"{name}.noise_scale", noise["noise_scale"])
    promised = "milli_epsilon" if mechanism == "discrete_laplace" else "micro_rho"
    loss = _count(f"{name}.{promised}", noise[promised])
    by = tuple(str(name) for name in table["by"]) if isinstance(table["by"], list) else ()
    if 24 % hours:
        raise UnsafePolicy(
            f"{name}.window_hours: {hours} does not divide a day: a window must lie in one day"
        )
    if reserved >= cells and reserved:
        raise UnsafePolicy(f"{name}.reserved: must leave at least one of {name}.cells to other reports")
    if "indicator" not in by or set(by) - set(_DIMENSIONS) or len(set(by)) != len(by):
        raise UnsafePolicy(f"{name}.by: indicator, and at most sector and region")
    spent, kept = (
        (cells * 1000, loss * scale)
        if mechanism == "discrete_laplace"
        else (cells * 1_000_000, loss * 2 * scale**2)
    )
    if spent != kept:
        law = (
            "cells * 1000 = {}, but milli_epsilon * noise_scale = {}"
            if mechanism == "discrete_laplace"
            else "cells * 1000000 = {}, but micro_rho * 2 * noise_scale^2 = {}"
        )
        raise UnsafePolicy(f"{name}: {law.format(spent, kept)}")
    return Table(
        name,
        hours,
        by,
        cells,
        reserved,
        scale,
        milli_epsilon=loss if mechanism == "discrete_laplace" else 0,
        mechanism=mechanism,
        micro_rho=loss if mechanism == "discrete_gaussian" else 0,
    )


def _mapping(name: str, given: Any) -> Mapping[str, Any]:
    if not isinstance(given, Mapping):
        raise UnsafePolicy(f"{name} must be a table of settings")
    return given


def _same(what: str, given: Mapping[str, Any], expected: set[str]) -> None:
    if set(given) != expected:
        odd = sorted(set(given) ^ expected)
        raise UnsafePolicy(f"{what}: unknown or missing: {', '.join(odd)}")


def _count(name: str, value: Any, least: int = 1) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or value < least:
        raise UnsafePolicy(f"{name} must be a whole number of {least} or more")
    return value
