"""Cases: kept, told of, read by whom they are for and by nobody else; and gone when their worker says so."""

from base64 import b64decode
from dataclasses import asdict, fields, replace
from uuid import UUID, uuid4

import pytest
from cased import CANARY, ROLES, SCOPES, Cased

from connectors import sources
from connectors.cases import desk, feed
from connectors.cases.audit import Broken
from connectors.cases.desk import NoSuchCase
from connectors.cases.disclosure import NotAllowed
from connectors.cases.feed import Case, Listed, Reader
from connectors.cases.originals import SIZES, Gone
from connectors.members import Organisation
from connectors.sqlite import NotNow
from schemas import topics
from schemas.events import CaseReport, ConsentChange
from schemas.tokens import epoch_of
from streams import casework
from streams.agents import cases


@pytest.fixture
def cased(tmp_path, clickhouse):
    return Cased(tmp_path, clickhouse)


def ids(rows):
    return [row.case_id for row in rows]


# Who reads what.


def test_a_case_is_read_with_redacted_words_codes_and_who_says_so_and_no_more(cased):
    case_id = cased.report(age_years=16)
    case = cased.desk.read(cased.reader("reads"), case_id)
    assert (case.case_id, case.holder, case.severity, case.severity_basis) == (
        case_id,
        "hotline",
        "HIGH",
        "CODED",
    )
    assert case.narratives == (("1", "<TEXT>"),) and case.urgent and case.consent_scopes == SCOPES
    assert CANARY not in str(asdict(case))
    assert not {"workplace_token", "case_token", "original"} & {f.name for f in fields(Case)}
    assert "<TEXT>" not in repr(case) and "TH-10" not in repr(case)


READ = {"reads", "asks", "agrees"}


@pytest.mark.guards("R15")
@pytest.mark.parametrize("scopes", [SCOPES, SCOPES[1:2], SCOPES[:1], ()], ids=" ".join)
@pytest.mark.parametrize("holder", ["hotline", "other"])
@pytest.mark.parametrize("who", ROLES)
def test_only_a_member_with_the_role_of_an_organisation_that_handles_the_holder_reads_and_only_with_consent(
    cased, who, holder, scopes
):
    case_id, absent = cased.report(holder, consent_scopes=list(scopes)), uuid4()
    may = "CASE_HANDLING" in scopes and (
        (holder == "hotline" and who in READ) or (holder, who) == ("other", "elsewhere")
    )
    reader, found = cased.reader(who), cased.desk
    assert ids(found.listed(reader)) == [case_id] * may
    with pytest.raises(NoSuchCase):
        found.read(reader, absent)
    if may:
        assert found.read(reader, case_id).case_id == case_id
    else:
        with pytest.raises(NoSuchCase):
            found.read(reader, case_id)
    last = "READ" if may else "NOT FOUND"
    assert cased.noted() == [(who, "LIST", int(may)), (who, "NOT FOUND", 1), (who, last, 1)]


@pytest.mark.guards("R15")
@pytest.mark.parametrize("broken", [NotNow("full"), Broken("entry 1")])
def test_no_log_no_answer(cased, monkeypatch, broken):
    def fail(act):
        raise broken

    case_id, found = cased.report(), cased.desk
    monkeypatch.setattr(found.log, "note", fail)
    for ask in (
        lambda: found.listed(cased.reader("reads")),
        lambda: found.read(cased.reader("reads"), case_id),
    ):
        with pytest.raises(type(broken)):
            ask()


def test_urgent_cases_come_first_for_a_month_then_the_newest(cased):
    old = cased.report(severity="CRITICAL")
    cased.later(hours=1)
    calm = {cased.report(), cased.report()}
    cased.later(hours=1)
    newest = cased.report()
    urgent = cased.report(minor_involved=True)
    reader = cased.reader("reads")
    everything = ids(cased.desk.listed(reader))
    assert everything[:3] == [urgent, old, newest] and set(everything[3:]) == calm
    assert ids(cased.desk.listed(reader, page=1, most=2)) == everything[2:4]
    cased.later(days=31)
    assert ids(cased.desk.listed(reader))[-1] == old


def test_of_a_report_its_newest_version_is_read_whichever_is_named(cased):
    first = cased.report(id="a", severity="LOW")
    second = cased.report(id="b", root_id="a", op="UPDATE", severity="CRITICAL")
    reader = cased.reader("reads")
    assert ids(cased.desk.listed(reader)) == [second]
    for name in (first, second):
        case = cased.desk.read(reader, name)
        assert (case.case_id, case.revision, case.severity) == (second, 1, "CRITICAL")


