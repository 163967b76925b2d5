"""Logs that cannot carry a report: exceptions are reduced to their type and place."""

import logging
import traceback
from types import TracebackType


class Discreet(logging.Formatter):
    """Formats records without the messages of exceptions, which may quote what they choked on."""

    def formatException(
        self, ei: tuple[type[BaseException], BaseException, TracebackType | None] | tuple[None, None, None]
    ) -> str:
        """Return the exception's type and the innermost place it passed."""
        kind, _, trace = ei
        if kind is None:
            return ""
        frames = traceback.extract_tb(trace)
        place = f" at {frames[-1].filename}:{frames[-1].lineno}" if frames else ""
        return f"{kind.__name__}{place}"

    def format(self, record: logging.LogRecord) -> str:
        """Format a record; an exception given as the message or an argument is reduced to its type."""
        record.exc_text = None  # another handler may have written the message of the exception there
        if isinstance(record.msg, BaseException):
            record.msg = type(record.msg).__name__
        if isinstance(record.args, tuple):
            record.args = tuple(type(a).__name__ if isinstance(a, BaseException) else a for a in record.args)
        return super().format(record)


def configure() -> None:
    """Log to standard error: our own loggers from INFO, everybody else's from WARNING."""
    handler = logging.StreamHandler()
    handler.setFormatter(Discreet("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    logging.basicConfig(level=logging.WARNING, handlers=[handler], force=True)
    for name in ("streams", "connectors", "schemas"):
        logging.getLogger(name).setLevel(logging.INFO)
    logging.getLogger("streams.faust_transport").setLevel(logging.WARNING)  # Faust logs under our name there
    logging.captureWarnings(True)
