"""Read model: what holds for more than one deployment: pauses that stand, and incarnations of the log."""

from collections.abc import Iterable
from datetime import datetime
from typing import Final
from uuid import UUID

from sqlalchemy import Column, Connection, Integer, Table, select

from domain.conditions import ConditionStatus, ConditionType
from domain.incarnations import IncarnationBegun
from domain.pauses import EffectsPaused, EffectsResumed, Everything, ResourceGroup, Scope, SingleDeployment
from domain.recorded import LoggedEvent
from projections.columns import count, instant, word
from projections.deployments import ConditionRow, DeploymentRow
from projections.querying import ViewRow, fetch
from projections.rows import Key, Rows
from projections.view import METADATA, View

PAUSES = Table(
    "pauses",
    METADATA,
    word("scope", key=True),
    # The resource group or the deployment's id; empty where everything is meant.
    word("target", key=True),
    instant("since"),
    word("actor"),
    word("reason"),
)
INCARNATIONS = Table(
    "incarnations",
    METADATA,
    Column("incarnation", Integer, primary_key=True, autoincrement=False),
    instant("at"),
    count("after_position"),
    word("actor"),
)

_EVERYTHING: Final = Everything().kind


class PauseRow(ViewRow):
    """A pause that stands; ``target`` is the resource group or the deployment's id, empty for everything."""

    scope: str
    target: str
    since: datetime
    actor: str
    reason: str

    @property
    def in_words(self) -> str:
        """Who paused what, and why."""
        what = self.scope if self.scope == _EVERYTHING else f"{self.scope} {self.target}"
        by = f"{what} paused by {self.actor or 'somebody unnamed'}"
        return f"{by}: {self.reason}" if self.reason else by


def _key(scope: Scope) -> tuple[str, str]:
    match scope:
        case Everything():
            return scope.kind, ""
        case ResourceGroup():
            return scope.kind, scope.resource_group
        case SingleDeployment():
            return scope.kind, str(scope.deployment_id)


def _fold(rows: Rows, logged: LoggedEvent) -> None:
    match event := logged.recorded.event:
        case EffectsPaused():
            scope, target = _key(event.scope)
            row = {"scope": scope, "target": target, "since": event.at, "actor": event.actor, "reason": event.reason}
            rows.of(PAUSES).put(row)
        case EffectsResumed():
            rows.of(PAUSES).delete(_key(event.scope))
        case IncarnationBegun():
            row = {"incarnation": event.incarnation, "at": event.at, "actor": event.actor}
            rows.of(INCARNATIONS).append(row | {"after_position": event.after_position})
        case _:
            return


def _keys(logged: LoggedEvent) -> Iterable[tuple[Table, Key]]:
    event = logged.recorded.event
    return [(PAUSES, _key(event.scope))] if isinstance(event, EffectsPaused | EffectsResumed) else ()


CONTROL_VIEW = View(
    name="control",
    version=1,
    tables=(PAUSES, INCARNATIONS),
    handles=frozenset({EffectsPaused, EffectsResumed, IncarnationBegun}),
    fold=_fold,
    keys=_keys,
)


def find_pauses(connection: Connection) -> list[PauseRow]:
    """All pauses that stand, the longest standing first."""
    return fetch(connection, select(PAUSES).order_by(PAUSES.c.since, PAUSES.c.scope, PAUSES.c.target), PauseRow)


def with_pauses(connection: Connection, deployments: list[DeploymentRow]) -> list[DeploymentRow]:
    """The deployments with a condition that says whether their effects are paused, by whom and why."""
    pauses = find_pauses(connection)
    return [_with_condition(row, _over(row, pauses)) for row in deployments]


def _over(row: DeploymentRow, pauses: Iterable[PauseRow]) -> list[PauseRow]:
    scopes = {
        _key(Everything()),
        _key(ResourceGroup(resource_group=row.resource_group)),
        _key(SingleDeployment(deployment_id=UUID(str(row.id)))),
    }
    return [pause for pause in pauses if (pause.scope, pause.target) in scopes]


def _with_condition(row: DeploymentRow, pauses: list[PauseRow]) -> DeploymentRow:
    if not pauses:
        return row
    condition = ConditionRow(
        type=ConditionType.PAUSED,
        status=ConditionStatus.TRUE,
        reason="EffectsPaused",
        message="; ".join(pause.in_words for pause in pauses),
        last_transition_time=pauses[0].since,
    )
    return row.model_copy(update={"conditions": (*row.conditions, condition)})
