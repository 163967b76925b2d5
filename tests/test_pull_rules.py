"""What a pull does with each thing it may meet: one rule, one test."""

from __future__ import annotations

import gzip
import json
import logging
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from fake_system import SECRET, BadDays, Clock, FakeSystem, World, kobo_row
from starlette.responses import JSONResponse, RedirectResponse, Response
from test_pull import PATHS, START, Node, a_node, a_source, same_as_there, write_mapping

from connectors.intake import Skipped
from connectors.mapping import load
from connectors.pulling.pull import Runner
from connectors.pulling.pulls import Pulls
from connectors.seal import unseal
from connectors.systems import Listed, Page, Pull, System, systems
from schemas.events import SealedReport
from schemas.tokens import Tokens
from streams.steps.deidentify import Deidentifier
from streams.steps.receive import Receiver
from streams.steps.refuse import Coordinates
from streams.steps.register import Register

BOTH = ("AGGREGATE_STATISTICS", "CASE_HANDLING")


@pytest.fixture
def clock() -> Clock:
    return Clock(START)


@pytest.fixture
def fake(clock: Clock) -> Iterator[FakeSystem]:
    with FakeSystem(World(clock)).serving() as fake:
        yield fake


@pytest.fixture
def node(tmp_path: Path, fake: FakeSystem, tokens: Tokens) -> Node:
    fake.world.add(10)
    fake.world.clock.pass_by(hours=1)
    return a_node(tmp_path, fake, "kobo", tokens)


def contributions(node: Node) -> list[Any]:
    """Return what the stream makes of everything that was accepted."""
    receiver = Receiver(
        node.codec,
        lambda: Deidentifier(node.tokens, Register([]), "TH"),
        lambda texts: [],
        lambda report: unseal(report, node.keys.key(report.key_ref)),
        lambda letter, data: letter,
    )
    messages = [(row.parcel.value, Coordinates("t", 0, 0, START)) for row in node.outbox.unsent(0, 1000)]
    return receiver.receive(messages)


# Vanishing and coming back.


def test_what_two_sweeps_in_a_row_do_not_find_is_withdrawn_and_taken_again_when_it_is_back(
    node: Node, fake: FakeSystem
) -> None:
    node.run(sweep=True)
    fake.world.delete(3)
    assert node.run(sweep=True)["vanished"] == 0
    fake.world.restore(3)
    assert node.run(sweep=True)["vanished"] == 0
    fake.world.delete(3)
    assert node.run(sweep=True)["vanished"] == 0, "it was there in between"
    assert node.run(sweep=True)["vanished"] == 1
    (gone,) = [e for e in node.events() if e.op == "WITHDRAW"]
    assert (gone.revision, gone.consent, node.body(gone).workplace_name) == (1, "NO", None)
    assert node.run(sweep=True)["vanished"] == 0
    fake.world.restore(3)
    assert node.run(sweep=True)["returned"] == 1
    same_as_there(node, fake.world)
    fake.world.delete(3)
    node.run(sweep=True)
    assert node.run(sweep=True)["vanished"] == 1
    assert [e.op for e in node.events() if e.native_id_hmac == gone.native_id_hmac] == [
        "CREATE",
        "WITHDRAW",
        "CREATE",
        "WITHDRAW",
    ]


def test_what_the_stream_makes_of_a_withdrawal_is_not_counted_and_of_the_same_report(
    node: Node, fake: FakeSystem
) -> None:
    node.run(sweep=True)
    fake.world.delete(3)
    node.run(sweep=True)
    node.run(sweep=True)
    *_, last = contributions(node)
    first = next(
        o.contribution
        for o in contributions(node)
        if o.contribution.report_token == last.contribution.report_token
    )
    assert (first.countable, last.contribution.countable, last.contribution.op) == (True, False, "WITHDRAW")


