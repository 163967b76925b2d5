"""What the tests of the form systems' pulls share: a server that may refuse, and a pull, a sweep and a fetch of it."""

from contextlib import contextmanager

import httpx
from local_api import served


class Refused(Exception):
    """The server answers with this status and says why in words that may not be repeated."""

    def __init__(self, status):
        super().__init__(status)
        self.status = status


@contextmanager
def serving(answer):
    """Serve ``answer(method, path, params, headers, body) -> JSON value``; yield the server's address."""

    def answered(*asked):
        try:
            return 200, answer(*asked)
        except Refused as why:
            return why.status, {"detail": "SECRET of the server"}

    with served(answered) as address:
        yield address


def client(pull, options, secret="user:password"):
    """Return a client that is logged in as the pull says."""
    return httpx.Client(timeout=5, **pull.login(options, secret))


def pulled(pull, options, checkpoint=None, secret="user:password"):
    """Return all records of a pull, and the checkpoint after them."""
    found = []
    with client(pull, options, secret) as http:
        for page in pull.since(http, options, checkpoint):
            found += page.records
            checkpoint = page.checkpoint
    return found, checkpoint


def swept(pull, options, secret="user:password"):
    with client(pull, options, secret) as http:
        return list(pull.sweep(http, options))


def fetched(pull, options, root_ids, secret="user:password"):
    with client(pull, options, secret) as http:
        return list(pull.fetch(http, options, root_ids))
