"""The privacy policy: ``privacy.toml`` read, checked and frozen. Each number of the promise has a name."""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import product
from typing import Any, cast

from schemas.codelists import codes, provinces

# What each dimension of a table may hold, for ever and whatever is reported; see ``Policy.domain``.
OTHER = "OTHER"
ALL = "ALL"
Cell = tuple[str, str, str]  # (indicator, sector, region)


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
        noise_scale: b of the discrete Laplace noise.
        milli_epsilon: loss per unit and own week, thousandths: ``cells * 1000 / noise_scale``.
    """

    name: str
    window_hours: int
    by: tuple[str, ...]
    cells: int
    reserved: int
    noise_scale: int
    milli_epsilon: int

    @property
    def windows_per_year(self) -> int:
        """How many windows a year has."""
        return 365 * 24 // self.window_hours


@dataclass(frozen=True, slots=True)
class Policy:
    """Everything the release promises."""

    profile: str
    country: str
    domain_version: int
    close_offset_seconds: int
    own_week_days: int
    own_weeks_per_year: int
    severe_indicators: frozenset[str]
    tables: tuple[Table, ...]

    @property
    def milli_epsilon_per_own_week(self) -> int:
        """Loss of a workplace over all tables in one own week, thousandths."""
        return sum(t.milli_epsilon for t in self.tables)

    def domain(self, table: Table) -> tuple[Cell, ...]:
        """Return every cell of a table, in the fixed order in which it is released.

        The domain is public and comes from code lists alone, so which cells exist tells nothing.
        """
        values = {
            "indicator": (*codes("ilo_forced_labour_indicators"), OTHER),
            "sector": (*codes("isic4_sections"), OTHER) if "sector" in table.by else (ALL,),
            "region": (*provinces(self.country), OTHER) if "region" in table.by else (ALL,),
        }
        return cast("tuple[Cell, ...]", tuple(product(*values.values())))


_TOP = {
    "domain_version",
    "close_offset_seconds",
    "own_week_days",
    "own_weeks_per_year",
    "severe_indicators",
    "tables",
    "profiles",
}
_TABLE = {"window_hours", "by", "cells", "reserved"}
_NOISE = {"noise_scale", "milli_epsilon"}
_DIMENSIONS = ("indicator", "sector", "region")


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
    if profile not in document["profiles"]:
        raise UnsafePolicy(f"there is no profile {profile!r}; profiles: {', '.join(document['profiles'])}")
    noise = document["profiles"][profile]
    _same(f"profile {profile}", noise, set(document["tables"]))
    if not provinces(country):
        raise UnsafePolicy(f"no provinces are listed for country {country!r}")
    severe = frozenset(document["severe_indicators"])
    unknown = severe - codes("ilo_forced_labour_indicators").keys()
    if unknown:
        raise UnsafePolicy(f"severe_indicators: unknown: {', '.join(sorted(unknown))}")
    return Policy(
        profile=profile,
        country=country,
        domain_version=_count("domain_version", document["domain_version"]),
        close_offset_seconds=_count("close_offset_seconds", document["close_offset_seconds"], least=0),
        own_week_days=_count("own_week_days", document["own_week_days"]),
        own_weeks_per_year=_count("own_weeks_per_year", document["own_weeks_per_year"]),
        severe_indicators=severe,
        tables=tuple(_table(name, table, noise[name]) for name, table in document["tables"].items()),
    )


def _table(name: str, table: Mapping[str, Any], noise: Mapping[str, Any]) -> Table:
    _same(f"tables.{name}", table, _TABLE)
    _same(f"noise of {name}", noise, _NOISE)
    hours = _count(f"{name}.window_hours", table["window_hours"])
    cells = _count(f"{name}.cells", table["cells"])
    reserved = _count(f"{name}.reserved", table["reserved"], least=0)
    scale = _count(f"{name}.noise_scale", noise["noise_scale"])
    loss = _count(f"{name}.milli_epsilon", noise["milli_epsilon"])
    by = tuple(table["by"])
    if 24 % hours:
        raise UnsafePolicy(
            f"{name}.window_hours: {hours} does not divide a day: a window must lie in one day"
        )
    if reserved > cells:
        raise UnsafePolicy(f"{name}.reserved: more than {name}.cells")
    if "indicator" not in by or set(by) - set(_DIMENSIONS) or len(set(by)) != len(by):
        raise UnsafePolicy(f"{name}.by: indicator, and at most sector and region")
    if cells * 1000 != loss * scale:
        raise UnsafePolicy(
            f"{name}: cells * 1000 = {cells * 1000}, but milli_epsilon * noise_scale = {loss * scale}"
        )
    return Table(name, hours, by, cells, reserved, scale, loss)


def _same(what: str, given: Mapping[str, Any], expected: set[str]) -> None:
    if set(given) != expected:
        odd = sorted(set(given) ^ expected)
        raise UnsafePolicy(f"{what}: unknown or missing: {', '.join(odd)}")


def _count(name: str, value: Any, least: int = 1) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or value < least:
        raise UnsafePolicy(f"{name} must be a whole number of {least} or more")
    return value