@pytest.mark.guards("R14")
def test_what_its_worker_took_back_is_not_to_be_read_before_it_is_gone(cased, monkeypatch):
    case_id, reader = cased.report(id="a"), cased.reader("reads")
    monkeypatch.setattr(cases, "_narrow", lambda store, rows: None)  # which takes its time
    cased.node.consent_desk().withdraw(cased.uid("a"))
    cased.carry()
    assert cased.db.query("SELECT count() FROM cases.reports") == [(1,)]
    assert cased.desk.listed(reader) == []
    with pytest.raises(NoSuchCase):
        cased.desk.read(reader, case_id)


@pytest.mark.guards("R14")
def test_what_its_source_ended_is_not_to_be_read_before_it_is_gone(cased, monkeypatch):
    case_id, reader = cased.report(id="a"), cased.reader("reads")
    monkeypatch.setattr(cases, "_outdate", lambda store, rows: None)
    cased.report(id="b", root_id="a", op="UPDATE", consent_scopes=["AGGREGATE_STATISTICS"])
    with pytest.raises(NoSuchCase):
        cased.desk.read(reader, case_id)


def test_a_withdrawal_that_its_holder_may_hear_of_is_shown_as_one_and_says_nothing_else(cased):
    cased.report(id="a")
    gone = cased.report(id="b", root_id="a", op="WITHDRAW")
    case = cased.desk.read(cased.reader("asks"), gone)
    assert (case.op, case.severity, case.narratives, case.others) == ("WITHDRAW", "UNKNOWN", (), 0)
    assert not cased.desk.original_kept(case)
    with pytest.raises(NotAllowed, match="withdrawn"):
        cased.desk.ask(cased.reader("asks"), gone, "DANGER")


# Originals.


def opened(cased, case_id):
    found = cased.desk
    found.ask(cased.reader("asks"), case_id, "DANGER")
    (one,) = found.disclosures(cased.reader("agrees"))
    found.approve(cased.reader("agrees"), one.disclosure_id)
    return one.disclosure_id


@pytest.mark.guards("R15")
def test_two_people_open_the_report_as_its_source_gave_it_and_every_step_is_noted(cased):
    case_id, found = cased.report(), cased.desk
    name = opened(cased, case_id)
    for who in ("asks", "agrees"):
        case, body = found.open(cased.reader(who), name)
        assert case.case_id == case_id and body.reporter_name == CANARY
    with pytest.raises(NotAllowed):
        found.open(cased.reader("reads"), name)
    cased.later(minutes=60)
    with pytest.raises(NotAllowed, match="not open"):
        found.open(cased.reader("asks"), name)
    acts = [act for _, act in reversed(cased.log.entries()) if act.about]
    assert [(act.who, act.action) for act in acts] == [
        ("asks", "ASK"),
        ("agrees", "APPROVE"),
        ("asks", "OPEN"),
        ("agrees", "OPEN"),
    ]
    assert {act.cases for act in acts} == {(case_id,)} and cased.log.verify()


@pytest.mark.guards("R15")
def test_what_is_kept_of_an_original_is_sealed_and_names_nothing(cased):
    cased.report()
    ((kept,),) = cased.db.query("SELECT base64Decode(original) FROM cases.originals")
    kept = kept if isinstance(kept, bytes) else kept.encode("utf-8", "surrogateescape")
    assert len(kept) > 500
    for name in (CANARY, "hotline", "raw_report_body", "canonical/1"):
        assert name.encode() not in kept, name


@pytest.mark.guards("R14")
@pytest.mark.parametrize("how", ["withdrawn", "handling taken back", "ended by its source", "key erased"])
def test_after_consent_has_ended_nothing_opens(cased, how):
    case_id, found = cased.report(id="a"), cased.desk
    name, consent = opened(cased, case_id), cased.node.consent_desk()
    before = cased.db.query("SELECT original FROM cases.originals")
    if how == "withdrawn":
        consent.withdraw(cased.uid("a"))
    elif how == "handling taken back":
        consent.choose(cased.uid("a"), ["AGGREGATE_STATISTICS"])
    elif how == "ended by its source":
        cased.report(id="b", root_id="a", op="UPDATE", consent="NO")
    else:
        cased.node.keys().erase(cased.outbox.keys_of(cased.uid("a")))
    cased.carry()
    with pytest.raises((NoSuchCase, Gone)):
        found.open(cased.reader("asks"), name)
    if how == "key erased":
        assert cased.db.query("SELECT count() FROM cases.originals") == [(1,)]
    else:
        assert cased.db.query("SELECT count() FROM cases.originals") == [(0,)]
    if how in ("withdrawn", "key erased"):  # nor does a copy that somebody kept
        ((kept,),) = before
        with pytest.raises(Gone):
            found.originals.open(case_id, b64decode(kept))


