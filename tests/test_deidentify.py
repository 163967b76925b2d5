"""De-identification, field by field: a canary in every field, and where it may not turn up."""

import io
import re
from dataclasses import dataclass, fields, replace
from datetime import UTC, date, datetime
from uuid import UUID

import fastavro
import pytest

from schemas.codelists import codes
from schemas.events import Attachment, CaseAttachment, Narrative, RawReportBody, SealedReport, SuggestedCode
from schemas.sizes import size_class
from streams.pool import in_process
from streams.reading import reader
from streams.recognizers import build_redactor
from streams.steps.deidentify import DROPPED, FIELD_RULES, Deidentifier, Undecidable, Words, having_read
from streams.steps.register import Register
from streams.steps.suggest import Suggester

CANARY = "Kanarienvogel"
ROWS = [
    {
        "workplace_id": "w1",
        "name": "Golden Fish",
        "aliases": "",
        "country": "TH",
        "admin1": "TH-74",
        "isic_division": "10",
    }
]
REGISTER = Register(ROWS)
BOTH = ("AGGREGATE_STATISTICS", "CASE_HANDLING")
BODY = RawReportBody(
    country="TH",
    admin1="TH-10",
    isic_division="41",
    indicators=("DEB",),
    severity="HIGH",
    narratives=(Narrative(key="story", text="they kept my passport"),),
    language="en",
)


def an_envelope(**changes):
    return SealedReport(
        **{
            "event_id": UUID(int=1),
            "report_uid": UUID(int=2),
            "op": "CREATE",
            "source_id": "hotline",
            "connector": "api",
            "mapping_id": "m/1",
            "received_at": datetime(2026, 3, 10, 9, 41, 7, tzinfo=UTC),
            "verification": "STATIC_SECRET",
            "native_id_hmac": "n",
            "payload_hmac": "p",
            "consent": "YES",
            "consent_scopes": BOTH,
            "body_schema": "raw_report_body/1",
            "key_ref": UUID(int=3),
            "nonce": b"",
            "sealed": b"",
        }
        | changes
    )


def keep_nothing(text, language):
    return Words("<TEXT>")


SUGGESTS_NOTHING = Suggester(())


@pytest.fixture
def deidentifier(tokens):
    return Deidentifier(tokens, REGISTER, "TH", keep_nothing)


@pytest.fixture(scope="module")
def redactor():
    return build_redactor()


@pytest.fixture
def careful(tokens, redactor):
    """A de-identifier with the real redactor."""
    return Deidentifier(tokens, REGISTER, "TH", reader(redactor, SUGGESTS_NOTHING))


CANARIES = {
    "submitted_at": datetime(1999, 12, 31, 23, 59, tzinfo=UTC),
    "clock_skew_ms": 987_654_321,
    "occurred_on": date(1999, 12, 31),
    "occurred_precision": "YEAR",
    "reporter_anonymous": True,
    "age_years": 97,
    "minor_involved": True,
    "lat": 13.123_456,
    "lon": 100.654_321,
    "workers_affected": 98_765,
    "narratives": (Narrative(key=CANARY, text=f"my name is {CANARY}", lang="en"),),
    "attachments": (
        Attachment(
            name=f"{CANARY}.jpg",
            mime=f"image/{CANARY}",
            bytes=987_654_321,
            sha256=CANARY,
            source_ref=CANARY,
            action=CANARY,
        ),
    ),
    "consent": "NO",
    "unmapped": {CANARY: CANARY},
}


def with_canary(name):
    kind = str(next(f.type for f in fields(RawReportBody) if f.name == name))
    value = CANARIES.get(name, (CANARY, CANARY + "2") if "tuple" in kind else CANARY)
    assert value != getattr(BODY, name)
    return replace(BODY, **{name: value})


def test_field_rules_name_every_field_of_a_report_once():
    assert list(FIELD_RULES) == list(dict.fromkeys(FIELD_RULES))
    assert set(FIELD_RULES) == {f.name for f in fields(RawReportBody)}


