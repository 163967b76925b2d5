"""What a mapping says of the table its rows come in, as ``connectors/tables`` takes it."""

from collections.abc import Mapping
from typing import Any

from connectors.files.tables.shape import Options, name_of
from connectors.mapping import Mapped
from connectors.reading.functions import compiled


def options_of(mapping: Mapped | None) -> Options:
    """Return the ``table`` block of a mapping, its country, and the names of the columns that it reads."""
    if mapping is None:
        return Options()
    block: Mapping[str, Any] = mapping.document.get("table") or {}
    country = mapping.document["fields"].get("country") or {}
    skip = compiled(block["skip_if"]) if block.get("skip_if") else None
    return Options(
        sheet=block.get("sheet"),
        header_rows=block.get("header_rows"),
        encoding=block.get("encoding"),
        delimiter=block.get("delimiter"),
        columns=tuple(block.get("columns") or ()),
        skip=(lambda row: bool(skip.search(row))) if skip else None,
        country=country.get("const"),
        expected=frozenset(name_of(chain[0]) for chain in mapping.reads.places),
    )
