"""The agents, fed by hand: real steps, real Faust agents in Faust's own test facility, no broker."""

import asyncio
import contextlib
import logging
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from uuid import UUID, uuid4

import faust
import pytest
from agents_of import all_agents, take_back

from schemas import topics
from schemas.events import (
    CaseNarrative,
    CaseReport,
    ConsentChange,
    DeadLetter,
    DeidentifiedReport,
    RawReportBody,
    SealedReport,
)
from schemas.tokens import epoch_of
from streams.agents import attach, path
from streams.agents.cases import case_row
from streams.agents.common import decoded, persist, token
from streams.agents.path import TooManyDeadLetters, contribution_row, dead_letter_row
from streams.steps.deidentify import Deidentifier, Words
from streams.steps.receive import Receiver
from streams.steps.refuse import Refused
from streams.steps.register import Register

NOW = datetime.now(UTC).replace(microsecond=0)
LANDED = NOW.replace(minute=0, second=0)


@dataclass
class Event:
    value: bytes
    message: SimpleNamespace


def an_event(value=b"x", *, topic="t", partition=0, offset=0):
    return Event(value, SimpleNamespace(topic=topic, partition=partition, offset=offset))


def a_contribution(number=1):
    return DeidentifiedReport(
        contribution_id=UUID(int=number),
        report_token=UUID(int=number),
        op="CREATE",
        countable=True,
        unit="u",
        unit_kind="WORKPLACE",
        country="TH",
        region="TH-10",
        sector="C",
        indicators=("DEB",),
    )


@pytest.fixture
def db(clickhouse):
    for table in (
        "sealed.contributions",
        "sealed.dead_letters",
        "cases.reports",
        "sealed.taken_back",
        "cases.taken_back",
        "cases.superseded",
    ):
        clickhouse.command(f"TRUNCATE TABLE {table}")
    return clickhouse


@pytest.fixture
def steps():
    return set()


@pytest.fixture
def parts(db, tokens, codec, steps):
    receiver = Receiver(
        codec,
        lambda: Deidentifier(tokens, Register(), "TH"),
        lambda texts: [Words(text) for text, _ in texts],
        lambda report: b"",
        lambda letter, data: letter,
    )
    return all_agents(
        db,
        tokens,
        codec,
        lambda: NOW,
        receiver,
        watch=SimpleNamespace(look=lambda releases: []),
        poison_limit=3,
        batch=10,
        linger_seconds=0.05,
        shuffle=lambda items: items.reverse(),
        tightening=lambda: frozenset(steps),
    )


@pytest.fixture
def a_sealed_report(parts, codec):
    """Return a function that encodes a report; the receiver of these tests opens it to the same body."""
    body = RawReportBody(country="TH", admin1="TH-10", indicators=("RID",), severity="HIGH")
    schema, opened = codec.encode_body(body)
    object.__setattr__(parts.path.receiver, "unseal", lambda report: opened)

    def make(report=0, revision=0, **changes):
        return codec.encode(
            replace(
                SealedReport(
                    event_id=uuid4(),
                    report_uid=UUID(int=report),
                    revision=revision,
                    op="CREATE",
                    source_id="hotline",
                    connector="api",
                    mapping_id="m/1",
                    received_at=LANDED,
                    verification="STATIC_SECRET",
                    native_id_hmac="n",
                    payload_hmac="p",
                    consent="YES",
                    consent_scopes=("AGGREGATE_STATISTICS",),
                    body_schema=schema,
                    key_ref=uuid4(),
                    nonce=b"",
                    sealed=b"",
                ),
                **changes,
            )
        )

    return make


def test_a_batch_is_named_by_its_places_and_a_digest_of_what_it_holds():
    events = [an_event(bytes([n]), partition=p, offset=n) for p, n in ((1, 5), (0, 7), (1, 6), (0, 8))]
    name, digest = token(events).split("#")
    assert name == "t:0:7-8,t:1:5-6" and len(digest) == 32


