"""A mailbox as a source that is pulled: ``[pull]`` with ``url = "imaps://HOST[:PORT][/FOLDER]"``."""

import ssl
from collections.abc import Iterator, Mapping
from urllib.parse import unquote, urlsplit

from connectors.pulling.asking import user_and_password
from connectors.pulling.imap import LoginRefused, Mailbox, MailboxError, fetch_new
from connectors.pulling.manners import Trouble


def read(options: Mapping[str, str], since: str | None) -> Iterator[tuple[bytes, str]]:
    """Yield new mails, oldest first, each with the checkpoint after it.

    Args:
        options: those of ``[pull]``, and ``login``, opened: ``user:password``.
        since: the last checkpoint; None for all mails.

    Raises:
        Trouble: ``CONFIG``, ``LOGIN``, or ``UNREACHABLE`` where the mailbox cannot be read for another reason.
    """
    try:
        address = urlsplit(options["url"])
        login, password = user_and_password(options["login"])
        mailbox = Mailbox(
            address.hostname or "",
            login,
            password,
            address.port or 993,
            unquote(address.path.strip("/")) or "INBOX",
            ssl.create_default_context(cafile=options.get("ca_file") or None),
            timeout_s=float(options.get("timeout_seconds", 60)),
        )
    except (ValueError, OSError):
        raise Trouble("CONFIG") from None
    try:
        yield from fetch_new(mailbox, since)
    except LoginRefused:
        raise Trouble("LOGIN") from None
    except MailboxError:
        raise Trouble("UNREACHABLE") from None
