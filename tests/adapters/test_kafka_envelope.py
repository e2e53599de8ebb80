import json
from typing import Any
from uuid import UUID, uuid4

import pytest

from adapters.kafka.encoding import encode_metrics, topic_of
from adapters.kafka.envelope import RecordLimits, parse_record
from adapters.kafka.topics import Topics
from domain.autoscaling.rules import Comparator, MetricSource, Pause, ScalingPolicy, StepRule
from domain.autoscaling.samples import MetricSample, MetricsReport
from domain.commands import (
    CreateDeployment,
    DestroyDeployment,
    ExternalCommand,
    OverrideReplicas,
    PauseScaling,
    ReportRoutes,
    RouteReport,
    SetReplicaCount,
    SetScalingPolicy,
    SetTargetRevision,
)
from domain.revision import HealthCheck, Revision
from domain.routes import RouteStatus
from handlers.records import CommandRecord, Refusal, SamplesRecord, Sender
from tests.kafka_support import NOW, command_record, received, replica_command

TOPICS = Topics()
ID = UUID("0a1b2c3d-4e5f-4a6b-8c7d-9e0f1a2b3c4d")
REVISION = Revision(revision_id=uuid4(), image="image:1", model="model", health_check=HealthCheck(path="/up"))
RULE = StepRule(
    name="busy", source=MetricSource.KERNEL, metric="load", comparator=Comparator.GREATER_THAN, threshold=0.8, step=1
)
COMMANDS: list[ExternalCommand] = [
    CreateDeployment(
        deployment_id=ID,
        name="chat",
        resource_group="default",
        domain="default",
        project=uuid4(),
        owner=uuid4(),
        replica_count=2,
        target_revision=REVISION,
        scaling_policy=ScalingPolicy(rules=(RULE,), max_replicas=5),
    ),
    SetTargetRevision(deployment_id=ID, revision=REVISION),
    SetReplicaCount(deployment_id=ID, replica_count=0),
    SetScalingPolicy(deployment_id=ID, policy=ScalingPolicy(rules=(RULE,))),
    PauseScaling(deployment_id=ID, pause=Pause.SCALE_OUT),
    OverrideReplicas(deployment_id=ID, replica_count=7, until=NOW),
    DestroyDeployment(deployment_id=ID, force=True),
    ReportRoutes(deployment_id=ID, reports=(RouteReport(route_id=uuid4(), status=RouteStatus.HEALTHY),)),
]


def altered(remove: str = "", /, **changes: object) -> bytes:
    """A valid record with some attributes replaced or removed; ``data__x`` is member ``x`` of the data."""
    document = json.loads(replica_command(ID).value)
    for name, value in changes.items():
        place = document["data"] if name.startswith("data__") else document
        place[name.removeprefix("data__")] = value
    document.pop(remove, None)
    return json.dumps(document).encode()


def refusal_of(value: bytes | None, *, key: bytes | None = str(ID).encode(), topic: str = TOPICS.commands) -> Refusal:
    """Parse what must be refused."""
    parsed = parse_record(received(value, key=key, topic=topic))
    assert isinstance(parsed, Refusal)
    return parsed


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: type(command).__name__)
def test_what_is_encoded_is_understood_as_the_same_command(command: ExternalCommand) -> None:
    """Key, envelope and content come back, with the sender."""
    key, value = command_record(command, id="c-7")

    parsed = parse_record(received(value, key=key, topic=topic_of(command, TOPICS)))

    assert isinstance(parsed, CommandRecord)
    assert parsed.command == command
    assert (parsed.sender.source, parsed.sender.id, parsed.sender.actor) == ("/tests", "c-7", "mina")
    assert parsed.sender.type.startswith("routekeeper.")


