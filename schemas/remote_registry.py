"""A real registry, one that speaks Confluent's REST protocol."""

from confluent_kafka.schema_registry import Schema, SchemaRegistryClient
from confluent_kafka.schema_registry.error import SchemaRegistryError

from schemas.registry import FolderRegistry


class RemoteRegistry:
    """A real registry. The folder's schemas are registered on first use; their ids are the registry's."""

    def __init__(self, url: str) -> None:
        """Connect lazily to the registry at ``url``."""
        self._client = SchemaRegistryClient({"url": url})
        self._folder = FolderRegistry()
        self._ids: dict[str, int] = {}
        self._texts: dict[int, str] = {}

    def schema(self, schema_id: int) -> str:
        """Return the text of the schema with this id; raise ``LookupError`` if there is none."""
        if schema_id not in self._texts:
            try:
                text = self._client.get_schema(schema_id).schema_str
            except SchemaRegistryError as error:
                if error.http_status_code != 404:
                    raise
                raise LookupError(schema_id) from None
            if text is None:
                raise LookupError(schema_id)
            self._texts[schema_id] = text
        return self._texts[schema_id]

    def id_for(self, subject: str) -> int:
        """Return the id of the newest version of a subject, registering it if it is not there yet."""
        if subject not in self._ids:
            text = self._folder.schema(self._folder.id_for(subject))
            self._ids[subject] = self._client.register_schema(f"chorus.{subject}", Schema(text, "AVRO"))
        return self._ids[subject]
