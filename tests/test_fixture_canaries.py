"""A canary in every answer of every shipped mapping's examples, through the door and the stream, comes out nowhere."""

import copy
import io
from datetime import UTC, datetime
from importlib.resources import files

import fastavro
import pytest

from connectors.intake import Skipped
from connectors.mapping import Unmappable, load
from connectors.seal import seal, unseal
from connectors.sources import Source
from connectors.taking import take_record
from schemas.events import SealedReport
from schemas.sizes import size_class
from streams.agents.cases import case_row
from streams.agents.path import _messages, contribution_row
from streams.pool import in_process
from streams.reading import reader
from streams.recognizers import build_redactor
from streams.steps.deidentify import Deidentifier
from streams.steps.receive import Receiver
from streams.steps.refuse import Coordinates
from streams.steps.register import Register
from streams.steps.suggest import Suggester

WORD, NUMBER = "Kanarienvogel", 98_765_432
SHIPPED = sorted(f.name[:-5] for f in files("connectors.mappings").iterdir() if f.name.endswith(".yaml"))
AT = Coordinates("t", 0, 0, datetime(2026, 3, 13, 12, 34, 56, 789_000, tzinfo=UTC))


def places(value, path=()):
    """Every path to an answer: through objects and lists, down to what is neither."""
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    found = [place for key, part in inner for place in places(part, (*path, key))]
    return found or [path]


def with_canary(payload, path):
    changed = copy.deepcopy(payload)
    holder = changed
    for key in path[:-1]:
        holder = holder[key]
    old = holder[path[-1]]
    holder[path[-1]] = NUMBER if isinstance(old, int | float) else f"{old} {WORD}" if old else [WORD]
    return changed


EXAMPLES = [(name, example["payload"]) for name in SHIPPED for example in load(name).document["examples"]]
CASES = [
    pytest.param(name, payload, path, id=f"{name}-{n}-{'.'.join(map(str, path))}")
    for n, (name, payload) in enumerate(EXAMPLES)
    for path in [*places(payload), ("an answer nobody maps",)]
]


@pytest.fixture(scope="module")
def redactor():
    return build_redactor()


@pytest.fixture
def carry(door, outbox, keys, tokens, codec, redactor):
    """Return a function that takes a row in and carries it through the stream; returns all that leaves."""

    def bury(letter, data):
        ((_, key),) = keys.add("dead_letters", 1)
        return seal(letter, data, key)

    receiver = Receiver(
        codec,
        lambda: Deidentifier(tokens, Register(), "TH"),
        in_process(reader(redactor, Suggester(()))),
        lambda report: unseal(report, keys.key(report.key_ref)),
        bury,
    )

    def through(row, mapping):
        taken = take_record(Source("union"), mapping, row, "FILE_MANUAL")
        if isinstance(taken, Skipped):  # no report: it goes nowhere
            return [], []
        door.accept([taken])
        (sent,) = outbox.unsent(0, 10)
        messages = [(sent.parcel.key, sent.parcel.value)]
        rows = []
        if sent.parcel.marks != "dead":
            (outcome,) = receiver.receive([(sent.parcel.value, AT)])
            messages += [(key, value) for _, key, value in _messages(codec, outcome)]
            rows.append(contribution_row(outcome.contribution, AT.at))
            rows += [case_row(outcome.case, AT.at)] if outcome.case else []
        return messages, rows

    return through


@pytest.mark.parametrize(("name", "payload", "path"), CASES)
def test_a_canary_in_any_answer_of_an_example_is_in_no_message_key_or_row(carry, name, payload, path):
    changed = with_canary({**payload, "an answer nobody maps": ""}, path)
    messages, rows = carry(changed, load(name))
    number = io.BytesIO()
    fastavro.schemaless_writer(number, "long", NUMBER)
    for data in [part for message in messages for part in message] + [repr(rows).encode()]:
        assert WORD.lower() not in data.decode(errors="replace").lower()
        assert str(NUMBER).encode() not in data and number.getvalue() not in data
    assert all(len(key) == 16 and len(value) == size_class(len(value)) for key, value in messages)


@pytest.mark.parametrize("name", SHIPPED)
def test_a_row_that_is_no_report_of_the_mapping_is_sealed_whole(carry, name):
    mapping = load(name)
    with pytest.raises(Unmappable):
        mapping.delivery({WORD: WORD}, "union", "FILE_MANUAL")
    messages, rows = carry({WORD: WORD}, mapping)
    assert len(messages) == 1 and not rows
    assert WORD.encode() not in b"".join(messages[0])


def test_no_message_row_or_envelope_is_more_exact_than_the_hour(carry, codec):
    name, payload = next(e for e in EXAMPLES if e[0] == "union_register")  # it is counted, and a case
    messages, rows = carry(payload, load(name))
    times = [codec.decode(SealedReport, messages[0][1]).received_at]
    times += [value for row in rows for value in row.values() if isinstance(value, datetime)]
    assert len(times) == 3
    assert {(t.minute, t.second, t.microsecond) for t in times} == {(0, 0, 0)}
