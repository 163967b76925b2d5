"""Logs: an exception's type and place, never its message."""

import logging
import sys

import pytest

from streams import logs

SAID = "my name is Somchai"


@pytest.fixture
def formatter():
    return logs.Discreet("%(levelname)s %(message)s")


def a_record(message, *arguments, error=None):
    exc_info = (type(error), error, error.__traceback__) if error else None
    return logging.LogRecord("streams.x", logging.ERROR, "x.py", 1, message, arguments, exc_info)


def an_error():
    try:
        int(SAID)
    except ValueError as error:
        return error


def test_a_traceback_is_reduced_to_type_and_place(formatter):
    line = formatter.format(a_record("failed", error=an_error()))
    assert line.startswith("ERROR failed\nValueError at ") and "test_logs.py" in line
    assert SAID not in line


def test_an_exception_as_an_argument_is_reduced_to_its_type(formatter):
    for message in ("failed: %s", "failed: %r"):
        line = formatter.format(a_record(message, an_error()))
        assert "ValueError" in line and SAID not in line


def test_an_exception_as_the_message_is_reduced_to_its_type(formatter):
    assert formatter.format(a_record(an_error())) == "ERROR ValueError"


def test_what_another_handler_wrote_of_the_exception_is_not_used(formatter):
    record = a_record("failed", error=an_error())
    assert SAID in logging.Formatter().format(record)
    assert SAID not in formatter.format(record)


def test_causes_are_left_out_too(formatter):
    try:
        raise RuntimeError("outer") from an_error()
    except RuntimeError as error:
        line = formatter.format(a_record("failed", error=error))
    assert SAID not in line and "outer" not in line


def test_a_record_without_exception_reads_as_usual(formatter):
    assert formatter.format(a_record("%s of %d", "one", 2)) == "ERROR one of 2"
    record = a_record("gone")
    record.exc_info = (None, None, None)
    assert formatter.format(record).startswith("ERROR gone")


def test_configured_logs_carry_no_message_of_an_exception(capsys):
    root = logging.getLogger()
    before, level = root.handlers[:], root.level
    root.handlers = []
    try:
        logs.configure()
        root.handlers[0].setStream(sys.stderr)
        try:
            int(SAID)
        except ValueError as error:
            logging.getLogger("streams.y").exception("oops %s", error)
            logging.getLogger("somebody.else").info("chatter")
    finally:
        root.handlers = before
        root.setLevel(level)
        logging.captureWarnings(False)
        for name in ("streams", "connectors", "schemas"):
            logging.getLogger(name).setLevel(logging.NOTSET)
    said = capsys.readouterr().err
    assert "oops ValueError" in said and SAID not in said and "chatter" not in said
