"""Apache Kafka itself from its Maven artifacts: one node in KRaft mode, for tests; needs ``mvn`` and Java 17 or newer.

::

    ApacheKafkaNotUsable     it cannot be had or started here
"""

import asyncio
import base64
import re
import shutil
import socket
import subprocess
import tempfile
import xml.etree.ElementTree as ET
from pathlib import Path
from string import Template
from typing import Final, Self
from uuid import uuid4

from pydantic import SecretStr

from adapters.child_process import die_with_parent
from adapters.kafka.connection import KafkaConnection
from adapters.kafka.embedded_broker import _accepts_connections
from adapters.kafka.security import KafkaSecurity, SaslMechanism
from adapters.kafka.topics import KafkaUnavailable, read_cluster_id

ROOT: Final = Path(__file__).resolve().parent.parent
POM: Final = ROOT / "tests" / "apache_kafka" / "pom.xml"
JARS: Final = ROOT / ".cache" / "apache-kafka"

#: Who may use the listener that asks for credentials, by every mechanism. Made up for tests.
USER: Final = "alice"
PASSWORD: Final = "not-a-secret-of-anybodys"

_MECHANISMS: Final[tuple[SaslMechanism, ...]] = ("SCRAM-SHA-256", "SCRAM-SHA-512")
_LEAST_JAVA: Final = 17
_HOST: Final = "127.0.0.1"


class ApacheKafkaNotUsable(Exception):
    """It cannot be had or started here; the message says why."""


def version() -> str:
    """The version that ``pom.xml`` names."""
    found = ET.parse(POM).findtext(".//{*}kafka.version")
    assert found is not None
    return found


def why_not_usable() -> str:
    """What is missing to run it here; empty if nothing is."""
    missing = [program for program in ("mvn", "java") if shutil.which(program) is None]
    if missing:
        return f"there is no {' and no '.join(missing)} here"
    told = subprocess.run(["java", "-version"], capture_output=True, text=True, check=False).stderr
    found = re.search(r'version "(\d+)', told)
    if found is None or int(found[1]) < _LEAST_JAVA:
        return f"it needs Java {_LEAST_JAVA} or newer, and here is {told.partition(chr(10))[0] or 'none that answers'}"
    return ""


def jars() -> Path:
    """The folder with the jars, fetched by Maven the first time. Raises :class:`ApacheKafkaNotUsable`."""
    folder = JARS / version()
    if folder.is_dir():
        return folder
    JARS.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=JARS) as draft:
        goal = ["dependency:copy-dependencies", "-DincludeScope=runtime", f"-DoutputDirectory={draft}/jars"]
        command = ["mvn", "--quiet", "--batch-mode", "--no-transfer-progress", "--file", str(POM), *goal]
        fetched = subprocess.run(command, capture_output=True, text=True, check=False)
        if fetched.returncode != 0:
            raise ApacheKafkaNotUsable(f"Maven did not fetch its jars: {(fetched.stdout + fetched.stderr)[-2000:]}")
        try:
            (Path(draft) / "jars").rename(folder)
        except OSError:
            # Another process was faster.
            if not folder.is_dir():
                raise
    return folder