HOW = ("dropped", "listed", "generalised", "banded", "tokenised", "redacted")


@pytest.mark.parametrize("name", FIELD_RULES)
def test_a_rule_names_one_treatment_for_each_way_and_holds_what_does_it(name):
    for treatment in (FIELD_RULES[name].counts, FIELD_RULES[name].case):
        assert treatment.how in HOW
        assert (treatment.act is None) == (treatment.how == "dropped")


class Watched:
    """A report that remembers which of its fields were read."""

    def __init__(self, body):
        self.body, self.read = body, set()

    def __getattr__(self, name):
        self.read.add(name)
        return getattr(self.body, name)


@pytest.mark.parametrize("way", ["counts", "case"])
def test_what_the_rules_drop_is_not_even_read(deidentifier, way):
    watched = Watched(
        replace(BODY, workplace_name="Golden Fish", attachments=(Attachment(mime="text/plain"),))
    )
    (deidentifier.contribution if way == "counts" else deidentifier.case)(an_envelope(), watched)
    treatments = {name: getattr(rule, way) for name, rule in FIELD_RULES.items()}
    guides = {name for t in treatments.values() for name in t.guided_by}
    assert watched.read == {name for name, t in treatments.items() if t.how != "dropped"} | guides
    assert guides == {"language", "narratives"}


@pytest.mark.parametrize("name", [n for n, rule in FIELD_RULES.items() if rule.counts is DROPPED])
def test_a_field_dropped_from_the_counts_leaves_the_contribution_as_it_was(deidentifier, name):
    report = an_envelope()
    assert deidentifier.contribution(report, with_canary(name)) == deidentifier.contribution(report, BODY)


@pytest.mark.parametrize("name", [n for n, rule in FIELD_RULES.items() if rule.case is DROPPED])
def test_a_field_dropped_from_the_case_leaves_the_case_as_it_was(deidentifier, name):
    report = an_envelope()
    assert deidentifier.case(report, with_canary(name)) == deidentifier.case(report, BODY)


@pytest.mark.parametrize("name", ["consent", "consent_scopes"])
def test_the_envelopes_consent_is_used_and_not_the_bodys(deidentifier, name):
    report = an_envelope()
    assert deidentifier.contribution(report, with_canary(name)) == deidentifier.contribution(report, BODY)
    assert deidentifier.case(report, with_canary(name)) == deidentifier.case(report, BODY)


@pytest.mark.parametrize("name", FIELD_RULES)
def test_a_canary_in_any_field_is_in_neither_encoded_output(careful, codec, name):
    report, body = an_envelope(), with_canary(name)
    for event in (careful.contribution(report, body), careful.case(report, body)):
        data = codec.encode(event).lower()
        assert CANARY.lower().encode() not in data
        assert b"1999" not in data and b"98765" not in data
        assert not [number for number in numbers(body) if number in data]
        assert len(data) == size_class(len(data))


def numbers(body):
    """The numbers of a canary as Avro would write them: days, milliseconds, doubles, counts."""
    values = [(body.submitted_at, "timestamp"), (body.clock_skew_ms, "long"), (body.occurred_on, "date")]
    values += [(body.lat, "double"), (body.lon, "double"), (body.workers_affected, "long")]
    values += [(attachment.bytes, "long") for attachment in body.attachments]
    return [avro_bytes(value, kind) for value, kind in values if value is not None]


def avro_bytes(value, kind):
    logical = {
        "timestamp": {"type": "long", "logicalType": "timestamp-millis"},
        "date": {"type": "int", "logicalType": "date"},
    }
    out = io.BytesIO()
    fastavro.schemaless_writer(out, logical.get(kind, kind), value)
    assert len(out.getvalue()) > 2
    return out.getvalue()


