"""Read model: every deployment as it is now. How events change it is in :mod:`projections.deployment_fold`."""

from collections.abc import Collection, Sequence
from datetime import datetime
from uuid import UUID

from pydantic import Json
from sqlalchemy import ColumnElement, Connection, Index, Table, and_, func, select

from domain.autoscaling.conditions import ScalingConditionType
from domain.autoscaling.rules import Pause, ScalingPolicy
from domain.conditions import ConditionStatus, ConditionType
from domain.deployment import Lifecycle
from projections.columns import count, flag, instant, word
from projections.errors import AmbiguousDeployment, UnknownDeployment
from projections.querying import DEFAULT_LIMIT, ViewRow, fetch
from projections.view import METADATA

DEPLOYMENTS = Table(
    "deployments",
    METADATA,
    word("id", key=True),
    word("name"),
    word("resource_group"),
    word("domain"),
    word("project"),
    word("owner"),
    flag("open_to_public"),
    word("lifecycle"),
    count("replica_count"),
    count("desired_replica_count", nullable=True),
    count("target_replica_count"),
    count("active_replicas"),
    count("healthy_replicas"),
    count("provisioning_replicas"),
    word("revision_id", nullable=True),
    word("image", nullable=True),
    word("model", nullable=True),
    word("runtime_variant", nullable=True),
    word("endpoint_url", nullable=True),
    # A create call to the app proxy is under way; an earlier one never got a definite answer.
    instant("registration_deadline", nullable=True),
    flag("registration_unsettled"),
    # Codes of the last failure of each operation that has not succeeded since.
    word("registration_failure", nullable=True),
    word("scaling_failure", nullable=True),
    word("calculation_failure", nullable=True),
    word("destruction_failure", nullable=True),
    count("start_failures"),
    instant("scale_out_not_before", nullable=True),
    word("scaling_policy"),
    word("scaling_pause"),
    word("override", nullable=True),
    word("conditions"),
    # As of the last decision that went through the rules; a list without entries before there is one.
    word("scaling_conditions"),
    instant("created_at"),
    instant("updated_at"),
    instant("last_scaled_at", nullable=True),
    count("version"),
    Index("ix_deployments_name", "name", "id"),
    # Room on each page for the next version of its rows, which then need no new entries in the indexes: to update 500
    # rows takes 3.5 instead of 15 ms.
    postgresql_with={"fillfactor": 50},
)


class OverrideRow(ViewRow):
    """A number of replicas that is held, until a moment or (``None``) until told otherwise."""

    replica_count: int
    until: datetime | None


class ConditionRow(ViewRow):
    """A condition of a deployment and when its status last changed."""

    type: ConditionType
    status: ConditionStatus
    reason: str
    message: str
    last_transition_time: datetime


class ScalingConditionRow(ViewRow):
    """A condition of a deployment's autoscaling and when its status last changed."""

    type: ScalingConditionType
    status: ConditionStatus
    reason: str
    message: str
    last_transition_time: datetime


class DeploymentRow(ViewRow):
    """A deployment; ``updated_at`` is when something about it last changed, ``version`` counts its events.

    ``registration_deadline`` is there while a create call to the app proxy is under way, ``registration_unsettled``
    says that an earlier one never got a definite answer. The four failures are codes of operations that have not
    succeeded since. ``scaling_pause`` is what was paused by a command, apart from the policy; ``scaling_conditions``
    are as of the last decision of the scaling rules, and there are none before it.
    """

    id: UUID
    name: str
    resource_group: str
    domain: str
    project: UUID
    owner: UUID
    open_to_public: bool
    lifecycle: Lifecycle
    replica_count: int
    desired_replica_count: int | None
    target_replica_count: int
    active_replicas: int
    healthy_replicas: int
    provisioning_replicas: int
    revision_id: UUID | None
    image: str | None
    model: str | None
    runtime_variant: str | None
    endpoint_url: str | None
    registration_deadline: datetime | None
    registration_unsettled: bool
    registration_failure: str | None
    scaling_failure: str | None
    calculation_failure: str | None
    destruction_failure: str | None
    start_failures: int
    scale_out_not_before: datetime | None
    scaling_policy: Json[ScalingPolicy]
    scaling_pause: Pause
    override: Json[OverrideRow] | None
    conditions: Json[tuple[ConditionRow, ...]]
    scaling_conditions: Json[tuple[ScalingConditionRow, ...]]
    created_at: datetime
    updated_at: datetime
    last_scaled_at: datetime | None
    version: int


