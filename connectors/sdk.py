"""For programs elsewhere that publish reports to Kafka themselves. They need no key of the node, and none of its folders.

Each report is sealed to the public key of its source, with the source's token inside, and left on a topic of its own
(``chorus.reports.entrusted.v1``), from which a door of the node takes it in. This needs confluent-kafka, fastavro and
cryptography, and nothing else that Chorus needs.
"""

import base64
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from connectors.kafka import Message, Sender
from connectors.seal import entrust, key_id
from schemas.codec import Codec
from schemas.events import Attachment, EntrustedBody, EntrustedReport, Narrative, Op, RawReportBody
from schemas.registry import connect
from schemas.topics import ENTRUSTED

__all__ = ["Attachment", "Narrative", "Producer", "RawReportBody", "Report"]


@dataclass(frozen=True, slots=True)
class Report:
    """One report.

    Attributes:
        id: the source's own id of it.
        body: what the worker told.
        root_id: the first id of a report that has been edited; without it ``id``.
        op: what it does to the report.
        test: never counted, never a case.
    """

    id: str = field(repr=False)
    body: RawReportBody = field(repr=False)
    root_id: str | None = field(default=None, repr=False)
    op: Op = "CREATE"
    test: bool = False


class Producer:
    """Publishes reports of one source. Use it from one thread."""

    def __init__(
        self,
        kafka: Mapping[str, Any],
        source: str,
        sealing_key: str,
        token: str,
        schema_registry_url: str | None = None,
    ) -> None:
        """Connect lazily.

        Args:
            kafka: settings of librdkafka: ``bootstrap.servers``, and by which one gets in.
            source: name of the connected source.
            sealing_key: what ``chorus source sealing-key`` prints.
            token: what ``chorus source add`` printed.
            schema_registry_url: as ``SCHEMA_REGISTRY_URL`` of the node.

        Raises:
            ValueError: the sealing key is none.
        """
        try:
            self._public = base64.b64decode(sealing_key.encode(), altchars=b"-_", validate=True)
        except ValueError:
            self._public = b""
        if len(self._public) != 32:
            raise ValueError("this is no sealing key: `chorus source sealing-key` prints one")
        self._source, self._token = source, token.encode()
        self._codec = Codec(connect(schema_registry_url))
        self._sender = Sender(str(kafka["bootstrap.servers"]), login=kafka)

    def publish(self, reports: Iterable[Report]) -> None:
        """Seal reports, send them, and return when the broker has acknowledged every one.

        What is published again is a repeat, and other content under the same ``id`` a revision: nothing counts twice.

        Raises:
            schemas.codec.Unencodable: a value does not fit its field; nothing was sent.
            ValueError: a report is too large; nothing was sent.
            ConnectionError: not all were acknowledged; publish them again.
        """
        messages = [Message(ENTRUSTED.name, b"", self.sealed(report)) for report in reports]
        self._sender.send(messages)

    def sealed(self, report: Report) -> bytes:
        """Return a report as it travels; raises as ``publish`` does."""
        report_schema, told = self._codec.encode_body(report.body)
        body = EntrustedBody(
            token=self._token,
            id=report.id,
            root_id=report.root_id,
            op=report.op,
            test=report.test,
            report_schema=report_schema,
            report=told,
        )
        body_schema, data = self._codec.encode_body(body)
        event = EntrustedReport(
            source_id=self._source, key_id=key_id(self._public), body_schema=body_schema, sealed=b""
        )
        message = self._codec.encode(entrust(event, data, self._public))
        if len(message) > ENTRUSTED.largest:
            raise ValueError("a report is too large to be published")
        return message
