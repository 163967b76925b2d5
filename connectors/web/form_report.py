"""What a worker filled in, as a delivery. Whatever the form does not offer is left out, and no answer is no."""

import hashlib
from collections.abc import Mapping, Sequence
from urllib.parse import parse_qs

from connectors.intake import Delivery, canonical_json
from connectors.sources import Source
from connectors.web.form_words import languages
from schemas.codelists import provinces
from schemas.events import Consent, Narrative, RawReportBody

VERSION = 1
_FIELDS = 60  # more than the form has
_SHORT = 300  # characters of a one-line answer
Answers = Mapping[str, Sequence[str]]


class NoForm(ValueError):
    """The bytes are no form in UTF-8; never says what they are."""


def answers(raw: bytes) -> Answers:
    """Return the fields of a urlencoded form.

    Raises:
        NoForm: it is none.
    """
    try:
        return parse_qs(raw.decode("ascii"), errors="strict", max_num_fields=_FIELDS)
    except ValueError:
        raise NoForm from None


def one(sent: Answers, name: str) -> str:
    """Return a field's only value, or ""."""
    values = sent.get(name, [])
    return values[0].strip() if len(values) == 1 else ""


def delivery(sent: Answers, nonce: str, source: Source, lang: str, country: str) -> Delivery | None:
    """Return the report that was filled in, or None where nothing was told.

    Args:
        sent: the form's fields.
        nonce: of its ticket.
        source: which the form is.
        lang: language in which it was shown.
        country: whose provinces it offers.
    """
    texts = languages()[lang]
    indicators = tuple(code for code in texts["indicators"] if code in sent.get("happens", []))
    story = one(sent, "story")
    if not (indicators or story):
        return None
    province, work, contact = one(sent, "province"), one(sent, "work"), one(sent, "contact")[:_SHORT]
    said = {scope: one(sent, name) for scope, name in SCOPES.items()}
    allowed = tuple(scope for scope, answer in said.items() if answer == "yes")
    consent: Consent = "YES" if allowed else "NO" if set(said.values()) == {"no"} else "UNKNOWN"
    if contact and "CASE_HANDLING" in allowed:  # the form asks for it only of who wants to be contacted
        allowed += ("CONTACT_BACK",)
    body = RawReportBody(
        channel="WEB_FORM",
        language=lang,
        country=country,
        admin1=province if province in provinces(country) else None,
        isic_division=work if work in texts["works"] else None,
        workplace_name=one(sent, "workplace")[:_SHORT] or None,
        safe_contact=contact or None,
        indicators=indicators,
        narratives=(Narrative(key="story", text=story, lang=lang),) if story else (),
        reporter_anonymous=True,
        consent=consent,
        consent_scopes=allowed,
        consent_text_id=f"form/{VERSION}/{lang}",
    )
    payload = canonical_json({"form": VERSION, "nonce": nonce, "lang": lang, "sent": content(sent)})
    return Delivery(
        source=source.name,
        connector="form",
        mapping_id=f"form/{VERSION}",
        verification="UNKNOWN",  # anybody may fill it in
        payload=payload,
        # The content is part of the name: a page that is sent twice with other words is no revision.
        root_id=f"{nonce}/{hashlib.sha256(payload).hexdigest()}",
        body=body,
        test=source.test,
    )


SCOPES = {"AGGREGATE_STATISTICS": "statistics", "CASE_HANDLING": "case"}


def content(sent: Answers) -> dict[str, list[str]]:
    """Return what was told, without what the page itself carries."""
    return {name: list(values) for name, values in sent.items() if name not in ("ticket", "proof")}
