"""Beginning a deployment, saying what it runs, and whether its replicas are as many as they should be."""

from collections.abc import Sequence
from datetime import datetime
from hashlib import sha256

from domain import commands as c
from domain import events as e
from domain.deciding import replicas
from domain.deployment import Deployment, Lifecycle
from domain.errors import CommandRejected, RejectionCode


def create(state: Deployment | None, command: c.CreateDeployment, now: datetime) -> Sequence[e.DeploymentEvent]:
    """Begin the deployment; the same content again has no effect, other content is rejected."""
    # Without defaults, so that a field which is added later leaves the digests of older commands as they are.
    digest = sha256(command.model_dump_json(exclude_defaults=True).encode()).hexdigest()
    if state is not None:
        return _create_again(state, digest, now)
    replicas.check_policy(command.scaling_policy, field="scaling_policy")
    created = e.DeploymentCreated(
        at=now,
        deployment_id=command.deployment_id,
        deployment_name=command.name,
        resource_group=command.resource_group,
        domain=command.domain,
        project=command.project,
        owner=command.owner,
        open_to_public=command.open_to_public,
        replica_count=command.replica_count,
        digest=digest,
    )
    events: list[e.DeploymentEvent] = [created]
    if command.target_revision is not None:
        events.append(e.TargetRevisionSet(at=now, revision=command.target_revision))
    if command.scaling_policy is not None:
        events.append(e.ScalingPolicySet(at=now, policy=command.scaling_policy))
        events += replicas.clamped(command.replica_count, command.scaling_policy, now)
    return events


def _create_again(state: Deployment, digest: str, now: datetime) -> Sequence[e.DeploymentEvent]:
    if state.lifecycle is Lifecycle.DESTROYED:
        message = f"deployment {state.id} is destroyed, and ids are not used again"
        raise CommandRejected(RejectionCode.DESTROYED, message, field="deployment_id", value=str(state.id))
    if state.digest != digest:
        message = f"deployment {state.id} exists already with other content"
        raise CommandRejected(RejectionCode.ALREADY_EXISTS, message, field="deployment_id", value=str(state.id))
    return [e.CommandHadNoEffect(at=now, command="create", reason="the deployment exists with the same content")]


def set_target_revision(state: Deployment, command: c.SetTargetRevision, now: datetime) -> Sequence[e.DeploymentEvent]:
    """Accept the first revision; a later, different one needs rollouts."""
    if state.target_revision is None:
        return [e.TargetRevisionSet(at=now, revision=command.revision)]
    if state.target_revision == command.revision:
        reason = "the target revision is this one already"
        return [e.CommandHadNoEffect(at=now, command="set-target-revision", reason=reason)]
    message = f"deployment {state.id} runs revision {state.target_revision.revision_id}; rollouts are not supported yet"
    raise CommandRejected(
        RejectionCode.ROLLOUT_NOT_SUPPORTED,
        message,
        field="revision.revision_id",
        value=str(command.revision.revision_id),
    )


def mismatched(state: Deployment, now: datetime) -> Sequence[e.DeploymentEvent]:
    """Note that there is something to scale, in numbers as they are now, unless that is known or no longer true."""
    if state.lifecycle is not Lifecycle.READY or state.active_count == state.target_replica_count:
        return []
    return [e.ReplicaCountMismatched(at=now, expected=state.target_replica_count, actual=state.active_count)]


def ready(state: Deployment, now: datetime) -> Sequence[e.DeploymentEvent]:
    """Note that the replicas are as many as they should be, unless that is known or no longer true."""
    if state.lifecycle is not Lifecycle.SCALING or state.active_count != state.target_replica_count:
        return []
    return [e.DeploymentReady(at=now, replicas=state.active_count)]
