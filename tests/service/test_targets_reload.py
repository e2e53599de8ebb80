"""A changed file of proxy targets comes into use on a signal; one that cannot be used changes nothing."""

import asyncio
import logging
import os
import signal
from collections.abc import AsyncIterator, Collection
from contextlib import suppress
from pathlib import Path
from uuid import uuid4

import pytest
import trustme

from adapters.app_proxy import AppProxyClientPool
from adapters.kafka.topics import ensure_topics
from domain import commands as c
from domain.deployment import Lifecycle
from domain.revision import Revision
from handlers.app_proxy import AppProxyClient
from handlers.app_proxy_errors import ProxyUnreachable
from projections.deployments import DeploymentRow
from service.demo.audience import Audience
from service.demo.client import DemoClient
from service.demo.reference_proxy import ReferenceProxy
from service.demo.worker_process import WorkerProcess
from service.kafka_access import embedded_broker, known_kafka
from service.proxy_targets import ProxyTargets, load_proxy_targets, read_certificates
from service.settings import Settings, SettingsInvalid
from service.targets_reload import TargetsReload
from tests.secured_kafka import Certificates

TOKEN = "canary-3f1c"


class Reload:
    """A file of targets, what is in use of it, and who was told."""

    def __init__(self, folder: Path) -> None:
        self.file = folder / "targets.yaml"
        self.told: list[Collection[str]] = []
        self._heard = asyncio.Event()
        self.write("a")
        self.settings = Settings(proxy_targets_file=self.file, data_dir=folder)
        self.targets = ProxyTargets(load_proxy_targets(self.file))
        self.pool = AppProxyClientPool()
        self.again = TargetsReload(self.settings, self.targets, self.pool, self._hear)
        self.now = self.again.reload

    def _hear(self, groups: Collection[str]) -> None:
        self.told.append(groups)
        self._heard.set()

    async def news(self) -> None:
        """Wait until another reload is over."""
        await self._heard.wait()
        self._heard.clear()

    def write(self, *groups: str, token: str = TOKEN, more: str = "") -> None:
        lines = [f"{group}: {{address: 'proxy:1', token: {{value: {token}}}{more}}}" for group in groups]
        self.file.write_text("\n".join(lines))


@pytest.fixture
async def reload(tmp_path: Path) -> AsyncIterator[Reload]:
    reload = Reload(tmp_path)
    yield reload
    await reload.pool.close()


async def test_groups_that_come_go_and_change_are_taken_over_at_once(
    reload: Reload, caplog: pytest.LogCaptureFixture
) -> None:
    reload.write("a", "b", token="another-one")

    with caplog.at_level(logging.INFO):
        await reload.now()

    assert set(reload.targets) == {"a", "b"}
    assert reload.targets["a"].api_token == "another-one"
    assert [sorted(groups) for groups in reload.told] == [["a", "b"]]
    assert "added b; changed a" in caplog.text
    assert "another-one" not in caplog.text


@pytest.mark.parametrize(
    "text",
    [
        "a: [",
        "a: {address: 'proxy:1'}",
        "- x",
        f"a: {{token: {TOKEN}}}",
        "a: {address: 'proxy:1', token: {}}",
        "a: {address: 'proxy:1', token: {file: /dev/null}}",
        f'a: {{address: "proxy:1", token: {{value: "{TOKEN}\\n2"}}}}',
        f'a: {{address: "proxy:1", token: {{value: "{TOKEN}é"}}}}',
    ],
)
async def test_a_file_that_cannot_be_used_is_refused_and_the_old_targets_stay(
    reload: Reload, text: str, caplog: pytest.LogCaptureFixture
) -> None:
    reload.file.write_text(text)

    await reload.now()

    assert set(reload.targets) == {"a"}
    assert reload.targets["a"].api_token == TOKEN
    assert not reload.told
    assert "Proxy targets are not reloaded, the old ones stay" in caplog.text
    assert str(reload.file) in caplog.text
    assert TOKEN not in caplog.text


async def test_certificates_that_cannot_be_read_are_refused_as_well(
    reload: Reload, caplog: pytest.LogCaptureFixture
) -> None:
    reload.file.write_text("a: {address: 'https://proxy:1', token: {value: x}, ca_file: /no/such/ca.pem}")

    await reload.now()

    assert reload.targets["a"].addr == "proxy:1"
    assert "'/no/such/ca.pem' cannot be used" in caplog.text


async def test_requests_that_come_during_a_reload_make_one_more_of_it(reload: Reload) -> None:
    """What was written after the first one had read the file is not missed, and nothing is read twice at a time."""
    reload.write("a", "b")
    reload.again.request()
    await asyncio.sleep(0)
    reload.write("a", "b", "c")
    reload.again.request()
    reload.again.request()

    async with asyncio.timeout(10):
        while "c" not in reload.targets:
            await reload.news()
    await reload.again.close()
    reload.again.request()

    assert set(reload.targets) == {"a", "b", "c"}
    assert len(reload.told) <= 2


