"""`routekeeper send`: commands through a real broker, and what is seen of them."""

import asyncio
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from uuid import UUID

import pytest
from aiokafka import AIOKafkaConsumer, TopicPartition
from typer.testing import Result

from adapters.kafka.connection import KafkaConnection
from adapters.kafka.envelope import parse_record
from adapters.kafka.partitioner import partition_of
from adapters.kafka.topics import Topics
from domain import commands as c
from domain.autoscaling.rules import Pause, ScalingPolicy
from domain.revision import HealthCheck
from handlers.records import CommandRecord, PartitionId, ReceivedRecord
from tests.chronicle import BEGINNING, Chronicle
from tests.cli_support import CHAT, SEARCH, Run, create, json_of, runner_for

POLICY = """
min_replicas: 1
max_replicas: 8
rules:
  - {name: busy, source: kernel, metric: gpu_util, comparator: gt, threshold: 80, step: 1}
"""


@pytest.fixture
def run(tmp_path: Path, kafka: KafkaConnection, topics: Topics) -> Run:
    return runner_for(
        tmp_path,
        ROUTEKEEPER_KAFKA__BOOTSTRAP_SERVERS=kafka.bootstrap_servers,
        ROUTEKEEPER_KAFKA__IDEMPOTENT_PRODUCERS=str(kafka.has_idempotent_producers),
        ROUTEKEEPER_KAFKA__TOPICS__COMMANDS=topics.commands,
    )


@pytest.fixture
def chronicle(tmp_path: Path) -> Iterator[Chronicle]:
    with closing(Chronicle(tmp_path)) as chronicle:
        yield chronicle


async def sent(kafka: KafkaConnection, topics: Topics, where: dict[str, int]) -> CommandRecord:
    """What a worker understands of the record that stands there."""
    place = TopicPartition(topics.commands, where["partition"])
    async with AIOKafkaConsumer(**kafka.client_options()) as consumer:
        consumer.assign([place])
        consumer.seek(place, where["offset"])
        record = await consumer.getone()
    received = ReceivedRecord(
        origin=PartitionId(topics.commands, "1", record.partition),
        offset=record.offset,
        key=record.key,
        value=record.value,
        received_at=BEGINNING,
    )
    parsed = parse_record(received, topics=topics)
    assert isinstance(parsed, CommandRecord), parsed
    return parsed


async def call(run: Run, *arguments: str, stdin: str | None = None) -> Result:
    return await asyncio.to_thread(run, *arguments, stdin=stdin)


async def test_create_is_understood_by_a_worker_as_it_was_meant(
    run: Run, kafka: KafkaConnection, topics: Topics, tmp_path: Path
) -> None:
    policy, health = tmp_path / "policy.yaml", tmp_path / "health.json"
    policy.write_text(POLICY)
    health.write_text('{"path": "/ready", "max_retries": 3}')

    result = await call(
        run,
        *("send", "create", "llama", "--id", str(CHAT), "-g", "gpu", "--replicas", "2", "--open-to-public"),
        *("--image", "vllm:0.9", "--model", "llama-3-8b", "--runtime", "vllm", "--health-check", str(health)),
        *("--scaling-policy", str(policy), "--actor", "alice", "-o", "json"),
    )

    where = json_of(result)
    record = await sent(kafka, topics, where)
    command = record.command
    assert isinstance(command, c.CreateDeployment)
    assert (command.deployment_id, command.name, command.resource_group) == (CHAT, "llama", "gpu")
    assert (command.replica_count, command.open_to_public) == (2, True)
    assert command.target_revision is not None
    assert (command.target_revision.image, command.target_revision.runtime_variant) == ("vllm:0.9", "vllm")
    assert command.target_revision.health_check == HealthCheck(path="/ready", max_retries=3)
    assert command.scaling_policy is not None
    assert [rule.name for rule in command.scaling_policy.rules] == ["busy"]
    assert (record.sender.source, record.sender.id, record.sender.actor) == (where["source"], where["id"], "alice")
    assert where["partition"] == partition_of(CHAT, topics.partitions)


