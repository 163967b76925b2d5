"""Receipts over HTTP: through the real door, key store and ClickHouse, and the real agents' statements."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast
from urllib.parse import quote
from uuid import UUID, uuid4

import pytest
from agents_of import take_back
from starlette.applications import Starlette
from starlette.testclient import TestClient

from connectors.clickhouse import ClickHouse
from connectors.intake import Accepted, Door
from connectors.keystore import KeyMissing, KeyStore
from connectors.outbox import Outbox
from connectors.sources import canonical
from connectors.web.limits import Limits, Rate
from connectors.web.receipts import ReceiptParts, Receipts, routes
from connectors.worker.consent import ConsentDesk
from connectors.worker.promises import ReceiptIndex
from connectors.worker.receipts import code, read, written
from schemas import topics
from schemas.codec import Codec
from schemas.events import CaseReport, ConsentChange, DeidentifiedReport, SealedReport
from schemas.tokens import Tokens
from streams.agents.cases import case_row
from streams.agents.path import contribution_row
from streams.arrived import arrived

STATISTICS, CASE, BACK = "AGGREGATE_STATISTICS", "CASE_HANDLING", "CONTACT_BACK"
HOUR = datetime.now(UTC).replace(minute=0, second=0, microsecond=0)  # old rows are removed by ClickHouse
PLENTY = Rate(1e6, 1e6)


class Desk:
    """The routes over real parts, and what the stream would do with what is in the outbox."""

    def __init__(self, home: Path, db: ClickHouse, tokens: Tokens, codec: Codec) -> None:
        self.db, self.tokens, self.codec, self.now = db, tokens, codec, HOUR + timedelta(minutes=7)
        self.outbox = Outbox(home / "outbox.db")
        self.keys = KeyStore(home / "keys.db", tokens.key("source-keys"))
        self.door = Door(self.outbox, self.keys, tokens, codec, lambda: self.now)
        self.told: list[None] = []
        self.limits = Limits(PLENTY, PLENTY, time.monotonic)
        self.parts = ReceiptParts(
            desk=lambda: ConsentDesk(
                Outbox(home / "outbox.db"),
                KeyStore(home / "keys.db", tokens.key("source-keys")),
                codec,
                lambda: self.now,
            ),
            tokens=tokens,
            arrived=lambda uid: arrived(db, tokens, self.now, uid),
            changed=lambda: self.told.append(None),
            now=lambda: self.now,
            limits=self.limits,
        )
        self.client = TestClient(Starlette(routes=routes(self.parts)))

    def report(self, id: str = "1", **answers: Any) -> Accepted:
        sent = {"id": id, "consent": "YES", "consent_scopes": [STATISTICS, CASE, BACK]} | answers
        ((answer),) = self.door.accept(
            [canonical.read(json.dumps(sent).encode(), "hotline", "STATIC_SECRET")]
        )
        self.index()
        return answer

    def index(self) -> None:
        thread = ReceiptIndex(lambda: self.outbox.promises, self.tokens)
        thread._REST = 0
        while thread.step(self.outbox.promises):
            pass

    def parcels(self, kind: type, topic: topics.Topic) -> list[Any]:
        rows = [row.parcel for row in self.outbox.unsent(0, 1000) if row.parcel.topic == topic.name]
        return [self.codec.decode(kind, parcel.value) for parcel in rows]

    def carry(self) -> None:
        """Do as the stream does: what may be counted, and what is a case; then what was taken back."""
        for report in self.parcels(SealedReport, topics.SEALED):
            contribution = DeidentifiedReport(
                contribution_id=self.tokens.contribution(report.event_id),
                report_token=self.tokens.report("contribution", report.report_uid, report.token_epoch),
                op="CREATE",
                countable=STATISTICS in report.consent_scopes,
            )
            rows = [contribution_row(contribution, HOUR)]
            self.db.insert("sealed.contributions", rows, str(uuid4()))
            if CASE in report.consent_scopes:
                case = CaseReport(
                    case_id=self.tokens.case(report.event_id),
                    case_token=self.tokens.report("case", report.report_uid, report.token_epoch),
                    op="CREATE",
                    holder="hotline",
                    received_hour=HOUR,
                    consent_scopes=report.consent_scopes,
                )
                self.db.insert("cases.reports", [case_row(case, HOUR)], str(uuid4()))
        for change in self.parcels(ConsentChange, topics.CONSENT):
            take_back(self.db, self.tokens, lambda: self.now, change)

    def rows(self) -> tuple[int, int]:
        return tuple(  # type: ignore[return-value]
            self.db.query(f"SELECT count() FROM {table}")[0][0]
            for table in ("sealed.contributions", "cases.reports")
        )


@pytest.fixture
def desk(tmp_path: Path, clickhouse: ClickHouse, tokens: Tokens, codec: Codec) -> Iterator[Desk]:
    tables = ("sealed.contributions", "cases.reports", "sealed.taken_back", "cases.taken_back")
    for table in tables:
        clickhouse.command(f"TRUNCATE TABLE {table}")
    yield Desk(tmp_path, clickhouse, tokens, codec)
    for table in tables:
        clickhouse.command(f"TRUNCATE TABLE {table}")


ROUTES: dict[str, Callable[[TestClient, str], Any]] = {
    "get": lambda client, code: client.get(f"/v1/receipts/{quote(code, safe='')}"),
    "withdraw": lambda client, code: client.post(f"/v1/receipts/{quote(code, safe='')}/withdraw"),
    "consent": lambda client, code: client.post(
        f"/v1/receipts/{quote(code, safe='')}/consent", json={"scopes": [CASE]}
    ),
    "body": lambda client, code: client.post("/v1/receipts", json={"code": code}),
    "body, withdraw": lambda client, code: client.post("/v1/receipts", json={"code": code, "withdraw": True}),
    "body, scopes": lambda client, code: client.post("/v1/receipts", json={"code": code, "scopes": []}),
}


def ask(desk: Desk, answer: Accepted) -> Any:
    got = ROUTES["get"](desk.client, answer.receipt)
    assert got.status_code == 200
    return got.json()


def test_a_report_is_on_its_way_and_then_counted_and_with_the_organisation(desk: Desk) -> None:
    answer = desk.report()
    standing = ask(desk, answer)
    assert standing == {
        "status": "received",
        "received_on": f"{HOUR.date()}",
        "statistics": "waiting",
        "organisation": "waiting",
        "scopes": [STATISTICS, CASE, BACK],
        "withdrawn_on": None,
    }
    desk.carry()
    assert ask(desk, answer) == standing | {"statistics": "yes", "organisation": "yes"}
    assert ROUTES["body"](desk.client, answer.receipt).json() == ask(desk, answer)


def test_nothing_of_what_was_reported_is_told_and_times_are_days(desk: Desk) -> None:
    answer = desk.report(
        "CANARY", narratives=[{"key": "CANARY", "text": "CANARY"}], admin1="TH-74", workplace_name="CANARY"
    )
    text = ROUTES["get"](desk.client, answer.receipt).text
    assert not {"CANARY", "TH-74", "hotline", "T0", "T1", ":0", str(answer.event_id)} & {
        part
        for part in ("CANARY", "TH-74", "hotline", "T0", "T1", ":0", str(answer.event_id))
        if part in text
    }


@pytest.mark.parametrize("consent", ["NO", "UNKNOWN"])
def test_no_and_unknown_are_no(desk: Desk, consent: str) -> None:
    answer = desk.report(consent=consent)
    desk.carry()
    standing = ask(desk, answer)
    assert (standing["statistics"], standing["organisation"], standing["scopes"]) == ("no", "no", [])


def test_what_nobody_could_read_is_held(desk: Desk) -> None:
    delivery = canonical.read(b'{"id": "1"}', "hotline", "STATIC_SECRET")
    object.__setattr__(delivery, "body", None)
    ((answer),) = desk.door.accept([delivery])
    desk.index()
    standing = ask(desk, answer)
    assert (standing["status"], standing["statistics"], standing["scopes"]) == ("held", "waiting", None)


def test_a_month_later_the_rows_are_gone_and_it_has_been_counted(desk: Desk) -> None:
    answer = desk.report()
    desk.now += timedelta(days=40)
    standing = ask(desk, answer)
    assert (standing["statistics"], standing["organisation"]) == ("yes", "waiting")


def test_where_clickhouse_is_away_nothing_is_said_to_be_there(desk: Desk, caplog: Any) -> None:
    answer = desk.report()
    desk.carry()

    def away(uid: UUID) -> Any:
        raise ConnectionError(answer.receipt)

    object.__setattr__(desk.parts, "arrived", away)
    assert ask(desk, answer)["statistics"] == "waiting"
    assert answer.receipt not in caplog.text


# Changing one's mind


@pytest.mark.parametrize("route", ["withdraw", "body, withdraw"])
def test_a_withdrawal_erases_the_keys_before_it_is_answered_and_reaches_both_paths(
    desk: Desk, route: str
) -> None:
    other, answer = desk.report("2"), desk.report()
    desk.carry()
    assert desk.rows() == (2, 2)
    report = desk.parcels(SealedReport, topics.SEALED)[-1]
    said = ROUTES[route](desk.client, answer.receipt)
    with pytest.raises(KeyMissing):
        desk.keys.key(report.key_ref)
    assert said.status_code == 200 and desk.told
    assert said.json() == {
        "status": "withdrawn",
        "received_on": f"{HOUR.date()}",
        "statistics": "no",
        "organisation": "no",
        "scopes": [],
        "withdrawn_on": f"{HOUR.date()}",
    }
    desk.outbox.acknowledge([desk.outbox.unsent(0, 9)[n].seq for n in (0, 1)], hold=False)
    desk.carry()
    assert desk.rows() == (1, 1)
    assert ROUTES[route](desk.client, answer.receipt).json() == said.json() == ask(desk, answer)
    assert len(desk.parcels(ConsentChange, topics.CONSENT)) == 1
    assert ask(desk, other)["status"] == "received"


@pytest.mark.parametrize(
    ("scopes", "rows", "told"),
    [
        ([CASE, BACK], (1, 2), ("no", "yes")),
        ([STATISTICS], (2, 1), ("yes", "no")),
        ([STATISTICS, CASE], (2, 2), ("yes", "yes")),
        ([], (1, 1), ("no", "no")),
    ],
)
def test_scopes_taken_back_reach_their_path(
    desk: Desk, scopes: list[str], rows: tuple[int, int], told: tuple[str, str]
) -> None:
    desk.report("2")
    answer = desk.report()
    desk.carry()
    said = desk.client.post(f"/v1/receipts/{answer.receipt}/consent", json={"scopes": scopes})
    assert said.status_code == 200 and "refused" not in said.json()
    desk.outbox.acknowledge([row.seq for row in desk.outbox.unsent(0, 2)], hold=False)
    desk.carry()
    assert desk.rows() == rows
    standing = ask(desk, answer)
    assert (standing["statistics"], standing["organisation"]) == told
    assert standing["scopes"] == [s for s in (STATISTICS, CASE, BACK) if s in scopes]


def test_more_than_before_is_refused_in_words_and_less_is_done_all_the_same(desk: Desk) -> None:
    answer = desk.report(consent_scopes=[CASE, BACK])
    said = desk.client.post("/v1/receipts", json={"code": answer.receipt, "scopes": [CASE, STATISTICS]})
    assert said.status_code == 200
    assert (said.json()["scopes"], said.json()["refused"]) == ([CASE], [STATISTICS])
    assert "report again" in said.json()["note"]
    ((change),) = desk.parcels(ConsentChange, topics.CONSENT)
    assert change.consent_scopes == (CASE,)


def test_a_withdrawn_report_allows_nothing_any_more(desk: Desk) -> None:
    answer = desk.report()
    ROUTES["withdraw"](desk.client, answer.receipt)
    said = ROUTES["consent"](desk.client, answer.receipt).json()
    assert (said["status"], said["scopes"], said["refused"]) == ("withdrawn", [], [CASE])
    assert len(desk.parcels(ConsentChange, topics.CONSENT)) == 1


# What leads nowhere


def nowhere(desk: Desk, answer: Accepted) -> dict[str, str]:
    mistyped = answer.receipt[:-1] + ("0" if answer.receipt[-1] != "0" else "1")
    return {
        "unknown": code(desk.tokens, uuid4()),
        "mistyped": mistyped,
        "no code": "please tell me",
        "other": written(2**79),
    }


@pytest.mark.parametrize("route", ROUTES)
def test_what_leads_nowhere_gets_one_answer(desk: Desk, route: str) -> None:
    answer = desk.report()
    answers = {name: ROUTES[route](desk.client, typed) for name, typed in nowhere(desk, answer).items()}
    answers |= {
        name: ROUTES[route](desk.client, typed) for name, typed in (("long", "9" * 5000), ("odd", "๙"))
    }
    assert {(a.status_code, a.text, str(sorted(a.headers.items()))) for a in answers.values()} == {
        (404, answers["unknown"].text, str(sorted(answers["unknown"].headers.items())))
    }
    assert not desk.parcels(ConsentChange, topics.CONSENT)


def test_what_leads_nowhere_takes_the_same_time(desk: Desk) -> None:
    """Which of two kinds took longer, over all pairs, is near one half, and never certain."""
    answer = desk.report()
    for n in range(2, 60):
        desk.door.accept([canonical.read(json.dumps({"id": f"{n}"}).encode(), "hotline", "STATIC_SECRET")])
    desk.index()
    kinds = nowhere(desk, answer)
    took: dict[str, list[float]] = {name: [] for name in kinds}
    for _ in range(40):
        for name, typed in kinds.items():
            began = time.perf_counter()
            assert ROUTES["get"](desk.client, typed).status_code == 404
            took[name].append(time.perf_counter() - began)
    names = list(kinds)
    for a in names:
        for b in names[names.index(a) + 1 :]:
            longer = sum(x > y for x in took[a] for y in took[b]) / len(took[a]) / len(took[b])
            assert 0.2 < longer < 0.8, (a, b)
    # It is the slow hash that takes the time: nothing is answered without it.
    assert min(min(times) for times in took.values()) > 0.005


def test_a_broken_request_is_refused_whatever_its_code_is(desk: Desk) -> None:
    answer = desk.report()
    bodies = [
        b"",
        b"[]",
        b"\xff",
        b'{"scopes": 1}',
        b'{"scopes": ["CANARY"]}',
        b'{"scopes": [[]]}',
        b'{"scopes"',
    ]
    bodies += [b'{"scopes": ' + b"[" * 4000, b" " * 20_000, b'{"scopes": [NaN]}']
    for body in bodies:
        said = {
            (one.status_code, one.text)
            for typed in (answer.receipt, *nowhere(desk, answer).values())
            for one in [desk.client.post(f"/v1/receipts/{quote(typed)}/consent", content=body)]
        }
        ((status, text),) = said
        assert status == 422 and "CANARY" not in text
    for sent in (b'{"code": 7}', b'{"code": null}', b'{"code": ["a"]}'):
        assert desk.client.post("/v1/receipts", content=sent).status_code == 422
    assert not desk.parcels(ConsentChange, topics.CONSENT)


def test_withdraw_must_be_said_exactly(desk: Desk) -> None:
    answer = desk.report()
    for said in ("true", 1, "yes", {}):
        desk.client.post("/v1/receipts", json={"code": answer.receipt, "withdraw": said})
    assert not desk.parcels(ConsentChange, topics.CONSENT)


def test_no_code_is_ever_logged(desk: Desk, caplog: Any) -> None:
    caplog.set_level(logging.DEBUG)
    answer = desk.report()
    number = read(answer.receipt)
    assert number is not None
    for route in ROUTES.values():
        for typed in (answer.receipt, "CANARY-CODE"):
            route(desk.client, typed)
    ours = [r.getMessage() for r in caplog.records if r.name.startswith(("connectors", "streams", "schemas"))]
    assert not [text for text in ours if "CANARY" in text or answer.receipt[:9] in text]


# How often


def limited(desk: Desk, everybody: Rate, each: Rate) -> list[float]:
    clock = [0.0]
    object.__setattr__(desk.parts, "limits", Limits(everybody, each, lambda: clock[0]))
    return clock


def at(desk: Desk, address: str) -> TestClient:
    return TestClient(Starlette(routes=routes(desk.parts)), client=(address, 5000))


def test_an_address_may_ask_so_often_and_after_a_while_again(desk: Desk) -> None:
    clock = limited(desk, PLENTY, Rate(2, 1))
    one, other = at(desk, "192.0.2.1"), at(desk, "192.0.2.2")
    asked = [ROUTES["get"](one, "0").status_code for _ in range(3)]
    assert asked == [404, 404, 429] and ROUTES["get"](other, "0").status_code == 404
    clock[0] += 61
    assert [ROUTES["get"](one, "0").status_code for _ in range(2)] == [404, 429]


def test_all_addresses_of_one_customer_are_one(desk: Desk) -> None:
    limited(desk, PLENTY, Rate(1, 1))
    seen = [ROUTES["get"](at(desk, f"2001:db8::{n}"), "0").status_code for n in (1, 2)]
    assert seen == [404, 429] and ROUTES["get"](at(desk, "2001:db8:1::1"), "0").status_code == 404


def test_everybody_together_may_ask_so_often(desk: Desk) -> None:
    limited(desk, Rate(2, 1), PLENTY)
    asked = [ROUTES["get"](at(desk, f"192.0.2.{n}"), "0") for n in range(3)]
    assert [a.status_code for a in asked] == [404, 404, 429] and asked[-1].headers["retry-after"] == "60"


@pytest.mark.parametrize("route", ROUTES)
def test_who_asks_too_often_learns_nothing_about_a_code(desk: Desk, route: str) -> None:
    answer = desk.report()
    limited(desk, Rate(0, 0), PLENTY)
    said = {ROUTES[route](desk.client, typed).text for typed in (answer.receipt, "x")}
    assert len(said) == 1 and not desk.parcels(ConsentChange, topics.CONSENT)


def test_many_addresses_do_not_fill_the_memory() -> None:
    limits = Limits(PLENTY, Rate(1, 1), lambda: 0.0)
    for n in range(30_000):
        address = f"10.{n >> 16}.{n >> 8 & 255}.{n & 255}"
        assert limits.allow(cast("Any", SimpleNamespace(client=SimpleNamespace(host=address))))
    assert len(limits._by_address) == 20_000
    assert not [name for name in limits._by_address if b"10." in name]


def test_slow_work_is_done_in_threads_of_its_own_and_each_has_its_own_files(desk: Desk) -> None:
    answer = desk.report()
    receipts = Receipts(desk.parts)
    promise = receipts.find(answer.receipt)
    assert promise and receipts.promise(promise.report_uid) == promise