@pytest.mark.parametrize(("scopes", "told"), [(BOTH, ("CASE_HANDLING",)), (BOTH[:1], ())])
def test_the_holder_of_a_case_hears_that_it_is_withdrawn_and_no_other(
    tmp_path: Path, fake: FakeSystem, tokens: Tokens, scopes: tuple[str, ...], told: tuple[str, ...]
) -> None:
    fake.world.add(10)
    node = a_node(tmp_path, fake, "kobo", tokens)
    write_mapping(tmp_path, "kobo", scopes)
    node.run(sweep=True)
    fake.world.delete(3)
    node.run(sweep=True)
    node.run(sweep=True)
    *_, last = contributions(node)
    assert node.events()[-1].consent_scopes == told
    assert (last.case is not None) == bool(told)
    assert not last.case or (last.case.op, last.case.narratives) == ("WITHDRAW", ())


def test_what_a_system_says_is_gone_is_withdrawn_at_once(
    tmp_path: Path, fake: FakeSystem, tokens: Tokens
) -> None:
    fake.world.add(10)
    node = a_node(tmp_path, fake, "primero", tokens)
    node.run(sweep=True)
    fake.world.delete(3)
    assert node.run(sweep=True)["withdrawn"] == 1
    fake.world.restore(3)
    node.run(sweep=True)
    same_as_there(node, fake.world)


def test_so_much_vanishing_is_not_believed_and_the_doubt_stays_until_the_next_sweep(
    node: Node, fake: FakeSystem
) -> None:
    node.run(sweep=True)
    for number in range(1, 6):  # the account has lost a right, say
        fake.world.delete(number)
    for _ in range(3):
        ran = node.runner.run(node.source, sweep=True)
        assert (ran.trouble, ran.counts["doubted"]) == ("DOUBTED", 5)
    assert not [e for e in node.events() if e.op == "WITHDRAW"]
    node.run(sweep=False)
    assert node.pulls.state("line").doubt == "DOUBTED"
    node.source = replace(node.source, pull={**node.source.pull, "max_vanished_percent": 100})
    node.run(sweep=True)
    node.run(sweep=True)
    same_as_there(node, fake.world)
    assert node.pulls.state("line").doubt == ""


def test_a_mapping_whose_ids_are_not_those_of_the_sweep_is_noticed_and_withdraws_nothing(
    node: Node, fake: FakeSystem
) -> None:
    path = node.home / "mappings" / "m_kobo.yaml"
    path.write_text(path.read_text().replace("root: '\"meta/rootUuid\"'", "root: _id"))
    assert "root: _id" in path.read_text()
    for _ in range(4):
        assert node.runner.run(node.source, sweep=True).trouble == "MISMATCHED"
    assert {e.op for e in node.events()} == {"CREATE"}


# What a webhook and a since-filter lose.


def test_what_no_filter_by_time_finds_is_found_by_the_sweep(node: Node, fake: FakeSystem) -> None:
    fake.world.add(1)  # an hour after the others: the filter leaves those behind
    for _ in range(2):
        node.run(sweep=True)
        node.clock.pass_by(hours=1)
    fake.world.edit(4)
    fake.world.add(1, created=START - timedelta(hours=30))  # sent long ago, visible now
    assert not node.run(sweep=False)["accepted"]
    ran = node.run(sweep=True)
    assert (ran["missing"], ran["changed"], ran["accepted"]) == (1, 1, 2)
    same_as_there(node, fake.world)


def test_what_a_webhook_brought_is_neither_missing_nor_counted_twice(node: Node, fake: FakeSystem) -> None:
    node.run(sweep=True)
    fake.world.add(1, created=START - timedelta(hours=30))
    mapping = node.runner._parts.mapping(node.source)
    sent = mapping.delivery(kobo_row(fake.world.rows[-1]), "line", "STATIC_SECRET")  # as the webhook sends it
    node.door.accept([sent])
    ran = node.run(sweep=True)
    assert (ran["missing"], ran["unseen"], ran["accepted"]) == (0, 1, 0)
    assert len(node.events()) == 11