@pytest.mark.guards("R14")
def test_an_original_that_lands_after_it_was_taken_back_goes_as_well(cased):
    cased.report(id="a", carry=False)
    cased.node.consent_desk().choose(cased.uid("a"), ["AGGREGATE_STATISTICS"])
    cases.take_back(cased.parts, change_of(cased))
    assert len(cased.carry()) == 1
    for table in ("reports", "originals"):
        assert cased.db.query(f"SELECT count() FROM cases.{table}") == [(0,)]


def change_of(cased):
    (row,) = [r for r in cased.outbox.unsent(0, 10) if r.parcel.topic == topics.CONSENT.name]
    return cased.node.codec.decode(ConsentChange, row.parcel.value)


def test_a_disclosure_is_of_the_version_that_was_asked_for(cased):
    name = opened(cased, cased.report(id="a"))
    cased.report(id="b", root_id="a", op="UPDATE")
    with pytest.raises(NotAllowed, match="newer version"):
        cased.desk.open(cased.reader("asks"), name)


def test_an_original_is_of_its_own_case_only(cased):
    first, second = cased.report(), cased.report()
    rows = dict(cased.db.query("SELECT case_id, original FROM cases.originals"))
    with pytest.raises(Gone):
        cased.desk.originals.open(first, b64decode(rows[second]))
    assert cased.desk.originals.open(first, b64decode(rows[first])).reporter_name == CANARY