async def test_create_prints_nothing_but_the_new_id(run: Run, kafka: KafkaConnection, topics: Topics) -> None:
    result = await call(run, "send", "create", "llama")

    deployment_id = UUID(result.stdout.strip())
    place = {"partition": partition_of(deployment_id, topics.partitions), "offset": 0}
    command = (await sent(kafka, topics, place)).command
    assert command == c.CreateDeployment(
        deployment_id=deployment_id,
        name="llama",
        resource_group="default",
        domain="default",
        project=UUID(int=0),
        owner=UUID(int=0),
    )
    assert f"{topics.commands}/{place['partition']}@0" in result.stderr


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (("set-replica-count", "chat", "3"), c.SetReplicaCount(deployment_id=CHAT, replica_count=3)),
        (
            ("pause-scaling", "chat", "scale-in"),
            c.PauseScaling(deployment_id=CHAT, pause=Pause.SCALE_IN),
        ),
        (("override-replicas", "chat", "5"), c.OverrideReplicas(deployment_id=CHAT, replica_count=5)),
        (
            ("override-replicas", "chat", "5", "--until", "2026-03-01T12:00Z"),
            c.OverrideReplicas(deployment_id=CHAT, replica_count=5, until=BEGINNING),
        ),
        (("destroy", "chat"), c.DestroyDeployment(deployment_id=CHAT)),
        (("destroy", str(CHAT)[:10], "--force"), c.DestroyDeployment(deployment_id=CHAT, force=True)),
        (
            ("set-scaling-policy", "chat", "-"),
            c.SetScalingPolicy(deployment_id=CHAT, policy=ScalingPolicy(max_replicas=7)),
        ),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
async def test_commands_go_to_the_deployment_that_the_views_know_by_this_name(
    run: Run,
    kafka: KafkaConnection,
    topics: Topics,
    chronicle: Chronicle,
    arguments: tuple[str, ...],
    expected: c.ExternalCommand,
) -> None:
    await asyncio.to_thread(know_two_deployments, chronicle)

    result = await call(run, "send", *arguments, "-o", "json", stdin='{"max_replicas": 7}')

    assert (await sent(kafka, topics, json_of(result))).command == expected


async def test_set_target_revision_carries_image_and_model(run: Run, kafka: KafkaConnection, topics: Topics) -> None:
    """A whole id is taken as it is: a producer needs no views."""
    chosen = "77777777-0000-4000-8000-000000000001"
    options = ("--image", "vllm:1", "--model", "llama", "--revision-id", chosen, "-o", "json")

    command = (
        await sent(kafka, topics, json_of(await call(run, "send", "set-target-revision", str(CHAT), *options)))
    ).command

    assert isinstance(command, c.SetTargetRevision)
    assert (command.revision.revision_id, command.revision.image) == (UUID(chosen), "vllm:1")


@pytest.mark.parametrize(
    ("reference", "complaint"),
    [
        ("nobody", "no deployment has the id, id prefix or name 'nobody'"),
        ("0198", "could be any of several deployments"),
    ],
)
async def test_nothing_is_sent_to_an_unknown_or_ambiguous_deployment(
    run: Run, chronicle: Chronicle, reference: str, complaint: str
) -> None:
    await asyncio.to_thread(know_two_deployments, chronicle)

    result = await call(run, "send", "set-replica-count", reference, "3")

    assert (result.exit_code, result.stdout) == (1, "")
    assert complaint in result.stderr


def know_two_deployments(chronicle: Chronicle) -> None:
    chronicle.ask(create(CHAT, "chat", 1))
    chronicle.ask(create(SEARCH, "search", 1))
    chronicle.fold()


