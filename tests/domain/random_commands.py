"""Commands as anybody might send them, at any moment, for the property-based tests."""

from datetime import datetime, timedelta
from uuid import UUID

from hypothesis import strategies as st

from domain import commands as c
from domain.autoscaling.decision import DecisionReason, ScalingDecision
from domain.autoscaling.rules import Pause, ScalingPolicy
from domain.routes import RouteStatus
from tests.domain.histories import BUSY, CREATE, DEPLOYMENT, OTHER_REVISION, REVISION, URL, evaluation_of
from tests.domain.scenario import NOW, after

_COUNTS = st.integers(min_value=0, max_value=5)
_ROUTE_IDS = st.integers(min_value=1, max_value=12).map(lambda number: UUID(int=number))
_MINE = st.just(DEPLOYMENT)

_POLICIES = st.builds(ScalingPolicy, rules=st.sampled_from([(), (BUSY,)]), min_replicas=_COUNTS, max_replicas=_COUNTS)
_FAIR_POLICIES = _POLICIES.filter(lambda policy: policy.min_replicas <= policy.max_replicas)


def _creation(**content: object) -> c.CreateDeployment:
    return CREATE.model_copy(update=content)


CREATIONS = st.builds(
    _creation,
    replica_count=_COUNTS,
    target_revision=st.sampled_from([REVISION, REVISION, REVISION, None]),
    scaling_policy=st.none() | _FAIR_POLICIES,
)

#: What people and programs may ask for, short of destruction.
EXTERNAL: st.SearchStrategy[c.AnyCommand] = st.one_of(
    CREATIONS,
    st.builds(c.SetTargetRevision, deployment_id=_MINE, revision=st.sampled_from([REVISION, OTHER_REVISION])),
    st.builds(c.SetReplicaCount, deployment_id=_MINE, replica_count=_COUNTS),
    st.builds(c.SetScalingPolicy, deployment_id=_MINE, policy=_POLICIES),
    st.builds(c.PauseScaling, deployment_id=_MINE, pause=st.sampled_from(Pause)),
    st.builds(
        c.OverrideReplicas,
        deployment_id=_MINE,
        replica_count=_COUNTS,
        until=st.none() | st.integers(min_value=-1, max_value=900).map(after),
    ),
    st.builds(
        c.ReportRoutes,
        deployment_id=_MINE,
        reports=st.lists(
            st.builds(c.RouteReport, route_id=_ROUTE_IDS, status=st.sampled_from(RouteStatus)), min_size=1, max_size=4
        ).map(tuple),
    ),
)

#: The end of a deployment.
DESTRUCTIONS = st.builds(c.DestroyDeployment, deployment_id=_MINE, force=st.booleans())


def _decision(previous: int, desired: int, *, by_rule: bool) -> ScalingDecision:
    evaluation = evaluation_of(BUSY, desired) if by_rule else None
    reason = DecisionReason.RULE if by_rule else DecisionReason.MANUAL
    return ScalingDecision(previous=previous, desired=desired, reason=reason, evaluation=evaluation)


#: What an executor may come back with that looked at the deployment some time ago.
OUT_OF_DATE: st.SearchStrategy[c.AnyCommand] = st.one_of(
    st.builds(
        c.ScaleOut,
        deployment_id=_MINE,
        count=st.integers(min_value=1, max_value=4),
        revision_id=st.just(REVISION.revision_id),
    ),
    st.builds(c.TerminateRoutes, deployment_id=_MINE, route_ids=st.frozensets(_ROUTE_IDS, max_size=4)),
    st.builds(c.EvictRoutes, deployment_id=_MINE, unhealthy_since=st.just(NOW)),
    st.builds(
        c.RecordDesiredReplicas,
        deployment_id=_MINE,
        decision=st.builds(_decision, _COUNTS, _COUNTS, by_rule=st.booleans()),
    ),
    st.builds(c.RecordReplicaCountMismatch, deployment_id=_MINE, expected=_COUNTS, actual=_COUNTS),
    st.builds(c.RecordReady, deployment_id=_MINE),
    st.builds(c.ExpireReplicaOverride, deployment_id=_MINE),
)

#: An endpoint's URL as the proxy answers.
REGISTERED = c.RecordEndpointRegistered(deployment_id=DEPLOYMENT, url=URL)


def sent_at(command: c.AnyCommand, now: datetime) -> c.AnyCommand:
    """The command as it would be if it were sent at ``now`` instead of at :data:`NOW`."""
    later: timedelta = now - NOW
    match command:
        case c.OverrideReplicas(until=datetime() as until):
            return command.model_copy(update={"until": until + later})
        case c.EvictRoutes():
            return command.model_copy(update={"unhealthy_since": command.unhealthy_since + later})
        case _:
            return command
