"""How large a record may be: what is beyond is refused before anybody reads it."""

from math import isfinite
from typing import Any

MAX_DEPTH = 100
MAX_VALUES = 100_000
MAX_CHARACTERS = 4_000_000


class Beyond(Exception):
    """A record that is too deep or too large or no JSON; the message says which: ``depth``, ``size``, ``value``, ``form``."""


def check(record: Any) -> None:
    """Raise ``Beyond`` if a record is not an object, too deep, too large, or holds a number that JSON has not."""
    if not isinstance(record, dict):
        raise Beyond("form")
    level: list[Any] = [record]
    values = characters = 0
    for _ in range(MAX_DEPTH):
        inner: list[Any] = []
        values += len(level)
        if values > MAX_VALUES:
            raise Beyond("size")
        for value in level:
            if isinstance(value, dict):
                characters += sum(map(len, value))
                inner += value.values()
            elif isinstance(value, list):
                inner += value
            elif isinstance(value, str):
                characters += len(value)
            elif isinstance(value, float) and not isfinite(value):
                raise Beyond("value")
        if characters > MAX_CHARACTERS:
            raise Beyond("size")
        if not inner:
            return
        level = inner
    raise Beyond("depth")