async def test_the_event_loop_goes_on_while_a_slow_file_is_read(reload: Reload) -> None:
    """A pipe that nobody writes to yet stands for a disk that does not answer."""
    reload.file.unlink()
    os.mkfifo(reload.file)
    reload.again.request()
    await asyncio.sleep(0)

    await asyncio.to_thread(reload.write, "z")

    async with asyncio.timeout(10):
        await reload.news()
    assert set(reload.targets) == {"z"}


def test_one_proxy_has_one_certificate_authority(tmp_path: Path) -> None:
    reload = Reload(tmp_path)
    reload.file.write_text(
        "a: {address: 'https://proxy:1', token: {value: x}, ca_file: /a.pem}\n"
        "b: {address: 'https://PROXY:1/', token: {value: x}, ca_file: /b.pem}"
    )

    with pytest.raises(SettingsInvalid, match="'b': ca_file: https://proxy:1 has another one"):
        read_certificates(reload.pool, load_proxy_targets(reload.file))


@pytest.mark.parametrize(
    ("target", "complaint"),
    [
        (
            "{address: 'http://evil.example:1', token: {value: x}}",
            "address: host 'evil.example' is not in ROUTE",
        ),
        ("{address: 'http://proxy.example:1', token: {value: x}, ca_file: /a}", "ca_file: is set, but http://proxy"),
    ],
)
def test_a_target_that_is_not_allowed_is_named_with_field_and_value(
    tmp_path: Path, target: str, complaint: str
) -> None:
    file = tmp_path / "targets.yaml"
    file.write_text(f"a: {target}")

    with pytest.raises(SettingsInvalid) as refused:
        load_proxy_targets(file, allowed_hosts="*.example.org,proxy.example")

    assert f"scaling group 'a': {complaint}" in str(refused.value)


async def test_each_https_proxy_is_checked_against_its_own_certificates(tmp_path: Path) -> None:
    """The certificate authority of one is not believed for another."""
    (tmp_path / "ours").mkdir()
    (tmp_path / "theirs").mkdir()
    ours, theirs = (Certificates(trustme.CA(), tmp_path / name) for name in ("ours", "theirs"))
    pool = AppProxyClientPool()
    context = ours.server_context(wants_client_certificates=False)

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0, ssl=context)
    url = f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    client = AppProxyClient(pool.load_client_session(), url, TOKEN)
    await pool.trust(pool.read_certificates({url: theirs.ca_file}))
    with pytest.raises(ProxyUnreachable, match="CERTIFICATE_VERIFY_FAILED"):
        await client.delete_endpoint(uuid4())
    await pool.trust(pool.read_certificates({url: ours.ca_file}))
    await client.delete_endpoint(uuid4())
    await pool.close()
    server.close()


@pytest.mark.timeout(90)
async def test_a_waiting_deployment_goes_on_at_once_when_a_signal_brings_its_proxy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The worker reads the file again on SIGHUP, a bad one does not end it, and nobody waits for the slow retry."""
    file = tmp_path / "targets.yaml"
    file.write_text("other: {address: 'proxy:1', token: {value: x}}")
    monkeypatch.setenv("ROUTEKEEPER_PROXY_TARGETS_FILE", str(file))
    settings = Settings(data_dir=tmp_path / "data")
    audience, deployment_id = Audience(settings, patience=40), uuid4()
    creation = c.CreateDeployment(
        deployment_id=deployment_id,
        name="waiting",
        resource_group="late",
        domain="test",
        project=uuid4(),
        owner=uuid4(),
        replica_count=0,
        target_revision=Revision(revision_id=uuid4(), image="image", model="model"),
    )
    async with embedded_broker(settings), ReferenceProxy(TOKEN) as proxy:
        kafka = known_kafka(settings).connection
        await ensure_topics(kafka, settings.kafka.topics)
        worker = WorkerProcess(settings, settings.data_dir / "worker.log", print)
        running = asyncio.create_task(worker.run())
        async with DemoClient(kafka, settings.kafka.topics) as client:
            await client.command(creation)
        await audience.until(deployment_id, _has_failed)
        before = worker.pid

        for text in ("late: [", f"late: {{address: '{proxy.address}', token: {{value: {TOKEN}}}}}"):
            file.write_text(text)
            os.kill(worker.pid or 0, signal.SIGHUP)
            await asyncio.sleep(0.1)

        await audience.until(deployment_id, lambda row: row.lifecycle is Lifecycle.READY)
        assert worker.pid == before
        running.cancel()
        with suppress(asyncio.CancelledError):
            await running
    said = (settings.data_dir / "worker.log").read_text()
    assert "Proxy targets are not reloaded" in said
    assert "added late; removed other" in said


def _has_failed(row: DeploymentRow) -> bool:
    return row.version >= 2