class ApacheKafkaBroker:
    """A broker in ``folder``, which keeps its records over :meth:`stop` and :meth:`kill`; ``start_timeout`` in seconds.

    It listens at ``address`` without asking who is there, and at ``sasl_address`` for :data:`USER` with
    :data:`PASSWORD`, by PLAIN and SCRAM.
    """

    def __init__(self, folder: Path, *, start_timeout: float = 60.0, stop_timeout: float = 20.0) -> None:
        self.cluster_id = base64.urlsafe_b64encode(uuid4().bytes).decode().rstrip("=")
        self._folder = folder
        self._start_timeout = start_timeout
        self._stop_timeout = stop_timeout
        self._process: subprocess.Popen[bytes] | None = None
        port, sasl_port, self._controller_port = _free_ports(3)
        self.address, self.sasl_address = f"{_HOST}:{port}", f"{_HOST}:{sasl_port}"

    @property
    def connection(self) -> KafkaConnection:
        """How to reach it without credentials."""
        return KafkaConnection(bootstrap_servers=self.address, has_idempotent_producers=True)

    def connection_with(self, mechanism: SaslMechanism) -> KafkaConnection:
        """How to reach it with credentials."""
        return KafkaConnection(
            bootstrap_servers=self.sasl_address,
            has_idempotent_producers=True,
            security=KafkaSecurity(
                protocol="SASL_PLAINTEXT",
                sasl_mechanism=mechanism,
                sasl_username=USER,
                sasl_password=SecretStr(PASSWORD),
            ),
        )

    async def start(self) -> None:
        """Start, the first time on empty storage, and wait until it answers. Raises :class:`ApacheKafkaNotUsable`."""
        settings = self._folder / "server.properties"
        if not settings.exists():
            await asyncio.to_thread(self._format, settings)
        self._process = self._spawn("kafka.Kafka", str(settings))
        answer = asyncio.create_task(self._read_cluster_id())
        while not answer.done() and self._process.poll() is None:
            await asyncio.wait({answer}, timeout=0.1)
        answer.cancel()
        await asyncio.wait({answer})
        if not answer.cancelled() and answer.result() == self.cluster_id:
            return
        await self.kill()
        raise ApacheKafkaNotUsable(f"it did not come up: {self._log_file.read_text(errors='replace')[-2000:]}")

    async def stop(self) -> None:
        """End it as an administrator would."""
        if self._process is not None:
            self._process.terminate()
            try:
                await asyncio.to_thread(self._process.wait, self._stop_timeout)
            except subprocess.TimeoutExpired:
                await self.kill()

    async def kill(self) -> None:
        """End it as a power cut would."""
        if self._process is not None:
            self._process.kill()
            await asyncio.to_thread(self._process.wait)

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    async def _read_cluster_id(self) -> str:
        try:
            async with asyncio.timeout(self._start_timeout):
                await _accepts_connections(self.address)
                return await read_cluster_id(self.connection, give_up_after=self._start_timeout)
        except (TimeoutError, KafkaUnavailable):
            return ""

    @property
    def _log_file(self) -> Path:
        return self._folder / "broker.log"

    def _format(self, settings: Path) -> None:
        self._folder.mkdir(parents=True, exist_ok=True)
        template = Template((POM.parent / "server.properties").read_text())
        written = template.substitute(
            port=self.address.rpartition(":")[2],
            sasl_port=self.sasl_address.rpartition(":")[2],
            controller_port=self._controller_port,
            log_dir=self._folder / "data",
            user=USER,
            password=PASSWORD,
        )
        draft = settings.with_suffix(".draft")
        draft.write_text(written)
        users = [f"--add-scram={each}=[name={USER},password={PASSWORD}]" for each in _MECHANISMS]
        arguments = ["format", f"--cluster-id={self.cluster_id}", f"--config={draft}", *users]
        if self._spawn("kafka.tools.StorageTool", *arguments).wait(self._start_timeout) != 0:
            raise ApacheKafkaNotUsable(f"its storage was not formatted: {self._log_file.read_text()[-2000:]}")
        draft.rename(settings)

    def _spawn(self, main_class: str, *arguments: str) -> "subprocess.Popen[bytes]":
        java = ["java", "-Xmx512m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Dlog4j2.level=WARN"]
        with self._log_file.open("ab") as log:
            return subprocess.Popen(
                [*java, "-cp", f"{jars()}/*", main_class, *arguments],
                cwd=self._folder,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                preexec_fn=die_with_parent(),  # noqa: PLW1509 - see there
            )


def _free_ports(count: int) -> list[int]:
    probes = [socket.socket() for _ in range(count)]
    try:
        for probe in probes:
            probe.bind((_HOST, 0))
        return [int(probe.getsockname()[1]) for probe in probes]
    finally:
        for probe in probes:
            probe.close()
