"""Drift: how much of a record its mapping reads. A form that somebody changes shows here before it hurts."""

from collections.abc import Mapping
from typing import Any

import jmespath
from jmespath.exceptions import JMESPathError

from connectors.intake import Read
from connectors.mapping import Mapped
from schemas.events import RawReportBody

_MOST_NAMES = 200  # of one record; a payload with more keys that nobody reads is not a form


def read(mapping: Mapped, record: Mapping[str, Any], body: RawReportBody | None) -> Read | None:
    """Return how much of a record was read, or None where the mapping drops what it does not read."""
    known = _form_known(mapping, record)
    if body is None or mapping.document.get("unmapped", "seal") != "seal":
        return Read(0, 0, form_known=known) if known is not None else None
    # A key inside a group is named by its path; the group is one of the record's keys.
    unread = {part for name in body.unmapped for part in (name, name.partition(".")[0])}
    filled = [key for key, value in record.items() if value not in (None, "", [], {})]
    left = [str(key) for key in filled if key in unread]
    return Read(len(filled), len(filled) - len(left), tuple(left[:_MOST_NAMES]), known)


def _form_known(mapping: Mapped, record: Mapping[str, Any]) -> bool | None:
    """Tell whether the form is of a version the mapping knows; None where the mapping or the record do not say."""
    rule = mapping.document.get("form_version")
    if not isinstance(rule, Mapping) or not rule.get("known"):
        return None
    try:
        version = jmespath.search(str(rule.get("path")), record)
    except JMESPathError:
        return None
    return None if version is None else str(version) in {str(known) for known in rule["known"]}
