"""Readers for the tests of the pool: what a text asks for, happens."""

import ctypes
import logging
import os
import sys
import time
from pathlib import Path

from streams.steps.deidentify import Words
from streams.steps.known import BadGazetteer


def obedient():
    def read(text, language):
        match text.partition(" ")[0]:
            case "sleep":
                time.sleep(1000)
            case "spin":
                while True:
                    pass
            case "exit":
                os._exit(3)
            case "crash":
                ctypes.string_at(0)
            case "raise":
                raise ValueError(text)
            case "leave":
                sys.exit(text)
            case "starve":
                raise MemoryError(text)
            case "chat":
                print(text, file=sys.stderr, flush=True)
                print(text, flush=True)
                logging.getLogger("presidio-analyzer").error(text)
            case "who":
                return Words(str(os.getpid()))
            case "core":
                import resource

                return Words(str(resource.getrlimit(resource.RLIMIT_CORE)))
        return Words(f"{text} {language}")

    return read


def fussy(file):
    raise BadGazetteer(f"{file}, line 3: no such kind")


def moody(file):
    if Path(file).exists():
        raise BadGazetteer(f"{Path(file).name}, line 3: no such kind")
    return obedient()


def broken():
    raise ValueError("my name is Somchai")
