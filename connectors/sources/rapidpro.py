"""RapidPro and TextIt: flows and messages, by resthook, by `call_webhook`, by its API.

Whatever the shape, a record has ``kind`` (``run`` or ``message``), ``report_id``, ``urn_scheme``, ``urn_path`` (None
where the workspace is anonymous and masks it), ``anonymous``, and ``attachments`` as objects; a run has ``results`` by
key, each ``{value, category, input}``. The way through the flow's nodes is left out: it says nothing of the report.
"""

import hashlib
import re
from collections.abc import Iterator, Mapping
from typing import Any

import httpx

from connectors.intake import canonical_json
from connectors.pulling.asking import ask, moment
from connectors.reading.payload import dicts, inside, json_value, without
from connectors.systems import Answers, Delivered, Listed, Page, Pull, Record, System, Unreadable

_URL = re.compile(r"^([\w.+-]+/[\w.+-]+|[a-z]+):(https?://.*|/.*)$", re.DOTALL)


def _records(delivered: Delivered) -> list[Record]:
    value = json_value(delivered.body)
    if isinstance(value, dict) and "results" in value and isinstance(value["results"], list):
        value = value["results"]
    return [_record(v) for v in dicts(value if isinstance(value, list) else [value])]


def _record(value: dict[str, Any]) -> Record:
    if "direction" in value and "visibility" in value:
        return value | _who(value.get("urn"), value) | _message(value)
    if isinstance(value.get("values"), dict) and "uuid" in value:
        return without(value, "values", "path") | _who(_urn(value), value) | _run(value)
    if isinstance(value.get("results"), dict) and isinstance(value.get("flow"), dict):
        return without(value, "path") | _who(_urn(value), value) | _sent(value)
    raise Unreadable("shape")


def _results(given: dict[str, Any]) -> dict[str, Any]:
    return {
        key: {name: one.get(name) for name in ("value", "category", "input")}
        for key, one in given.items()
        if isinstance(one, dict)
    }


def _urn(value: dict[str, Any]) -> Any:
    return inside(value, "contact", "urn")


def _who(urn: Any, value: dict[str, Any]) -> dict[str, Any]:
    """Read a URN. Anonymous workspaces mask it (``tel:********``) or leave it out: then there is no identity."""
    scheme, _, path = urn.partition(":") if isinstance(urn, str) else ("", "", "")
    path = path.partition("?")[0].partition("#")[0]
    if not scheme and isinstance(value.get("channel"), dict):
        scheme = inside(value, "input", "urn", "scheme") or ""
    hidden = not path or "***" in path
    return {
        "urn_scheme": scheme or None,
        "urn_path": None if hidden else path,
        "anonymous": hidden,
    }


def _message(value: dict[str, Any]) -> dict[str, Any]:
    return {
        "kind": "message",
        "report_id": str(value["id"]) if value.get("id") is not None else None,
        "attachments": _attachments(value.get("attachments")),
    }


def _run(value: dict[str, Any]) -> dict[str, Any]:
    """Read a run of the API: it has the same results as a resthook has, under other names."""
    return {
        "kind": "run",
        "report_id": value["uuid"],
        "run": {"uuid": value["uuid"], "created_on": value.get("created_on")},
        "results": _results(value["values"]),
        "attachments": [],
    }


def _sent(value: dict[str, Any]) -> dict[str, Any]:
    """Read what a flow sends: a resthook with its run, or the body that `call_webhook` has by default, without.

    The latter has neither an id nor a time, so the same answers of the same contact are the same report.
    """
    run = inside(value, "run", "uuid")
    if run is None:
        what = [inside(value, "contact", "uuid"), inside(value, "flow", "uuid"), value["results"]]
        run = hashlib.sha256(canonical_json(what)).hexdigest()
    return {
        "kind": "run",
        "report_id": run,
        "results": _results(value["results"]),
        "attachments": _attachments(inside(value, "input", "attachments")),
    }


