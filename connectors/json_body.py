"""JSON as strangers send it: one way to read it for every system, with its limits."""

import codecs
import math
from collections.abc import Mapping
from typing import Any

import httpx
from pydantic_core import from_json

from connectors.systems import Unreadable

DEEPEST = 100
LARGEST_PAGE = (
    64 * 1024 * 1024
)  # bytes of one answer of a pull; the largest pages of these systems are a few MB


def load(body: bytes) -> Any:
    """Return the value that bytes are.

    Raises:
        Unreadable: ``encoding``, ``syntax`` (NaN and infinity too) or ``depth``.
    """
    body = body.removeprefix(codecs.BOM_UTF8)
    try:
        body.decode()
    except UnicodeDecodeError:
        raise Unreadable("encoding") from None
    try:
        value = from_json(body, allow_inf_nan=False)
    except ValueError as error:
        # The parser's own limit is a little higher than ours; its message names it and nothing of the body.
        raise Unreadable("depth" if "recursion limit" in str(error) else "syntax") from None
    _check(value)
    return value


def _check(value: Any) -> None:
    level = [value]
    for _ in range(DEEPEST + 1):
        if any(isinstance(v, float) and not math.isfinite(v) for v in level):
            raise Unreadable("syntax")  # 1e999 is no number either
        level = [inner for v in level for inner in _inside(v)]
        if not level:
            return
    raise Unreadable("depth")


def _inside(value: Any) -> list[Any]:
    if isinstance(value, dict):
        return list(value.values())
    return value if isinstance(value, list) else []


def objects(value: Any) -> list[dict[str, Any]]:
    """Return a list of objects as it is; raise ``Unreadable`` for anything else."""
    if not isinstance(value, list) or not all(isinstance(v, dict) for v in value):
        raise Unreadable("shape")
    return value


def inside(value: Any, *path: str | int) -> Any:
    """Return what is at a path of keys and places, or None where there is nothing."""
    for step in path:
        if isinstance(value, Mapping) and isinstance(step, str):
            value = value.get(step)
        elif isinstance(value, list) and isinstance(step, int) and step < len(value):
            value = value[step]
        else:
            return None
    return value


def fetch(http: httpx.Client, url: str, params: Mapping[str, str] | None = None) -> bytes:
    """Return the body of an answer, of which no more is read than a page can be.

    Raises:
        httpx.HTTPError: no answer, or one that is no success.
        Unreadable: ``size``.
    """
    with http.stream("GET", url, params=params) as answer:
        answer.raise_for_status()
        body = bytearray()
        for chunk in answer.iter_bytes():
            body += chunk
            if len(body) > LARGEST_PAGE:
                raise Unreadable("size")
    return bytes(body)


def same_server(url: str, base: str) -> str:
    """Return a link to the next page if it leads to the same server, for our login goes with it.

    Raises:
        Unreadable: ``shape``: it leads elsewhere, or is none.
    """
    try:
        one, other = httpx.URL(url), httpx.URL(base)
    except (httpx.InvalidURL, TypeError):
        raise Unreadable("shape") from None
    if (one.scheme, one.host, one.port) != (other.scheme, other.host, other.port):
        raise Unreadable("shape")
    return url