@pytest.mark.parametrize("name", [n for n, rule in FIELD_RULES.items() if rule.case is DROPPED])
def test_how_long_a_dropped_field_is_shows_in_the_length_of_no_message(deidentifier, codec, name):
    for event in (deidentifier.contribution, deidentifier.case):
        short, long = (codec.encode(event(an_envelope(), body)) for body in (BODY, with_canary(name)))
        assert len(short) == len(long)


def test_a_report_full_of_canaries_leaves_codes_and_tokens_only(careful, codec):
    body = RawReportBody(**{name: getattr(with_canary(name), name) for name in FIELD_RULES})
    contribution, case = careful.contribution(an_envelope(), body), careful.case(an_envelope(), body)
    assert (contribution.country, contribution.region, contribution.sector) == ("OTHER", "OTHER", "OTHER")
    assert (contribution.indicators, contribution.severity) == (("OTHER",), "UNKNOWN")
    assert (case.channel, case.reporter_role, case.severity) == ("OTHER", "UNKNOWN", "UNKNOWN")
    assert case.attachments == (CaseAttachment(kind="IMAGE", size_class="LARGE"),)
    for event in (contribution, case):
        assert CANARY.encode() not in codec.encode(event) and CANARY not in repr(event)


@pytest.mark.parametrize(
    "changes",
    [
        {"consent": "UNKNOWN"},
        {"consent": "NO"},
        {"test": True},
        {"consent_scopes": ()},
        {"consent_scopes": ("CASE_HANDLING",)},
    ],
)
def test_without_consent_to_be_counted_a_contribution_is_blank(deidentifier, changes):
    blank = deidentifier.contribution(an_envelope(**changes), BODY)
    filled = deidentifier.contribution(an_envelope(), BODY)
    assert (blank.countable, filled.countable) == (False, True)
    for f in fields(blank):
        if f.name not in ("contribution_id", "report_token", "revision", "op"):
            assert getattr(blank, f.name) == f.default


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (Undecidable("language"), "DROPPED_LANGUAGE"),
        (Undecidable("residue"), "DROPPED_RESIDUE"),
        (Undecidable("recogniser"), "DROPPED_ERROR"),
        (Undecidable(CANARY), "DROPPED_ERROR"),
        (ValueError(CANARY), "DROPPED_ERROR"),
        (RecursionError(), "DROPPED_ERROR"),
        (MemoryError(), "DROPPED_ERROR"),
    ],
)
def test_a_redactor_that_fails_drops_the_text_and_says_so(tokens, codec, error, status):
    class Failing:
        def redact(self, text, language):
            raise error

    case = Deidentifier(tokens, REGISTER, "TH", reader(Failing(), SUGGESTS_NOTHING)).case(an_envelope(), BODY)
    assert (case.text_status, case.narratives) == (status, ())
    assert CANARY.encode() not in codec.encode(case)


@pytest.mark.parametrize(
    ("reason", "status"),
    [("timeout", "DROPPED_TIMEOUT"), ("residue", "DROPPED_RESIDUE"), (CANARY, "DROPPED_ERROR")],
)
def test_the_case_says_why_a_text_was_dropped_in_codes_only(tokens, reason, status):
    case = Deidentifier(tokens, REGISTER, "TH", lambda *_: Words(None, reason)).case(an_envelope(), BODY)
    assert (case.text_status, case.narratives) == (status, ())


def test_a_text_nobody_has_read_is_dropped(tokens):
    assert Deidentifier(tokens, REGISTER, "TH").case(an_envelope(), BODY).narratives == ()


def test_a_text_is_read_once_for_the_counts_and_the_case(tokens):
    calls = []
    read_all = lambda texts: [calls.append(text) or keep_nothing(*text) for text in texts]  # noqa: E731
    deidentifier = Deidentifier(tokens, REGISTER, "TH")
    told = [*deidentifier.told(an_envelope(), BODY), *deidentifier.told(an_envelope(), BODY)]
    deidentifier = replace(deidentifier, read=having_read(read_all, told))
    both(deidentifier, BODY)
    assert calls == [("they kept my passport", "en")]


