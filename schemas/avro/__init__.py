"""Avro schemas, one file per published version, and their index ``ids.json``."""
