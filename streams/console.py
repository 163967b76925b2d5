"""What the commands share: settings, a node, examples in help."""

import os

from connectors.settings import ConnectorSettings
from streams.app import Node
from streams.settings import StreamSettings, read


def example(command: str) -> str:
    """Return the end of a help text with an example of the command."""
    return f"\b\nExample:\n  {command}"


def settings() -> tuple[ConnectorSettings, StreamSettings]:
    """Read the settings and make the state folder.

    Raises:
        BadSetting: a name is unknown or a value cannot be read.
    """
    connector, stream = read(os.environ)
    connector.home.mkdir(parents=True, exist_ok=True, mode=0o700)
    return connector, stream


def node() -> Node:
    """Return a node that nothing has been started of."""
    connector, stream = settings()
    return Node(connector, stream, connector.kafka or "")
