"""Tokens rotate by quarter: whoever must find a report still does, and the privacy ledger does not notice."""

from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest
from agents_of import take_back

from connectors.intake import Door
from connectors.seal import unseal
from connectors.sources import canonical
from schemas.codec import Codec
from schemas.events import ConsentChange, SealedReport
from schemas.tokens import Tokens, epoch_of
from streams.agents.cases import case_row
from streams.agents.path import contribution_row
from streams.steps.deidentify import Deidentifier, Words
from streams.steps.receive import Receiver
from streams.steps.refuse import Coordinates
from streams.steps.register import Register

# Near today, or ClickHouse removes the rows; the quarters are real, the days between them are not waited for.
NOW = datetime.now(UTC)
QUARTERS = [NOW - timedelta(days=100 * n) for n in (2, 1, 0)]
REGISTER = Register(
    [
        {
            "workplace_id": "w1",
            "name": "Golden Fish",
            "aliases": "",
            "country": "TH",
            "admin1": "TH-74",
            "isic_division": "10",
        }
    ]
)


class Hotline:
    """A door, a stream and ClickHouse, with a clock that is set by hand."""

    def __init__(self, outbox, keys, tokens, codec, db):
        self.now = NOW
        self.outbox, self.tokens, self.codec, self.db = outbox, tokens, codec, db
        self.door = Door(outbox, keys, tokens, codec, lambda: self.now)
        self.receiver = Receiver(
            codec,
            lambda: Deidentifier(tokens, REGISTER, "TH"),
            lambda texts: [Words(text) for text, _ in texts],
            lambda report: unseal(report, keys.key(report.key_ref)),
            lambda letter, _: letter,
        )

    def tell(self, native, at, **answers):
        """Take a report in and carry it to ClickHouse; returns what became of it."""
        self.now = at
        report = {"id": uuid4().hex, "root_id": native, "workplace_name": "Golden Fish", "consent": "YES"}
        report |= {"consent_scopes": ["AGGREGATE_STATISTICS", "CASE_HANDLING"]} | answers
        self.door.accept([canonical.parse(report, "hotline", "STATIC_SECRET")])
        row = self.outbox.unsent(0, 100)[-1]
        envelope = self.codec.decode(SealedReport, row.parcel.value)
        (outcome,) = self.receiver.receive([(row.parcel.value, Coordinates("t", 0, row.seq, at))])
        for table, made in (
            ("sealed.contributions", contribution_row(outcome.contribution, NOW)),
            ("cases.reports", outcome.case and case_row(outcome.case, NOW) | {"received_hour": NOW}),
        ):
            self.db.insert(table, [made] if made else [], uuid4().hex)
        return envelope, outcome.contribution, outcome.case

    def left(self):
        counts = self.db.query(
            "SELECT (SELECT count() FROM sealed.contributions), (SELECT count() FROM cases.reports)"
        )
        return counts[0]


@pytest.fixture
def hotline(outbox, keys, tokens: Tokens, codec: Codec, clickhouse):
    for table in ("sealed.contributions", "cases.reports"):
        clickhouse.command(f"TRUNCATE TABLE {table}")
    return Hotline(outbox, keys, tokens, codec, clickhouse)


def test_the_quarters_of_these_tests_are_three_epochs():
    assert len({epoch_of(at) for at in QUARTERS}) == 3


def test_a_revision_keeps_the_epoch_of_its_report_so_that_a_later_no_takes_back_the_yes(hotline):
    envelope, yes, case = hotline.tell("r1", QUARTERS[0])
    again, no, _ = hotline.tell("r1", QUARTERS[2], consent="NO")
    assert envelope.token_epoch == again.token_epoch == epoch_of(QUARTERS[0])
    assert yes.report_token == no.report_token and (yes.countable, no.countable) == (True, False)
    *_, changed = hotline.tell("r1", QUARTERS[1], severity="HIGH")
    assert case.case_token == changed.case_token


def test_reports_of_two_quarters_share_no_token_but_their_unit(hotline):
    _, *first = hotline.tell("r1", QUARTERS[0])
    _, *second = hotline.tell("r2", QUARTERS[1])
    assert first[0].unit == second[0].unit
    assert first[1].workplace_token != second[1].workplace_token
    _, _, neighbour = hotline.tell("r3", QUARTERS[1])
    assert second[1].workplace_token == neighbour.workplace_token


def test_a_withdrawal_finds_every_row_of_a_report_two_quarters_later(hotline):
    envelope, *_ = hotline.tell("r1", QUARTERS[0])
    hotline.tell("r1", QUARTERS[1], severity="HIGH")
    hotline.tell("r2", QUARTERS[0])
    assert hotline.left() == (3, 3)
    change = ConsentChange(
        change_id=uuid4(), report_uid=envelope.report_uid, kind="WITHDRAW", requested_at=QUARTERS[2]
    )
    take_back(hotline.db, hotline.tokens, lambda: QUARTERS[2], change)
    assert hotline.left() == (1, 1)


def test_a_report_of_before_there_were_epochs_goes_on_without_one(hotline):
    hotline.tell("r1", QUARTERS[1])
    hotline.outbox._db.execute("DELETE FROM first_epoch")
    envelope, *_ = hotline.tell("r1", QUARTERS[2], severity="HIGH")
    assert (envelope.revision, envelope.token_epoch) == (1, "")
