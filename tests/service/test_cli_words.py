"""Events, causes, rules and decisions in words."""

from datetime import timedelta
from uuid import UUID

import pytest

from domain import events as e
from domain.autoscaling.decision import DecisionReason, RuleEvaluation, ScalingDecision
from domain.autoscaling.rules import Pause, ScalingPolicy
from domain.failures import FailureKind
from domain.recorded import AnyEvent, OperationCause, RecordCause
from domain.registry import EVENT_TYPES
from domain.rejections import RecordsRejected, RejectedRecord
from domain.routes import RouteStatus, TerminationReason
from service.cli.rule_words import describe_rule
from service.cli.scaling_words import describe_bounds, describe_decision, describe_policy
from service.cli.words import describe_cause, describe_event
from tests.chronicle import BEGINNING
from tests.cli_support import BUSY, IDLE, POLICY, REVISION
from tests.domain.golden_examples import EXAMPLES

SOON = BEGINNING + timedelta(seconds=30)
ROUTES = tuple(UUID(int=number) for number in range(1, 4))

FAILURE = {
    "at": BEGINNING,
    "code": "proxy-unavailable",
    "reason": "the proxy answered 503",
    "detail": "",
    "kind": FailureKind.TRANSIENT,
    "attempts": 2,
    "next_attempt_at": SOON,
}
FAILED = "failed, attempt 2: the proxy answered 503 [proxy-unavailable, transient], next try 2026-03-01 12:00:30"


def change(route: UUID, previous: RouteStatus, status: RouteStatus, detail: str = "") -> e.RouteStatusChange:
    return e.RouteStatusChange(route_id=route, previous=previous, status=status, detail=detail)


def refused(code: str) -> RejectedRecord:
    return RejectedRecord(offset=1, digest="", length=1, code=code, field="", value="", reason="")


REPORTED = e.RouteStatusReported(
    at=BEGINNING,
    changes=(
        change(ROUTES[0], RouteStatus.PROVISIONING, RouteStatus.FAILED_TO_START, "image not found"),
        change(ROUTES[1], RouteStatus.PROVISIONING, RouteStatus.FAILED_TO_START, "image not found"),
        change(ROUTES[2], RouteStatus.HEALTHY, RouteStatus.UNHEALTHY),
    ),
    start_failures=2,
    scale_out_not_before=SOON,
)

SENTENCES: list[tuple[AnyEvent, str]] = [
    (
        e.TargetRevisionSet(at=BEGINNING, revision=REVISION),
        "target revision set to 77777777-0000: llama-3-8b in registry.example/vllm:0.9 (custom)",
    ),
    (
        e.ReplicaCountSet(at=BEGINNING, previous=2, replica_count=5),
        "number of replicas set by hand: 2 → 5",
    ),
    (
        e.ScalingPolicySet(at=BEGINNING, policy=POLICY),
        "scaling policy set: 2 rules (busy, idle), 1 to 3 replicas",
    ),
    (
        e.ScalingPauseSet(at=BEGINNING, pause=Pause.SCALE_IN),
        "scaling in paused: the rules may add but not remove",
    ),
    (
        e.ScalingPauseSet(at=BEGINNING, pause=Pause.SCALE_OUT),
        "scaling out paused: the rules may remove but not add",
    ),
    (e.ScalingPauseSet(at=BEGINNING, pause=Pause.ALL), "scaling paused: the rules may neither add nor remove"),
    (e.ScalingPauseSet(at=BEGINNING, pause=Pause.NONE), "scaling not paused: the rules may add and remove"),
    (
        e.ReplicasOverridden(at=BEGINNING, replica_count=1, until=SOON),
        "held at 1 replica until 2026-03-01 12:00:30, rules suspended",
    ),
    (
        e.ReplicasOverridden(at=BEGINNING, replica_count=5, until=None),
        "held at 5 replicas until told otherwise, rules suspended",
    ),
    (
        e.ReplicaOverrideExpired(at=BEGINNING, desired_replica_count=None),
        "no longer held: the number of replicas set by hand counts",
    ),
    (e.ReplicaOverrideExpired(at=BEGINNING, desired_replica_count=4), "no longer held: back to 4 replicas"),
    (
        e.EndpointRegistrationStarted(at=BEGINNING, deadline=SOON, settles_at=SOON),
        "endpoint is being registered, with an answer by 2026-03-01 12:00:30",
    ),
    (e.EndpointRegistered(at=BEGINNING, url="https://chat/"), "endpoint registered at https://chat/"),
    (e.EndpointRegistrationFailed.model_validate(FAILURE), f"registering the endpoint {FAILED}"),
    (e.EndpointUnregistrationFailed.model_validate(FAILURE), f"unregistering the endpoint {FAILED}"),
    (e.ScalingFailed.model_validate(FAILURE), f"scaling {FAILED}"),
    (
        e.ScaledOut(at=BEGINNING, route_ids=ROUTES, revision_id=REVISION.revision_id, traffic_ratio=1.0),
        "scaled out by 3 routes of revision 77777777-0000",
    ),
    (
        e.RoutesTerminating(at=BEGINNING, route_ids=ROUTES[:1], reason=TerminationReason.SCALE_IN),
        "1 route told to terminate (scale-in)",
    ),
    (
        REPORTED,
        (
            "2 routes provisioning → failed to start, 1 route healthy → unhealthy, “image not found”, "
            "2 failed starts in a row, no new route before 2026-03-01 12:00:30"
        ),
    ),
    (
        e.ReplicaCountMismatched(at=BEGINNING, expected=3, actual=2),
        "2 active replicas where 3 are wanted",
    ),
    (e.DestructionRequested(at=BEGINNING, force=True), "destruction requested by force"),
    (
        e.EndpointAbandoned(at=BEGINNING, reason="the proxy is gone"),
        "endpoint given up on, though it may still exist: the proxy is gone",
    ),
    (e.DeploymentDestroyed(at=BEGINNING, abandoned_routes=2), "destroyed, with 2 routes given up on"),
    (
        e.CommandHadNoEffect(at=BEGINNING, command="destroy", reason="it is being destroyed already"),
        "destroy had no effect: it is being destroyed already",
    ),
    (
        RecordsRejected(
            at=BEGINNING,
            topic="routekeeper.commands",
            epoch="1",
            partition=3,
            records=(refused("invalid-json"), refused("unknown-type"), refused("invalid-json")),
        ),
        "3 records of routekeeper.commands/3 refused: 2 invalid-json, 1 unknown-type",
    ),
]