def test_metrics_come_back_as_the_same_report() -> None:
    """Samples are not commands: they have a kind of record of their own."""
    sample = MetricSample(source=MetricSource.KERNEL, metric="load", value=0.5, at=NOW, route_id=uuid4())
    report = MetricsReport(deployment_id=ID, samples=(sample,))
    key, value = encode_metrics(report, source="/tests", id="m-1", time=NOW)

    parsed = parse_record(received(value, key=key, topic=TOPICS.metrics))

    sender = Sender(source="/tests", id="m-1", type="routekeeper.metrics.reported.v1")
    assert parsed == SamplesRecord(report, sender)


def test_unknown_attributes_are_tolerated() -> None:
    """Tracing and other extensions travel along."""
    value = altered(traceparent="00-abc", sampledrate=3, dataschema="https://example.com/schema")

    assert isinstance(parse_record(received(value, key=str(ID).encode())), CommandRecord)


def test_only_the_required_attributes_are_needed() -> None:
    """The smallest record that CloudEvents allows is understood."""
    data = {"deployment_id": str(ID), "replica_count": 1}
    type_ = "routekeeper.deployment.set-replica-count.v1"
    value = json.dumps({"specversion": "1.0", "id": "1", "source": "s", "type": type_, "data": data}).encode()

    parsed = parse_record(received(value, key=str(ID).encode()))

    assert parsed == CommandRecord(
        SetReplicaCount(deployment_id=ID, replica_count=1), Sender(source="s", id="1", type=type_)
    )


@pytest.mark.parametrize(
    ("value", "code", "field", "shown"),
    [
        (None, "empty-value", "", ""),
        (b"", "empty-value", "", ""),
        (b"{", "invalid-json", "", ""),
        (b'\xef\xbb\xbf{"a": 1}', "invalid-json", "", ""),
        (b'{"id": "\xff"}', "not-utf-8", "", ""),
        (b"[]", "invalid-field", "", ""),
        (b'{"type": 3}', "unknown-type", "type", "3"),
        (
            altered(type="routekeeper.deployment.create.v9"),
            "unknown-type",
            "type",
            '"routekeeper.deployment.create.v9"',
        ),
        (altered("type"), "invalid-field", "type", ""),
        (altered("id"), "invalid-field", "id", ""),
        (altered("data"), "invalid-field", "data", ""),
        (altered(id=""), "invalid-field", "id", '""'),
        (altered(source=7), "invalid-field", "source", "7"),
        (altered(specversion="0.3"), "invalid-field", "specversion", '"0.3"'),
        (altered(time="2026-01-01T00:00:00"), "invalid-field", "time", '"2026-01-01T00:00:00"'),
        (altered(time=1700000000), "invalid-field", "time", "1700000000"),
        (altered(datacontenttype="text/plain"), "invalid-field", "datacontenttype", '"text/plain"'),
        (altered(subject="other"), "invalid-field", "subject", '"other"'),
        (altered(data__replica_count="3"), "invalid-field", "data.replica_count", '"3"'),
        (altered(data__replica_count=3.5), "invalid-field", "data.replica_count", "3.5"),
        (altered(data__replica_count=-1), "invalid-field", "data.replica_count", "-1"),
        (altered(data__replica_count=None), "invalid-field", "data.replica_count", "null"),
        (altered(data__replica_count=True), "invalid-field", "data.replica_count", "true"),
        (altered(data__replica_count=float("nan")), "not-a-number", "data.replica_count", "NaN"),
        (altered(data__replicas=3), "invalid-field", "data.replicas", "3"),
        (altered(data__deployment_id="x"), "invalid-field", "data.deployment_id", '"x"'),
        (altered(extra={"rate": float("inf")}), "not-a-number", "extra.rate", "Infinity"),
        (altered(actor="a\0b"), "invalid-field", "actor", '"a\\u0000b"'),
    ],
)
def test_a_refusal_names_the_field_and_the_value(value: bytes | None, code: str, field: str, shown: str) -> None:
    """Whoever sent it can see from the refusal alone what to change."""
    refusal = refusal_of(value)

    assert (refusal.code, refusal.field, refusal.value) == (code, field, shown)
    assert field in refusal.reason
    assert shown in refusal.reason


