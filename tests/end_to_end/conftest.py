"""The Apache Kafka fixture, where the end-to-end tests find it."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from apache_kafka import kafka_broker  # noqa: F401