def _attachments(given: Any) -> list[dict[str, Any]]:
    """Return objects, for there are three ways to write one; older versions write ``image/jpeg:https://...``."""
    found = []
    for item in given if isinstance(given, list) else []:
        if isinstance(item, dict):
            found.append({"content_type": item.get("content_type"), "url": item.get("url")})
        elif isinstance(item, str) and (parts := _URL.match(item)):
            found.append({"content_type": parts[1], "url": parts[2]})
    return found


# The API. `folder=incoming` lists messages by when they were changed, deleted ones too; other folders do neither.
# Its lists forget: after 90 days, unless its administrator says otherwise, messages by when they came and runs by when
# they last went on.


def _first(options: Mapping[str, str], after: str | None) -> tuple[str, dict[str, str]]:
    what = options.get("what", "messages")
    params = {"folder": "incoming"} if what == "messages" else {"reverse": "true"}
    if what == "runs" and options.get("flow"):
        params["flow"] = options["flow"]
    if after:
        params["after"] = after
    return f"{options['url'].rstrip('/')}/api/v2/{what}.json", params


def _since(http: httpx.Client, options: Mapping[str, str], checkpoint: str | None) -> Iterator[Page]:
    url, params = _first(options, checkpoint)
    if "reverse" in params:
        for _, _, rows in _walk(http, url, params):
            checkpoint = _newest(rows, checkpoint)
            yield Page(tuple(_record(row) for row in rows), checkpoint or "")
    else:
        yield from _turned_round(http, url, params, checkpoint)


def _turned_round(
    http: httpx.Client, url: str, params: dict[str, str], checkpoint: str | None
) -> Iterator[Page]:
    """Yield messages oldest first, though they are listed newest first, without holding all of them.

    The list is walked once for the places of its pages, and its end is nailed down before: a message changed meanwhile
    moves beyond it, and comes with the next pull instead of being pushed off a page.
    """
    newest = _newest(_rows(ask(http, url, params)), None)
    if newest is None:
        return
    pages = [(place, query) for place, query, _ in _walk(http, url, {**params, "before": newest})]
    for place, query in reversed(pages):
        rows = _rows(ask(http, place, query))
        checkpoint = _newest(rows, checkpoint)
        yield Page(tuple(_record(row) for row in reversed(rows)), checkpoint or "")


def _sweep(http: httpx.Client, options: Mapping[str, str]) -> Iterator[Listed]:
    url, params = _first(options, None)
    for _, _, rows in _walk(http, url, params):
        for row in rows:
            record, changed = _record(row), str(row.get("modified_on") or "")
            at = record.get("created_on") if record["kind"] == "message" else changed
            root = str(record["report_id"] or "")
            yield Listed(root, changed, row.get("visibility") == "deleted", moment(at))


def _walk(
    http: httpx.Client, url: str, params: dict[str, str] | None
) -> Iterator[tuple[str, dict[str, str] | None, list[dict[str, Any]]]]:
    """Yield where each page is and what is on it, as the cursor leads."""
    while True:
        value = ask(http, url, params)
        yield url, params, _rows(value)
        link = value.get("next")
        if not isinstance(link, str) or not link:
            return
        url, params = link, None


def _rows(value: Any) -> list[dict[str, Any]]:
    return dicts(inside(value, "results"))


def _newest(rows: list[dict[str, Any]], before: str | None) -> str | None:
    # Times of one server, all written alike, so that their texts sort as they do.
    return max([before or "", *(str(row.get("modified_on") or "") for row in rows)]) or None


SYSTEM = System(
    name="rapidpro",
    records=_records,
    # A resthook can set no header, so that its secret is in the path; `call_webhook` can.
    schemes=("secret_path", "bearer", "static_header"),
    answers=Answers(accepted=200, bad=200, busy=503),  # never 410: it unsubscribes a resthook
    pull=Pull(
        since=_since,
        login=lambda options, secret: {"headers": {"Authorization": f"Token {secret}"}},
        sweep=_sweep,
        forgets=True,
    ),
    form="flow.uuid",
)
