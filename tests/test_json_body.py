"""JSON of strangers: its limits, and that a refusal repeats nothing."""

from __future__ import annotations

import httpx
import pytest
from local_api import served

from connectors import json_body
from connectors.systems import Unreadable


@pytest.mark.parametrize(
    ("body", "why"),
    [
        (b"\xff{}", "encoding"),
        ("{}".encode("utf-16"), "encoding"),
        (b"", "syntax"),
        (b"CANARY", "syntax"),
        (b'{"CANARY": NaN}', "syntax"),
        (b"[1e999]", "syntax"),
        (b'{"a": -1e999}', "syntax"),
        (b'"\\ud800"', "syntax"),
        (b'{"a": 1} {"CANARY": 2}', "syntax"),
        (b"[" * 102 + b"]" * 102, "depth"),
        (b"[" * 10_000 + b"]" * 10_000, "depth"),
        (b'{"a":' * 10_000 + b"1" + b"}" * 10_000, "depth"),
    ],
)
def test_what_is_no_json_is_refused_in_one_word(body: bytes, why: str) -> None:
    with pytest.raises(Unreadable) as caught:
        json_body.load(body)
    assert str(caught.value) == why
    assert caught.value.__cause__ is None


@pytest.mark.parametrize("body", [b"\xef\xbb\xbf[1]", b" [1]\n", b"[1]"])
def test_json_is_read_with_and_without_a_byte_order_mark(body: bytes) -> None:
    assert json_body.load(body) == [1]


def test_json_may_be_a_hundred_deep() -> None:
    assert json_body.load(b"[" * 100 + b"]" * 100)


def test_a_page_without_end_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(json_body, "LARGEST_PAGE", 1000)
    with (
        served(lambda *_: (200, b"[" + b" " * 5000 + b"]")) as url,
        httpx.Client() as http,
        pytest.raises(Unreadable, match="size"),
    ):
        json_body.fetch(http, url)


def test_an_answer_that_is_no_success_is_an_error() -> None:
    with (
        served(lambda *_: (500, {})) as url,
        httpx.Client() as http,
        pytest.raises(httpx.HTTPStatusError),
    ):
        json_body.fetch(http, url)


@pytest.mark.parametrize(
    "link",
    [
        "https://evil.example.org/api",
        "http://api.example.org/x",
        "https://api.example.org:444/x",
        "//evil.example.org",
        "/x",
        "",
        "https://[",
        "https://api.example.org@evil.example.org/",
        None,
        7,
        {"a": 1},
    ],
)
def test_our_login_follows_no_link_to_another_server(link: str) -> None:
    with pytest.raises(Unreadable, match="shape"):
        json_body.same_server(link, "https://api.example.org/base")


def test_a_link_to_the_same_server_is_followed() -> None:
    assert json_body.same_server("https://api.example.org/x?c=1", "https://api.example.org/base")
    assert json_body.same_server("https://api.example.org:443/x", "https://api.example.org")