def test_the_order_in_which_partitions_arrive_does_not_change_the_name_of_a_batch():
    events = [an_event(bytes([n]), partition=n % 3, offset=n) for n in range(9)]
    assert token(events) == token(events[::-1])


def test_a_batch_delivered_again_is_dropped_by_clickhouse(db):
    rows = [contribution_row(a_contribution(), NOW)]
    for _ in range(2):
        db.insert("sealed.contributions", rows, token([an_event()]))
    assert db.query("SELECT count() FROM sealed.contributions") == [(1,)]


def test_another_message_at_the_same_place_is_not_dropped(db):
    # A broker that forgets begins again at offset 0, while ClickHouse remembers the batches it has seen.
    for number in (1, 2):
        event = an_event(bytes([number]))
        rows = [contribution_row(a_contribution(number), NOW)]
        db.insert("sealed.contributions", rows, token([event]))
    assert db.query("SELECT count() FROM sealed.contributions") == [(2,)]


def test_every_kind_of_row_fits_its_table(db):
    letter = DeadLetter(
        dead_letter_id=uuid4(),
        reason="UNDECODABLE",
        stage="open",
        at_hour=LANDED,
        payload="SEALED_BYTES",
        sealed=b"\0",
    )
    case = CaseReport(
        case_id=uuid4(),
        case_token=uuid4(),
        op="CREATE",
        holder="hotline",
        received_hour=LANDED,
        narratives=(CaseNarrative(key="1", text="<TEXT>"),),
    )
    db.insert("sealed.contributions", [contribution_row(a_contribution(), NOW)], "1")
    db.insert("sealed.dead_letters", [dead_letter_row(letter, NOW)], "2")
    db.insert("cases.reports", [case_row(case, NOW)], "3")
    assert db.query("SELECT landed_hour FROM sealed.contributions")[0][0] == LANDED
    assert db.query("SELECT partition, offset, source_id FROM sealed.dead_letters") == [(-1, -1, "")]
    ((narratives,),) = db.query("SELECT narratives FROM cases.reports")
    assert [tuple(n.values()) if isinstance(n, dict) else tuple(n) for n in narratives] == [("1", "<TEXT>")]


@pytest.mark.guards("R14")
@pytest.mark.parametrize("epoch", ["", "2026Q1", epoch_of(NOW)])
def test_a_withdrawal_empties_both_paths_and_only_of_that_report_whatever_its_epoch(db, parts, tokens, epoch):
    gone, stays = uuid4(), uuid4()
    for number, uid in enumerate((gone, stays)):
        row = contribution_row(a_contribution(number), NOW)
        row |= {"report_token": tokens.report("contribution", uid, epoch)}
        db.insert("sealed.contributions", [row], str(number))
        case = {
            "case_id": uuid4(),
            "case_token": tokens.report("case", uid, epoch),
            "received_hour": LANDED,
        }
        db.insert("cases.reports", [case], str(number))
    withdraw(parts, ConsentChange(change_id=uuid4(), report_uid=gone, kind="WITHDRAW", requested_at=NOW))
    assert db.query("SELECT contribution_id FROM sealed.contributions") == [(UUID(int=1),)]
    assert db.query("SELECT case_token FROM cases.reports") == [(tokens.report("case", stays, epoch),)]


ALL_SCOPES = ("AGGREGATE_STATISTICS", "CASE_HANDLING", "CONTACT_BACK")


def withdraw(parts, change):
    take_back(parts.path.store, parts.path.tokens, parts.path.now, change)


def of_report(tokens, uid, number=0):
    """Return what a report came to on both paths."""
    epoch = epoch_of(NOW)
    contribution = replace(
        a_contribution(number), report_token=tokens.report("contribution", uid, epoch), revision=number
    )
    case = CaseReport(
        case_id=UUID(int=number),
        case_token=tokens.report("case", uid, epoch),
        op="CREATE",
        holder="hotline",
        received_hour=LANDED,
        consent_scopes=ALL_SCOPES,
    )
    return contribution, case


