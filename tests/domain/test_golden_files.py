"""Stored events stay readable: each registered name has a file with examples as they were first written."""

import json
from pathlib import Path

import pytest

from domain.recorded import AnyEvent
from domain.registry import EVENT_TYPES
from tests.domain.golden_examples import EXAMPLES

GOLDEN = Path(__file__).resolve().parent.parent / "data" / "golden"

EXPECTED = {
    (event.name, size): event for pair in EXAMPLES for size, event in zip(("minimal", "maximal"), pair, strict=True)
}

# A name is never changed and never taken away; a changed shape is a new name, added here.
NAMES = [
    "control.effects-paused.v1",
    "control.effects-resumed.v1",
    "deployment.command-had-no-effect.v1",
    "deployment.created.v1",
    "deployment.desired-replicas-calculated.v1",
    "deployment.desired-replicas-calculation-failed.v1",
    "deployment.destroyed.v1",
    "deployment.destruction-requested.v1",
    "deployment.endpoint-abandoned.v1",
    "deployment.endpoint-doubted.v1",
    "deployment.endpoint-registered.v1",
    "deployment.endpoint-registration-failed.v1",
    "deployment.endpoint-registration-started.v1",
    "deployment.endpoint-unregistered.v1",
    "deployment.endpoint-unregistration-failed.v1",
    "deployment.ready.v1",
    "deployment.replica-count-mismatched.v1",
    "deployment.replica-count-set.v1",
    "deployment.replica-override-expired.v1",
    "deployment.replicas-overridden.v1",
    "deployment.route-status-reported.v1",
    "deployment.routes-terminating.v1",
    "deployment.scaled-out.v1",
    "deployment.scaling-failed.v1",
    "deployment.scaling-pause-set.v1",
    "deployment.scaling-policy-set.v1",
    "deployment.target-revision-set.v1",
    "intake.records-rejected.v1",
    "log.incarnation-begun.v1",
]


def stored(name: str, size: str) -> object:
    content: dict[str, object] = json.loads((GOLDEN / f"{name}.json").read_text(encoding="utf-8"))
    return content[size]


@pytest.mark.parametrize(("name", "size"), EXPECTED)
def test_a_stored_event_decodes_to_what_was_meant(name: str, size: str) -> None:
    decoded = EVENT_TYPES[name].model_validate_json(json.dumps(stored(name, size)))

    assert decoded == EXPECTED[name, size]


@pytest.mark.parametrize(("name", "size"), EXPECTED)
def test_a_decoded_event_is_stored_as_it_was(name: str, size: str) -> None:
    decoded = EVENT_TYPES[name].model_validate_json(json.dumps(stored(name, size)))

    assert json.loads(decoded.model_dump_json()) == stored(name, size)


@pytest.mark.parametrize(("_minimal", "maximal"), EXAMPLES, ids=lambda event: event.name)
def test_the_maximal_example_leaves_no_field_at_its_default(_minimal: AnyEvent, maximal: AnyEvent) -> None:
    left_out = [
        name
        for name, field in type(maximal).model_fields.items()
        if not field.is_required() and getattr(maximal, name) == field.get_default(call_default_factory=True)
    ]

    assert left_out == []


def test_every_event_type_has_a_golden_file_and_every_golden_file_an_event_type() -> None:
    files = {path.name.removesuffix(".json") for path in GOLDEN.iterdir()}

    assert files == set(EVENT_TYPES)


def test_every_event_type_has_examples() -> None:
    assert {name for name, _ in EXPECTED} == set(EVENT_TYPES)


def test_the_names_of_events_never_change() -> None:
    assert sorted(EVENT_TYPES) == NAMES


def test_no_two_event_types_share_a_name() -> None:
    assert len(EVENT_TYPES) == len(NAMES) == len(set(EVENT_TYPES.values()))