@pytest.mark.parametrize(("event", "sentence"), SENTENCES, ids=lambda value: getattr(value, "name", ""))
def test_an_event_is_told_in_a_sentence_with_its_numbers(event: AnyEvent, sentence: str) -> None:
    assert sentence == describe_event(event)


def test_every_event_that_there_is_can_be_told_on_one_line() -> None:
    told = {event.name: describe_event(event) for pair in EXAMPLES for event in pair}

    assert set(EVENT_TYPES) == set(told)
    assert [text for text in told.values() if not text or "\n" in text] == []


def evaluation(**changes: object) -> RuleEvaluation:
    facts = {
        "rule": "busy",
        "source": BUSY.source,
        "metric_name": BUSY.metric,
        "metric": 92.54321,
        "samples": 3,
        "watermark": BEGINNING,
        "comparator": BUSY.comparator,
        "threshold": 80.0,
        "unclamped": 5,
        "proposed": 5,
    }
    return RuleEvaluation.model_validate(facts | changes)


def decided(previous: int, desired: int, given: RuleEvaluation) -> ScalingDecision:
    return ScalingDecision(previous=previous, desired=desired, reason=DecisionReason.RULE, evaluation=given)


def test_a_decision_by_a_rule_shows_the_arithmetic() -> None:
    expected = (
        "3 → 5 desired replicas: rule busy saw the replicas' mean gpu_util at 92.5432 > 80 (3 samples), so 3 + 2 = 5"
    )

    assert expected == describe_decision(decided(3, 5, evaluation()))


def test_a_decision_says_which_bounds_cut_it() -> None:
    text = describe_decision(decided(3, 1, evaluation(unclamped=-1, proposed=0)))

    assert text.endswith("so 3 - 4 = -1, cut to 0 by the rule's bounds, cut to 1 by the policy's bounds")


def test_a_decision_without_a_rule_says_why() -> None:
    manual = ScalingDecision(previous=3, desired=2, reason=DecisionReason.MANUAL)
    bounds = ScalingDecision(previous=9, desired=4, reason=DecisionReason.BOUNDS)

    assert describe_decision(manual) == "3 → 2 desired replicas: there are no rules, so the number set by hand counts"
    assert describe_decision(bounds) == "9 → 4 desired replicas: the number was outside the policy's bounds"


def test_a_rule_says_what_it_does_and_when() -> None:
    assert describe_rule(BUSY) == "add 2 replicas when the replicas' mean gpu_util > 80, then rest for 5m"
    assert describe_rule(IDLE.model_copy(update={"cooldown_seconds": 0.0})) == (
        "remove 1 replica when requests_running per replica ≤ 0.5, again and again; 1 to 6 replicas"
    )


def test_bounds_are_said_as_people_say_them() -> None:
    no_limit = ScalingPolicy().max_replicas

    assert [describe_bounds(*each) for each in ((0, no_limit), (1, no_limit), (0, 1), (2, 4), (3, 3))] == [
        "any number of replicas",
        "at least 1 replica",
        "at most 1 replica",
        "2 to 4 replicas",
        "always 3 replicas",
    ]
    assert describe_policy(ScalingPolicy()) == "no rules, any number of replicas"


def test_a_cause_names_the_record_and_its_sender_or_the_operation() -> None:
    place = {"topic": "routekeeper.commands", "epoch": "1", "partition": 2, "offset": 17}
    sent = RecordCause.model_validate({**place, "source": "/console", "id": "4711", "actor": "alice"})

    assert describe_cause(sent) == "routekeeper.commands/2@17 by alice from /console 4711"
    assert describe_cause(RecordCause.model_validate(place)) == "routekeeper.commands/2@17"
    assert describe_cause(OperationCause(operation="scale_deployment")) == "scale deployment"