def land(db, *pairs):
    for contribution, case in pairs:
        db.insert("sealed.contributions", [contribution_row(contribution, NOW)], str(uuid4()))
        db.insert("cases.reports", [case_row(case, NOW)], str(uuid4()))


def there(db):
    counted = db.query("SELECT contribution_id FROM sealed.contributions ORDER BY contribution_id")
    cases = db.query("SELECT case_id, consent_scopes FROM cases.reports ORDER BY case_id")
    return [i.int for (i,) in counted], [(i.int, tuple(scopes)) for i, scopes in cases]


def a_change(uid, *scopes, kind="SCOPES"):
    return ConsentChange(
        change_id=uuid4(), report_uid=uid, kind=kind, consent_scopes=scopes, requested_at=NOW
    )


CHANGES = {
    "statistics taken back": (ALL_SCOPES[1:], [], [(1, ALL_SCOPES[1:])]),
    "case handling taken back": (ALL_SCOPES[:1], [1], []),
    "contact taken back": (ALL_SCOPES[:2], [1], [(1, ALL_SCOPES[:2])]),
    "everything taken back": ((), [], []),
    "nothing taken back, and more asked for": (
        (*ALL_SCOPES, "RESEARCH"),
        [1],
        [(1, ALL_SCOPES)],
    ),
}


@pytest.mark.guards("R14")
@pytest.mark.parametrize("name", CHANGES)
def test_what_a_worker_takes_back_goes_from_its_path_and_only_of_that_report(db, parts, tokens, name):
    scopes, counted, cases = CHANGES[name]
    uid = uuid4()
    land(db, of_report(tokens, uid, 1), of_report(tokens, uuid4(), 2))
    withdraw(parts, a_change(uid, *scopes))
    assert there(db) == ([*counted, 2], [*cases, (2, ALL_SCOPES)])


def test_later_changes_of_scopes_only_take_more(db, parts, tokens):
    uid = uuid4()
    land(db, of_report(tokens, uid, 1))
    withdraw(parts, a_change(uid, "CASE_HANDLING"))
    withdraw(parts, a_change(uid, *ALL_SCOPES))
    land(db, of_report(tokens, uid, 2))
    withdraw(parts, a_change(uid, *ALL_SCOPES))
    assert there(db) == ([], [(1, ("CASE_HANDLING",)), (2, ("CASE_HANDLING",))])


def test_a_change_of_a_kind_nobody_knows_does_nothing(parts, codec, db, tokens):
    uid = uuid4()
    land(db, of_report(tokens, uid, 1))
    fed(parts, topics.CONSENT, [codec.encode(a_change(uid, kind="UNKNOWN"))])
    assert there(db) == ([1], [(1, ALL_SCOPES)])


@pytest.mark.guards("R14")
@pytest.mark.parametrize("name", CHANGES)
def test_what_lands_after_it_was_taken_back_goes_as_well(db, parts, codec, tokens, name):
    scopes, counted, cases = CHANGES[name]
    uid, other = uuid4(), uuid4()
    tables = ["cases.taken_back"] + ["sealed.taken_back"] * ("AGGREGATE_STATISTICS" not in scopes)
    changed = lambda: all(db.query(f"SELECT count() FROM {table}") != [(0,)] for table in tables)  # noqa: E731
    fed(parts, topics.CONSENT, [codec.encode(a_change(uid, *scopes))], changed)
    late = [of_report(tokens, uid, 1), of_report(tokens, other, 2)]
    wanted = ([*counted, 2], [*cases, (2, ALL_SCOPES)])
    fed(parts, topics.DEIDENTIFIED, [codec.encode(c) for c, _ in late], lambda: there(db)[0] == wanted[0])
    fed(parts, topics.CASES, [codec.encode(case) for _, case in late], lambda: there(db)[1] == wanted[1])
    assert there(db) == wanted


