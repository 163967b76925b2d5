"""`chorus source add`: what it writes is what the doors verify with, and what it says is what one has to set."""

import base64

import pytest
from click.testing import CliRunner

from connectors import sources
from connectors.secrets import master_key, open_secret
from connectors.systems import Delivered, systems
from connectors.verify import SIGNED, Unauthorised, verify
from schemas.tokens import Tokens
from streams import cli


@pytest.fixture
def add(tmp_path):
    """Return a function that runs the command in an empty node: (exit status, stdout, stderr)."""

    def act(*arguments, secret=None):
        done = CliRunner().invoke(
            cli.main, ["source", "add", *arguments], input=secret, env={"CHORUS_HOME": str(tmp_path)}
        )
        return done.exit_code, done.stdout.strip(), done.stderr

    act.home = tmp_path
    act.found = lambda name: sources.find(tmp_path, name)
    return act


def shown(source, secret):
    """How a system shows a static secret: what it sends, and where."""
    basic = base64.b64encode(f"{source.name}:{secret}".encode()).decode()
    headers = {
        "bearer": {"authorization": f"Bearer {secret}"},
        "basic": {"authorization": f"Basic {basic}"},
        "static_header": {source.header: secret},
    }
    path = secret if source.scheme == "secret_path" else ""
    return Delivered(b"{}", headers=headers.get(source.scheme, {})), path


STATIC = [(name, scheme) for name, s in systems().items() for scheme in s.schemes if scheme not in SIGNED]


@pytest.mark.parametrize(("system", "scheme"), STATIC)
def test_the_secret_it_prints_opens_the_hook_and_its_file_does_not_hold_it(add, system, scheme):
    status, secret, said = add("mine", "--connector", system, "--scheme", scheme)
    source = add.found("mine")
    assert status == 0 and verify(source, *shown(source, secret), ()) == "STATIC_SECRET"
    assert secret not in (add.home / "sources/mine.toml").read_text() and secret not in said
    assert "/v1/hooks/mine" in said and (scheme != "static_header" or source.header in said)
    with pytest.raises(Unauthorised):
        verify(source, *shown(source, secret + "x"), ())


def test_a_second_secret_leaves_the_first_alive_and_a_third_does_not(add):
    secrets = [add("mine", "--connector", "kobo", "--scheme", "secret_path")[1] for _ in range(3)]
    source, good = add.found("mine"), []
    for secret in secrets:
        try:
            good.append(verify(source, *shown(source, secret), ()))
        except Unauthorised:
            good.append(None)
    assert good == [None, "STATIC_SECRET", "STATIC_SECRET"]


@pytest.mark.parametrize("scheme", SIGNED)
def test_a_signing_secret_is_asked_for_kept_sealed_and_can_be_rotated(add, scheme):
    status, _, said = add("mine", "--connector", scheme)
    assert status == 2 and "give its secret" in said
    for secret in ("first", "second", "third"):
        status, out, said = add("mine", "--connector", scheme, "--secret-file", "-", secret=secret + "\n")
        assert status == 0 and out == "" and secret not in said
    tokens, source = Tokens(master_key(add.home)), add.found("mine")
    assert [open_secret(tokens, sealed) for sealed in source.signing] == ["second", "third"]
    assert "third" not in (add.home / "sources/mine.toml").read_text()
    with pytest.raises(ValueError, match="another master key"):
        open_secret(Tokens(bytes(32)), source.signing[0])


def test_a_source_that_is_asked_needs_no_secret_to_call_with_and_its_login_is_sealed(add):
    login = add.home / "login.txt"
    login.write_text("kobo-api-key\n")
    options = (
        "--pull-url",
        "https://kf.example.org/data/",
        "--pull-login-file",
        str(login),
        "--pull",
        "page_size=50",
    )
    status, out, said = add("mine", "--connector", "kobo", *options)
    source = add.found("mine")
    assert (status, out, source.scheme, source.token_sha256) == (0, "", "", ()) and "is asked" in said
    assert open_secret(Tokens(master_key(add.home)), source.pull["sealed"]) == "kobo-api-key"
    assert (source.pull["url"], source.pull["page_size"]) == ("https://kf.example.org/data/", 50)
    assert "kobo-api-key" not in (add.home / "sources/mine.toml").read_text()


def test_to_have_a_source_asked_as_well_changes_no_secret(add):
    secret = add("mine", "--connector", "kobo", "--scheme", "secret_path")[1]
    status, out, _ = add("mine", "--pull-url", "https://kf.example.org/data/")
    source = add.found("mine")
    assert (status, out, len(source.token_sha256)) == (0, "", 1) and source.pull
    assert verify(source, *shown(source, secret), ()) == "STATIC_SECRET"


def test_what_is_not_said_of_a_source_stays_as_it_is(add):
    add("mine", "--connector", "primero", "--mapping", "primero_case", "--test", "--deidentify", "source")
    add("mine")
    source = add.found("mine")
    assert (source.connector, source.mapping, source.test, source.deidentify) == (
        "primero",
        "primero_case",
        True,
        "source",
    )
    assert source.header == "x-api-key" and len(source.token_sha256) == 2


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (("mine", "--connector", "nobody"), "the systems are"),
        (("mine", "--connector", "typeform", "--scheme", "basic"), "this system has typeform"),
        (("mine", "--scheme", "secret_path"), "this system has bearer"),
        (("mine", "--connector", "connect", "--pull-url", "https://x.example"), "cannot be asked"),
        (("mine", "--mapping", "none"), "there is no mapping"),
        (("../mine",), "lower-case"),
    ],
)
def test_what_cannot_be_is_refused_and_nothing_is_written(add, arguments, why):
    status, out, said = add(*arguments)
    assert status and why in said and out == "" and not list(add.home.glob("**/*.toml"))


def test_live_ends_the_test_and_nothing_else(add):
    secret = add("mine", "--connector", "kobo", "--scheme", "secret_path", "--test")[1]
    before = add.found("mine")
    done = CliRunner().invoke(cli.main, ["source", "live", "mine"], env={"CHORUS_HOME": str(add.home)})
    after = add.found("mine")
    assert done.exit_code == 0 and before.test and not after.test
    assert after.token_sha256 == before.token_sha256
    assert verify(after, *shown(after, secret), ()) == "STATIC_SECRET"
