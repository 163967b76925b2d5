"""The operator's lists: the register of workplaces, and the gazetteers, names of the deployment to be removed."""

import csv
from collections.abc import Sequence
from pathlib import Path

from streams.recognizers._gazetteer import read_names
from streams.steps.register import BadRegister, Register


def register_file(home: Path) -> tuple[Path, ...]:
    """Return the register's file, if there is one."""
    path = home / "workplaces.csv"
    return (path,) if path.is_file() else ()


def read_register(paths: Sequence[Path]) -> Register:
    """Read the register.

    Raises:
        BadRegister: with file and line, never a name.
    """
    if not paths:
        return Register()
    (path,) = paths
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            return Register(csv.DictReader(file))
    except BadRegister as why:
        raise BadRegister(f"{path.name}, {why}") from None
    except (csv.Error, UnicodeError):
        raise BadRegister(f"{path.name}: not CSV in UTF-8") from None


def gazetteers(home: Path) -> tuple[Path, ...]:
    """Return the files with names to be removed, as they are now; the register is one."""
    return (*sorted((home / "gazetteers").glob("*.csv")), *register_file(home))


def check_gazetteers(paths: Sequence[Path]) -> None:
    """Read the files and forget them.

    Raises:
        BadGazetteer: with file and line, never a name.
    """
    for _ in read_names(paths):
        pass
