"""What the manifest says must not leak is in no contribution and no case, whatever the worker agreed to."""

from __future__ import annotations

from dataclasses import replace

import pytest
from intake_fixtures import INTAKE, MANIFEST, delivered, loaded, taken
from test_deidentify import BOTH, an_envelope

from connectors.files.submit import read
from connectors.intake import Delivery
from connectors.sources import Source
from schemas.codec import Codec
from schemas.tokens import Tokens
from streams.reading import reader
from streams.recognizers import build_redactor
from streams.steps.deidentify import Deidentifier
from streams.steps.lexicon import read as read_lexicons
from streams.steps.register import Register
from streams.steps.suggest import Suggester

SYSTEMS = {
    "rapidpro__resthook_flow_results.json": "rapidpro_grievance",
    "rapidpro__api_messages_page.json": "rapidpro_messages",
    "twilio__sms_inbound.txt": "twilio_hotline",
    "twilio__voice_inbound.txt": "twilio_hotline",
    "twilio__whatsapp_inbound.txt": "twilio_hotline",
    "ushahidi__webhook_post.json": "ushahidi_report",
    "ushahidi__v5_posts_page.json": "ushahidi_report",
    "typeform__webhook.json": "typeform_complaint",
    "globaleaks__rtip_detail.json": "globaleaks_report",
    "connect__contact_record.json": "connect_contact",
    "kobo__webhook_new.json": "kobo_grievance",
    "kobo__data_api_page.json": "kobo_grievance",
    "odk__odata_page1.json": "odk_grievance",
    "commcare__form_forward.json": "commcare_grievance",
    "primero__webhook_incident.json": "primero_incident",
    "primero__api_cases_page.json": "primero_case",
    "surveycto__wide.json": "surveycto_grievance",
}
FILES = {
    "cdr__generic.csv": "cdr_generic",
    "register__union_complaints.csv": "union_complaints",
    "register__hotline_register.xlsx": "hotline_register",
    "email__plain.eml": "email_complaint",
    "email__html_th.eml": "email_complaint",
}


@pytest.fixture(scope="module")
def deidentifier() -> Deidentifier:
    tokens = Tokens(bytes(32))
    return Deidentifier(tokens, Register(()), "TH", reader(build_redactor(), Suggester(read_lexicons())))


def test_no_fixture_with_such_words_is_left_out() -> None:
    # The list of GlobaLeaks only says what to fetch.
    assert SYSTEMS.keys() | FILES.keys() == {
        name for name, entry in MANIFEST.items() if entry.get("must_not_leak")
    }


@pytest.mark.parametrize("name", [*SYSTEMS, *FILES])
def test_nothing_leaks_into_a_contribution_or_a_case(
    name: str, deidentifier: Deidentifier, codec: Codec
) -> None:
    canaries = MANIFEST[name]["must_not_leak"]
    told = " ".join(str(t.body.unmapped) + t.payload.decode() for t in reports(name))
    assert any(c in told for c in canaries), "the fixture does not hold what it says must not leak"
    for one in reports(name):
        # As if every worker had agreed to everything: what was not agreed to must not be safe by that alone.
        envelope = replace(an_envelope(), consent="YES", consent_scopes=BOTH, op=one.op)
        for event in (deidentifier.contribution(envelope, one.body), deidentifier.case(envelope, one.body)):
            written = codec.encode(event)
            for canary in canaries:
                assert canary.encode() not in written
                assert canary.lower() not in written.decode("utf-8", "replace").lower()


def reports(name: str) -> list[Delivery]:
    if name in FILES:
        mapped = loaded(FILES[name])
        got = list(read(INTAKE / name, Source("hotline", connector=mapped.connector), mapped))
    else:
        got = taken(SYSTEMS[name], delivered(name))
    return [t for t in got if isinstance(t, Delivery) and t.body]
