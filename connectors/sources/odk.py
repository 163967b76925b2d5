"""ODK Central: OData pull, and the submission webhook of hotosm's central-webhook.

``__id`` is the first instance id of a submission and stays over its edits. A row of the OData feed is the model; a
submission in XML is brought into the same shape. What an encrypted project gives (``notDecrypted``) holds no answer:
its rows carry a ``status`` in ``__system``, for which mappings refuse them.
"""

from collections.abc import Iterator, Mapping
from datetime import datetime
from itertools import chain
from typing import Any
from urllib.parse import parse_qs, quote, urlsplit

import httpx

from connectors.pulling.asking import ask, ask_one, back, moment, oldest_first, user_and_password
from connectors.reading.payload import dicts, json_value
from connectors.reading.xml_body import is_xml
from connectors.reading.xml_body import load as load_xml
from connectors.systems import Delivered, Listed, Page, Pull, Record, System, Unreadable

_TOP = 250
_TOUCHED = (
    "submissionDate",
    "updatedAt",
    "deletedAt",
)  # in __system; an edit sets the second, a deletion the third


def records(delivered: Delivered) -> list[Record]:
    """Return the rows of an OData document, or the submission of a webhook's request or of a file in XML.

    A webhook's request without the submission (a review, an edit that is only announced) gives ``__id`` and
    ``__announced``: the mapping's ``fetch_if`` has it fetched.

    Raises:
        Unreadable: encoding, syntax, shape, depth or size.
    """
    if is_xml(delivered.body):
        return [_from_xml(delivered.body, None)]
    value = json_value(delivered.body)
    if isinstance(value, list):
        return list(dicts(value))
    if not isinstance(value, dict):
        raise Unreadable("shape")
    if "__id" in value:
        return [value]
    if "value" in value:
        return list(dicts(value["value"]))
    if isinstance(value.get("type"), str) and isinstance(value.get("data"), dict):
        return [_announced(value)]
    raise Unreadable("shape")


def _announced(event: Mapping[str, Any]) -> dict[str, Any]:
    root = event.get("id") if isinstance(event.get("id"), str) and event.get("id") else None
    if not str(event["type"]).startswith("submission."):  # an entity: a list of things, not a report
        raise Unreadable("shape")
    xml = event["data"].get("xml")
    if isinstance(xml, str) and xml.strip():
        return _from_xml(xml.encode("utf-8", "replace"), root)
    if root is None:
        raise Unreadable("shape")
    return {"__id": root, "__announced": True}


def _from_xml(raw: bytes, root_id: str | None) -> dict[str, Any]:
    """Return a submission in XML as a row; what only the server knows (when it came) is missing."""
    _, root = load_xml(raw)
    meta = root.get("meta") if isinstance(root.get("meta"), dict) else {}
    instance = meta.get("instanceID") if isinstance(meta, dict) else None
    before = meta.get("deprecatedID") if isinstance(meta, dict) else None
    if "base64EncryptedKey" in root or "encryptedXmlFile" in root:
        return {"__id": root_id or instance, "__system": {"status": "notDecrypted"}}
    answers = _answers(root)
    system = {"formVersion": root.get("@version"), "edits": 1 if before else 0}
    return {"__id": root_id or before or instance, "__system": system, **answers}


def _answers(value: Any) -> Any:
    if isinstance(value, dict):
        return {k: _answers(v) for k, v in value.items() if not k.startswith(("@", "#"))}
    return [_answers(item) for item in value] if isinstance(value, list) else value


def _walk(http: httpx.Client, options: Mapping[str, str], **params: str) -> Iterator[list[dict[str, Any]]]:
    """Yield all pages of rows: the newest first, stable while others arrive."""
    known: set[str] = set()
    asked = {"$top": str(options.get("page_size", _TOP)), **params}
    while True:
        document = ask(http, options["url"], asked)
        if not isinstance(document, dict):
            raise Unreadable("shape")
        yield dicts(document.get("value"))
        link = document.get("@odata.nextLink")
        if not link:
            return
        # Only the token is taken from the link: it could lead our login to another host.
        token = parse_qs(urlsplit(str(link)).query).get("$skiptoken", [""])[0]
        if not token or token in known:
            raise Unreadable("shape")
        known.add(token)
        asked = {**asked, "$skiptoken": token}


def _touched(row: Mapping[str, Any]) -> datetime:
    return max(moment(_system(row)[name]) for name in _TOUCHED if _system(row).get(name))


def _system(row: Mapping[str, Any]) -> Mapping[str, Any]:
    system = row.get("__system")
    if not (isinstance(system, dict) and system.get("submissionDate")):
        raise Unreadable("shape")
    return system


def since(http: httpx.Client, options: Mapping[str, str], checkpoint: str | None) -> Iterator[Page]:
    """Yield what was sent, edited or deleted, oldest first.

    ``url`` is the address of the form's submissions, ``.../projects/7/forms/NAME.svc/Submissions``.
    """
    params = {"$expand": "*"}
    if checkpoint:
        start = back(checkpoint).strftime("%Y-%m-%dT%H:%M:%S.000Z")
        # Deleted rows are left out unless the filter names them, and only for as long as they are not purged.
        params["$filter"] = " or ".join(f"__system/{name} ge {start}" for name in _TOUCHED)
    pages = _walk(http, options, **params)
    first = next(pages)
    # What arrives while the other pages are read is on none of them, however late the edits that these hold.
    newest = max(map(_touched, first), default=None)
    rows = chain(first, chain.from_iterable(pages))
    yield from oldest_first(((_touched(row), row) for row in rows), not_after=newest)


def sweep(http: httpx.Client, options: Mapping[str, str]) -> Iterator[Listed]:
    """Yield the id and the time of the last edit of every submission; one that was deleted is not there."""
    for row in chain.from_iterable(_walk(http, options, **{"$select": "__id,__system"})):
        system = _system(row)
        yield Listed(str(row.get("__id") or ""), str(system.get("updatedAt") or system["submissionDate"]))


def fetch(http: httpx.Client, options: Mapping[str, str], root_ids: list[str]) -> Iterator[Record]:
    """Yield these submissions as they are now."""
    for root_id in root_ids:
        key = quote(root_id.replace("'", "''"), safe="'")
        document = ask_one(http, f"{options['url']}('{key}')", {"$expand": "*"})
        if isinstance(document, dict):
            yield from dicts(document.get("value"))


def login(options: Mapping[str, str], secret: str) -> Mapping[str, Any]:
    """Return the login of a web user with the role Project Viewer, ``address:password``."""
    return {"auth": user_and_password(secret)}


SYSTEM = System(
    "odk",
    records,
    ("static_header", "secret_path"),
    pull=Pull(since, login, sweep=sweep, fetch=fetch),
    header="x-api-key",
)
