import asyncio
from datetime import datetime
from uuid import UUID

from hypothesis import example, given, settings
from sqlalchemy import Connection, Engine

from domain.conditions import ConditionType, conditions
from domain.deployment import Deployment
from domain.evolve import evolve
from domain.operations import Operation
from domain.recorded import SystemEvent
from domain.rejections import RecordsRejected
from projections.catalogue import VIEWS
from projections.database import open_database
from projections.deployments import DeploymentRow, find_deployments
from projections.operation_failures import find_failures
from projections.rejected_records import find_rejected_records
from projections.replicas import replica_history
from projections.routes import find_routes
from projections.runner import ProjectionRunner
from tests.histories import HISTORIES, History, random_history
from tests.projection_support import MemoryLog

EVERYTHING = 100_000


def folded(history: History) -> Engine:
    """A database into which the history was folded, a few events at a time."""
    engine = open_database("sqlite://")
    asyncio.run(ProjectionRunner(engine, VIEWS, MemoryLog(history.log), batch_size=3, cached_rows=2).catch_up())
    return engine


def transition_times(history: History, deployment_id: UUID) -> dict[ConditionType, datetime]:
    """When the status of each condition of a deployment last changed, found event by event."""
    state: Deployment | None = None
    status: dict[ConditionType, object] = {}
    since: dict[ConditionType, datetime] = {}
    for logged in history.log:
        event = logged.recorded.event
        if logged.recorded.stream_id == deployment_id and not isinstance(event, SystemEvent):
            state = evolve(state, event)
            for condition in conditions(state):
                if status.get(condition.type) != condition.status:
                    status[condition.type], since[condition.type] = condition.status, event.at
    return since


def check_deployment(row: DeploymentRow, state: Deployment) -> None:
    """A row says what the aggregate is."""
    spec, revision, endpoint = state.replica_spec, state.target_revision, state.endpoint
    failures = {operation: failure.code for operation, failure in state.failures.items()}
    assert (row.lifecycle, row.version, row.name) == (state.lifecycle, state.version, state.name)
    assert (row.replica_count, row.desired_replica_count) == (spec.replica_count, spec.desired_replica_count)
    assert row.target_replica_count == state.target_replica_count
    assert (row.active_replicas, row.healthy_replicas) == (state.active_count, state.healthy_count)
    assert row.revision_id == (revision and revision.revision_id)
    assert row.endpoint_url == endpoint.url
    assert row.registration_deadline == (endpoint.registration and endpoint.registration.deadline)
    assert row.registration_unsettled == (endpoint.unsettled_until is not None)
    assert row.registration_failure == failures.get(Operation.CHECK_PENDING)
    assert row.scaling_failure == failures.get(Operation.SCALE)
    assert row.calculation_failure == failures.get(Operation.CALCULATE)
    assert row.destruction_failure == failures.get(Operation.DESTROY)
    assert (row.start_failures, row.scale_out_not_before) == (state.start_failures, state.scale_out_not_before)
    assert row.scaling_policy == state.scaling_policy
    assert row.scaling_pause == state.scaling_pause
    assert (row.override and row.override.replica_count) == (state.override and state.override.replica_count)
    assert (row.override and row.override.until) == (state.override and state.override.until)
    assert (row.created_at, row.last_scaled_at) == (state.created_at, state.last_scaled_at)
    assert [(each.type, each.status, each.reason, each.message) for each in row.conditions] == list(conditions(state))


def check_details(connection: Connection, row: DeploymentRow, state: Deployment) -> None:
    """So do the rows of its routes, failures, and numbers of replicas."""
    assert {
        each.id: (each.status, each.traffic_ratio, each.created_at, each.status_since, each.revision_id)
        for each in find_routes(connection, deployment_id=state.id, limit=EVERYTHING)
    } == {
        each.id: (each.status, each.traffic_ratio, each.created_at, each.status_since, each.revision_id)
        for each in state.routes.values()
    }
    assert {
        each.operation: (each.code, each.kind, each.attempts, each.failed_at, each.next_attempt_at)
        for each in find_failures(connection, deployment_id=state.id)
    } == {
        operation: (each.code, each.kind, each.attempts, each.failed_at, each.next_attempt_at)
        for operation, each in state.failures.items()
    }
    (newest,) = replica_history(connection, state.id, limit=1)
    assert newest.target == state.target_replica_count
    assert (newest.active, newest.healthy) == (state.active_count, state.healthy_count)
    assert newest.provisioning == row.provisioning_replicas


def check(history: History) -> None:
    with folded(history).connect() as connection:
        rows = {row.id: row for row in find_deployments(connection, destroyed=True, limit=EVERYTHING)}
        assert rows.keys() == history.states.keys()
        for deployment_id, state in history.states.items():
            check_deployment(rows[deployment_id], state)
            check_details(connection, rows[deployment_id], state)
            since = {each.type: each.last_transition_time for each in rows[deployment_id].conditions}
            assert since == transition_times(history, deployment_id)
        refused = [each.recorded.event for each in history.log if isinstance(each.recorded.event, RecordsRejected)]
        assert len(find_rejected_records(connection, limit=EVERYTHING)) == sum(len(each.records) for each in refused)


@given(history=HISTORIES)
@settings(max_examples=40)
@example(history=History())
def test_rows_say_what_the_domain_says_after_any_history(history: History) -> None:
    """Views do arithmetic of their own on rows; it has to come to what the aggregate comes to."""
    check(history)


def test_rows_say_what_the_domain_says_after_a_long_history() -> None:
    for seed in range(4):
        check(random_history(seed, steps=400))