@pytest.mark.parametrize(
    ("policy", "complaints"),
    [
        ("rules: [{name: r, step: 0}]", ["rules.0.step.source", "Field required"]),
        (POLICY.replace("step: 1", "step: 0"), ["rules.0", "step of rule 'busy' is 0"]),
        (POLICY.replace("gt", "above"), ["rules.0.step.comparator", "it is 'above'"]),
        ("max_replicas: -4", ["max_replicas", "it is -4"]),
        ("max_replica: 4", ["max_replica", "Extra inputs"]),
        ("rules: [", ["neither YAML nor JSON", "line 1"]),
        ("a" * 300_000, ["more than 262144 bytes"]),
    ],
)
def test_a_policy_that_cannot_be_used_is_refused_by_field_and_value(
    tmp_path: Path, policy: str, complaints: list[str]
) -> None:
    file = tmp_path / "policy.yaml"
    file.write_text(policy)

    result = runner_for(tmp_path)("send", "set-scaling-policy", str(CHAT), str(file))

    said = " ".join(word for word in result.stderr.split() if word != "│")
    assert result.exit_code == 2
    assert [complaint for complaint in complaints if complaint not in said] == []


def test_a_file_that_is_not_there_is_wrong_usage(tmp_path: Path) -> None:
    result = runner_for(tmp_path)("send", "set-scaling-policy", str(CHAT), str(tmp_path / "none.yaml"))

    assert result.exit_code == 2
    assert "No such file" in result.stderr


def test_a_number_that_no_deployment_may_have_is_named(tmp_path: Path) -> None:
    result = runner_for(tmp_path)("send", "set-replica-count", str(CHAT), "100001")

    assert result.exit_code == 2
    assert "replica_count" in result.stderr
    assert "100001" in result.stderr


def test_an_actor_that_is_too_long_is_named(tmp_path: Path, unused_tcp_port: int) -> None:
    run = runner_for(tmp_path, ROUTEKEEPER_KAFKA__BOOTSTRAP_SERVERS=f"127.0.0.1:{unused_tcp_port}")

    result = run("send", "destroy", str(CHAT), "--actor", "a" * 256)

    assert result.exit_code == 2
    assert "actor: String should have at most 255 characters" in result.stderr


def test_without_a_broker_the_way_to_one_is_told(tmp_path: Path) -> None:
    result = runner_for(tmp_path)("send", "create", "llama")

    assert (result.exit_code, result.stdout) == (1, "")
    assert "ROUTEKEEPER_KAFKA__BOOTSTRAP_SERVERS" in result.stderr


def test_a_broker_that_does_not_answer_is_an_error_of_one_line(tmp_path: Path, unused_tcp_port: int) -> None:
    address = f"127.0.0.1:{unused_tcp_port}"

    result = runner_for(tmp_path, ROUTEKEEPER_KAFKA__BOOTSTRAP_SERVERS=address)("send", "create", "llama")

    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr.startswith(f"error: Kafka at {address} did not take the command: ")
    assert len(result.stderr.splitlines()) == 1


async def test_waiting_where_no_worker_runs_ends_in_time(run: Run, chronicle: Chronicle) -> None:
    await asyncio.to_thread(know_two_deployments, chronicle)

    result = await call(run, "send", "set-replica-count", "chat", "3", "--wait", "--timeout", "0.3")

    assert (result.exit_code, result.stdout) == (1, "")
    assert f"nothing was seen to come of SetReplicaCount for deployment {CHAT} within 0.3 s" in result.stderr
    assert "is a worker running?" in result.stderr


def test_waiting_without_a_log_to_look_into_sends_nothing(tmp_path: Path, unused_tcp_port: int) -> None:
    silent = f"127.0.0.1:{unused_tcp_port}"

    result = runner_for(tmp_path, ROUTEKEEPER_KAFKA__BOOTSTRAP_SERVERS=silent)("send", "create", "llama", "--wait")

    assert result.exit_code == 1
    assert result.stderr.startswith("error: no event log at ")
