"""The lifecycle as a table: what each command leads to in each state, in one word that :data:`MEANING` explains."""

from datetime import timedelta
from typing import Final

from domain import commands as c
from domain import events as e
from domain.autoscaling.decision import DecisionReason, ScalingDecision
from domain.autoscaling.rules import Pause, ScalingPolicy
from domain.errors import RejectionCode
from domain.operations import Operation
from domain.routes import RouteStatus
from tests.domain import histories as h
from tests.domain.scenario import NOW, after

#: The columns: what has happened before. Two routes are wanted; ``matched`` and ``ready`` have them, ``short`` has one.
STATES: Final[dict[str, h.History]] = {
    "absent": (),
    "pending": h.PENDING,
    "revised": h.PENDING_WITH_REVISION,
    "scaling": h.SCALING,
    "matched": h.SCALING_MATCHED,
    "ready": h.READY,
    "short": h.READY_SHORT,
    "destroying": h.DESTROYING,
    "unregistered": h.DESTROYING_UNREGISTERED,
    "destroyed": h.DESTROYED,
}

#: The rows: what arrives.
COMMANDS: Final[dict[str, c.AnyCommand]] = {
    "create": h.CREATE,
    "create-other-content": h.CREATE.model_copy(update={"name": "another"}),
    "set-revision": c.SetTargetRevision(deployment_id=h.DEPLOYMENT, revision=h.REVISION),
    "set-other-revision": c.SetTargetRevision(deployment_id=h.DEPLOYMENT, revision=h.OTHER_REVISION),
    "set-count": c.SetReplicaCount(deployment_id=h.DEPLOYMENT, replica_count=3),
    "set-same-count": c.SetReplicaCount(deployment_id=h.DEPLOYMENT, replica_count=2),
    "set-policy": c.SetScalingPolicy(deployment_id=h.DEPLOYMENT, policy=h.POLICY),
    "set-policy-min-above-max": c.SetScalingPolicy(
        deployment_id=h.DEPLOYMENT, policy=ScalingPolicy(min_replicas=3, max_replicas=1)
    ),
    "pause-scaling": c.PauseScaling(deployment_id=h.DEPLOYMENT, pause=Pause.SCALE_IN),
    "pause-scaling-as-it-is": c.PauseScaling(deployment_id=h.DEPLOYMENT, pause=Pause.NONE),
    "override": c.OverrideReplicas(deployment_id=h.DEPLOYMENT, replica_count=5, until=after(60)),
    "override-until-the-past": c.OverrideReplicas(deployment_id=h.DEPLOYMENT, replica_count=5, until=NOW),
    "destroy": c.DestroyDeployment(deployment_id=h.DEPLOYMENT),
    "destroy-with-force": c.DestroyDeployment(deployment_id=h.DEPLOYMENT, force=True),
    "report-route-terminated": c.ReportRoutes(
        deployment_id=h.DEPLOYMENT,
        reports=(c.RouteReport(route_id=h.route_id(1), status=RouteStatus.TERMINATED),),
    ),
    "report-route-healthy": c.ReportRoutes(
        deployment_id=h.DEPLOYMENT,
        reports=(c.RouteReport(route_id=h.route_id(1), status=RouteStatus.HEALTHY),),
    ),
    "start-registration": c.StartEndpointRegistration(
        deployment_id=h.DEPLOYMENT, deadline=after(20), settles_at=after(50)
    ),
    "doubt-endpoint": c.DoubtEndpoint(deployment_id=h.DEPLOYMENT, settles_at=NOW + timedelta(seconds=50)),
    "registered": c.RecordEndpointRegistered(deployment_id=h.DEPLOYMENT, url=h.URL),
    "unregistered": c.RecordEndpointUnregistered(deployment_id=h.DEPLOYMENT, sent_at=NOW),
    "registration-failed": h.failure_of(Operation.CHECK_PENDING),
    "calculation-failed": h.failure_of(Operation.CALCULATE),
    "check-failed": h.failure_of(Operation.CHECK_READY),
    "scaling-failed": h.failure_of(Operation.SCALE),
    "destruction-failed": h.failure_of(Operation.DESTROY),
    "eviction-failed": h.failure_of(Operation.EVICT),
    "scale-out-one": c.ScaleOut(deployment_id=h.DEPLOYMENT, count=1, revision_id=h.REVISION.revision_id),
    "scale-out-two": c.ScaleOut(deployment_id=h.DEPLOYMENT, count=2, revision_id=h.REVISION.revision_id),
    "terminate-route": c.TerminateRoutes(deployment_id=h.DEPLOYMENT, route_ids=frozenset({h.route_id(1)})),
    "evict": c.EvictRoutes(deployment_id=h.DEPLOYMENT, unhealthy_since=NOW - timedelta(minutes=5)),
    "desired-three": c.RecordDesiredReplicas(
        deployment_id=h.DEPLOYMENT,
        decision=ScalingDecision(previous=2, desired=3, reason=DecisionReason.MANUAL),
    ),
    "mismatch": c.RecordReplicaCountMismatch(deployment_id=h.DEPLOYMENT, expected=2, actual=1),
    "count-matches": c.RecordReady(deployment_id=h.DEPLOYMENT),
    "override-expired": c.ExpireReplicaOverride(deployment_id=h.DEPLOYMENT),
}

