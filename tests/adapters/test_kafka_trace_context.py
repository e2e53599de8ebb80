"""Which trace a record belongs to, and that what is not a trace harms nothing."""

import json
from uuid import uuid4

import pytest

from adapters.kafka.envelope import parse_record
from adapters.kafka.published import event_record
from domain.events import DeploymentDestroyed
from domain.recorded import LoggedEvent, OperationCause, RecordCause, RecordedEvent
from domain.trace import TraceContext
from handlers.records import CommandRecord
from tests.kafka_support import COMMANDS, NOW, received, replica_command

HEADER = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
ATTRIBUTE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00"


def parsed_trace(headers: list[tuple[str, bytes]], **attributes: object) -> TraceContext | None:
    """What is understood of a record with these headers and CloudEvents attributes."""
    record = replica_command()
    value = json.dumps({**json.loads(record.value), **attributes}).encode()
    parsed = parse_record(received(value, key=record.key)._replace(headers=headers))
    assert isinstance(parsed, CommandRecord)
    return parsed.sender.trace


def test_the_headers_count_before_the_attributes() -> None:
    headers = [("traceparent", HEADER.encode()), ("tracestate", b"vendor=1")]

    assert parsed_trace(headers, traceparent=ATTRIBUTE) == TraceContext(parent=HEADER, state="vendor=1")
    assert parsed_trace([], traceparent=ATTRIBUTE, tracestate="a=b") == TraceContext(parent=ATTRIBUTE, state="a=b")
    assert parsed_trace([]) is None


@pytest.mark.parametrize(
    "invalid",
    [
        "",
        "nonsense",
        HEADER.upper(),
        HEADER + "-more",
        HEADER + "\n",
        f"00-{'0' * 32}-00f067aa0ba902b7-01",
        f"00-4bf92f3577b34da6a3ce929d0e0e4736-{'0' * 16}-01",
        7,
        None,
        ["a"],
    ],
)
def test_what_is_no_trace_is_ignored_and_the_record_accepted(invalid: object) -> None:
    assert parsed_trace([("traceparent", str(invalid).encode())], traceparent=invalid) is None


@pytest.mark.parametrize("state", [b"x" * 513, b"a=\xff", b"a=\n"])
def test_a_state_that_cannot_be_carried_is_left_out(state: bytes) -> None:
    trace = parsed_trace([("traceparent", HEADER.encode()), ("tracestate", state)])

    assert trace is not None
    assert trace.headers()["traceparent"] == HEADER
    assert trace.state.isprintable()
    assert len(trace.state) <= 512


def test_a_cause_without_a_trace_is_stored_as_before() -> None:
    cause = RecordCause(topic=COMMANDS, epoch="1", partition=0, offset=1)

    assert "trace" not in json.loads(cause.model_dump_json())
    assert "trace" not in json.loads(OperationCause(operation="scale").model_dump_json())
    traced = OperationCause(operation="scale", trace=TraceContext(parent=HEADER))
    assert OperationCause.model_validate_json(traced.model_dump_json()) == traced


@pytest.mark.parametrize("trace", [None, TraceContext(parent=HEADER)])
def test_what_is_published_carries_the_trace_that_led_to_it(trace: TraceContext | None) -> None:
    cause = OperationCause(operation="destroy", trace=trace)
    logged = LoggedEvent(9, RecordedEvent(uuid4(), 3, cause, DeploymentDestroyed(at=NOW, abandoned_routes=0)))

    headers = dict(event_record(logged).headers)

    assert headers.get("traceparent") == (HEADER.encode() if trace else None)
    assert headers["position"] == b"9"