def test_one_text_that_cannot_be_judged_does_not_take_the_others_with_it(tokens):
    def fail_on_thai(text, language):
        return Words(None, "language") if language == "th" else Words("<TEXT>")

    body = replace(BODY, narratives=(Narrative(key="a", text="x", lang="th"), Narrative(key="b", text="y")))
    case = Deidentifier(tokens, REGISTER, "TH", fail_on_thai).case(an_envelope(), body)
    assert case.text_status == "DROPPED_LANGUAGE"
    assert [(n.key, n.text) for n in case.narratives] == [("2", "<TEXT>")]


def test_a_text_in_a_language_nobody_here_reads_is_dropped(careful):
    case = careful.case(an_envelope(), replace(BODY, language="xx"))
    assert (case.text_status, case.narratives) == ("DROPPED_LANGUAGE", ())


def test_a_report_without_words_says_so(deidentifier):
    case = deidentifier.case(an_envelope(), replace(BODY, narratives=()))
    assert (case.text_status, case.narratives) == ("NONE", ())


@pytest.mark.parametrize(
    ("workplace", "admin1", "kind"),
    [
        ("golden fish", None, "WORKPLACE"),
        ("Somewhere Else", "TH-10", "REGION_POOL"),
        (None, "TH-10", "REGION_POOL"),
        ("Somewhere Else", "XX-1", "SOURCE_POOL"),
        (None, None, "SOURCE_POOL"),
    ],
)
def test_the_unit_is_the_registered_workplace_else_the_province_else_the_source(
    deidentifier, workplace, admin1, kind
):
    body = replace(BODY, workplace_name=workplace, admin1=admin1)
    assert deidentifier.contribution(an_envelope(), body).unit_kind == kind


def test_invented_workplaces_of_a_province_share_one_unit(deidentifier):
    def unit(**changes):
        return deidentifier.contribution(an_envelope(), replace(BODY, **changes)).unit

    assert len({unit(workplace_name=f"Invented {n}") for n in range(20)}) == 1
    assert unit(workplace_name="Invented") != unit(workplace_name="Invented", admin1="TH-11")
    assert unit(workplace_name="Golden Fish") == unit(workplace_name="GOLDEN FISH.", admin1="TH-11")


def test_the_register_knows_place_and_sector_better_than_the_report(deidentifier):
    contribution = deidentifier.contribution(an_envelope(), replace(BODY, workplace_name="Golden Fish"))
    assert (contribution.region, contribution.sector) == ("TH-74", "C")


def test_counts_and_cases_share_no_token(deidentifier):
    body = replace(BODY, workplace_name="Golden Fish")
    contribution, case = (
        deidentifier.contribution(an_envelope(), body),
        deidentifier.case(an_envelope(), body),
    )
    ours = {contribution.contribution_id.hex, contribution.report_token.hex, contribution.unit}
    theirs = {case.case_id.hex, case.case_token.hex, case.workplace_token}
    event_ids = {UUID(int=1).hex, UUID(int=2).hex}
    assert len(ours) == len(theirs) == 3 and not ours & theirs and not (ours | theirs) & event_ids


def test_tokens_of_two_epochs_share_nothing_but_the_unit_of_the_ledger(deidentifier):
    body = replace(BODY, workplace_name="Golden Fish")
    told = {}
    for epoch in ("", "2026Q1", "2026Q2"):
        envelope = an_envelope(token_epoch=epoch)
        contribution, case = deidentifier.contribution(envelope, body), deidentifier.case(envelope, body)
        told[epoch] = (contribution.report_token, case.case_token, case.workplace_token), contribution.unit
    tokens = [token for rotating, _ in told.values() for token in rotating]
    assert len(set(tokens)) == len(tokens) == 9
    assert len({unit for _, unit in told.values()}) == 1


