"""From bytes on the topic to one outcome: a contribution and perhaps a case, or a dead letter that says why."""

import struct
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from uuid import uuid4

import pytest

from connectors.keystore import KeyMissing
from connectors.seal import Unsealable, seal, unseal
from schemas.codelists import codes
from schemas.events import DeadLetter, Narrative, RawReportBody, SealedReport
from streams.steps.deidentify import Deidentifier, Words
from streams.steps.open import open_body, open_envelope
from streams.steps.receive import Receiver
from streams.steps.refuse import Coordinates, Refused
from streams.steps.register import Register

RECEIVED = datetime(2026, 3, 10, 9, 41, 7, tzinfo=UTC)
AT = Coordinates("chorus.reports.sealed.v1", 2, 77, RECEIVED)
SAID = b"my name is Somchai"
BODY = RawReportBody(
    country="TH", indicators=("DEB",), language="en", narratives=(Narrative(key="story", text=SAID.decode()),)
)


@pytest.fixture
def open_sealed(keys):
    """Unseal as the composition root does."""

    def act(report):
        try:
            return unseal(report, keys.key(report.key_ref))
        except KeyMissing:
            raise Refused("KEY_MISSING", "open") from None
        except Unsealable:
            raise Refused("UNSEALABLE", "open") from None

    return act


@pytest.fixture
def receiver(tokens, codec, keys, open_sealed):
    def bury(letter, data):
        ((ref, key),) = keys.add("dead_letters", 1)
        return seal(replace(letter, key_ref=ref), data, key)

    deidentifier = Deidentifier(tokens, Register(), "TH")
    return Receiver(codec, lambda: deidentifier, read_all, open_sealed, bury)


def read_all(texts):
    return [Words("<TEXT>") for _ in texts]


def receive(receiver, data):
    (outcome,) = receiver.receive([(data, AT)])
    return outcome


@pytest.fixture
def a_report(keys, codec):
    """Return a function that seals a report; ``raw`` stands in for an encoded body."""

    def make(body=BODY, *, raw=None, **changes):
        ((ref, key),) = keys.add("hotline", 1)
        schema, encoded = codec.encode_body(body)
        envelope = {
            "event_id": uuid4(),
            "report_uid": uuid4(),
            "op": "CREATE",
            "source_id": "hotline",
            "connector": "api",
            "mapping_id": "m/1",
            "received_at": RECEIVED,
            "verification": "STATIC_SECRET",
            "native_id_hmac": "n",
            "payload_hmac": "p",
            "consent": "YES",
            "consent_scopes": ("AGGREGATE_STATISTICS", "CASE_HANDLING"),
            "body_schema": schema,
            "key_ref": ref,
            "nonce": b"",
            "sealed": b"",
        }
        return seal(SealedReport(**envelope | changes), raw if raw is not None else encoded, key)

    return make


def test_a_good_report_becomes_a_contribution_and_a_case(receiver, a_report, codec):
    outcome = receive(receiver, codec.encode(a_report()))
    assert outcome.contribution.countable and outcome.case.text_status == "REDACTED"
    assert outcome.dead_letter is None


@pytest.mark.guards("R15")
@pytest.mark.parametrize("scopes", [(), ("AGGREGATE_STATISTICS",), ("RESEARCH",)])
def test_without_consent_there_is_no_case(receiver, a_report, codec, scopes):
    outcome = receive(receiver, codec.encode(a_report(consent_scopes=scopes)))
    assert outcome.contribution and outcome.case is None


@pytest.mark.parametrize("changes", [{"consent": "UNKNOWN"}, {"consent": "NO"}, {"test": True}])
def test_unknown_consent_counts_as_no_and_a_test_is_nobodys_report(receiver, a_report, codec, changes):
    outcome = receive(receiver, codec.encode(a_report(**changes)))
    assert not outcome.contribution.countable and outcome.case is None


def refusal(receiver, data):
    outcome = receive(receiver, data)
    assert outcome.contribution is outcome.case is None
    return outcome.dead_letter.reason


