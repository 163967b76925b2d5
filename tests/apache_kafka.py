"""Apache Kafka for tests: one KRaft node (broker and controller in one process) on loopback, without Docker.

The jars come through Maven once, into ``~/.cache/chorus/kafka-<version>``; the version is the one of
``tests/kafka/pom.xml``. Java 17 or newer and Maven must be on the path; otherwise `KafkaUnavailable` says in
words what is missing, and the fixture `kafka_broker` skips with that sentence.

    with apache_kafka(tmp_path) as kafka:
        Producer({"bootstrap.servers": kafka.bootstrap})
        kafka.kill()       # SIGKILL, as a power cut would (what the operating system holds survives)
        kafka.restart()    # same ports, same data

On Linux the broker dies with the test process, however that ends; elsewhere only an orderly end stops it.

It misleads as a stand-in for production in three ways: replication is 1, a session may be as short as one
second, and the internal topics have 4 partitions instead of 50.
"""

from __future__ import annotations

import base64
import hashlib
import os
import random
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from xml.etree import ElementTree

import pytest
from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

POM = Path(__file__).with_name("kafka") / "pom.xml"
JAVA_NEEDED = 17
DOWNLOAD_SECONDS = 900
START_SECONDS = 90
STOP_SECONDS = 20

HEAP = ("-Xms128m", "-Xmx512m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1")

SERVER_PROPERTIES = """\
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@127.0.0.1:{controller_port}
controller.listener.names=CONTROLLER
listeners=PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller_port}
advertised.listeners=PLAINTEXT://127.0.0.1:{port}
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT
inter.broker.listener.name=PLAINTEXT
log.dirs={data}
auto.create.topics.enable=false
default.replication.factor=1
min.insync.replicas=1
offsets.topic.replication.factor=1
offsets.topic.num.partitions=4
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
transaction.state.log.num.partitions=4
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
share.coordinator.state.topic.num.partitions=4
group.initial.rebalance.delay.ms=0
group.min.session.timeout.ms=1000
# After a kill the controller holds the old registration until its session ends: make that soon.
broker.heartbeat.interval.ms=500
broker.session.timeout.ms=2000
# The default takes 128 MB of the heap before the first message.
log.cleaner.dedupe.buffer.size=8388608
"""

LOG4J_PROPERTIES = """\
status = error
appender.file.type = File
appender.file.name = file
appender.file.fileName = {log}
appender.file.layout.type = PatternLayout
appender.file.layout.pattern = %d{{HH:mm:ss.SSS}} %p %c{{1}} %m%n
rootLogger.level = warn
rootLogger.appenderRef.file.ref = file
"""

# Asks Linux to kill this process when its parent is gone, then becomes Java under the same process id.
# A separate interpreter, because preexec_fn is not safe beside the threads of a Kafka client.
LAUNCHER = """\
import ctypes, os, signal, sys
if sys.platform == "linux":
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)
    if os.getppid() != int(sys.argv[1]):
        sys.exit("the test process is gone")
os.execv(sys.argv[2], sys.argv[2:])
"""

# Linux means the parent *thread*: one that lives as long as the tests do starts every broker, so that a
# restart from a short-lived thread does not take the broker down with it.
_STARTER = ThreadPoolExecutor(max_workers=1, thread_name_prefix="kafka-starter")


class KafkaUnavailable(Exception):
    """Apache Kafka cannot run here; the message says why, in words."""


