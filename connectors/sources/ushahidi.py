"""Ushahidi: its webhook and its API (v5); both become one shape, with the values by the key of their field.

A record has the post's own fields (``title`` and ``content`` as they are: HTML and entities are for the mapping's
``plain``), and besides

- ``values``: by field key, always a list of plain values;
- ``private``: the keys of the fields that the survey calls private;
- ``categories``: names where the API gives them, ids where the webhook does;
- ``media``: ``{ref, key}`` of every file;
- ``edited``: whether it was changed after it was created.
"""

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

import httpx

from connectors.pulling.asking import ask, ask_one
from connectors.reading.payload import dicts, json_value, without
from connectors.systems import Answers, Delivered, Listed, Page, Pull, Record, System, Unreadable

_LIMIT = 100
_DERIVED = ("post_content", "webhook_uuid", "source_field_key", "destination_field_key", "allowed_privileges")


def _records(delivered: Delivered) -> list[Record]:
    return [_record(post) for post in _posts(json_value(delivered.body))]


def _posts(value: Any) -> list[dict[str, Any]]:
    """Return the posts of a page (``results``), of one asked for (``result``), or of a webhook."""
    if isinstance(value, dict) and "results" in value:
        value = value["results"]
    elif isinstance(value, dict) and "result" in value:
        value = [value["result"]]
    return dicts(value if isinstance(value, list) else [value])


def _record(post: dict[str, Any]) -> Record:
    if isinstance(post.get("id"), bool) or not isinstance(post.get("id"), int | str):
        raise Unreadable("shape")
    fields = [f for task in dicts(post.get("post_content") or []) for f in dicts(task.get("fields") or [])]
    given = post.get("values")
    if not fields and not isinstance(given, dict | list):
        raise Unreadable("shape")
    # PHP writes an empty map as an empty list.
    values = dict(given) if isinstance(given, dict) else {}
    values |= {str(f.get("key")): f.get("value") for f in fields}
    kinds = {str(f.get("key")): f.get("type") for f in fields}
    created, updated = _time(post.get("created")), _time(post.get("updated"))
    return without(post, *_DERIVED) | {
        "values": {k: plain for k, v in values.items() if (plain := _plain(v))},
        "private": [str(f.get("key")) for f in fields if f.get("response_private")],
        "categories": _categories(post),
        "media": [
            {"ref": str(ref), "key": key}
            for key, kind in kinds.items()
            if kind in ("media", "image")
            for ref in _plain(values[key])
        ],
        "created": created,
        "updated": updated,
        "edited": bool(updated and updated != created),
    }


def _plain(value: Any) -> list[Any]:
    """Return the plain values in what a field holds: a value, a list, or objects around either."""
    if value is None or value == "":
        return []
    if isinstance(value, list):
        return [plain for item in value for plain in _plain(item)]
    if isinstance(value, dict):
        if "value" in value:
            return _plain(value["value"])
        return [value["tag"]] if isinstance(value.get("tag"), str) else [value]  # a place is an object
    return [value]


def _categories(post: dict[str, Any]) -> list[str]:
    given = post.get("categories") or post.get("tags") or []
    found = given if isinstance(given, list) else []
    return [str(c.get("tag") or c.get("id")) if isinstance(c, dict) else str(c) for c in found]


def _time(given: Any) -> str | None:
    """Return ISO 8601; the webhook has seconds since 1970, the API has text."""
    if isinstance(given, int | float) and not isinstance(given, bool):
        try:
            return datetime.fromtimestamp(given, UTC).isoformat()
        except (ValueError, OverflowError, OSError):
            raise Unreadable("shape") from None
    return given if isinstance(given, str) and given else None


# The API. `updated_after` alone never lists a post that was not edited, as such a post has no time of its last edit;
# so new posts are read by their ids, and edited ones by that time. The checkpoint is both: `3312 2026-11-18T06:00:00Z`.


