"""Read model: operations that failed, with their attempts, and when they came right."""

from collections.abc import Iterator, Mapping
from datetime import datetime
from types import MappingProxyType
from typing import Any, Final, get_args
from uuid import UUID

from sqlalchemy import BigInteger, Column, Connection, Table, select

from domain import events as e
from domain.failures import FailureKind
from domain.operations import Operation
from domain.recorded import LoggedEvent
from projections.columns import WORD, count, instant, word
from projections.querying import DEFAULT_LIMIT, ViewRow, fetch
from projections.rows import Key, Rows, id_text
from projections.time_series import TimeSeries
from projections.view import METADATA, View

#: What stands in ``resolved_position`` while nothing has resolved a failure.
OPEN = 0

OPERATION_FAILURES = Table(
    "operation_failures",
    METADATA,
    Column("deployment_id", WORD, primary_key=True),
    Column("operation", WORD, primary_key=True),
    # Of an operation there is one open failure at most, which is thus found by its key.
    Column("resolved_position", BigInteger, primary_key=True, autoincrement=False),
    word("code"),
    word("reason"),
    word("detail"),
    word("kind"),
    count("attempts"),
    instant("first_failed_at"),
    instant("failed_at"),
    instant("next_attempt_at"),
    instant("resolved_at", nullable=True),
)

#: The event types that say that an operation failed.
FAILED: Final = tuple(event for event in get_args(e.DeploymentEvent) if issubclass(event, e.OperationFailed))

#: The operations whose failures are over with an event, because they succeeded or nobody wants them any more.
RESOLVED_BY: Final[Mapping[type[Any], tuple[Operation, ...]]] = MappingProxyType(
    {
        e.EndpointRegistered: (Operation.CHECK_PENDING,),
        e.ScalingPolicySet: (Operation.CALCULATE,),
        e.DesiredReplicasCalculated: (Operation.CALCULATE,),
        e.ScaledOut: (Operation.SCALE,),
        e.RoutesTerminating: (Operation.SCALE,),
        e.ReplicaCountMismatched: (Operation.SCALE,),
        e.DeploymentReady: (Operation.SCALE,),
        e.EndpointUnregistered: (Operation.DESTROY,),
        e.EndpointAbandoned: (Operation.DESTROY,),
        e.DestructionRequested: tuple(event.operation for event in FAILED),
        e.DeploymentDestroyed: tuple(event.operation for event in FAILED),
    }
)


class OperationFailureRow(ViewRow):
    """Failures in a row of an operation: how the last one went, and when the row of them ended."""

    deployment_id: UUID
    operation: Operation
    code: str
    reason: str
    detail: str
    kind: FailureKind
    attempts: int
    first_failed_at: datetime
    failed_at: datetime
    next_attempt_at: datetime
    resolved_at: datetime | None


def _keys(logged: LoggedEvent) -> Iterator[tuple[Table, Key]]:
    event = logged.recorded.event
    deployment_id = id_text(logged.recorded.stream_id)
    operations = (event.operation,) if isinstance(event, e.OperationFailed) else RESOLVED_BY[type(event)]
    return ((OPERATION_FAILURES, (deployment_id, operation.value, OPEN)) for operation in operations)


def _fold(rows: Rows, logged: LoggedEvent) -> None:
    event = logged.recorded.event
    deployment_id = id_text(logged.recorded.stream_id)
    if isinstance(event, e.OperationFailed):
        _failed(rows, deployment_id, event)
        return
    failures = rows.of(OPERATION_FAILURES)
    for operation in RESOLVED_BY[type(event)]:
        key = (deployment_id, operation.value, OPEN)
        if failure := failures.get(key):
            failures.delete(key)
            failures.append(failure | {"resolved_position": logged.position, "resolved_at": event.at})


def _failed(rows: Rows, deployment_id: str, event: e.OperationFailed) -> None:
    failures = rows.of(OPERATION_FAILURES)
    key = (deployment_id, event.operation.value, OPEN)
    last = {
        "code": event.code,
        "reason": event.reason,
        "detail": event.detail,
        "kind": event.kind.value,
        "attempts": event.attempts,
        "failed_at": event.at,
        "next_attempt_at": event.next_attempt_at,
    }
    if failures.get(key) is not None:
        failures.update(key, last)
        return
    failures.put(
        {
            "deployment_id": deployment_id,
            "operation": event.operation.value,
            "resolved_position": OPEN,
            **last,
            "first_failed_at": event.at,
            "resolved_at": None,
        }
    )


OPERATION_FAILURES_VIEW = View(
    name="operation_failures",
    version=1,
    tables=(OPERATION_FAILURES,),
    handles=frozenset({*FAILED, *RESOLVED_BY}),
    fold=_fold,
    keys=_keys,
    # What is open is not resolved at any time, and stays.
    series=(TimeSeries(table=OPERATION_FAILURES, outdated=lambda table, before: table.c.resolved_at < before),),
)


def find_failures(
    connection: Connection,
    *,
    deployment_id: UUID | None = None,
    operation: Operation | None = None,
    resolved: bool = False,
    limit: int = DEFAULT_LIMIT,
) -> list[OperationFailureRow]:
    """The last ``limit`` failures, newest first; those that came right only with ``resolved``."""
    table = OPERATION_FAILURES.c
    query = select(OPERATION_FAILURES)
    if deployment_id is not None:
        query = query.where(table.deployment_id == str(deployment_id))
    if operation is not None:
        query = query.where(table.operation == operation.value)
    if not resolved:
        query = query.where(table.resolved_position == OPEN)
    newest_first = (table.failed_at.desc(), table.deployment_id, table.operation, table.resolved_position)
    return fetch(connection, query.order_by(*newest_first).limit(limit), OperationFailureRow)
