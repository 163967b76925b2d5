"""Drift: how much of a record its mapping reads. A form that somebody changes shows here before it hurts."""

from collections.abc import Mapping
from itertools import islice
from typing import Any

import jmespath
from jmespath.exceptions import JMESPathError

from connectors.intake import Read
from connectors.mapping import Mapped
from connectors.reading.paths import unread
from schemas.events import RawReportBody

_MOST_NAMES = 200  # of one record; a payload with more keys that nobody reads is not a form


def read(mapping: Mapped, record: Mapping[str, Any], body: RawReportBody | None) -> Read | None:
    """Return how much of a record its mapping reads; None of one that became no report."""
    if body is None:
        return None
    left, count = unread(record, mapping.reads)
    names = tuple(islice(left, _MOST_NAMES))
    return Read(count + len(left), count, names, _form_known(mapping, record))


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
