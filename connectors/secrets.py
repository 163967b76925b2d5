"""The node's master key and operator token: files of mode 0600 in ``home/secrets``, made on first use."""

import base64
import os
import secrets
from pathlib import Path

from cryptography.fernet import Fernet, InvalidToken

from schemas.tokens import Tokens


def _once(path: Path, make: str) -> str:
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    try:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        return path.read_text(encoding="ascii").strip()
    with os.fdopen(handle, "w", encoding="ascii") as file:
        file.write(make + "\n")
        file.flush()
        os.fsync(file.fileno())
    return make


def master_key(home: Path) -> bytes:
    """Return the 32-byte master key, made on first use.

    Losing it loses every sealed report and every token: back it up apart from the rest.
    """
    return bytes.fromhex(_once(home / "secrets" / "master.key", secrets.token_hex(32)))


def operator_token(home: Path) -> str:
    """Return the bearer token of the operator's own pages, made on first use."""
    return _once(home / "secrets" / "operator.token", secrets.token_urlsafe(32))


def unit_key(home: Path) -> bytes | None:
    """Return the key of the ledger's units, or None as long as it has never been rotated."""
    path = home / "secrets" / "units.key"
    return bytes.fromhex(path.read_text(encoding="ascii").strip()) if path.is_file() else None


def next_unit_key(home: Path) -> bytes:
    """Return the key of units that a rotation is about to bring in, made on first use."""
    return bytes.fromhex(_once(home / "secrets" / "units.key.new", secrets.token_hex(32)))


def adopt_unit_key(home: Path) -> None:
    """Make the next key of units the key of units; the one before is gone."""
    (home / "secrets" / "units.key.new").replace(home / "secrets" / "units.key")


def seal_secret(tokens: Tokens, secret: str) -> str:
    """Seal a secret that a source shares with us, for its file: a signing secret, or a login."""
    return _fernet(tokens).encrypt(secret.encode()).decode()


def open_secret(tokens: Tokens, sealed: str) -> str:
    """Open a sealed secret.

    Raises:
        ValueError: it was sealed under another master key, or changed.
    """
    try:
        return _fernet(tokens).decrypt(sealed.encode()).decode()
    except InvalidToken:
        raise ValueError("a secret in a source's file was sealed under another master key") from None


def _fernet(tokens: Tokens) -> Fernet:
    return Fernet(base64.urlsafe_b64encode(tokens.key("source-secrets")))