def damaged(report, at=-1):
    sealed = bytearray(report.sealed)
    sealed[at] ^= 1
    return replace(report, sealed=bytes(sealed))


def test_every_reason_of_refusal_can_be_reached(receiver, a_report, keys, codec, tokens):
    whole = codec.encode(a_report())
    erased = a_report()
    keys.erase([erased.key_ref])
    broken = replace(receiver, deidentifier=lambda: Deidentifier(tokens, None, "TH"))
    reached = {
        refusal(receiver, b""),
        refusal(receiver, codec.encode(a_report(body_schema="diary/1"))),
        refusal(receiver, codec.encode(erased)),
        refusal(receiver, codec.encode(damaged(a_report()))),
        refusal(receiver, codec.encode(a_report(raw=b"\x00\x01nonsense"))),
        refusal(receiver, codec.encode(a_report(replace(BODY, submitted_at=RECEIVED + timedelta(days=2))))),
        refusal(broken, whole),
    }
    # What does not fit a mapping never gets here: the door buries it.
    assert reached == codes("dead_letter_reasons").keys() - {
        "UNREADABLE",
        "UNMAPPABLE",
        "WITHDRAWAL_ASKED",
        "SUPERSEDED",
        "UNVERIFIED",
    }


@pytest.mark.parametrize(
    "garble",
    [
        lambda data: b"",
        lambda data: SAID,
        lambda data: data[:4],
        lambda data: data[:-1],
        lambda data: data + b"\x00",
        lambda data: b"\x01" + data[1:],
        lambda data: struct.pack(">bI", 0, 9999) + data[5:],
        lambda data: b"\x00\x00\x00\x00\x01",
    ],
)
def test_what_is_not_a_sealed_report_is_undecodable(receiver, a_report, codec, garble):
    assert refusal(receiver, garble(codec.encode(a_report()))) == "UNDECODABLE"
    with pytest.raises(Refused, match="open: UNDECODABLE"):
        open_envelope(garble(codec.encode(a_report())), codec)


@pytest.mark.parametrize("schema", ["raw_report_body/99", "alert/1", "", "raw_report_body"])
def test_a_body_of_an_unknown_schema_is_refused(receiver, a_report, codec, schema):
    assert refusal(receiver, codec.encode(a_report(body_schema=schema))) == "UNKNOWN_BODY"


@pytest.mark.parametrize(
    "changes", [{"consent": "YES", "consent_scopes": ()}, {"source_id": "other"}, {"test": True}]
)
def test_a_clear_field_changed_on_the_way_makes_the_report_unsealable(receiver, a_report, codec, changes):
    assert refusal(receiver, codec.encode(replace(a_report(), **changes))) == "UNSEALABLE"


@pytest.mark.parametrize(
    ("times", "good"),
    [
        ({"submitted_at": RECEIVED + timedelta(hours=23)}, True),
        ({"submitted_at": RECEIVED + timedelta(days=1, minutes=1)}, False),
        ({"submitted_at": RECEIVED - timedelta(days=365)}, True),
        ({"submitted_at": RECEIVED - timedelta(days=367)}, False),
        ({"submitted_at": datetime(9999, 1, 1, tzinfo=UTC)}, False),
        ({"occurred_on": date(2026, 3, 11)}, True),
        ({"occurred_on": date(2026, 3, 12)}, False),
        ({"occurred_on": date(1980, 1, 1)}, True),
        ({"occurred_on": date(1900, 1, 1)}, False),
        ({}, True),
    ],
)
def test_times_that_cannot_be_true_are_refused(a_report, open_sealed, codec, times, good):
    report = a_report(replace(BODY, **times))
    if good:
        assert open_body(report, open_sealed, codec) == replace(BODY, **times)
    else:
        with pytest.raises(Refused, match="IMPLAUSIBLE_TIME"):
            open_body(report, open_sealed, codec)