def test_two_cases_of_one_workplace_and_epoch_share_its_token(deidentifier):
    cases = [
        deidentifier.case(
            an_envelope(event_id=UUID(int=n), report_uid=UUID(int=n), token_epoch="2026Q1"),
            replace(BODY, workplace_name=name),
        )
        for n, name in enumerate(["Golden Fish", "GOLDEN FISH."])
    ]
    assert len({case.workplace_token for case in cases}) == 1
    assert len({case.case_token for case in cases}) == 2


def test_an_epoch_nobody_could_find_again_is_refused(deidentifier):
    with pytest.raises(ValueError, match="not a token epoch"):
        deidentifier.contribution(an_envelope(token_epoch=CANARY), BODY)


def test_the_case_knows_the_hour_and_nothing_finer(deidentifier):
    assert deidentifier.case(an_envelope(), BODY).received_hour == datetime(2026, 3, 10, 9, tzinfo=UTC)


@pytest.mark.parametrize(
    ("age", "band"),
    [
        (0, "<15"),
        (14, "<15"),
        (15, "15-17"),
        (17, "15-17"),
        (18, "18-24"),
        (24, "18-24"),
        (25, "25-34"),
        (34, "25-34"),
        (35, "35-49"),
        (49, "35-49"),
        (50, "50+"),
        (130, "50+"),
        (-1, None),
        (None, None),
    ],
)
def test_ages_are_banded(deidentifier, age, band):
    assert deidentifier.case(an_envelope(), replace(BODY, age_years=age)).age_band == band


@pytest.mark.parametrize(("age", "flag"), [(17, True), (0, True), (18, False), (-1, False), (None, False)])
def test_a_reporter_under_18_is_a_minor_whatever_the_form_says_of_minors(deidentifier, age, flag):
    body = replace(BODY, age_years=age, minor_involved=False)
    assert deidentifier.contribution(an_envelope(), body).minor_involved is flag
    assert deidentifier.case(an_envelope(), body).urgent is flag


@pytest.mark.parametrize(
    ("channel", "kind"),
    [
        ("VOICE_CALL", "VOICE"),
        ("LINE", "APP"),
        ("WEB_FORM", "SURVEY"),
        ("IN_PERSON", "PARTNER"),
        ("UNKNOWN", "UNKNOWN"),
        (CANARY, "OTHER"),
    ],
)
def test_the_case_knows_the_class_of_its_channel_only(deidentifier, channel, kind):
    assert deidentifier.case(an_envelope(), replace(BODY, channel=channel)).channel == kind


@pytest.mark.parametrize(
    ("mime", "size", "kind", "size_of"),
    [
        ("image/jpeg", 99_999, "IMAGE", "SMALL"),
        ("AUDIO/ogg", 100_000, "AUDIO", "MEDIUM"),
        ("video/mp4", 10_000_000, "VIDEO", "LARGE"),
        ("application/pdf", None, "DOCUMENT", "UNKNOWN"),
        ("text/plain", 0, "DOCUMENT", "SMALL"),
        (f"{CANARY}/image", -1, "OTHER", "UNKNOWN"),
        (None, 1, "OTHER", "SMALL"),
    ],
)
def test_of_an_attachment_its_type_and_size_class_go_on(deidentifier, mime, size, kind, size_of):
    body = replace(BODY, attachments=(Attachment(name="a", mime=mime, bytes=size),))
    (attachment,) = deidentifier.case(an_envelope(), body).attachments
    assert (attachment.kind, attachment.size_class) == (kind, size_of)


def test_how_many_attachments_there_are_does_not_go_on(deidentifier):
    body = replace(BODY, attachments=tuple(Attachment(mime="image/png", bytes=n) for n in range(7)))
    assert len(deidentifier.case(an_envelope(), body).attachments) == 1


@pytest.mark.parametrize(
    ("number", "band"),
    [
        (1, "1"),
        (2, "2-5"),
        (5, "2-5"),
        (6, "6-20"),
        (20, "6-20"),
        (21, "21-100"),
        (100, "21-100"),
        (101, "100+"),
        (-5, None),
        (None, None),
    ],
)
def test_numbers_of_workers_are_banded(deidentifier, number, band):
    assert deidentifier.case(an_envelope(), replace(BODY, workers_affected=number)).workers_band == band


