"""Grants: who may read what on a ClickHouse server; ``chorus migrate --grants`` applies them. chDB has no users."""

import re
from collections.abc import Iterator
from importlib.resources import files

ROLES = ("chorus_release", "chorus_watch", "chorus_cases_keeper", "chorus_cases", "chorus_analyst")


def grants() -> Iterator[str]:
    """Yield the statements of ``schemas/clickhouse/grants.sql``; to run them again changes nothing."""
    sql = (files("schemas.clickhouse") / "grants.sql").read_text(encoding="utf-8")
    for statement in re.sub(r"^--.*$", "", sql, flags=re.MULTILINE).split(";\n"):
        if statement.strip():
            yield statement.strip()
