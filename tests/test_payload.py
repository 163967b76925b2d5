"""JSON of strangers: its limits, and that a refusal repeats nothing."""

import pytest
from form_servers import serving

from connectors.pulling import asking
from connectors.reading.payload import dicts, inside, json_value
from connectors.systems import Unreadable


@pytest.mark.parametrize(
    ("raw", "reason"),
    [
        (b"", "syntax"),
        (b'{"a": "SECRET', "syntax"),
        (b'{"SECRET": NaN}', "syntax"),
        (b'{"a": 1e999}', "syntax"),
        (b'"\\ud800"', "syntax"),
        (b'{"a": 1} {"b": 2}', "syntax"),
        (b'{"a": "\xff\xfe"}', "encoding"),
        ("{}".encode("utf-16"), "encoding"),
        (b"[" * 10_000, "depth"),
        (b"[" * 150 + b"]" * 150, "depth"),
        (b'{"a":' * 101 + b"1" + b"}" * 101, "depth"),
        (b'{"a":' * 10_000 + b"1" + b"}" * 10_000, "depth"),
    ],
)
def test_json_that_no_form_sends(raw, reason):
    with pytest.raises(Unreadable) as caught:
        json_value(raw)
    assert str(caught.value) == reason
    # The parser quotes what it could not read.
    assert caught.value.__suppress_context__ or caught.value.__context__ is None


def test_json_may_have_a_byte_order_mark_and_be_as_deep_as_forms_are():
    assert json_value(b'\xef\xbb\xbf{"a": 1}') == {"a": 1}
    assert json_value(b"[" * 99 + b"]" * 99)


@pytest.mark.parametrize("value", [{}, "a", None, [1], [{}, None]])
def test_what_is_no_list_of_objects(value):
    with pytest.raises(Unreadable, match=r"^shape$"):
        dicts(value)


def test_what_is_inside():
    value = {"a": [{"b": 1}]}
    assert inside(value, "a", 0, "b") == 1
    assert [inside(value, *path) for path in (("a", 1), ("b",), ("a", "b"), ("a", 0, "b", "c"))] == [None] * 4


def test_no_more_of_an_answer_is_read_than_a_page_can_be(monkeypatch):
    monkeypatch.setattr(asking, "LARGEST_PAGE", 1000)
    for size, fits in ((900, True), (1100, False)):
        with serving(lambda *_, size=size: "x" * size) as address, asking.httpx.Client() as http:
            if fits:
                assert asking.ask(http, address) == "x" * size
            else:
                with pytest.raises(Unreadable, match=r"^size$"):
                    asking.ask(http, address)
