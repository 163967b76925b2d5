"""What strangers could send to the message systems: whatever it is, it becomes something, and nothing breaks."""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from intake_fixtures import INTAKE, taken
from test_must_not_leak import SYSTEMS

from connectors.intake import Delivery
from connectors.systems import Delivered

JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats(allow_nan=False)
    | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=10), inner, max_size=4),
    max_leaves=12,
)
FIXTURES = sorted(n for n in SYSTEMS if n.endswith(".json"))
REASONS = {"UNREADABLE", "UNMAPPABLE", "WITHDRAWAL_ASKED"}
FUZZ = settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [path, *(place for key, part in inner for place in places(part, (*path, key)))]


def put(value: Any, path: tuple[Any, ...], new: Any) -> Any:
    if not path:
        return new
    changed = copy.deepcopy(value)
    holder = changed
    for key in path[:-1]:
        holder = holder[key]
    holder[path[-1]] = new
    return changed


def assert_something(by: str, body: bytes, content_type: str = "application/json") -> None:
    for one in taken(by, Delivered(body, content_type)):
        assert not isinstance(one, Delivery) or one.body is not None or one.reason in REASONS


@pytest.mark.parametrize("name", FIXTURES)
@FUZZ
@given(data=st.data())
def test_a_fixture_with_anything_anywhere(name: str, data: st.DataObject) -> None:
    value = json.loads((INTAKE / name).read_bytes())
    for _ in range(data.draw(st.integers(1, 3))):
        value = put(value, data.draw(st.sampled_from(places(value))), data.draw(JSON))
    assert_something(SYSTEMS[name], json.dumps(value).encode())


@pytest.mark.parametrize("by", sorted(set(SYSTEMS.values())))
@FUZZ
@given(value=JSON, body=st.binary(max_size=60))
def test_anything_at_all(by: str, value: Any, body: bytes) -> None:
    assert_something(by, json.dumps(value).encode())
    assert_something(by, body)
    assert_something(by, body, "application/x-www-form-urlencoded")


@FUZZ
@given(
    data=st.dictionaries(
        st.sampled_from(
            ["MessageSid", "CallSid", "AccountSid", "From", "Body", "NumMedia", "MediaUrl0", "Latitude"]
        )
        | st.text(max_size=8),
        st.text(max_size=40),
        max_size=8,
    )
)
def test_any_form_at_all(data: dict[str, str]) -> None:
    from urllib.parse import urlencode

    assert_something(
        "twilio_hotline", urlencode(data, errors="replace").encode(), "application/x-www-form-urlencoded"
    )


@pytest.mark.parametrize("by", sorted(set(SYSTEMS.values())))
@pytest.mark.parametrize(
    "body",
    [b"[" * 10_000, b'{"a":' * 10_000, b"[" + b"{}," * 200_000 + b"{}]", b"\x00" * 1000, b"a" * 5_000_000],
    ids=["deep lists", "deep objects", "many", "zeros", "long"],
)
def test_bodies_made_to_hurt(by: str, body: bytes) -> None:
    assert_something(by, body)
