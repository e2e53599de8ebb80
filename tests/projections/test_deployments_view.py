from collections.abc import Callable
from datetime import timedelta, timezone
from uuid import UUID

import pytest
from sqlalchemy import Engine

from domain import events as e
from domain.autoscaling.decision import DecisionReason, ScalingDecision
from domain.autoscaling.rules import ScalingPolicy
from domain.conditions import ConditionStatus, ConditionType
from domain.deployment import Lifecycle
from domain.failures import FailureKind
from domain.routes import RouteStatus
from projections.catalogue import VIEWS
from projections.deployments import DeploymentRow, OverrideRow, find_deployments, resolve_deployment
from projections.errors import AmbiguousDeployment, UnknownDeployment
from projections.runner import ProjectionRunner
from tests.projection_support import (
    CHAT,
    NOW,
    REVISION,
    SEARCH,
    SOMEBODY,
    MemoryLog,
    after,
    created,
    fold,
    log_of,
    registered,
    reported,
    revision_set,
    scaled_out,
    terminating,
)


def only(engine: Engine) -> DeploymentRow:
    """The one deployment there is."""
    with engine.connect() as connection:
        (row,) = find_deployments(connection, destroyed=True)
    return row


def condition(row: DeploymentRow, kind: ConditionType) -> tuple[ConditionStatus, str, float]:
    """Status, reason, and how many seconds after the beginning the status last changed."""
    (found,) = [each for each in row.conditions if each.type is kind]
    return found.status, found.reason, (found.last_transition_time - NOW).total_seconds()


async def test_a_new_deployment_is_a_row_that_says_what_is_wanted(engine: Engine) -> None:
    await fold(engine, created(replicas=3))

    row = only(engine)
    assert (row.id, row.name, row.resource_group, row.domain) == (CHAT, "chat", "gpu", "research")
    assert (row.project, row.owner, row.open_to_public) == (SOMEBODY, SOMEBODY, True)
    assert (row.lifecycle, row.version) == (Lifecycle.PENDING, 1)
    assert (row.replica_count, row.desired_replica_count, row.target_replica_count) == (3, None, 3)
    assert (row.active_replicas, row.healthy_replicas, row.provisioning_replicas) == (0, 0, 0)
    assert (row.revision_id, row.endpoint_url, row.override) == (None, None, None)
    assert row.scaling_policy == ScalingPolicy()
    assert (row.created_at, row.updated_at, row.last_scaled_at) == (NOW, NOW, None)


async def test_revision_and_endpoint_show_once_they_are_known(engine: Engine) -> None:
    await fold(engine, created(), revision_set(), registered())

    row = only(engine)
    assert (row.revision_id, row.image, row.model) == (REVISION.revision_id, REVISION.image, REVISION.model)
    assert row.runtime_variant == REVISION.runtime_variant
    assert row.endpoint_url == "https://chat.example/"
    assert (row.lifecycle, row.updated_at, row.version) == (Lifecycle.SCALING, after(2), 3)


async def test_routes_count_by_what_became_of_them(engine: Engine) -> None:
    await fold(
        engine,
        created(),
        registered(),
        scaled_out(1, 2, 3, 4),
        reported(RouteStatus.HEALTHY, 1, 2),
        reported(RouteStatus.FAILED_TO_START, 3),
        terminating(1),
    )

    row = only(engine)
    assert (row.active_replicas, row.healthy_replicas, row.provisioning_replicas) == (2, 1, 1)
    assert row.last_scaled_at == after(5)


async def test_the_target_is_what_was_decided_last(engine: Engine) -> None:
    decision = ScalingDecision(previous=2, desired=7, reason=DecisionReason.BOUNDS)
    log = log_of(created(), e.DesiredReplicasCalculated(at=after(1), decision=decision))
    runner = ProjectionRunner(engine, VIEWS, log)

    await runner.catch_up()
    assert (only(engine).desired_replica_count, only(engine).target_replica_count) == (7, 7)

    log.append(e.ReplicaCountSet(at=after(2), previous=7, replica_count=4))
    await runner.catch_up()
    assert (only(engine).desired_replica_count, only(engine).target_replica_count) == (None, 4)


async def test_an_override_shows_while_it_holds(engine: Engine) -> None:
    log = log_of(created(), e.ReplicasOverridden(at=after(1), replica_count=9, until=after(60)))
    runner = ProjectionRunner(engine, VIEWS, log)

    await runner.catch_up()
    assert only(engine).override == OverrideRow(replica_count=9, until=after(60))
    assert only(engine).target_replica_count == 9

    log.append(e.ReplicaOverrideExpired(at=after(60), desired_replica_count=None))
    await runner.catch_up()
    assert only(engine).override is None
    assert only(engine).target_replica_count == 2


async def test_a_command_without_effect_leaves_the_time_of_the_last_change(engine: Engine) -> None:
    await fold(engine, created(), e.CommandHadNoEffect(at=after(9), command="create", reason="it is there"))

    assert (only(engine).updated_at, only(engine).version) == (NOW, 2)


async def test_a_condition_keeps_its_time_until_its_status_changes(engine: Engine) -> None:
    available = ConditionType.AVAILABLE
    log = log_of(created(), revision_set(), registered(), scaled_out(1, 2))
    runner = ProjectionRunner(engine, VIEWS, log)

    await runner.catch_up()
    assert condition(only(engine), available) == (ConditionStatus.FALSE, "NoHealthyReplicas", 0)

    log.append(reported(RouteStatus.HEALTHY, 1, seconds=4), reported(RouteStatus.HEALTHY, 2, seconds=5))
    await runner.catch_up()
    assert condition(only(engine), available) == (ConditionStatus.TRUE, "HealthyReplicas", 4)

    log.append(e.ReplicaCountSet(at=after(6), previous=2, replica_count=0), terminating(1, 2, seconds=7))
    await runner.catch_up()
    assert condition(only(engine), available) == (ConditionStatus.FALSE, "ScaledToZero", 7)