@dataclass
class ApacheKafka:
    """A running broker. `stop` asks, `kill` does not ask, `restart` keeps ports and data."""

    bootstrap: str
    folder: Path
    command: tuple[str, ...] = field(repr=False)
    process: subprocess.Popen[bytes] | None = field(default=None, repr=False)

    def start(self) -> None:
        """Start and return when the broker answers; a broker that cannot start is an error, not a skip."""
        self.process = _STARTER.submit(_spawn, self.command, self.folder / "stdout.log").result()
        try:
            self._wait_until_it_answers()
        except BaseException:
            self.kill()
            raise

    def stop(self) -> None:
        """SIGTERM, and SIGKILL if that did not help; harmless when it is not running."""
        if self.process is None:
            return
        self.process.terminate()
        try:
            self.process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self.process.kill()
        self._reap()

    def kill(self) -> None:
        """SIGKILL; harmless when it is not running."""
        if self.process is None:
            return
        self.process.send_signal(signal.SIGKILL)
        self._reap()

    def restart(self) -> None:
        """Stop if it runs, then start on the same ports with the same data."""
        self.stop()
        self.start()

    def _reap(self) -> None:
        assert self.process is not None
        self.process.wait()
        self.process = None

    def _wait_until_it_answers(self) -> None:
        assert self.process is not None
        deadline = time.monotonic() + START_SECONDS
        admin = AdminClient({"bootstrap.servers": self.bootstrap, "log_level": 0})
        while True:
            if self.process.poll() is not None:
                raise RuntimeError(
                    f"Apache Kafka ended with code {self.process.returncode}:\n{self._last_words()}"
                )
            with suppress(KafkaException):
                if admin.list_topics(timeout=1).brokers:
                    return
            if time.monotonic() > deadline:
                raise RuntimeError(f"Apache Kafka did not answer in {START_SECONDS} s:\n{self._last_words()}")
            time.sleep(0.05)

    def _last_words(self) -> str:
        logs = [self.folder / "stdout.log", self.folder / "kafka.log"]
        lines = [
            line for log in logs if log.exists() for line in log.read_text(errors="replace").splitlines()
        ]
        return "\n".join(lines[-25:])


@contextmanager
def apache_kafka(tmp: Path) -> Iterator[ApacheKafka]:
    """A broker with its data under `tmp`, ready when the block begins and gone when it ends."""
    java = _java()
    jars = _jars()
    folder = Path(tempfile.mkdtemp(prefix="kafka-", dir=tmp))
    port, controller_port = _free_ports(2)
    properties = folder / "server.properties"
    properties.write_text(
        SERVER_PROPERTIES.format(port=port, controller_port=controller_port, data=folder / "data")
    )
    log4j = folder / "log4j2.properties"
    log4j.write_text(LOG4J_PROPERTIES.format(log=folder / "kafka.log"))
    run = (java, *HEAP, f"-Dlog4j2.configurationFile={log4j}", "-cp", f"{jars}/*")
    _format_storage(run, properties)
    kafka = ApacheKafka(f"127.0.0.1:{port}", folder, (*run, "kafka.Kafka", str(properties)))
    kafka.start()
    try:
        yield kafka
    finally:
        kafka.stop()


@pytest.fixture(scope="session")
def kafka_broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ApacheKafka]:
    """One broker for the whole session. A test that kills it must restart it; name your topics uniquely."""
    with broker_or_skip(tmp_path_factory.mktemp("kafka")) as kafka:
        yield kafka


@contextmanager
def broker_or_skip(tmp: Path) -> Iterator[ApacheKafka]:
    """`apache_kafka`, or a skip that says why; a failure where every test is required to run."""
    try:
        _java()
        _jars()
    except KafkaUnavailable as why:
        if os.environ.get("REQUIRE_ALL_TESTS") == "1":
            pytest.fail(f"Apache Kafka is required here: {why}", pytrace=False)
        pytest.skip(f"Apache Kafka: {why}")
    with apache_kafka(tmp) as kafka:
        yield kafka


def kafka_version() -> str:
    """The version that tests/kafka/pom.xml names."""
    version = ElementTree.parse(POM).findtext(".//{*}kafka.version")
    assert version
    return version


def _spawn(command: tuple[str, ...], output: Path) -> subprocess.Popen[bytes]:
    with output.open("ab") as sink:
        return subprocess.Popen(
            [sys.executable, "-I", "-S", "-c", LAUNCHER, str(os.getpid()), *command],
            stdin=subprocess.DEVNULL,
            stdout=sink,
            stderr=subprocess.STDOUT,
            start_new_session=True,  # Ctrl-C goes to the tests; they stop the broker
        )