@pytest.mark.guards("R15")
def test_what_was_taken_back_cannot_be_joined_across_the_paths(db, parts, tokens):
    withdraw(parts, a_change(uuid4()))
    counts = db.query("SELECT report_token, change_token FROM sealed.taken_back")
    cases = db.query("SELECT case_token, change_token FROM cases.taken_back")
    assert len(counts) == len(cases) > 2
    assert not {name for row in counts for name in row} & {name for row in cases for name in row}


# What a source ends: an edit without the scope, or a withdrawal.

HANDLED, COUNTED = {"consent_scopes": ALL_SCOPES}, {"consent_scopes": ALL_SCOPES[:1]}
GONE = {"op": "WITHDRAW", "consent": "NO", "consent_scopes": ()}
ENDS = {
    "an edit without case handling": COUNTED,
    "an edit that says no": {"consent": "NO", "consent_scopes": ALL_SCOPES},
    "an edit in which nobody knows": {"consent": "UNKNOWN", "consent_scopes": ()},
    "a withdrawal": GONE,
    "an edit in test mode that says no": {"consent": "NO", "test": True},
}


@pytest.fixture
def told(parts, codec, a_sealed_report):
    """Return what lets a source tell revisions of reports, in this order, as far as what is to be kept."""

    def tell(*revisions):
        sent, crashes = fed(
            parts, topics.SEALED, [a_sealed_report(*told[:2], **told[2]) for told in revisions]
        )
        assert not crashes and not [1 for topic, *_ in sent if topic == topics.DEADLETTERS]
        return [value for topic, _, value in sent if topic == topics.CASES]

    return tell


def in_cases(db):
    return sorted(db.query("SELECT case_token, revision FROM cases.reports"))


def kept(parts, codec, db, cases, wanted):
    """Let the agent that keeps cases take these; it must come to ``wanted``."""
    landed, insert = [], db.insert

    def heard(table, rows, token):
        insert(table, rows, token)
        landed.append(table)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(db, "insert", heard)
        fed(parts, topics.CASES, cases, lambda: bool(landed) and in_cases(db) == wanted)
    assert landed and in_cases(db) == wanted


@pytest.fixture
def named(tokens):
    return lambda report: tokens.report("case", UUID(int=report), "")


@pytest.mark.guards("R14")
@pytest.mark.parametrize("name", ENDS)
def test_a_revision_without_a_case_takes_the_earlier_cases_away_and_only_of_that_report(
    db, parts, codec, told, named, name
):
    cases = told((0, 0, HANDLED), (0, 1, HANDLED), (1, 0, HANDLED))
    everything = sorted([(named(0), 0), (named(0), 1), (named(1), 0)])
    kept(parts, codec, db, cases, everything)
    assert told((0, 2, ENDS[name])) == []
    assert in_cases(db) == [(named(1), 0)]


@pytest.mark.guards("R14")
@pytest.mark.parametrize("name", ENDS)
def test_a_case_that_lands_after_the_revision_that_ended_it_goes_as_well(db, parts, codec, told, named, name):
    cases = told((0, 0, HANDLED), (0, 1, ENDS[name]), (1, 0, HANDLED))
    assert len(cases) == 2
    kept(parts, codec, db, cases, [(named(1), 0)])


@pytest.mark.parametrize("order", ["told at once", "one after the other", "the new case lands first"])
def test_who_agrees_again_has_a_case_again_and_not_the_old_one(db, parts, codec, told, named, order):
    revisions = [(0, 0, HANDLED), (0, 1, GONE), (0, 2, HANDLED)]
    wanted = [(named(0), 2)]
    if order == "told at once":
        kept(parts, codec, db, told(*revisions), wanted)
    elif order == "one after the other":
        kept(parts, codec, db, told(revisions[0]), [(named(0), 0)])
        told(revisions[1])
        assert in_cases(db) == []
        kept(parts, codec, db, told(revisions[2]), wanted)
    else:
        old, new = told(revisions[0]), told(revisions[2])
        kept(parts, codec, db, new, wanted)
        kept(parts, codec, db, old, sorted([(named(0), 0), *wanted]))
        told(revisions[1])
        assert in_cases(db) == wanted


