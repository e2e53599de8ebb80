"""Commands as anybody might send them, at any moment, for the property-based tests."""

from datetime import datetime, timedelta
from uuid import UUID

from hypothesis import strategies as st

from domain import commands as c
from domain.autoscaling.decision import DecisionReason, ScalingDecision
from domain.autoscaling.rules import ScalingPolicy
from domain.routes import RouteStatus
from tests.domain.histories import BUSY, CREATE, DEPLOYMENT, OTHER_REVISION, REVISION, URL, evaluation_of

COUNTS = st.integers(min_value=0, max_value=5)
ROUTE_IDS = st.integers(min_value=1, max_value=12).map(lambda number: UUID(int=number))

POLICIES = st.builds(ScalingPolicy, rules=st.sampled_from([(), (BUSY,)]), min_replicas=COUNTS, max_replicas=COUNTS)
FAIR_POLICIES = POLICIES.filter(lambda policy: policy.min_replicas <= policy.max_replicas)


def _creation(**content: object) -> c.CreateDeployment:
    return CREATE.model_copy(update=content)


CREATIONS = st.builds(
    _creation,
    replica_count=COUNTS,
    target_revision=st.sampled_from([None, REVISION]),
    scaling_policy=st.none() | FAIR_POLICIES,
)


def external(now: datetime) -> st.SearchStrategy[c.AnyCommand]:
    """What people and programs may ask for."""
    until = st.none() | st.integers(min_value=-1, max_value=900).map(lambda seconds: now + timedelta(seconds=seconds))
    mine = st.just(DEPLOYMENT)
    return st.one_of(
        CREATIONS,
        st.builds(c.SetTargetRevision, deployment_id=mine, revision=st.sampled_from([REVISION, OTHER_REVISION])),
        st.builds(c.SetReplicaCount, deployment_id=mine, replica_count=COUNTS),
        st.builds(c.SetScalingPolicy, deployment_id=mine, policy=POLICIES),
        st.builds(c.OverrideReplicas, deployment_id=mine, replica_count=COUNTS, until=until),
        st.builds(c.DestroyDeployment, deployment_id=mine, force=st.booleans()),
        st.builds(
            c.ReportRoutes,
            deployment_id=mine,
            reports=st.lists(
                st.builds(c.RouteReport, route_id=ROUTE_IDS, status=st.sampled_from(RouteStatus)),
                min_size=1,
                max_size=4,
            ).map(tuple),
        ),
    )


def _decision(previous: int, desired: int, *, by_rule: bool) -> ScalingDecision:
    evaluation = evaluation_of(BUSY, desired) if by_rule else None
    reason = DecisionReason.RULE if by_rule else DecisionReason.MANUAL
    return ScalingDecision(previous=previous, desired=desired, reason=reason, evaluation=evaluation)


def out_of_date(now: datetime) -> st.SearchStrategy[c.AnyCommand]:
    """What an executor may come back with that looked at the deployment some time ago."""
    mine = st.just(DEPLOYMENT)
    return st.one_of(
        st.builds(
            c.ScaleOut,
            deployment_id=mine,
            count=st.integers(min_value=1, max_value=4),
            revision_id=st.just(REVISION.revision_id),
        ),
        st.builds(c.TerminateRoutes, deployment_id=mine, route_ids=st.frozensets(ROUTE_IDS, max_size=4)),
        st.builds(c.EvictRoutes, deployment_id=mine, unhealthy_since=st.just(now)),
        st.builds(
            c.RecordDesiredReplicas,
            deployment_id=mine,
            decision=st.builds(_decision, COUNTS, COUNTS, by_rule=st.booleans()),
        ),
        st.builds(c.RecordReplicaCountMismatch, deployment_id=mine, expected=COUNTS, actual=COUNTS),
        st.builds(c.RecordReady, deployment_id=mine),
        st.builds(c.ExpireReplicaOverride, deployment_id=mine),
    )


#: An endpoint's URL as the proxy answers.
REGISTERED = c.RecordEndpointRegistered(deployment_id=DEPLOYMENT, url=URL)
