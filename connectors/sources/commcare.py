"""CommCare HQ: data forwarding of forms (JSON, XML, form stubs) and the form list.

A form keeps its ``id`` over edits; archiving it says that it does not count. A form in XML is brought into the shape
of the JSON. Forwarded cases are not forms and no reports: their mapping has another `when`.
"""

from collections.abc import Iterator, Mapping
from datetime import timedelta
from typing import Any
from urllib.parse import parse_qs, quote, urlsplit

import httpx

from connectors.pulling.asking import ask, ask_one, back, user_and_password
from connectors.reading.payload import dicts, json_value
from connectors.reading.xml_body import is_xml
from connectors.reading.xml_body import load as load_xml
from connectors.systems import Answers, Delivered, Listed, Page, Pull, Record, System, Unreadable

_LIMIT = 1000  # the most that the list gives at once
# When the search index was written differs between forwarding and list: one form must stay one content.
_NOT_CONTENT = ("indexed_on", "resource_uri")


def records(delivered: Delivered) -> list[Record]:
    """Return the forms of a forwarded request or of a page of the list.

    A form stub names a form without its answers: it comes as ``id``, ``received_on`` and ``form_stub``.

    Raises:
        Unreadable: encoding, syntax, shape, depth or size.
    """
    if is_xml(delivered.body):
        return [_from_xml(delivered)]
    value = json_value(delivered.body)
    if isinstance(value, dict) and "objects" in value:
        return [_form(form) for form in dicts(value["objects"])]
    if isinstance(value, list):
        return [_form(form) for form in dicts(value)]
    if not isinstance(value, dict):
        raise Unreadable("shape")
    return [_form(value)]


def _form(form: Record) -> dict[str, Any]:
    if "form_id" in form and "form" not in form:
        return {"id": form["form_id"], "received_on": form.get("received_on"), "form_stub": True}
    return {name: value for name, value in form.items() if name not in _NOT_CONTENT}


def _from_xml(delivered: Delivered) -> dict[str, Any]:
    name, root = load_xml(delivered.body)
    meta = root.get("meta")
    if not isinstance(meta, dict):
        raise Unreadable("shape")
    query = parse_qs(urlsplit(delivered.url).query)
    return {
        "id": meta.get("instanceID"),
        "app_id": query.get("app_id", [None])[0],
        "received_on": delivered.headers.get("received-on"),
        "archived": False,
        # The server keeps the first id for the edited form, but the XML is as the telephone sent it.
        "edited_on": None,
        "metadata": meta,
        "form": {"#type": name, **root},
    }


def _walk(
    http: httpx.Client, options: Mapping[str, str], start: str | None
) -> Iterator[list[dict[str, Any]]]:
    """Yield pages of forms by the time they were last indexed, oldest first, archived ones too.

    From time to time and not by offset: a form edited meanwhile moves to the end, and would move one over the edge
    of a page.
    """
    limit = int(options.get("page_size", _LIMIT))
    offset = 0
    while True:
        params = {
            "limit": str(limit),
            "offset": str(offset),
            "order_by": "indexed_on",
            "include_archived": "true",
        }
        params |= {name: options[name] for name in ("xmlns", "app_id") if name in options}
        if start:
            params["indexed_on_start"] = start
        page = ask(http, options["url"], params)
        if not isinstance(page, dict):
            raise Unreadable("shape")
        forms = dicts(page.get("objects"))
        if forms:
            yield forms
        if len(forms) < limit:
            return
        last = back(_indexed(forms[-1]), by=timedelta()).strftime("%Y-%m-%dT%H:%M:%S")
        offset = offset + limit if last == start else 0  # more in one second than a page holds
        start = last


def _indexed(form: Mapping[str, Any]) -> str:
    return str(form.get("indexed_on") or form.get("server_modified_on") or form.get("received_on") or "")


def since(http: httpx.Client, options: Mapping[str, str], checkpoint: str | None) -> Iterator[Page]:
    """Yield forms that were sent, edited or archived, oldest first.

    ``url`` is the address of the list, ``.../a/DOMAIN/api/form/v1/``; ``xmlns`` and ``app_id`` restrict it to one
    form.
    """
    start = back(checkpoint).strftime("%Y-%m-%dT%H:%M:%S") if checkpoint else None
    for forms in _walk(http, options, start):
        yield Page(tuple(_form(form) for form in forms), _indexed(forms[-1]))


def sweep(http: httpx.Client, options: Mapping[str, str]) -> Iterator[Listed]:
    """Yield every form's id, last change, and whether it is archived; the list has no shorter answer."""
    seen: dict[str, str] = {}
    for forms in _walk(http, options, None):
        for form in forms:
            listed = Listed(str(form.get("id") or ""), _version(form), form.get("archived") in (True, "true"))
            if (
                seen.get(listed.root_id) != listed.version
            ):  # the last second of a page is the next one's first
                seen[listed.root_id] = listed.version
                yield listed


def _version(form: Mapping[str, Any]) -> str:
    return str(form.get("server_modified_on") or form.get("received_on") or "")


def fetch(http: httpx.Client, options: Mapping[str, str], root_ids: list[str]) -> Iterator[Record]:
    """Yield these forms as they are now."""
    for root_id in root_ids:
        form = ask_one(http, f"{options['url'].rstrip('/')}/{quote(root_id, safe='')}/")
        if isinstance(form, dict):
            yield _form(form)


def login(options: Mapping[str, str], secret: str) -> Mapping[str, Any]:
    """Return the header that carries ``user:API key`` of a user who may read data."""
    user, key = user_and_password(secret)
    return {"headers": {"Authorization": f"ApiKey {user}:{key}"}}


SYSTEM = System(
    "commcare",
    records,
    ("basic", "bearer", "static_header", "secret_path"),
    # 422 is final and their administrator sees it; other errors come again after an hour and more.
    Answers(accepted=200, bad=422, busy=503),
    Pull(since, login, sweep, fetch),
    form='form."@xmlns"',
)
