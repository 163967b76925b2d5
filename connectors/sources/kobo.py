"""KoboToolbox: REST services (JSON or XML) and the data API.

A REST service fires once, when a submission is created: edits and deletions come only by sweeping. An edit keeps
``_id``, ``meta/rootUuid`` and ``_submission_time`` and changes ``_uuid``, so that no filter by time ever finds it.
"""

import json
from collections.abc import Iterator, Mapping
from typing import Any

import httpx

from connectors.pulling.asking import ask, back
from connectors.reading.payload import dicts, json_value
from connectors.reading.xml_body import is_xml
from connectors.reading.xml_body import load as load_xml
from connectors.systems import Answers, Delivered, Listed, Page, Pull, Record, System, Unreadable

_LIMIT = 1000  # the most that the data API gives at once
_AT_ONCE = 50  # ids in one address
# What the server adds to a submission; a payload template or `subset_fields` may leave some of it.
_MARKS = frozenset(
    {
        "_id",
        "_uuid",
        "_xform_id_string",
        "_submission_time",
        "meta/instanceID",
        "meta/rootUuid",
        "formhub/uuid",
    }
)


def records(delivered: Delivered) -> list[Record]:
    """Return the submissions of a REST service's request, whatever its payload template, or of a data page.

    ``meta/rootUuid`` is filled in where it follows from the other ids: it is the same for all edits.

    Raises:
        Unreadable: encoding, syntax, shape, depth or size.
    """
    if is_xml(delivered.body):
        return [_rooted(record) for record in _from_xml(delivered.body)]
    value = json_value(delivered.body)
    if isinstance(value, dict) and isinstance(value.get("results"), list) and not _MARKS & value.keys():
        return [_rooted(record) for record in dicts(value["results"])]
    if isinstance(value, list):
        return [_rooted(record) for record in dicts(value)]
    if not isinstance(value, dict):
        raise Unreadable("shape")
    # Without a mark it stays as it is: the mapping says that it is of another form, or that its id is missing.
    return [_rooted(record) for record in _wrapped(value) or [value]]


def _wrapped(value: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the submissions inside what a payload template built around them."""
    found: list[dict[str, Any]] = []
    level: list[Any] = [value]
    while level:
        item = level.pop()
        if isinstance(item, dict) and _MARKS & item.keys():
            found.append(item)
        elif isinstance(item, dict | list):
            level += item.values() if isinstance(item, dict) else item
    return found


def _rooted(record: Mapping[str, Any]) -> dict[str, Any]:
    root = record.get("meta/rootUuid")
    if not root and not record.get("meta/deprecatedID"):  # never edited: its first id is its id
        root = record.get("meta/instanceID") or record.get("_uuid")
    # Written with and without the prefix, by versions of the server: one report must have one id.
    return {**record, "meta/rootUuid": _uuid(root)} if isinstance(root, str) and root else dict(record)


def _uuid(text: str) -> str:
    return "uuid:" + text.removeprefix("uuid:")


def _from_xml(raw: bytes) -> Iterator[dict[str, Any]]:
    name, root = load_xml(raw)
    if name == "root" and "results" in root:  # the data API with format=xml
        results = root["results"] if isinstance(root["results"], list) else [root["results"]]
        yield from (_flat(result) for result in dicts(results))
    else:
        yield _flat(root)


def _flat(root: dict[str, Any]) -> dict[str, Any]:
    """Return a submission in XML as the JSON of the data API has it, but for what only the server knows."""
    record = dict(_answers(root, ""))
    instance = record.get("meta/instanceID")
    if isinstance(instance, str):
        record.setdefault("_uuid", instance.removeprefix("uuid:"))
    for name, at in (("_xform_id_string", "@id"), ("__version__", "@version")):
        if isinstance(root.get(at), str):
            record.setdefault(name, root[at])
    return record


def _answers(group: Mapping[str, Any], path: str) -> Iterator[tuple[str, Any]]:
    for name, value in group.items():
        if name.startswith(("@", "#")) or value is None:
            continue
        if isinstance(value, dict):
            yield from _answers(value, f"{path}{name}/")
        elif isinstance(value, list):  # a repeat: its items' keys repeat the whole path
            yield (
                path + name,
                [
                    dict(_answers(item, f"{path}{name}/")) if isinstance(item, dict) else item
                    for item in value
                ],
            )
        else:
            yield path + name, value


def _ask(http: httpx.Client, options: Mapping[str, str], query: Any, **more: str) -> list[dict[str, Any]]:
    params = {"format": "json", "query": json.dumps(query), "sort": '{"_id": 1}', **more}
    page = ask(http, options["url"], params)
    if not isinstance(page, dict):
        raise Unreadable("shape")
    return dicts(page.get("results"))


def _walk(
    http: httpx.Client, options: Mapping[str, str], query: Mapping[str, Any], **more: str
) -> Iterator[list[dict[str, Any]]]:
    # From id to id and not by `start`: a row deleted meanwhile would move the others up and hide one of them.
    limit = int(options.get("page_size", _LIMIT))
    last = -1
    while True:
        rows = _ask(http, options, {**query, "_id": {"$gt": last}}, limit=str(limit), **more)
        if rows:
            yield rows
        ids = [row.get("_id") for row in rows]
        if not all(isinstance(i, int) and i > last for i in ids):
            raise Unreadable("shape")
        if len(rows) < limit:
            return
        last = max(i for i in ids if isinstance(i, int))


def since(http: httpx.Client, options: Mapping[str, str], checkpoint: str | None) -> Iterator[Page]:
    """Yield new submissions, oldest first; ``url`` is the address of the asset's data, ``.../assets/UID/data/``."""
    query = {}
    if checkpoint:
        query["_submission_time"] = {"$gte": back(checkpoint).strftime("%Y-%m-%dT%H:%M:%S")}
    reached = checkpoint or ""
    for rows in _walk(http, options, query):
        reached = max(reached, *(str(row.get("_submission_time") or "") for row in rows))
        yield Page(tuple(_rooted(row) for row in rows), reached)


def sweep(http: httpx.Client, options: Mapping[str, str]) -> Iterator[Listed]:
    """Yield the ids of every submission; one that was deleted is simply not there."""
    for rows in _walk(http, options, {}, fields='["_id", "_uuid", "meta/rootUuid"]'):
        for row in map(_rooted, rows):
            yield Listed(str(row.get("meta/rootUuid") or ""), str(row.get("_uuid") or ""))


def fetch(http: httpx.Client, options: Mapping[str, str], root_ids: list[str]) -> Iterator[Record]:
    """Yield these submissions as they are now."""
    for start in range(0, len(root_ids), _AT_ONCE):
        some = root_ids[start : start + _AT_ONCE]
        bare = [i.removeprefix("uuid:") for i in some]
        either = [{"meta/rootUuid": {"$in": some + bare}}, {"_uuid": {"$in": bare}}]
        yield from map(_rooted, _ask(http, options, {"$or": either}, limit=str(_LIMIT)))


def login(options: Mapping[str, str], secret: str) -> Mapping[str, Any]:
    """Return the header that carries the API key of an account which may view the project's submissions."""
    return {"headers": {"Authorization": f"Token {secret}"}}


SYSTEM = System(
    "kobo",
    records,
    ("static_header", "basic", "bearer", "secret_path"),
    # Any other answer than 502 to 504 is final there: the submission would never come again.
    Answers(accepted=200, bad=200, busy=503),
    Pull(since, login, sweep, fetch),
    form="_xform_id_string",
)
