"""Log lines as JSON: by its id, its trace or its record everything about a deployment is found again."""

import json
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest

from adapters.kafka.connection import KafkaConnection
from adapters.kafka.consumer_settings import ConsumerSettings
from adapters.kafka.topics import Topics
from domain.revision import Revision
from handlers.log_context import concerning
from service.kafka_access import KafkaAccess
from service.logs import configure_logs
from service.settings import KafkaSettings, Settings
from tests.kafka_support import command_record, producing, read_all
from tests.running_worker import creation, free_port, running_worker

TRACE_ID = "4bf92f3577b34da6a3ce929d0e0e4736"
TRACEPARENT = f"00-{TRACE_ID}-00f067aa0ba902b7-01"


Lines = list[dict[str, Any]]


@contextmanager
def json_lines(folder: Path, capsys: pytest.CaptureFixture[str]) -> Iterator[Lines]:
    """Give, after the block, what was logged within it, read from JSON."""
    root, lines = logging.getLogger(), Lines()
    before, level = root.handlers[:], root.level
    try:
        configure_logs(Settings(data_dir=folder, log_format="json"))
        yield lines
    finally:
        root.handlers[:] = before
        root.setLevel(level)
    lines += [json.loads(line) for line in capsys.readouterr().err.splitlines()]


def test_a_line_says_which_deployment_and_operation_it_is_about(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with (
        json_lines(tmp_path, capsys) as lines,
        concerning(operation="scale"),
        concerning(deployment_id="d-1", trace_id=None),
    ):
        logging.getLogger("handlers.executor").warning("It failed", extra={"action": "scale", "event_id": "d-1:4"})

    [line] = lines
    assert {"deployment_id": "d-1", "operation": "scale", "event_id": "d-1:4"}.items() <= line.items()
    assert "trace_id" not in line


@pytest.mark.parametrize("by_extra", [True, False])
def test_an_id_is_written_as_plain_text(tmp_path: Path, capsys: pytest.CaptureFixture[str], *, by_extra: bool) -> None:
    deployment_id = UUID(int=7)
    with json_lines(tmp_path, capsys) as lines, concerning(**{} if by_extra else {"deployment_id": deployment_id}):
        extra = {"deployment_id": deployment_id} if by_extra else {}
        logging.getLogger("handlers.executor").warning("It failed", extra=extra)

    [line] = lines
    assert line["deployment_id"] == "00000000-0000-0000-0000-000000000007"


async def test_a_worker_tells_of_each_event_and_of_failed_calls_with_their_trace(
    tmp_path: Path,
    kafka: KafkaConnection,
    topics: Topics,
    consumer_settings: ConsumerSettings,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """A traced command creates a deployment whose app proxy is not there."""
    targets = tmp_path / "targets.yaml"
    targets.write_text(f"nowhere: {{address: '127.0.0.1:{free_port()}', token: {{value: a-token-for-tests}}}}")
    settings = Settings(data_dir=tmp_path, kafka=KafkaSettings(topics=topics), proxy_targets_file=targets)
    create = creation(deployment_id := uuid4()).model_copy(
        update={"target_revision": Revision(revision_id=uuid4(), image="image", model="model")}
    )
    access = KafkaAccess(connection=kafka, epoch="1", consumer=consumer_settings)
    with json_lines(tmp_path, capsys) as lines:
        async with running_worker(settings, access) as running, producing(kafka) as producer:
            await running.until_ready()
            record = command_record(create)
            headers = [("traceparent", TRACEPARENT.encode())]
            sent = await producer.send_and_wait(topics.commands, record.value, key=record.key, headers=headers)
            await read_all(kafka, topics.events, 4)

    about = [line for line in lines if line.get("deployment_id") == str(deployment_id)]
    decided = {line["event_type"]: line for line in about if line.get("action") == "decide"}
    created, failed = decided["deployment.created.v1"], decided["deployment.endpoint-registration-failed.v1"]
    assert (created["topic"], created["partition"], created["offset"]) == (sent.topic, sent.partition, sent.offset)
    assert (created["event_id"], created["level"]) == (f"{deployment_id}:1", "info")
    assert failed["operation"] == "check_pending_deployments"
    [call, *_] = [line for line in about if line["event"].startswith("Call to the proxy failed")]
    assert call["operation"] == "check_pending_deployments"
    assert {line["trace_id"] for line in about} == {TRACE_ID}