def test_a_report_too_large_for_its_case_stays_at_its_source_and_others_are_of_few_lengths(cased):
    found, case_id = casework.originals(cased.node), uuid4()
    assert found.wrap(case_id, bytes(SIZES[-1])) == b""
    lengths = {len(found.wrap(case_id, b"x" * n)) for size in SIZES for n in (size // 2, size - 1)}
    assert len(lengths) == len(SIZES)
    for nothing in (b"", b"short", found.wrap(case_id, b"no report")):
        with pytest.raises(Gone):
            found.open(case_id, nothing)


def test_what_is_de_identified_at_its_source_has_no_original_here(cased):
    sources.write(cased.home, replace(sources.find(cased.home, "hotline"), deidentify="source"))
    case = cased.desk.read(cased.reader("reads"), cased.report())
    assert case.narratives and not cased.desk.original_kept(case)
    assert cased.db.query("SELECT count() FROM cases.originals") == [(0,)]


def test_a_disclosure_is_nobodys_business_elsewhere(cased):
    name = opened(cased, cased.report())
    for who in ("elsewhere", "nowhere"):
        for act in (desk.Desk.approve, desk.Desk.refuse, desk.Desk.revoke, desk.Desk.open):
            with pytest.raises(NotAllowed):
                act(cased.desk, cased.reader(who), name)
        assert cased.desk.disclosures(cased.reader(who)) == []
    assert cased.desk.disclosures(cased.reader("reads")) == []
    assert len(cased.desk.disclosures(cased.reader("asks"))) == 1


def test_who_lost_the_holder_opens_nothing_any_more(cased):
    name = opened(cased, cased.report())
    asks = cased.reader("asks")
    with pytest.raises(NoSuchCase):
        cased.desk.open(replace(asks, holders=frozenset()), name)
    with pytest.raises(NoSuchCase):
        cased.desk.open(replace(asks, roles=frozenset({"DISCLOSE"})), name)


# Notices.


def told(cased):
    return [(n.kind, n.organisation, dict(n.facts)) for n in cased.told]


def test_an_urgent_case_is_told_once_for_each_report_and_to_whom_it_is_for(cased):
    urgent = cased.report(id="a", severity="CRITICAL", workplace_name=None)
    cased.report(id="b", root_id="a", op="UPDATE", severity="CRITICAL", workplace_name=None)
    cased.report(workplace_name=None)
    assert told(cased)[0] == ("CASE_URGENT", "union", {"case_id": str(urgent), "severity": "CRITICAL"})
    assert len({n.notice_id for n in cased.told}) == 1


def test_a_minor_is_urgent_and_a_case_nobody_handles_is_told_under_its_holders_name(cased):
    cased.node.directory.add_organisation(Organisation("union", "union"))
    cased.report(age_years=15, workplace_name=None)
    assert [(n.kind, n.organisation) for n in cased.told] == [("CASE_URGENT", "hotline")]


@pytest.mark.guards("R14")
def test_of_what_was_taken_back_on_its_way_nobody_is_told(cased):
    cased.report(id="a", severity="CRITICAL", carry=False)
    cased.node.consent_desk().withdraw(cased.uid("a"))
    cases.take_back(cased.parts, change_of(cased))
    case = CaseReport(
        case_id=uuid4(),
        case_token=cased.node.tokens.report("case", cased.uid("a"), epoch_of(cased.time)),
        op="CREATE",
        holder="hotline",
        received_hour=cased.time,
        urgent=True,
        consent_scopes=SCOPES,
    )
    cases.take_in(cased.parts, [case], "late")
    assert cased.told == [] and cased.desk.listed(cased.reader("reads")) == []


def test_three_reports_on_one_workplace_are_told_and_six_again(cased):
    seen = []
    for n in range(7):
        cased.report(workplace_name="Works 1")
        cased.report("other", workplace_name="Works 1") if n < 2 else None
        seen.append([n.facts["reports"] for n in cased.told if n.kind == "CASE_CLUSTER"])
    assert seen[1:] == [[], [3], [3], [3], [3, 6], [3, 6]]
    assert {n.organisation for n in cased.told} == {"union"}


def test_a_cluster_is_found_by_its_notice_and_by_each_of_its_cases_within_ones_own(cased):
    mine = [cased.report(workplace_name="Works 1") for _ in range(3)]
    cased.report(workplace_name="Works 2")
    cased.report("other", workplace_name="Works 1")
    reader, (notice,) = cased.reader("reads"), cased.told
    for name in (UUID(notice.facts["cluster_id"]), mine[0]):
        assert sorted(ids(cased.desk.listed(reader, name))) == sorted(mine)
        assert cased.desk.listed(cased.reader("elsewhere"), name) == []
    assert cased.desk.read(reader, mine[0]).others == 2


def test_a_batch_that_comes_again_changes_nothing(cased):
    cased.report(carry=False, severity="CRITICAL")
    made = cased.carry()
    for _ in range(2):
        cases.take_in(cased.parts, made, "again")
    assert cased.db.query("SELECT count() FROM cases.visible") == [(1,)]
    assert len({n.notice_id for n in cased.told}) == 1


def test_who_is_told_was_told_before_the_case_is_in_the_table(cased, monkeypatch):
    # A case in the table is what lets the outbox forget its message.
    def full(notices):
        raise NotNow("no room")

    parts = casework_with(cased, full)
    cased.report(severity="CRITICAL", carry=False)
    monkeypatch.setattr(cased, "parts", parts)
    with pytest.raises(NotNow):
        cased.carry()
    assert cased.db.query("SELECT count() FROM cases.reports") == [(0,)]


def casework_with(cased, tell):
    shared = {
        name: getattr(cased.parts, name) for name in ("store", "codec", "now", "batch", "linger_seconds")
    }
    return casework.case_parts(cased.node, shared, tell)


@pytest.mark.guards("R15")
def test_a_notice_says_that_there_is_something_to_read_and_nothing_of_it(cased):
    for _ in range(3):
        cased.report(severity="CRITICAL", age_years=15)
    said = repr([(n.notice_id, n.key, n.indicator, n.sector, n.region, dict(n.facts)) for n in cased.told])
    assert {n.kind for n in cased.told} == {"CASE_URGENT", "CASE_CLUSTER"}
    tokens = {t for row in cased.db.query("SELECT workplace_token FROM cases.reports") for t in row}
    for hidden in (CANARY, "Works", "W0", "TH-10", "RID", "<TEXT>", *tokens):
        assert hidden and hidden not in said, hidden
    assert {key for n in cased.told for key in n.facts} == {"case_id", "severity", "cluster_id", "reports"}


def test_a_list_has_no_words(cased):
    assert "narratives" not in {f.name for f in fields(Listed)} and issubclass(Case, Listed)
    assert feed.listed(cased.db, Reader("x", "", frozenset(), frozenset()), cased.time) == []
