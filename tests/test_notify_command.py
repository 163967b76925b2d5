"""`chorus notify`, as an operator types it."""

import json
from datetime import UTC, datetime, timedelta

import pytest
from click.testing import CliRunner
from notified import SECRET, a_notice, endpoint

from connectors.notifying.channel import Sent
from connectors.notifying.queue import Queue
from connectors.notifying.rules import Rate
from streams import cli


@pytest.fixture
def chorus(tmp_path, monkeypatch):
    monkeypatch.setenv("CHORUS_HOME", str(tmp_path))

    def run(*arguments: str, fails: int = 0) -> str:
        done = CliRunner().invoke(cli.main, ["notify", *arguments])
        assert done.exit_code == fails, done.output
        return done.output

    return run


def write(home, text: str, name: str = "notify.toml") -> None:
    (home / name).write_text(text)
    (home / name).chmod(0o600)


def a_hook(url: str, name: str = "hook") -> str:
    return f'[channels.{name}]\nkind = "webhook"\nurl = "{url}"\nsecret = "{SECRET}"\ntotal_seconds = 2\n'


def dead_letter(home) -> str:
    """Leave one message that was refused, and return its name."""
    queue, now = Queue(home / "notices.db"), datetime.now(UTC)
    queue.tell([a_notice()], lambda n: {"hook": (now, now)}, now)
    queue.form("hook", Rate(60, 10), now)
    formed = queue.next("hook", now)
    queue.record(formed.message_id, Sent("REFUSED", 422), now, now, timedelta(days=3))
    return formed.message_id


def test_without_a_file_nobody_is_told(chorus):
    assert "nobody is told" in chorus("check")
    assert "names no channel" in chorus("test", fails=1)


def test_check_says_what_there_is_and_what_looks_wrong(chorus, tmp_path):
    write(
        tmp_path, a_hook("https://example.org") + '[[routes]]\nchannels = ["hook"]\nkinds = ["CASE_URGENT"]\n'
    )
    (tmp_path / "notify.toml").chmod(0o644)
    said = chorus("check")
    assert "hook\twebhook\ten\t1 routes" in said
    assert "routes[0] names no organisation" in said and "chmod 600" in said
    write(tmp_path, a_hook("https://example.org"))
    assert "no route leads to hook" in chorus("check") and "chmod" not in chorus("check")
    assert "in clear" not in said and "in clear" not in chorus("check")
    for host, warned in (("example.org", True), ("10.0.0.1", True), ("localhost", False), ("[::1]", False)):
        write(tmp_path, a_hook(f"http://{host}:8080/"))
        assert ("hook goes in clear" in chorus("check")) == warned


def test_a_file_that_cannot_be_used_is_told_without_its_secrets(chorus, tmp_path):
    write(tmp_path, a_hook("https://example.org").replace("whsec_", "wsec_"))
    said = chorus("check", fails=1)
    assert "notify.toml: channels.hook.secret: must be" in said and SECRET[6:] not in said


def test_a_test_goes_through_the_real_channel_and_says_what_came_back(chorus, tmp_path):
    with endpoint() as end, endpoint() as broken:
        broken.mood = "bad"
        write(tmp_path, a_hook(end.url) + a_hook(broken.url, "other"))
        assert chorus("test", "hook").startswith("hook\tDELIVERED 200\t")
        said = json.loads(chorus("test", "--json", fails=1))
    assert {name: one["outcome"] for name, one in said.items()} == {"hook": "DELIVERED", "other": "FAILING"}
    (notice,) = json.loads(end.got[0].body)["data"]["notices"]
    assert notice["kind"] == "TEST" and notice["facts"] == {}
    listed = json.loads(chorus("list", "--json"))
    assert [(d["channel"], d["state"], d["kinds"]) for d in listed] == [
        *(("other", "DEAD", ["TEST"]), ("hook", "SENT", ["TEST"]), ("hook", "SENT", ["TEST"]))
    ]
    assert "DELIVERED 200" in chorus("list", "--state", "SENT") and "FAILING" not in chorus(
        "list", "--channel", "hook"
    )
    assert "there is no [channels.none]" in chorus("test", "none", fails=1)


def test_silences_are_added_listed_and_ended(chorus):
    said = chorus("silence", "add", "region=TH-74,TH-10", "indicator=RID", "--until", "3d")
    name = said.split()[0]
    (row,) = json.loads(chorus("silence", "list", "--json"))
    assert row["silence_id"] == name and row["matchers"] == ["indicator=RID", "region=TH-10,TH-74"]
    assert name in chorus("silence", "list")
    assert chorus("silence", "end", name) == "ended\n" and chorus("silence", "list") == ""
    assert "still to end" in chorus("silence", "end", name, fails=1)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("region=TH-74", "--until", "soon"), "a time such as 90m"),
        (("region=TH-74", "--until", "2026-01-01T08:00"), "ended already"),
        (("place=TH-74", "--until", "1h"), "a matcher is FIELD=VALUE"),
        (("region=TH-74",), "Missing option"),
    ],
)
def test_a_silence_that_is_none_is_refused(chorus, arguments, said):
    assert said in chorus(
        "silence", "add", *arguments, fails=2 if said[0] in "aM" and "matcher" not in said else 1
    )


def test_dead_letters_are_listed_and_replayed(chorus, tmp_path):
    name = dead_letter(tmp_path)
    (row,) = json.loads(chorus("dead", "list", "--json"))
    assert (row["message_id"], row["outcome"], row["code"], row["keys"]) == (
        name,
        "REFUSED",
        422,
        ["alert-1"],
    )
    assert chorus("dead", "list", "--channel", "none") == ""
    assert "say which" in chorus("dead", "replay", fails=1) and "say which" in chorus(
        "dead", "replay", name, "--all", fails=1
    )
    assert chorus("dead", "replay", "none").startswith("0 ")
    assert chorus("dead", "replay", "--channel", "hook").startswith("1 ")
    assert chorus("dead", "list") == "" and "WAITING" in chorus("list")
    assert chorus("dead", "replay", "--all").startswith("0 ")


def test_what_waits_is_told_by_its_number(chorus, tmp_path):
    now = datetime.now(UTC)
    later = now + timedelta(hours=8)
    Queue(tmp_path / "notices.db").tell([a_notice(1), a_notice(2)], lambda n: {"mail": (later, later)}, now)
    assert "mail: 2 notices wait" in chorus("list")


def test_the_case_path_has_its_own(chorus, tmp_path):
    write(tmp_path, a_hook("https://example.org"), "notify-cases.toml")
    assert "notify.toml names no channel" in chorus("check") and "hook\twebhook" in chorus("check", "--cases")
    dead_letter(tmp_path)
    assert chorus("dead", "list", "--cases") == "" and chorus("dead", "list") != ""
