"""Forms that pages send: read up to a limit, and nothing believed of them."""

from collections.abc import Mapping
from urllib.parse import parse_qs

from starlette.requests import Request

from connectors.web.bodies import TooLarge, read_body

Form = Mapping[str, list[str]]
_MOST_BYTES = 64_000
_MOST_FIELDS = 1_000


class BadForm(Exception):
    """What was sent is no form, or too large."""


async def read_form(request: Request) -> Form:
    """Read a form as browsers send it: every name with its values in order.

    Raises:
        BadForm: it cannot be read.
    """
    try:
        raw = await read_body(request, _MOST_BYTES)
        return parse_qs(raw.decode("ascii"), keep_blank_values=True, max_num_fields=_MOST_FIELDS)
    except (TooLarge, ValueError):
        raise BadForm from None


def one(form: Form, name: str) -> str:
    """Return the first value of a name, or nothing."""
    return form.get(name, [""])[0]
