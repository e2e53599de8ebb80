"""Which event may happen where in a deployment's life, as a table; what decides and folds does not depend on it.

It says once more, and independently of the code that decides, what histories there can be: whoever verifies a log holds
it against this.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from domain import events as e
from domain.deployment import Lifecycle

_PENDING, _SCALING, _READY = Lifecycle.PENDING, Lifecycle.SCALING, Lifecycle.READY
_DESTROYING, _DESTROYED = Lifecycle.DESTROYING, Lifecycle.DESTROYED

_ALIVE: Final = frozenset({_PENDING, _SCALING, _READY})
_NOT_OVER: Final = _ALIVE | {_DESTROYING}

#: Where each event may happen; ``None``: before there is a deployment.
ALLOWED: Final[Mapping[type[e.DeploymentEvent], frozenset[Lifecycle | None]]] = MappingProxyType(
    {
        e.DeploymentCreated: frozenset({None}),
        e.TargetRevisionSet: _ALIVE,
        e.ReplicaCountSet: _ALIVE,
        e.ScalingPolicySet: _ALIVE,
        e.ScalingPauseSet: _ALIVE,
        e.ReplicasOverridden: _ALIVE,
        e.ReplicaOverrideExpired: _ALIVE,
        e.EndpointRegistrationStarted: _ALIVE,
        e.EndpointRegistered: _NOT_OVER,
        e.EndpointRegistrationFailed: _NOT_OVER,
        e.EndpointDoubted: _NOT_OVER,
        e.DesiredReplicasCalculated: _ALIVE,
        e.DesiredReplicasCalculationFailed: _NOT_OVER,
        e.ScaledOut: frozenset({_SCALING, _READY}),
        e.ScalingFailed: _NOT_OVER,
        e.RoutesTerminating: frozenset({_SCALING, _READY, _DESTROYING}),
        e.RouteStatusReported: _NOT_OVER,
        e.ReplicaCountMismatched: frozenset({_READY}),
        e.DeploymentReady: frozenset({_SCALING}),
        e.DestructionRequested: _NOT_OVER,
        e.EndpointUnregistered: frozenset({_DESTROYING}),
        e.EndpointUnregistrationFailed: _NOT_OVER,
        e.EndpointAbandoned: frozenset({_DESTROYING}),
        e.DeploymentDestroyed: frozenset({_DESTROYING}),
        e.CommandHadNoEffect: _NOT_OVER,
    }
)

#: Where an event leads that leads somewhere; none leads out of an end that has begun but the last one.
_LEADS_TO: Final[Mapping[type[e.DeploymentEvent], Lifecycle]] = MappingProxyType(
    {
        e.DeploymentCreated: _PENDING,
        e.ScaledOut: _SCALING,
        e.RoutesTerminating: _SCALING,
        e.ReplicaCountMismatched: _SCALING,
        e.DeploymentReady: _READY,
        e.DestructionRequested: _DESTROYING,
        e.DeploymentDestroyed: _DESTROYED,
    }
)


def may_happen(before: Lifecycle | None, event: e.DeploymentEvent) -> bool:
    """Whether an event may happen to a deployment that stands there."""
    return before in ALLOWED[type(event)]


def lifecycle_after(before: Lifecycle | None, event: e.DeploymentEvent) -> Lifecycle | None:
    """Where a deployment stands after an event, also after one that may not happen."""
    if isinstance(event, e.EndpointRegistered):
        return _SCALING if before is _PENDING else before
    leads_to = _LEADS_TO.get(type(event), before)
    ending = before is not None and before.is_ending
    return before if ending and leads_to is not _DESTROYED else leads_to