def _format_storage(run: tuple[str, ...], properties: Path) -> None:
    # "A" first, because an id that begins with "-" would be read as an option.
    cluster = "A" + base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")[1:]
    tool = [*run, "kafka.tools.StorageTool", "format", "-t", cluster, "-c", str(properties)]
    done = subprocess.run(tool, capture_output=True, text=True, timeout=START_SECONDS, check=False)
    if done.returncode:
        raise RuntimeError(f"Apache Kafka could not format its storage:\n{done.stdout}{done.stderr}")


def _free_ports(count: int) -> list[int]:
    """Ports below the range of outgoing connections.

    Inside that range a client that keeps calling a killed broker can be given the broker's own port,
    connect to itself, and so keep the broker from coming back.
    """
    ports: list[int] = []
    for port in random.sample(range(15_000, 32_000), 1_000):
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("127.0.0.1", port))
            ports.append(port)
        if len(ports) == count:
            return ports
    raise RuntimeError("no free loopback port between 15000 and 32000")


def _java() -> str:
    home = os.environ.get("JAVA_HOME")
    java = shutil.which("java", path=f"{home}/bin") if home else shutil.which("java")
    if java is None:
        raise KafkaUnavailable("no java" + (" in JAVA_HOME" if home else " on the path"))
    try:
        told = subprocess.run(
            [java, "-version"], capture_output=True, text=True, timeout=60, check=True
        ).stderr
    except (OSError, subprocess.SubprocessError) as error:
        raise KafkaUnavailable(f"java does not run ({type(error).__name__})") from None
    version = re.search(r'version "(?:1\.)?(\d+)', told)
    if version is None or int(version[1]) < JAVA_NEEDED:
        found = version[1] if version else "of an unknown version"
        raise KafkaUnavailable(f"java is too old: {found}, and {JAVA_NEEDED} is needed")
    return java


def _jars() -> Path:
    """The folder with the jars; it exists under its final name only when complete."""
    caches = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    folder = caches / "chorus" / f"kafka-{kafka_version()}"
    marker = folder / "complete"
    recipe = hashlib.sha256(POM.read_bytes()).hexdigest()

    def complete() -> bool:
        return marker.exists() and marker.read_text() == recipe

    if complete():
        return folder
    mvn = shutil.which("mvn")
    if mvn is None:
        raise KafkaUnavailable("no mvn on the path, and the jars are not in the cache yet")
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=f"{folder.name}.", dir=folder.parent) as scratch:
            fresh = Path(scratch) / "jars"
            _download(mvn, fresh)
            (fresh / marker.name).write_text(recipe)
            if folder.exists() and not complete():
                folder.rename(Path(scratch) / "outdated")
            fresh.rename(folder)
    except OSError as error:
        if not complete():  # otherwise another process was quicker, and its jars are as good
            raise KafkaUnavailable(f"the cache folder cannot be written ({type(error).__name__})") from None
    return folder


def _download(mvn: str, into: Path) -> None:
    command = [mvn, "-q", "-B", "-f", str(POM), "dependency:copy-dependencies", "-DincludeScope=runtime"]
    try:
        done = subprocess.run(
            [*command, f"-DoutputDirectory={into}"],
            capture_output=True,
            text=True,
            timeout=DOWNLOAD_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise KafkaUnavailable(f"the download took more than {DOWNLOAD_SECONDS} s") from None
    if done.returncode or not any(into.glob("kafka_*.jar")):
        errors = [line for line in (done.stdout + done.stderr).splitlines() if "[ERROR]" in line]
        # No addresses in messages: they may name a private mirror.
        reason = re.sub(r"\S*https?://\S*", "(address)", errors[0])[:400] if errors else "no reason given"
        raise KafkaUnavailable(f"the download with mvn failed: {reason}")