def find_deployments(
    connection: Connection,
    *,
    lifecycle: Collection[Lifecycle] = (),
    destroyed: bool = False,
    name: str | None = None,
    resource_group: str | None = None,
    domain: str | None = None,
    project: UUID | None = None,
    owner: UUID | None = None,
    limit: int = DEFAULT_LIMIT,
) -> list[DeploymentRow]:
    """Deployments by name, at most ``limit``; destroyed ones only with ``destroyed`` or named in ``lifecycle``."""
    table = DEPLOYMENTS.c
    query = select(DEPLOYMENTS).order_by(table.name, table.id).limit(limit)
    if lifecycle:
        query = query.where(table.lifecycle.in_([each.value for each in lifecycle]))
    elif not destroyed:
        query = query.where(table.lifecycle != Lifecycle.DESTROYED.value)
    wanted = {"name": name, "resource_group": resource_group, "domain": domain, "project": project, "owner": owner}
    for column, value in wanted.items():
        if value is not None:
            query = query.where(DEPLOYMENTS.c[column] == str(value))
    return fetch(connection, query, DeploymentRow)


def count_by_lifecycle(connection: Connection) -> dict[Lifecycle, int]:
    """How many deployments there are in each part of their life; parts without any are absent."""
    query = select(DEPLOYMENTS.c.lifecycle, func.count()).group_by(DEPLOYMENTS.c.lifecycle)
    return {Lifecycle(lifecycle): number for lifecycle, number in connection.execute(query)}


def resolve_deployment(connection: Connection, reference: str) -> DeploymentRow:
    """Find the one deployment with this id, this name, or an id that begins like this, in that order.

    Among several of one name, one that is not destroyed is meant. Raises :class:`UnknownDeployment` or
    :class:`AmbiguousDeployment`.
    """
    named = _matching(connection, DEPLOYMENTS.c.name == reference)
    alive = [row for row in named if row.lifecycle is not Lifecycle.DESTROYED]
    for candidates in (_with_id(connection, reference), alive or named, _with_id_prefix(connection, reference)):
        if len(candidates) > 1:
            raise AmbiguousDeployment(reference, [row.id for row in candidates])
        if candidates:
            return candidates[0]
    raise UnknownDeployment(reference)


def find_candidates(connection: Connection, reference: str, *, limit: int) -> list[UUID]:
    """At most ``limit`` deployments that :func:`resolve_deployment` could mean by a reference, at any time."""
    named = _matching(connection, DEPLOYMENTS.c.name == reference, limit=limit)
    rows = [*named, *_with_id_prefix(connection, reference, limit=limit)]
    return list(dict.fromkeys(row.id for row in rows))[:limit]


def _with_id(connection: Connection, reference: str) -> Sequence[DeploymentRow]:
    try:
        deployment_id = UUID(reference)
    except ValueError:
        return ()
    return _matching(connection, DEPLOYMENTS.c.id == str(deployment_id))


def _with_id_prefix(connection: Connection, reference: str, *, limit: int = 10) -> Sequence[DeploymentRow]:
    prefix = reference.lower()
    if not prefix or not set(prefix) <= set("0123456789abcdef-"):
        return ()
    # A range, because LIKE uses the index on neither database; "g" comes after all that ids are made of.
    return _matching(connection, and_(DEPLOYMENTS.c.id >= prefix, DEPLOYMENTS.c.id < prefix + "g"), limit=limit)


def _matching(connection: Connection, condition: ColumnElement[bool], *, limit: int = 10) -> Sequence[DeploymentRow]:
    query = select(DEPLOYMENTS).where(condition).order_by(DEPLOYMENTS.c.lifecycle, DEPLOYMENTS.c.id).limit(limit)
    return fetch(connection, query, DeploymentRow)
