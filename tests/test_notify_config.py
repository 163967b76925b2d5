"""`notify.toml`: what it may say, and how it is told what is wrong: by place, and never with a secret."""

import tomllib
from datetime import time, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from notified import SECRET

from connectors.notifying.config import BadNotifyFile, Config, parse, read
from connectors.notifying.rules import Digest, Quiet

WHOLE = f"""
time_zone = "Asia/Bangkok"
page = "https://chorus.example.org/"

[channels.duty]
kind = "email"
host = "mail.example.org"
user = "chorus"
password = "hunter2hunter2"
sender = "chorus@example.org"
to = ["duty@example.org"]
language = "th"

[channels.hook]
kind = "webhook"
url = "https://example.org/hook?token=hunter2hunter2"
secret = "{SECRET}"

[[routes]]
channels = ["duty", "hook"]
kinds = ["ALERT_OPENED", "ALERT_CLOSED"]
regions = ["TH-74", "ALL"]
quiet_hours = "22:00-07:00"
digest = "daily 08:30"
wakes = "nothing"

[[routes]]
channels = ["hook"]
time_zone = "UTC"
"""


def test_a_whole_file_is_read():
    config = parse(tomllib.loads(WHOLE))
    assert list(config.instances) == ["duty", "hook"] and config.page == "https://chorus.example.org"
    first, second = config.routes
    assert first.channels == ("duty", "hook") and first.regions == {"TH-74", "ALL"} and first.wakes is None
    assert first.quiet == Quiet(time(22), time(7)) and first.digest == Digest("daily", time(8, 30))
    assert (first.zone, second.zone) == (ZoneInfo("Asia/Bangkok"), ZoneInfo("UTC"))
    assert config.instances["duty"].options.language == "th" and config.give_up == timedelta(days=3)


def test_without_a_file_nobody_is_told(tmp_path):
    assert read(tmp_path / "notify.toml") == Config()


def test_secrets_are_not_in_what_is_printed():
    config = parse(tomllib.loads(WHOLE))
    assert "hunter2" not in repr(config) + str(config) and SECRET not in repr(config)


@pytest.mark.parametrize(
    ("change", "place"),
    [
        (('kind = "email"', 'kind = "fax"'), "channels.duty.kind: should be one of alertmanager, email"),
        (('host = "mail.example.org"', "host = 7"), "channels.duty.host: should be a valid string"),
        (('host = "mail.example.org"', ""), "channels.duty.host: is missing"),
        (("language = ", "langauge = "), "channels.duty.langauge: unknown name; did you mean language?"),
        (('"th"', '"xx"'), "channels.duty.language: should be 'en', 'th'"),
        (
            ('sender = "chorus@example.org"', 'sender = "nobody"'),
            "channels.duty.sender: must be a mail address",
        ),
        (('user = "chorus"', ""), "channels.duty: user and password belong together"),
        (("https://example.org/hook", "ftp://example.org/hook"), "channels.hook.url: must be an address"),
        (("[channels.hook]", "[channels.Hook]"), "channels.Hook: a name is lower-case letters"),
        (('["duty", "hook"]', '["dutty", "hook"]'), "routes[0].channels: there is no [channels.dutty]"),
        (('"ALERT_CLOSED"', '"ALERT_GONE"'), "routes[0].kinds[1]: should be 'ALERT_OPENED'"),
        (('"TH-74"', '"TH-740"'), "routes[0].regions: knows no TH-740; did you mean TH-74?"),
        (("quiet_hours", "quiet"), "routes[0].quiet: unknown name; did you mean quiet_hours?"),
        (('"22:00-07:00"', '"at night"'), "routes[0].quiet_hours: quiet hours are written as 22:00-07:00"),
        (('"daily 08:30"', '"monthly"'), "routes[0].digest: a digest is"),
        (('"UTC"', '"Mars"'), "routes[1].time_zone: should be a time zone such as Asia/Bangkok"),
        (("page =", "pages ="), "pages: unknown name; did you mean page?"),
        (('"https://chorus.example.org/"', '"chorus"'), "page: should be an address"),
    ],
)
def test_what_is_wrong_is_told_with_its_place(tmp_path, change, place):
    path = tmp_path / "notify.toml"
    assert change[0] in WHOLE
    path.write_text(WHOLE.replace(*change))
    with pytest.raises(BadNotifyFile) as told:
        read(path)
    assert f"notify.toml: {place}" in str(told.value)
    assert "hunter2" not in str(told.value) and told.value.__cause__ is None


@pytest.mark.parametrize("secret", ["hunter2", "whsec_hunter2hunter2", "whsec_!!!", ""])
def test_a_secret_that_is_none_is_not_repeated(tmp_path, secret):
    path = tmp_path / "notify.toml"
    path.write_text(WHOLE.replace(SECRET, secret))
    with pytest.raises(BadNotifyFile) as told:
        read(path)
    assert "channels.hook.secret: must" in str(told.value) and "hunter2" not in str(told.value)


def test_every_problem_is_told_at_once(tmp_path):
    path = tmp_path / "notify.toml"
    path.write_text(WHOLE.replace("host =", "hots =").replace("whsec_", "x").replace('"TH-74"', '"TH"'))
    with pytest.raises(BadNotifyFile) as told:
        read(path)
    assert [line.split(": ")[1] for line in str(told.value).splitlines()] == [
        *("routes[0].regions", "channels.duty.host", "channels.duty.hots", "channels.hook.secret")
    ]


@pytest.mark.parametrize("text", ["[channels", 'a = "hunter2" "hunter2"', "\x00"])
def test_what_is_no_toml_is_told_with_its_place_too(tmp_path, text):
    path = tmp_path / "notify.toml"
    path.write_text(text)
    with pytest.raises(BadNotifyFile, match=r"is no TOML: .*\(at ") as told:
        read(path)
    assert "hunter2" not in str(told.value)


def test_a_secret_may_be_in_a_file_of_its_own(tmp_path):
    kept = tmp_path / "password"
    kept.write_text("from a file\n")
    text = WHOLE.replace("hunter2hunter2", f"file:{kept}", 1)
    assert parse(tomllib.loads(text)).instances["duty"].options.password.get_secret_value() == "from a file"
    kept.unlink()
    with pytest.raises(BadNotifyFile, match="password: the file it names cannot be read"):
        parse(tomllib.loads(text))


@pytest.mark.parametrize("host", ["mail.example.org", "10.0.0.1"])
def test_mail_in_clear_goes_no_further_than_this_machine(host):
    text = WHOLE.replace('host = "mail.example.org"', f'host = "{host}"\nsecurity = "none"')
    with pytest.raises(BadNotifyFile, match="on this machine"):
        parse(tomllib.loads(text))
    assert parse(tomllib.loads(text.replace(f'"{host}"', '"localhost"')))


def test_the_examples_of_the_documentation_are_good():
    text = (Path(__file__).parents[1] / "docs/notifications.md").read_text(encoding="utf-8")
    examples = [block.split("```")[0] for block in text.split("```toml\n")[1:]]
    assert len(examples) >= 6
    for example in examples:
        # Only the channels of an example are set up there, and a secret's file is somebody else's.
        document = tomllib.loads(example.replace('"file:/run/secrets/', '"x'))
        document.setdefault("routes", [])
        names = {name for route in document["routes"] for name in route["channels"]}
        spare = {"kind": "gateway", "url": "https://example.org", "body": {"t": "{text}"}}
        document["channels"] = dict.fromkeys(names, spare) | document.get("channels", {})
        assert parse(document)
