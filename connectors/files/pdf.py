"""The texts of a PDF with their places, read in a process of its own (``connectors/files/pdf_child.py``)."""

import json
import subprocess
import sys
from dataclasses import dataclass, field

from connectors.systems import Unreadable

_PATIENCE = 60  # seconds


@dataclass(frozen=True, slots=True)
class Pages:
    """A PDF.

    Attributes:
        title: of the document, as it says; may be empty.
        pages: of each page its texts in their order, and how high each stands, in points from the bottom.
    """

    title: str = field(repr=False)
    pages: tuple[tuple[tuple[float, str], ...], ...] = field(repr=False)


def pages(data: bytes) -> Pages:
    """Read a PDF.

    Raises:
        Unreadable: it is none (``syntax``), or more than a report (``size``).
    """
    command = [sys.executable, "-m", "connectors.files.pdf_child"]
    try:
        done = subprocess.run(command, input=data, capture_output=True, timeout=_PATIENCE, check=False)
    except subprocess.TimeoutExpired:
        raise Unreadable("size") from None
    if done.returncode:
        # Killed: it wanted more time than it may have.
        raise Unreadable("size" if done.returncode == 3 or done.returncode < 0 else "syntax")
    told = json.loads(done.stdout)
    return Pages(told["title"], tuple(tuple((y, text) for y, text in page) for page in told["pages"]))