def test_a_kill_between_accepting_and_noting_repeats_a_page_and_counts_nothing_twice(
    tmp_path: Path, fake: FakeSystem, tokens: Tokens
) -> None:
    for hour in range(100):
        fake.world.add(1, created=START - timedelta(hours=100 - hour))
    node = a_node(tmp_path, fake, "kobo", tokens, page_size=20)
    script = (
        "import os, sys\n"
        "from pathlib import Path\n"
        "sys.path.insert(0, sys.argv[1])\n"
        "from fake_system import Clock\n"
        "from test_pull import START, Node, a_source\n"
        "from connectors.pulling.pulls import Pulls\n"
        "from connectors.sources import Source\n"
        "reached, pages = Pulls.reached, []\n"
        "def killed(self, *how):\n"
        "    pages.append(1)\n"
        "    os.kill(os.getpid(), 9) if len(pages) == 3 else reached(self, *how)\n"
        "Pulls.reached = killed\n"
        "import json\n"
        "source = Source('line', 'm_kobo', connector='kobo', pull=json.loads(sys.argv[3]))\n"
        "Node(Path(sys.argv[2]), Clock(START), source).run(sweep=False)\n"
    )
    here = Path(__file__).parent
    done = subprocess.run(
        [sys.executable, "-c", script, str(here), str(tmp_path), json.dumps(dict(node.source.pull))],
        env={**os.environ, "PYTHONPATH": str(here.parent)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == -9, done.stderr[-2000:]
    assert len(node.events()) == 60, "three pages are durable"
    fake.days = BadDays()
    ran = node.run(sweep=False)
    assert (ran["accepted"], ran["duplicate"]) == (40, 21), (
        "one is asked for again, and the end of the one before"
    )
    assert max(e.revision for e in node.events()) == 0
    same_as_there(node, fake.world)


def test_a_pull_that_was_interrupted_goes_on_where_it_was_and_the_next_overlaps(
    tmp_path: Path, tokens: Tokens
) -> None:
    pulls, hour = Pulls(tmp_path, tokens), timedelta(hours=1)
    begin = lambda at, overlap=hour: pulls.begin("line", at, overlap, b"")  # noqa: E731
    assert begin(START) is None
    pulls.reached("line", "2026-11-01T00:00:00", [], START)
    pulls.reached("line", "2026-11-20T05:30:00+00:00", [], START)
    pulls.reached("line", "no time at all", [], START)
    assert begin(START + hour) == "no time at all", "the first has not come to its end"
    pulls.pulled("line", START + hour, hour)
    # Its beginning was at 6: what was visible late is of 5 or later, so 5:30 is too new.
    assert begin(START + 2 * hour) == "2026-11-01T00:00:00"
    pulls.reached("line", "2026-11-20T06:59:00+00:00", [], START + 2 * hour)
    pulls.pulled("line", START + 2 * hour, hour)
    assert begin(START + 3 * hour) == "2026-11-20T06:59:00+00:00"
    pulls.pulled("line", START + 3 * hour, timedelta(0))
    assert begin(START + 4 * hour, timedelta(0)) == "2026-11-20T06:59:00+00:00"


# History.


def test_history_is_kept_and_is_a_case_but_is_never_counted_however_often_it_is_revised(
    tmp_path: Path, fake: FakeSystem, tokens: Tokens
) -> None:
    fake.world.add(3, created=START - timedelta(days=200))
    fake.world.add(2, created=START - timedelta(hours=1))
    fake.world.add(1, created=START - timedelta(days=400))
    node = a_node(tmp_path, fake, "kobo", tokens)
    write_mapping(tmp_path, "kobo", BOTH)
    ran = node.run(sweep=True)
    assert (ran["accepted"], ran["history"], ran["too_old"]) == (5, 3, 1)
    fake.world.edit(1)  # history
    fake.world.edit(4)  # not
    node.clock.pass_by(days=5)  # by now all of them are old: what counts is how old they were when they came
    assert node.run(sweep=True)["accepted"] == 2
    said = [(o.contribution.countable, o.case is not None) for o in contributions(node)]
    assert sorted(said) == [(False, True)] * 4 + [(True, True)] * 3
    history = [e for e in node.events() if e.consent_scopes == ("CASE_HANDLING",)]
    assert len(history) == 4
    assert node.body(history[0]).consent_scopes == BOTH, "what the worker said stays as it was"
    assert not node.run(sweep=True)["accepted"], "what is too old is not asked for at every sweep"


def test_a_report_that_was_taken_in_live_stays_countable_when_a_pull_brings_it_late(
    node: Node, fake: FakeSystem
) -> None:
    mapping = node.runner._parts.mapping(node.source)
    record = {"meta/rootUuid": f"uuid:{fake.world.rows[0].root}", "place": "by webhook", "agree": "yes"}
    node.door.accept([mapping.delivery(record, "line", "STATIC_SECRET")])
    node.clock.pass_by(days=30)
    ran = node.run(sweep=True)
    assert ran["history"] == 10
    counted = [o.contribution for o in contributions(node) if o.contribution.countable]
    assert [c.revision for c in counted] == [0, 1]


def test_asked_from_the_beginning_everything_is_a_repeat(node: Node, fake: FakeSystem) -> None:
    node.run(sweep=True)
    ran = node.run(sweep=False, backfill=True)
    assert (ran["accepted"], ran["duplicate"]) == (0, 10)


# A system of the test's own: listings without words, no way to fetch, no times.


class Plain:
    """A system over the fake's HTTP whose records are canonical reports, with one thing wrong as each test asks."""

    def __init__(self, fake: FakeSystem) -> None:
        self.records: list[dict[str, Any]] = []
        self.pages, self.fetches = 0, 0
        fake.extra["/plain"] = lambda request: JSONResponse(self.records)

    def since(self, http: Any, options: Any, checkpoint: str | None) -> Iterator[Page]:
        self.pages += 1
        yield Page(tuple(http.get(options["url"]).json()), str(len(self.records)))

    def sweep(self, http: Any, options: Any) -> Iterator[Listed]:
        for record in http.get(options["url"]).json():
            yield Listed(record["id"], json.dumps(record))

    def fetch(self, http: Any, options: Any, ids: list[str]) -> Iterator[dict[str, Any]]:
        self.fetches += 1
        yield from (r for r in http.get(options["url"]).json() if r["id"] in ids)

    def system(self, *, fetch: bool = True) -> System:
        login = lambda options, secret: {"headers": {"X-Key": secret}, "verify": False, "timeout": None}  # noqa: E731
        pull = Pull(self.since, login, self.sweep, self.fetch if fetch else None)
        return System("plain", lambda delivered: [], pull=pull)


@pytest.fixture
def plain(fake: FakeSystem, monkeypatch: pytest.MonkeyPatch) -> Plain:
    plain = Plain(fake)
    monkeypatch.setitem(systems(), "plain", plain.system())
    return plain


def plainly(tmp_path: Path, fake: FakeSystem, tokens: Tokens, mapping: Any = None, **options: Any) -> Node:
    node = a_node(tmp_path, fake, "kobo", tokens, url=f"{fake.url}/plain", **options)
    node.source = replace(node.source, connector="plain", mapping="canonical")
    node.runner = Runner(replace(node.runner._parts, mapping=lambda source: mapping))
    return node


def report(number: int, **more: Any) -> dict[str, Any]:
    return {"id": f"n{number}", "consent": "YES", "consent_scopes": ["AGGREGATE_STATISTICS"], **more}


def test_without_a_time_of_its_own_what_the_first_pull_brings_is_history(
    tmp_path: Path, fake: FakeSystem, tokens: Tokens, plain: Plain
) -> None:
    plain.records = [report(1), report(2)]
    node = plainly(tmp_path, fake, tokens)
    assert node.run(sweep=False)["history"] == 2
    plain.records.append(report(3))
    assert node.run(sweep=False)["history"] == 0
    assert [e.consent_scopes for e in node.events()] == [(), (), ("AGGREGATE_STATISTICS",)]
    plain.records.append(report(4))
    assert node.run(sweep=False, backfill=True)["history"] == 1


def test_what_is_only_listed_is_fetched_whole(
    tmp_path: Path, fake: FakeSystem, tokens: Tokens, plain: Plain
) -> None:
    class Listing:
        """A mapping of which a record without consent is only a listing."""

        name, version = "listing", 1

        def delivery(self, record: Any, source: str, verification: Any) -> Any:
            from connectors.sources import canonical

            if len(record) == 1:
                return Skipped("FETCH", record["id"])
            return canonical.parse(dict(record), source, verification)

        def identity(self, record: Any) -> tuple[str, str | None]:
            return record["id"], None

        def findings(self, record: Any, body: Any) -> Any:
            return None

    plain.records = [report(n) for n in range(5)]
    full = plain.fetch

    def bare(http: Any, options: Any, checkpoint: str | None) -> Iterator[Page]:
        yield Page(tuple({"id": r["id"]} for r in http.get(options["url"]).json()), "1")

    systems()["plain"] = replace(plain.system(), pull=replace(plain.system().pull, since=bare, fetch=full))
    import connectors.taking as taking

    node = plainly(tmp_path, fake, tokens, mapping=Listing())
    original, taking.read = taking.read, lambda mapping, record, body: None
    try:
        assert node.run(sweep=False)["accepted"] == 5
    finally:
        taking.read = original
    assert plain.fetches == 1


def test_where_nothing_can_be_fetched_by_its_id_the_whole_is_asked_for_once_more(
    tmp_path: Path, fake: FakeSystem, tokens: Tokens, plain: Plain
) -> None:
    systems()["plain"] = plain.system(fetch=False)
    plain.records = [report(1)]
    node = plainly(tmp_path, fake, tokens)
    node.run(sweep=True)
    plain.records[0] = report(1, workplace_name="edited")
    assert (node.run(sweep=True)["accepted"], plain.pages) == (1, 2)
    assert (node.run(sweep=True)["accepted"], plain.pages) == (0, 3)


def test_what_is_listed_and_cannot_be_fetched_is_said_and_asked_for_again(
    tmp_path: Path, fake: FakeSystem, tokens: Tokens, plain: Plain, monkeypatch: pytest.MonkeyPatch
) -> None:
    node = plainly(tmp_path, fake, tokens)
    node.run(sweep=True)
    plain.records = [report(n) for n in range(3)]
    nothing = lambda http, options, checkpoint: iter(())  # noqa: E731
    some = lambda http, options, ids: (r for r in plain.records[:2] if r["id"] in ids)  # noqa: E731
    pull = replace(plain.system().pull, since=nothing, fetch=some)
    monkeypatch.setitem(systems(), "plain", replace(plain.system(), pull=pull))
    for _ in range(2):
        ran = node.runner.run(node.source, sweep=True)
        assert (ran.trouble, ran.counts["unfetched"], node.pulls.state("line").doubt) == (
            "UNFETCHED",
            1,
            "UNFETCHED",
        )
    monkeypatch.setitem(systems(), "plain", replace(plain.system(), pull=replace(pull, fetch=plain.fetch)))
    assert node.run(sweep=True)["missing"] == 1


# Troubles.


def test_a_refused_login_stops_the_source_until_its_file_changes(
    node: Node, caplog: pytest.LogCaptureFixture, tokens: Tokens, fake: FakeSystem
) -> None:
    from connectors.secrets import seal_secret

    good = node.source
    node.source = replace(good, pull={**good.pull, "sealed": seal_secret(tokens, "wrong")})
    caplog.set_level(logging.DEBUG, "connectors")
    assert node.runner.run(node.source).trouble == "LOGIN"
    assert not node.runner.due(node.source)
    assert node.runner.due(good)
    node.source = good
    node.run()
    assert node.pulls.state("line").trouble == ""
    assert SECRET not in caplog.text


@pytest.mark.parametrize(("header", "seconds"), [("3600", 3600), ("Fri, 20 Nov 2026 09:00:00 GMT", 2 * 3600)])
def test_a_system_that_wants_to_be_left_alone_for_long_is(
    node: Node, fake: FakeSystem, header: str, seconds: int
) -> None:
    fake.days = BadDays(busy_every=1, retry_after=header)
    assert node.runner.run(node.source).trouble == "LIMITED"
    assert fake.days.asked == 1, "nobody asks again in vain"
    assert not node.runner.due(node.source)
    node.clock.pass_by(seconds=seconds - 60)
    assert not node.runner.due(node.source)
    node.clock.pass_by(seconds=61)
    assert node.runner.due(node.source)


def test_no_system_is_asked_more_often_than_it_allows(
    tmp_path: Path, fake: FakeSystem, tokens: Tokens
) -> None:
    fake.world.add(60)
    node = a_node(tmp_path, fake, "kobo", tokens, page_size=2, requests_per_hour=10)
    fake.days = BadDays(per_hour=10)
    node.run(sweep=False)
    assert (fake.days.asked, fake.days.refused) == (31, 0)
    assert node.clock.now() - START > timedelta(hours=3)


def test_a_redirect_to_another_host_gets_neither_a_request_nor_a_login(node: Node, fake: FakeSystem) -> None:
    with FakeSystem(World(node.clock)).serving() as other:
        target = other.url + PATHS["kobo"][0]
        fake.extra["/away"] = lambda request: RedirectResponse(target)
        fake.extra["/here"] = lambda request: RedirectResponse(PATHS["kobo"][0])
        away, here = ({**node.source.pull, "url": f"{fake.url}/{way}/"} for way in ("away", "here"))
        assert node.runner.run(replace(node.source, pull=away)).trouble == "ELSEWHERE"
        assert other.days.asked == 0
        assert not node.runner.run(replace(node.source, pull=here)).trouble


def test_an_answer_that_unpacks_to_more_than_allowed_is_given_up(node: Node, fake: FakeSystem) -> None:
    bomb = gzip.compress(b" " * 100_000_000)
    fake.extra["/bomb"] = lambda request: Response(bomb, headers={"Content-Encoding": "gzip"})
    source = replace(node.source, pull={**node.source.pull, "url": f"{fake.url}/bomb"})
    assert node.runner.run(source).trouble == "TOO_LARGE"


@pytest.mark.parametrize(
    ("body", "trouble"),
    [(b"CANARY", "UNREADABLE"), (b'{"results": [{"CANARY": 1}]}', "UNREADABLE"), (None, "HTTP")],
)
def test_an_answer_that_is_none_stops_the_pull_and_is_repeated_nowhere(
    node: Node, fake: FakeSystem, caplog: pytest.LogCaptureFixture, body: bytes | None, trouble: str
) -> None:
    caplog.set_level(logging.INFO, "connectors")
    node.run(sweep=False)
    fake.extra["/odd"] = lambda request: Response(body or b"CANARY", 200 if body else 404)
    source = replace(node.source, pull={**node.source.pull, "url": f"{fake.url}/odd"})
    assert node.runner.run(source, sweep=False).trouble == trouble
    assert "CANARY" not in caplog.text
    assert node.pulls.state("line").trouble == trouble
    fake.world.add(1)
    assert node.run(sweep=False)["accepted"] == 1


@pytest.mark.parametrize(
    "pull",
    [
        {},
        {"url": "ftp://there/"},
        {"url": "file:///etc/passwd"},
        {"url": "https://there/", "every_minutes": "often"},
        {"url": "https://there/", "requests_per_hour": 0},
        {"url": "https://there/", "oldest_days": 400},
        {"url": "https://there/", "sealed": "not sealed"},
        {"url": "https://there/", "ca_file": "no such file"},
        {"url": "imaps://there/"},
    ],
)
def test_a_file_that_cannot_be_used_is_a_trouble_of_its_own(node: Node, pull: dict[str, Any]) -> None:
    assert node.runner.run(replace(node.source, pull=pull)).trouble == "CONFIG"
    assert node.pulls.state("line").trouble == "CONFIG"


def test_nobody_else_pulls_a_source_meanwhile(node: Node) -> None:
    with node.pulls.held("line"):
        assert node.runner.run(node.source).trouble == "BUSY"
    node.run()


def test_nothing_of_a_report_or_a_login_is_in_clear_in_the_memory_of_pulls(
    node: Node, fake: FakeSystem
) -> None:
    node.run(sweep=True)
    fake.world.delete(2)
    node.run(sweep=True)
    kept = b"".join(p.read_bytes() for p in node.home.glob("pulls.db*"))
    assert len(kept) > 4000
    for row in fake.world.rows:
        assert row.root.encode() not in kept and row.root[:-2].encode() not in kept
    for word in (SECRET, "answer", "2026-11-20", fake.url):
        assert word.encode() not in kept


def test_a_value_that_no_schema_holds_is_a_dead_letter_and_the_others_come_in(
    tmp_path: Path, fake: FakeSystem, tokens: Tokens, plain: Plain
) -> None:
    plain.records = [report(1), report(2, lat=1e400), report(3, unknown="x")]
    plain.records[1]["lat"] = "north"
    node = plainly(tmp_path, fake, tokens)
    ran = node.run(sweep=False)
    assert (ran["accepted"], ran["dead_letter"]) == (1, 2)


def test_a_mailbox_is_pulled_like_any_other_source(tmp_path: Path, fake: FakeSystem, tokens: Tokens) -> None:
    asked = []

    def mailbox(options: Any, since: str | None) -> Iterator[tuple[bytes, str]]:
        asked.append((options["login"], options["folder"], since))
        for uid in range(int(since or 0) + 1, 4):
            yield json.dumps(report(uid)).encode(), str(uid)

    node = plainly(tmp_path, fake, tokens)
    node.source = replace(
        node.source,
        connector="http",
        pull={**node.source.pull, "url": "imaps://mail.example.org/", "folder": "in"},
    )
    node.runner = Runner(replace(node.runner._parts, mailbox=mailbox))
    assert node.run()["accepted"] == 3
    assert not node.run().get("accepted")
    assert asked == [(SECRET, "in", None), (SECRET, "in", "3")]
    assert {e.verification for e in node.events()} == {"PULL_TLS"}


@pytest.mark.parametrize(("server", "reports"), [("", 1), ("mx.example.org", 2)])
def test_a_pulled_mail_is_proven_by_the_server_that_its_source_names(
    server: str, reports: int, tmp_path: Path, fake: FakeSystem, tokens: Tokens
) -> None:
    def mailbox(options: Any, since: str | None) -> Iterator[tuple[bytes, str]]:
        yield b"From: a@x.example\r\nSubject: Wages\r\nMessage-ID: <1@x>\r\n\r\nNot paid.\r\n", "1:1"
        forged = (
            b"From: boss@x.example\r\nSubject: Re\r\nMessage-ID: <2@x>\r\nIn-Reply-To: <1@x>\r\n\r\nAll paid."
        )
        yield forged, "1:2"

    node = plainly(tmp_path, fake, tokens, load("email_complaint"))
    pull = {**node.source.pull, "url": "imaps://mail.example.org/", "authserv_id": server}
    node.source = replace(node.source, connector="email", pull=pull)
    node.runner = Runner(replace(node.runner._parts, mailbox=mailbox))
    assert node.run()["accepted"] == 2
    assert len({e.report_uid for e in node.events()}) == reports


def test_what_comes_without_tls_is_graded_as_unknown_never_as_a_file(node: Node) -> None:
    node.run()
    assert {e.verification for e in node.events()} == {"UNKNOWN"}
    assert isinstance(node.events()[0], SealedReport)
    assert a_source  # used by the script of the kill test