def _since(http: httpx.Client, options: Mapping[str, str], checkpoint: str | None) -> Iterator[Page]:
    known, _, edited = (checkpoint or "").partition(" ")
    newest = known
    for posts in _by_id(http, options, known):
        newest = str(max(int(str(p["id"])) for p in posts))
        if not known:  # the first time, edits up to here have been read with their posts
            edited = max([edited, *(_time(p.get("updated")) or "" for p in posts)])
        yield Page(tuple(_record(p) for p in posts), f"{newest} {edited}".strip())
    for posts in _edited(http, options, edited):
        edited = max([edited, *(_time(p.get("updated")) or "" for p in posts)])
        yield Page(tuple(_record(p) for p in posts), f"{newest} {edited}".strip())


def _by_id(http: httpx.Client, options: Mapping[str, str], after: str) -> Iterator[list[dict[str, Any]]]:
    """Yield new posts, oldest first; the place to go on from is an id, which no edit moves."""
    while True:
        query = {"orderby": "id", "order": "asc", "created_after_by_id": after or "0"}
        posts = _page(http, options, query, 1)
        if posts:
            yield posts
        if len(posts) < _LIMIT:
            return
        last = str(max(int(str(p["id"])) for p in posts))
        if last == after:
            raise Unreadable("shape")  # the server does not know this parameter, and would go on for ever
        after = last


def _edited(http: httpx.Client, options: Mapping[str, str], after: str) -> Iterator[list[dict[str, Any]]]:
    """Yield posts edited since, by the time of the edit; a second is read twice, as the limit itself is left out."""
    page = 1
    since = after
    while True:
        query = {"orderby": "updated", "order": "asc", "updated_after": _before(since)}
        posts = _page(http, options, query, page)
        if posts:
            yield posts
        if len(posts) < _LIMIT:
            return
        last = max(_time(p.get("updated")) or "" for p in posts)
        # An edit meanwhile moves a post to the end, and all between one place up: so not the page's number is
        # gone on from but the time, unless the whole page has one and the same.
        since, page = (last, 1) if last > since and _before(last) != _before(since) else (since, page + 1)


def _before(time: str) -> str:
    """Return a second earlier, in the way PHP reads it."""
    try:
        then = datetime.fromisoformat(time) if time else datetime.fromtimestamp(1, UTC)
    except ValueError:
        raise Unreadable("shape") from None
    return datetime.fromtimestamp(int(then.timestamp()) - 1, UTC).isoformat()


def _page(
    http: httpx.Client, options: Mapping[str, str], query: Mapping[str, str], page: int
) -> list[dict[str, Any]]:
    params = {"limit": str(_LIMIT), "page": str(page), "status": "all", **query}
    if options.get("form"):
        params["form"] = options["form"]
    return _posts(ask(http, f"{options['url'].rstrip('/')}/api/v5/posts", params))


def _sweep(http: httpx.Client, options: Mapping[str, str]) -> Iterator[Listed]:
    for posts in _by_id(http, options, ""):
        for post in posts:
            yield Listed(str(post["id"]), _time(post.get("updated")) or _time(post.get("created")) or "")


def _fetch(http: httpx.Client, options: Mapping[str, str], ids: list[str]) -> Iterator[Record]:
    for wanted in ids:
        url = f"{options['url'].rstrip('/')}/api/v5/posts/{int(wanted)}"
        found = ask_one(http, url)
        if found is not None:
            yield from (_record(post) for post in _posts(found))


SYSTEM = System(
    name="ushahidi",
    records=_records,
    schemes=("ushahidi",),
    answers=Answers(
        accepted=200, bad=200, busy=503
    ),  # it never sends anything twice: a pull finds what is missing
    pull=Pull(
        since=_since,
        login=lambda options, secret: {"headers": {"Authorization": f"Bearer {secret}"}},
        sweep=_sweep,
        fetch=_fetch,
    ),
    form="form_id",
)
