import json
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import pytest
import yaml
from jsonschema import Draft7Validator, ValidationError

from adapters.kafka.cloud_events import TYPE_NAMES
from adapters.kafka.encoding import encode_command, encode_metrics
from adapters.kafka.producer import dead_letter
from adapters.kafka.published import desired_route_records, event_record
from adapters.kafka.refusals import RefusalCode, refusal
from adapters.kafka.topics import Topics
from domain.autoscaling.rules import Comparator, MetricSource, ScalingPolicy, StepRule
from domain.autoscaling.samples import MetricSample, MetricsReport
from domain.commands import CreateDeployment, ReportRoutes, RouteReport
from domain.events import RoutesTerminating, ScalingPolicySet
from domain.recorded import LoggedEvent, OperationCause, RecordCause, RecordedEvent
from domain.registry import EVENT_TYPES
from domain.revision import HealthCheck, Revision
from domain.routes import RouteStatus, TerminationReason
from service.asyncapi import CONTRACT, contract, main, render
from tests.kafka_support import received

DOCUMENT = contract(Topics())
AT = datetime(2026, 3, 1, tzinfo=UTC)
ID = uuid4()
POLICY = ScalingPolicy(
    rules=(
        StepRule(
            name="busy",
            source=MetricSource.KERNEL,
            metric="load",
            comparator=Comparator.GREATER_THAN,
            threshold=0.8,
            step=2,
        ),
    )
)


def validator(part: str, message: str) -> Draft7Validator:
    """What holds a message's ``payload`` or ``headers`` against the contract."""
    schema = DOCUMENT["components"]["messages"][message][part]
    return Draft7Validator({"allOf": [schema], "components": DOCUMENT["components"]})


def references(part: object) -> Iterator[str]:
    """Every reference in a part of the document."""
    if isinstance(part, dict):
        if isinstance(part.get("$ref"), str):
            yield part["$ref"]
        for member in part.values():
            yield from references(member)
    elif isinstance(part, list):
        for member in part:
            yield from references(member)


def test_the_contract_in_docs_is_the_one_of_the_models() -> None:
    """After a change to a message: make asyncapi."""
    assert CONTRACT.read_text(encoding="utf-8") == render(DOCUMENT)


def test_the_contract_is_yaml_that_says_the_same(capsys: pytest.CaptureFixture[str]) -> None:
    """It can be printed, too."""
    main(["-"])

    assert yaml.safe_load(capsys.readouterr().out) == DOCUMENT


def test_every_reference_leads_somewhere() -> None:
    """Operations to messages of their own channel, messages to schemas."""
    for reference in set(references(DOCUMENT)):
        place: Any = DOCUMENT
        for step in reference.removeprefix("#/").split("/"):
            place = place[step]
        assert place


def test_every_type_and_event_is_on_exactly_one_channel() -> None:
    """Nothing that may be sent or is published is missing, and nothing else is there."""
    on_channels = [name for channel in DOCUMENT["channels"].values() for name in channel["messages"]]

    assert sorted(on_channels) == sorted([*TYPE_NAMES, *EVENT_TYPES, "desired-route", "dead-letter"])
    assert sorted(on_channels) == sorted(DOCUMENT["components"]["messages"])
    assert {channel["address"] for channel in DOCUMENT["channels"].values()} == set(Topics().all)
    assert {name: op["action"] for name, op in DOCUMENT["operations"].items()} == {
        "readCommands": "receive",
        "readRoutes": "receive",
        "readMetrics": "receive",
        "publishEvents": "send",
        "publishDesiredRoutes": "send",
        "publishDeadLetters": "send",
    }


def test_every_schema_is_a_schema() -> None:
    """By the draft that AsyncAPI builds on."""
    for schema in DOCUMENT["components"]["schemas"].values():
        Draft7Validator.check_schema(schema)


def test_records_that_are_sent_and_published_follow_the_contract() -> None:
    """Real ones, from the code that writes them."""
    revision = Revision(revision_id=uuid4(), image="i", model="m", health_check=HealthCheck())
    create = CreateDeployment(
        deployment_id=ID,
        name="chat",
        resource_group="r",
        domain="d",
        project=uuid4(),
        owner=uuid4(),
        target_revision=revision,
        scaling_policy=POLICY,
    )
    report = ReportRoutes(deployment_id=ID, reports=(RouteReport(route_id=uuid4(), status=RouteStatus.HEALTHY),))
    sample = MetricSample(source=MetricSource.KERNEL, metric="load", value=0.5, at=AT, route_id=uuid4())
    metrics = MetricsReport(deployment_id=ID, samples=(sample,))
    sent = [
        *(encode_command(command, source="/s", id="1", actor="a", time=AT) for command in (create, report)),
        encode_metrics(metrics, source="/s", id="2", time=AT),
    ]
    cause = RecordCause(topic="t", epoch="e", partition=0, offset=1)
    terminating = RoutesTerminating(at=AT, route_ids=(uuid4(),), reason=TerminationReason.EVICTED)
    events = [
        LoggedEvent(1, RecordedEvent(ID, 1, cause, ScalingPolicySet(at=AT, policy=POLICY))),
        LoggedEvent(2, RecordedEvent(ID, 2, OperationCause(operation="scale"), terminating)),
    ]

    for value in [*(record.value for record in sent), *(event_record(event).value or b"" for event in events)]:
        document = json.loads(value)
        validator("payload", document["type"]).validate(document)
    (desired,) = desired_route_records(events[1])
    validator("payload", "desired-route").validate(json.loads(desired.value or b""))
    validator("payload", "desired-route").validate(None)
    headers = {name: text.decode() for name, text in event_record(events[0]).headers}
    validator("headers", "deployment.scaling-policy-set.v1").validate(headers)
    letter = dead_letter(received(b"x"), refusal(RefusalCode.INVALID_JSON, "no JSON")).shortened(1)
    described = {name: text.decode() for name, text in letter.refusal_headers}
    validator("headers", "dead-letter").validate(described)
    assert set(described) == set(DOCUMENT["components"]["schemas"]["DeadLetterHeaders"]["properties"])


@pytest.mark.parametrize("change", [{"replica_count": "3"}, {"replica_count": -1}, {"unknown": 1}])
def test_what_would_be_refused_breaks_the_contract_too(change: dict[str, object]) -> None:
    """The schemas are as strict as the models that they come from."""
    command_type = "routekeeper.deployment.set-replica-count.v1"
    data = {"deployment_id": str(ID), "replica_count": 3} | change
    record = {"specversion": "1.0", "id": "1", "source": "/s", "type": command_type, "data": data}

    with pytest.raises(ValidationError):
        validator("payload", command_type).validate(record)