@pytest.mark.parametrize(
    ("severity", "minor", "urgent"),
    [("CRITICAL", False, True), ("HIGH", True, True), ("HIGH", None, False), ("WORST EVER", None, False)],
)
def test_critical_reports_and_reports_with_a_minor_are_urgent(deidentifier, severity, minor, urgent):
    body = replace(BODY, severity=severity, minor_involved=minor)
    assert deidentifier.case(an_envelope(), body).urgent is urgent


def test_indicators_are_listed_once_each_and_unknown_ones_are_other(deidentifier):
    def indicators(*given):
        return deidentifier.contribution(an_envelope(), replace(BODY, indicators=given)).indicators

    assert indicators("ROM", "DEB", "ROM", CANARY, "deb") == ("DEB", "OTHER", "ROM")
    assert indicators() == ("OTHER",)


@dataclass(frozen=True)
class Suggestion:
    kind: str
    code: str
    evidence: str


HELD = Suggestion("INDICATOR", "RID", "DOCUMENTS_HELD")
CRITICAL = Suggestion("SEVERITY", "CRITICAL", "CONFINED")
HIGH = Suggestion("SEVERITY", "HIGH", "DOCUMENTS_HELD")
UNCODED = replace(BODY, indicators=(), severity="UNKNOWN")


@pytest.fixture
def suggesting(tokens):
    """Return a de-identifier whose words suggest what is given."""

    def make(*suggestions):
        return Deidentifier(tokens, REGISTER, "TH", lambda *_: Words("<TEXT>", suggested=suggestions))

    return make


def both(deidentifier, body, **changes):
    report = an_envelope(**changes)
    return deidentifier.contribution(report, body), deidentifier.case(report, body)


def test_codes_of_the_source_count_before_those_of_its_words(suggesting):
    for event in both(suggesting(HELD, CRITICAL), BODY):
        assert (event.indicators, event.indicators_basis) == (("DEB",), "CODED")
        assert (event.severity, event.severity_basis) == ("HIGH", "CODED")


@pytest.mark.parametrize("given", [(), (CANARY,)])
def test_without_listed_codes_the_suggested_ones_count_and_say_so(suggesting, given):
    for event in both(suggesting(HELD, HIGH, CRITICAL), replace(UNCODED, indicators=given)):
        assert (event.indicators, event.indicators_basis) == (("RID",), "SUGGESTED")
        assert (event.severity, event.severity_basis) == ("CRITICAL", "SUGGESTED")


def test_without_either_the_indicator_is_other_and_says_so(suggesting):
    for event in both(suggesting(), UNCODED):
        assert (event.indicators, event.indicators_basis) == (("OTHER",), "NONE")
        assert (event.severity, event.severity_basis) == ("UNKNOWN", "NONE")


def test_a_case_made_urgent_by_its_words_says_that_it_is_a_suggestion(suggesting):
    _, case = both(suggesting(CRITICAL), UNCODED)
    assert case.urgent and case.severity_basis == "SUGGESTED"
    assert case.suggested == (SuggestedCode(kind="SEVERITY", code="CRITICAL", evidence="CONFINED"),)


@pytest.mark.parametrize(
    "odd",
    [
        Suggestion("INDICATOR", CANARY, "DOCUMENTS_HELD"),
        Suggestion("INDICATOR", "RID", CANARY),
        Suggestion("INDICATOR", "RID", "SOMCHAI"),
        Suggestion(CANARY, "RID", "DOCUMENTS_HELD"),
        Suggestion("ISSUE", "my passport", "DOCUMENTS_HELD"),
        Suggestion("SEVERITY", "WORST EVER", "CONFINED"),
        Suggestion("SEVERITY", "UNKNOWN", "CONFINED"),
    ],
)
def test_what_is_in_no_list_is_no_suggestion_so_no_word_of_the_text_gets_through(suggesting, odd):
    contribution, case = both(suggesting(odd), UNCODED)
    assert (contribution.indicators_basis, case.severity_basis, case.suggested) == ("NONE", "NONE", ())