@pytest.mark.parametrize(
    ("key", "code"),
    [
        (None, "missing-key"),
        (b"", "missing-key"),
        (b"\xff\xfe", "wrong-key"),
        (str(ID).upper().encode(), "wrong-key"),
        (ID.hex.encode(), "wrong-key"),
        (ID.bytes, "wrong-key"),
        (b"00000000-0000-4000-8000-00000000000f", "wrong-key"),
    ],
)
def test_the_key_is_the_deployment_id_in_canonical_form(key: bytes | None, code: str) -> None:
    """Another form of the same id would be hashed to another partition."""
    refusal = refusal_of(altered(), key=key)

    assert (refusal.code, refusal.field) == (code, "key")
    assert str(ID) in refusal.reason


@pytest.mark.parametrize("topic", [TOPICS.routes, TOPICS.metrics, "somewhere-else"])
def test_a_type_on_a_topic_where_it_does_not_belong_is_refused(topic: str) -> None:
    """A runtime that may report routes must not be able to command."""
    refusal = refusal_of(altered(), topic=topic)

    assert (refusal.code, refusal.field) == ("wrong-topic", "type")
    assert TOPICS.commands in refusal.reason


def test_the_names_of_the_topics_are_settings() -> None:
    """What belongs where follows the names."""
    record = received(altered(), key=str(ID).encode(), topic="mine")

    assert isinstance(parse_record(record, topics=Topics(commands="mine")), CommandRecord)


def test_a_value_over_the_limit_is_refused_unread() -> None:
    """The limit itself is still allowed."""
    value = altered()
    exact, less = RecordLimits(max_bytes=len(value)), RecordLimits(max_bytes=len(value) - 1)
    record = received(value, key=str(ID).encode())

    assert isinstance(parse_record(record, exact), CommandRecord)
    refusal = parse_record(record, less)
    assert isinstance(refusal, Refusal)
    assert (refusal.code, refusal.value) == ("too-large", str(len(value)))


def test_deep_nesting_is_refused_and_brackets_in_text_are_not() -> None:
    """Also where the depth is hidden in an attribute that nobody reads."""
    nested: list[Any] = []
    for _ in range(32):
        nested = [nested]

    assert refusal_of(altered(extra=nested)).code == "too-deep"
    assert isinstance(parse_record(received(altered(extra="[" * 100), key=str(ID).encode())), CommandRecord)


def test_more_values_than_the_limit_are_refused() -> None:
    """A record that is wrong in a hundred thousand places must not keep the worker busy."""
    refusal = refusal_of(altered(extra=[{}] * 10_001))

    assert refusal.code == "too-large"
    assert refusal.sender is not None


def test_the_sender_is_named_where_it_can_be_read() -> None:
    """A command that is refused still has an outcome under its source and id."""
    sender = Sender(source="/tests", id="set-3", type="routekeeper.deployment.set-replica-count.v1", actor="mina")

    assert refusal_of(altered(data__replica_count="many")).sender == sender
    assert refusal_of(altered(), key=b"x").sender == sender
    assert refusal_of(altered(id=5)).sender is None
    assert refusal_of(b'{"id": "1", "source": ').sender is None
    assert refusal_of(altered(id="a\0")).sender is None


def test_what_is_shown_of_a_value_is_cut_to_a_hundred_characters() -> None:
    """A refusal is stored: what is large stays in the dead letter."""
    refusal = refusal_of(altered(specversion="x" * 5000))

    assert len(refusal.value) == 100
    assert len(refusal.reason) <= 1000
    assert refusal_of(altered(**{f"data__{'y' * 5000}": 1})).field.startswith("data.yyy")
    assert len(refusal_of(altered(**{f"data__{'y' * 5000}": 1})).field) <= 200