#: What a word in the table stands for: the types of the events, or the code of the rejection.
MEANING: Final[dict[str, tuple[type[e.DeploymentEvent], ...] | RejectionCode]] = {
    "-": (),
    "same": (e.CommandHadNoEffect,),
    "created": (e.DeploymentCreated,),
    "revision": (e.TargetRevisionSet,),
    "count": (e.ReplicaCountSet,),
    "policy": (e.ScalingPolicySet,),
    "pause": (e.ScalingPauseSet,),
    "held": (e.ReplicasOverridden,),
    "destroy": (e.DestructionRequested,),
    "gone": (e.DestructionRequested, e.DeploymentDestroyed),
    "noted": (e.RouteStatusReported,),
    "started": (e.EndpointRegistrationStarted,),
    "url": (e.EndpointRegistered,),
    "doubted": (e.EndpointDoubted,),
    "no-url": (e.EndpointUnregistered,),
    "reg-fail": (e.EndpointRegistrationFailed,),
    "calc-fail": (e.DesiredReplicasCalculationFailed,),
    "scale-fail": (e.ScalingFailed,),
    "dest-fail": (e.EndpointUnregistrationFailed,),
    "out": (e.ScaledOut,),
    "away": (e.RoutesTerminating,),
    "desired": (e.DesiredReplicasCalculated,),
    "differs": (e.ReplicaCountMismatched,),
    "ready": (e.DeploymentReady,),
    "!unknown": RejectionCode.UNKNOWN_DEPLOYMENT,
    "!exists": RejectionCode.ALREADY_EXISTS,
    "!rollout": RejectionCode.ROLLOUT_NOT_SUPPORTED,
    "!bounds": RejectionCode.INVALID_BOUNDS,
    "!until": RejectionCode.INVALID_UNTIL,
    "!changed": RejectionCode.CHANGED_MEANWHILE,
    "!ending": RejectionCode.BEING_DESTROYED,
    "!over": RejectionCode.DESTROYED,
}
TABLE: Final = """
                          absent    pending    revised    scaling    matched    ready      short      destroying  unregistered  destroyed
create                    created   same       same       same       same       same       same       same        same          !over
create-other-content      created   !exists    !exists    !exists    !exists    !exists    !exists    !exists     !exists       !over
set-revision              !unknown  revision   same       same       same       same       same       !ending     !ending       !over
set-other-revision        !unknown  revision   !rollout   !rollout   !rollout   !rollout   !rollout   !ending     !ending       !over
set-count                 !unknown  count      count      count      count      count      count      !ending     !ending       !over
set-same-count            !unknown  same       same       same       same       same       same       !ending     !ending       !over
set-policy                !unknown  policy     policy     policy     policy     policy     policy     !ending     !ending       !over
set-policy-min-above-max  !unknown  !bounds    !bounds    !bounds    !bounds    !bounds    !bounds    !ending     !ending       !over
pause-scaling             !unknown  pause      pause      pause      pause      pause      pause      !ending     !ending       !over
pause-scaling-as-it-is    !unknown  same       same       same       same       same       same       !ending     !ending       !over
override                  !unknown  held       held       held       held       held       held       !ending     !ending       !over
override-until-the-past   !unknown  !until     !until     !until     !until     !until     !until     !ending     !ending       !over
destroy                   !unknown  gone       gone       destroy    destroy    destroy    destroy    same        same          !over
destroy-with-force        !unknown  gone       gone       destroy    destroy    destroy    destroy    destroy     gone          !over
report-route-terminated   !unknown  -          -          -          noted      noted      noted      noted       noted         -
report-route-healthy      !unknown  -          -          -          noted      -          -          -           -             -
doubt-endpoint            !unknown  doubted    doubted    doubted    doubted    doubted    doubted    doubted     doubted       -
start-registration        !unknown  !changed   started    started    started    started    started    !ending     !ending       !over
registered                !unknown  url        url        url        url        url        url        url         url           !over
unregistered              !unknown  -          -          -          -          -          -          no-url      -             -
registration-failed       !unknown  reg-fail   reg-fail   reg-fail   reg-fail   reg-fail   reg-fail   reg-fail    reg-fail      -
calculation-failed        !unknown  calc-fail  calc-fail  calc-fail  calc-fail  calc-fail  calc-fail  calc-fail   calc-fail     -
check-failed              !unknown  scale-fail scale-fail scale-fail scale-fail scale-fail scale-fail scale-fail  scale-fail    -
scaling-failed            !unknown  scale-fail scale-fail scale-fail scale-fail scale-fail scale-fail scale-fail  scale-fail    -
destruction-failed        !unknown  dest-fail  dest-fail  dest-fail  dest-fail  dest-fail  dest-fail  dest-fail   dest-fail     -
eviction-failed           !unknown  -          -          -          -          -          -          -           -             -
scale-out-one             !unknown  !changed   !changed   out        !changed   !changed   out        !ending     !ending       !over
scale-out-two             !unknown  !changed   !changed   out        !changed   !changed   !changed   !ending     !ending       !over
terminate-route           !unknown  !changed   !changed   !changed   !changed   !changed   !changed   away        -             -
evict                     !unknown  -          -          -          -          -          -          !ending     !ending       !over
desired-three             !unknown  desired    desired    desired    desired    desired    desired    !ending     !ending       !over
mismatch                  !unknown  -          -          -          -          -          differs    !ending     !ending       !over
count-matches             !unknown  -          -          -          ready      -          -          !ending     !ending       !over
override-expired          !unknown  -          -          -          -          -          -          !ending     !ending       !over
"""  # noqa: E501 - a table that is cut in two is no table


def _rows() -> dict[tuple[str, str], str]:
    head, *rows = (line.split() for line in TABLE.strip().splitlines())
    return {(row[0], state): word for row in rows for state, word in zip(head, row[1:], strict=True)}


#: The word for each (command, state).
CELLS: Final = _rows()