def test_every_class_of_evidence_looks_like_a_class():
    assert all(re.fullmatch(r"[A-Z]+(_[A-Z]+)*", code) for code in codes("issue_codes"))


@pytest.mark.parametrize("error", [ValueError(CANARY), RecursionError(), MemoryError(), TypeError()])
def test_a_suggester_that_fails_suggests_nothing_and_the_report_goes_on(tokens, redactor, error):
    class Failing:
        def suggest(self, text, language, removed):
            raise error

    contribution, case = both(Deidentifier(tokens, REGISTER, "TH", reader(redactor, Failing())), UNCODED)
    assert (contribution.countable, contribution.indicators_basis) == (True, "NONE")
    assert (case.text_status, case.suggested) == ("REDACTED", ())


@pytest.mark.parametrize(
    ("changes", "read"),
    [
        ({}, True),
        ({"consent_scopes": ("CASE_HANDLING",)}, True),
        ({"consent": "NO"}, False),
        ({"consent": "UNKNOWN"}, False),
        ({"consent_scopes": ()}, False),
        ({"test": True}, False),
    ],
)
def test_words_are_read_only_where_the_worker_agreed_to_what_they_are_read_for(deidentifier, changes, read):
    assert list(deidentifier.told(an_envelope(**changes), BODY)) == [("they kept my passport", "en")] * read


def test_the_reader_is_told_the_language_of_each_text(deidentifier):
    texts = (Narrative(key="a", text="x", lang="th"), Narrative(key="b", text="y"))
    body = replace(BODY, narratives=texts, language="my")
    assert list(deidentifier.told(an_envelope(), body)) == [("x", "th"), ("y", "my")]


def test_what_is_removed_is_no_evidence_and_a_dropped_text_has_none(redactor):
    class Telling:
        def suggest(self, text, language, removed):
            return [(text[start:end]) for start, end in removed]

    read_all = in_process(reader(redactor, Telling()))
    kept, dropped = read_all([("call 081-234 5678 now", "en"), ("call 081-234 5678", "xx")])
    assert "".join(kept.suggested).replace("call ", "") == "081-234 5678"
    assert (dropped.text, dropped.dropped, dropped.suggested) == (None, "language", ())


STORY = Narrative(key="story", text="at GOLDEN-FISH they kept my passport", lang="en")


@pytest.mark.parametrize(
    ("field", "texts", "found"),
    [
        (None, (STORY,), True),
        (" - ", (STORY,), True),
        ("Somewhere Else", (STORY,), False),
        (None, (replace(STORY, text="at goldenfishes"),), False),
        (None, (replace(STORY, text="first at Golden Fish, now at Silver Boat"),), False),
        (None, (STORY, replace(STORY, text="then at Silver Boat")), False),
        (None, (STORY, STORY), True),
        (None, (replace(STORY, text="x" * 8_000 + " Golden Fish"),), False),
    ],
)
def test_where_no_workplace_is_named_the_only_one_that_the_words_mention_is_it(tokens, field, texts, found):
    register = Register([*ROWS, ROWS[0] | {"workplace_id": "w2", "name": "Silver Boat"}])
    deidentifier = Deidentifier(tokens, register, "TH", keep_nothing)
    named = both(deidentifier, replace(BODY, workplace_name="Golden Fish", narratives=()))
    told = both(deidentifier, replace(BODY, workplace_name=field, narratives=texts))
    assert (told[0].unit == named[0].unit, told[1].workplace_token == named[1].workplace_token) == (
        found,
        found,
    )
    assert told[0].unit_kind == ("WORKPLACE" if found else "REGION_POOL")