async def test_a_status_that_comes_and_goes_within_a_batch_has_the_time_of_its_return(engine: Engine) -> None:
    blip = [reported(status, 1, seconds=at) for status, at in ((RouteStatus.HEALTHY, 4), (RouteStatus.DEGRADED, 5))]

    await fold(engine, created(), registered(), scaled_out(1, 2), *blip)

    assert condition(only(engine), ConditionType.AVAILABLE) == (ConditionStatus.FALSE, "NoHealthyReplicas", 5)


async def test_a_missing_proxy_target_shows_until_the_operation_succeeds(engine: Engine) -> None:
    missing = ConditionType.PROXY_TARGET_MISSING
    failed = e.EndpointRegistrationFailed(
        at=after(2),
        code="proxy-target-missing",
        reason="no proxy",
        detail="",
        kind=FailureKind.PERMANENT,
        attempts=1,
        next_attempt_at=after(600),
    )
    log = log_of(created(), revision_set(), failed)
    runner = ProjectionRunner(engine, VIEWS, log)

    await runner.catch_up()
    assert condition(only(engine), missing) == (ConditionStatus.TRUE, "NoProxyTarget", 2)
    assert only(engine).registration_failure == "proxy-target-missing"

    log.append(registered(3))
    await runner.catch_up()
    assert condition(only(engine), missing) == (ConditionStatus.FALSE, "NoneMissed", 3)
    assert only(engine).registration_failure is None


async def test_of_a_destroyed_deployment_its_last_row_is_left(engine: Engine) -> None:
    await fold(
        engine,
        created(),
        registered(),
        e.DestructionRequested(at=after(3), force=False),
        e.EndpointUnregistered(at=after(4), sent_at=after(4)),
        e.DeploymentDestroyed(at=after(4), abandoned_routes=0),
    )

    row = only(engine)
    assert (row.lifecycle, row.endpoint_url) == (Lifecycle.DESTROYED, None)
    with engine.connect() as connection:
        assert find_deployments(connection) == []


async def test_what_no_database_holds_is_written_differently(engine: Engine) -> None:
    """PostgreSQL has no NUL in text; a name with one must not stop the view."""
    await fold(engine, created(name="chat\0"))

    assert only(engine).name == "chat␀"


async def test_times_in_any_zone_are_the_same_moments_in_utc(engine: Engine) -> None:
    local = NOW.astimezone(timezone(timedelta(hours=9)))

    await fold(engine, created().model_copy(update={"at": local}))

    assert only(engine).created_at == NOW
    assert only(engine).created_at.utcoffset() == timedelta(0)


async def fold_two(engine: Engine) -> None:
    log = MemoryLog()
    log.append(created(CHAT, name="chat"), to=CHAT)
    log.append(created(SEARCH, name="search"), to=SEARCH)
    await ProjectionRunner(engine, VIEWS, log).catch_up()


async def test_deployments_are_found_by_what_they_are(engine: Engine) -> None:
    await fold_two(engine)

    with engine.connect() as connection:

        def names(**wanted: object) -> list[str]:
            find: Callable[..., list[DeploymentRow]] = find_deployments
            return [row.name for row in find(connection, **wanted)]

        assert names() == ["chat", "search"]
        assert names(name="search") == ["search"]
        assert names(lifecycle=[Lifecycle.READY]) == []
        assert names(lifecycle=[Lifecycle.PENDING], limit=1) == ["chat"]
        assert names(resource_group="gpu", domain="research", project=SOMEBODY, owner=SOMEBODY) == ["chat", "search"]
        assert names(owner=CHAT) == []


@pytest.mark.parametrize(
    "reference", ["search", str(SEARCH), str(SEARCH).upper(), "0198C0DE-0000-4000-8000-00000000000b"]
)
async def test_a_deployment_is_found_by_id_or_name(engine: Engine, reference: str) -> None:
    await fold_two(engine)

    with engine.connect() as connection:
        assert resolve_deployment(connection, reference).id == SEARCH


async def test_a_deployment_is_found_by_the_beginning_of_its_id(engine: Engine) -> None:
    await fold(engine, created())

    with engine.connect() as connection:
        assert resolve_deployment(connection, "0198C0").id == CHAT


async def test_a_reference_to_several_deployments_is_refused_with_their_ids(engine: Engine) -> None:
    await fold_two(engine)

    with engine.connect() as connection, pytest.raises(AmbiguousDeployment) as refused:
        resolve_deployment(connection, "0198c0de-")

    assert set(refused.value.candidates) == {CHAT, SEARCH}


@pytest.mark.parametrize("reference", ["nobody", "", "%", "0198c0df", str(UUID(int=1))])
async def test_a_reference_to_nothing_is_refused(engine: Engine, reference: str) -> None:
    await fold(engine, created())

    with engine.connect() as connection, pytest.raises(UnknownDeployment):
        resolve_deployment(connection, reference)


async def test_a_name_means_the_deployment_that_is_not_destroyed(engine: Engine) -> None:
    log = MemoryLog()
    log.append(created(SEARCH), e.DestructionRequested(at=NOW, force=False), to=SEARCH)
    log.append(e.DeploymentDestroyed(at=NOW, abandoned_routes=0), to=SEARCH)
    log.append(created(CHAT), to=CHAT)
    await ProjectionRunner(engine, VIEWS, log).catch_up()

    with engine.connect() as connection:
        assert resolve_deployment(connection, "chat").id == CHAT
        assert resolve_deployment(connection, str(SEARCH)).lifecycle is Lifecycle.DESTROYED