def test_the_end_of_a_case_that_arrives_twice_or_late_ends_no_later_one(db, parts, codec, told, named):
    kept(parts, codec, db, told((0, 3, HANDLED)), [(named(0), 3)])
    for revision in (2, 1, 2):
        told((0, revision, COUNTED))
    assert in_cases(db) == [(named(0), 3)]
    kept(parts, codec, db, told((0, 1, HANDLED), (1, 0, HANDLED)), sorted([(named(0), 3), (named(1), 0)]))


def test_of_a_withdrawn_case_its_holder_keeps_the_news_and_no_word(db, parts, codec, told, named):
    cases = told((0, 0, HANDLED), (0, 1, {"op": "WITHDRAW", **HANDLED}))
    kept(parts, codec, db, cases, [(named(0), 1)])
    sql = "SELECT op, region, severity, indicators, narratives FROM cases.reports"
    ((op, region, severity, indicators, narratives),) = db.query(sql)
    assert (op, severity, list(narratives)) == ("WITHDRAW", "UNKNOWN", [])
    assert "TH-10" not in region and "RID" not in indicators


@pytest.mark.guards("R14")
def test_what_a_worker_took_back_stays_so_when_the_source_agrees_again(db, parts, codec, told, named):
    (case,) = told((0, 0, HANDLED))
    kept(parts, codec, db, [case], [(named(0), 0)])
    withdraw(parts, a_change(UUID(int=0), *ALL_SCOPES[:1]))
    told((0, 1, COUNTED))
    again = told((0, 2, HANDLED), (1, 0, HANDLED))
    assert len(again) == 2
    kept(parts, codec, db, again, [(named(1), 0)])


def test_the_end_of_a_case_is_told_in_the_epoch_its_report_has(db, parts, codec, told, tokens):
    epoch = {"token_epoch": "2026Q1"}
    kept(parts, codec, db, told((0, 0, HANDLED | epoch)), [(tokens.report("case", UUID(int=0), "2026Q1"), 0)])
    told((0, 1, GONE | epoch))
    assert in_cases(db) == []


@pytest.mark.parametrize(
    ("revision", "changes"),
    [
        (0, COUNTED),  # there was nothing before it
        (1, HANDLED),
        (1, {"test": True, **HANDLED}),  # nobody's report, which says no word against the case
    ],
)
def test_nothing_else_ends_a_case(db, parts, codec, told, named, revision, changes):
    kept(parts, codec, db, told((0, 0, HANDLED)), [(named(0), 0)])
    told((0, revision, changes))
    assert in_cases(db) == [(named(0), 0)] and not db.query("SELECT 1 FROM cases.superseded")


def test_a_dead_letter_ends_no_case(db, parts, codec, told, named, a_sealed_report):
    def shut(report):
        raise Refused("UNSEALABLE", "open")

    kept(parts, codec, db, told((0, 0, HANDLED)), [(named(0), 0)])
    object.__setattr__(parts.path.receiver, "unseal", shut)
    sent, _ = fed(parts, topics.SEALED, [a_sealed_report(0, 1, **GONE)])
    assert [topic for topic, *_ in sent] == [topics.DEADLETTERS]
    assert in_cases(db) == [(named(0), 0)]


def test_what_is_not_ours_on_our_topics_is_named_by_its_place_and_left_out(codec, caplog):
    good = codec.encode(a_contribution())
    said = b"my name is Somchai"
    events = [an_event(said, offset=41), an_event(good, offset=42)]
    assert list(decoded(codec, DeidentifiedReport, events)) == [a_contribution()]
    assert "t:0:41" in caplog.text and "Somchai" not in caplog.text


def test_an_error_of_the_machinery_is_waited_out_without_its_message(caplog):
    tries = []

    def fail_twice(value):
        tries.append(value)
        if len(tries) < 3:
            raise ConnectionError("secret")
        return value

    with caplog.at_level(logging.WARNING):
        assert asyncio.run(persist(fail_twice, 7)) == 7
    assert len(tries) == 3 and "ConnectionError" in caplog.text and "secret" not in caplog.text


