"""Bodies of HTML forms: verified and read by the same code, so that what was signed is what is read."""

from urllib.parse import parse_qsl

from connectors.systems import Delivered

MEDIA_TYPE = "application/x-www-form-urlencoded"
MOST_FIELDS = 1000  # Twilio sends about forty; more is nobody's form


def is_form(delivered: Delivered) -> bool:
    """Tell whether the sender calls it a form."""
    return delivered.content_type.partition(";")[0].strip().lower() == MEDIA_TYPE


def pairs(body: bytes) -> list[tuple[str, str]]:
    """Return names and values in the order they came, with those that are empty.

    Raises:
        ValueError: it is not UTF-8, or has too many fields.
    """
    return parse_qsl(
        body.decode(), keep_blank_values=True, encoding="utf-8", errors="strict", max_num_fields=MOST_FIELDS
    )