def test_an_error_of_the_de_identifier_is_a_dead_letter_without_its_message(
    receiver, a_report, codec, tokens
):
    class Talkative(Deidentifier):
        def contribution(self, report, body):
            raise RuntimeError(body.narratives[0].text)

    receiver = replace(receiver, deidentifier=lambda: Talkative(tokens, Register(), "TH"))
    letter = receive(receiver, codec.encode(a_report())).dead_letter
    assert (letter.reason, letter.stage) == ("DEIDENTIFY_ERROR", "deidentify")
    assert SAID not in codec.encode(letter) and SAID.decode() not in repr(letter)


def test_the_dead_letter_of_a_report_is_the_report_still_sealed(receiver, a_report, codec):
    report = damaged(a_report())
    letter = receive(receiver, codec.encode(report)).dead_letter
    assert (letter.payload, letter.sealed) == ("SEALED_REPORT", codec.encode(report))
    assert (letter.event_id, letter.source_id) == (report.event_id, "hotline")
    assert (letter.topic, letter.partition, letter.offset) == ("chorus.reports.sealed.v1", 2, 77)
    assert letter.at_hour == RECEIVED.replace(minute=0, second=0)
    assert SAID not in codec.encode(letter)


def test_the_dead_letter_of_garbage_is_sealed_and_opens_again(receiver, keys, codec):
    letter = receive(receiver, SAID).dead_letter
    assert (letter.reason, letter.payload, letter.event_id) == ("UNDECODABLE", "SEALED_BYTES", None)
    assert SAID not in codec.encode(letter) and SAID.decode() not in repr(letter)
    arrived = codec.decode(DeadLetter, codec.encode(letter))
    assert unseal(arrived, keys.key(arrived.key_ref)) == SAID


def test_a_redelivered_message_has_the_names_it_had(receiver, a_report, codec):
    for data in (codec.encode(a_report()), codec.encode(damaged(a_report())), SAID):
        first, second = receive(receiver, data), receive(receiver, data)
        assert first.contribution == second.contribution and first.case == second.case
        if first.dead_letter:
            assert first.dead_letter.dead_letter_id == second.dead_letter.dead_letter_id


def test_a_refusal_holds_its_code_and_place_and_nothing_else():
    refused = Refused("UNSEALABLE", "open")
    assert (str(refused), refused.reason, refused.stage) == ("open: UNSEALABLE", "UNSEALABLE", "open")


def test_the_texts_of_a_batch_are_read_together_and_every_message_keeps_its_place(receiver, a_report, codec):
    calls = []
    receiver = replace(receiver, read_all=lambda texts: calls.append(list(texts)) or read_all(texts))
    other = replace(
        BODY, narratives=(Narrative(key="story", text="a", lang="th"), Narrative(key="b", text="b"))
    )
    data = [
        codec.encode(a_report()),
        SAID,
        codec.encode(a_report(other)),
        codec.encode(a_report(consent="NO")),
    ]
    outcomes = receiver.receive([(one, AT) for one in data])
    assert calls == [[(SAID.decode(), "en"), ("a", "th"), ("b", "en")]]
    assert [len(o.case.narratives) if o.case else None for o in outcomes] == [1, None, 2, None]
    assert [bool(o.dead_letter) for o in outcomes] == [False, True, False, False]


def test_a_reader_that_cannot_work_is_a_fault_of_the_machinery_and_no_dead_letter(receiver, a_report, codec):
    def stopped(texts):
        raise ConnectionError

    with pytest.raises(ConnectionError):
        receive(replace(receiver, read_all=stopped), codec.encode(a_report()))


def test_a_register_that_changes_is_used_from_the_next_batch_on(receiver, a_report, codec, tokens):
    row = {"workplace_id": "w", "name": "Golden Fish", "aliases": "", "country": "TH"}
    register = [Register(), Register([row | {"admin1": "TH-74", "isic_division": "10"}])]
    receiver = replace(receiver, deidentifier=lambda: Deidentifier(tokens, register.pop(0), "TH"))
    data = codec.encode(a_report(replace(BODY, workplace_name="Golden Fish")))
    kinds = [receive(receiver, data).contribution.unit_kind for _ in range(2)]
    assert kinds == ["SOURCE_POOL", "WORKPLACE"]