def fed(parts, topic, values, until=lambda: False):
    """Give the agent of a topic some messages; returns what it sent, and why the app crashed if it did.

    ``until`` tells that it has done what it should, where that is not to send.
    """
    sent, crashes = [], []

    async def deliver(app, messages):
        sent.extend(messages)

    async def play():
        app = faust.App("test", broker="kafka://127.0.0.1:1", web_enabled=False, topic_allow_declare=False)
        crashed = asyncio.Event()

        async def crash(why):
            crashes.append(why)
            crashed.set()

        app.crash = crash
        attach(app, parts)
        app.finalize()
        app.flow_control.resume()
        async with contextlib.AsyncExitStack() as stack:
            for agent in [a for a in app.agents.values() if topic.name in a.channel.topics]:
                test = await stack.enter_async_context(agent.test_context())
                for value in values:
                    await test.put(value)
            for _ in range(100):
                await asyncio.sleep(0.02)
                # Each message comes to one of these two, whatever else comes of it.
                done = [t for t, *_ in sent if t in (topics.DEIDENTIFIED, topics.DEADLETTERS)]
                if crashed.is_set() or len(done) == len(values) or until():
                    break

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(path, "deliver", deliver)
        asyncio.run(play())
    return sent, crashes


@pytest.mark.guards("R12", "R18")
def test_an_app_has_one_agent_for_each_topic_and_no_table(parts):
    app = faust.App("test", broker="kafka://127.0.0.1:1", web_enabled=False, topic_allow_declare=False)
    attach(app, parts)
    # What is entrusted to it a door reads.
    assert {t for a in app.agents.values() for t in a.channel.topics} == {
        t.name for t in topics.ALL if t is not topics.ENTRUSTED
    }
    assert not app.tables


def test_a_few_dead_letters_go_their_way(parts):
    sent, crashes = fed(parts, topics.SEALED, [b"1", b"2", b"3"])
    assert [topic for topic, *_ in sent] == [topics.DEADLETTERS] * 3 and not crashes


def test_too_many_dead_letters_in_a_row_stop_the_app_before_anything_is_acknowledged(parts):
    sent, crashes = fed(parts, topics.SEALED, [b"1", b"2", b"3", b"4"])
    assert [type(why) for why in crashes] == [TooManyDeadLetters] and len(sent) < 4
    assert str(crashes[0]) == "more than 3 dead letters in a row"


def test_a_dead_letter_prints_no_bytes():
    letter = DeadLetter(
        dead_letter_id=uuid4(),
        reason="r",
        stage="s",
        at_hour=LANDED - timedelta(hours=1),
        payload="UNKNOWN",
        sealed=b"xyz",
    )
    assert "xyz" not in repr(letter)


def test_messages_leave_shuffled_but_those_of_one_report_in_their_order(parts, codec, a_sealed_report):
    sealed = [a_sealed_report(report=n % 2, revision=n // 2) for n in range(6)]
    sent, _ = fed(parts, topics.SEALED, sealed)
    told = [codec.decode(DeidentifiedReport, value) for topic, _, value in sent]
    assert [t for t, *_ in sent] == [topics.DEIDENTIFIED] * 6
    by_report = {}
    for contribution in told:
        by_report.setdefault(contribution.report_token, []).append(contribution.revision)
    assert list(by_report.values()) == [[0, 1, 2]] * 2
    # The order was turned round: the second report's lane, which came in second, goes out first.
    assert told[0].report_token == parts.path.tokens.report("contribution", UUID(int=1), "")


def test_a_contribution_is_coarsened_on_its_way_out(parts, codec, a_sealed_report, steps):
    steps.add("severity")
    ((_, _, value),), _ = fed(parts, topics.SEALED, [a_sealed_report()])
    contribution = codec.decode(DeidentifiedReport, value)
    assert (contribution.countable, contribution.severity, contribution.region) == (True, "UNKNOWN", "TH-10")
