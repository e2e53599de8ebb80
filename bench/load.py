"""The work that is measured: running deployments, and commands that set their numbers of replicas."""

from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from itertools import islice
from uuid import UUID, uuid4

from adapters.kafka.encoding import EncodedRecord, encode_command
from adapters.kafka.partitioner import partition_hash
from domain import commands as c
from domain import events as e
from domain.autoscaling.rules import ScalingPolicy
from domain.chunks import chunks
from domain.recorded import OperationCause, RecordedEvent
from domain.revision import Revision
from domain.routes import RouteStatus
from handlers.ports import DueWork, EventLog, LogBatch

#: When everything began: long enough ago for no moment of it to matter, and not so long that endpoints are asserted.
BEGUN = datetime.now(UTC)

RESOURCE_GROUP = "bench"

_CAUSE = OperationCause(operation="bench")
REVISION = Revision(revision_id=UUID(int=1), image="image:1", model="llama")
_EVENTS_AT_ONCE = 20_000


def new_ids(count: int) -> list[UUID]:
    """Ids of deployments."""
    return [uuid4() for _ in range(count)]


def replica_commands(ids: Sequence[UUID], count: int, *, above: int = 2) -> list[EncodedRecord]:
    """So many commands, one after the other for each deployment in turn; every one of them changes something."""
    return _records(
        c.SetReplicaCount(deployment_id=ids[number % len(ids)], replica_count=above + 1 + number // len(ids) % 2)
        for number in range(count)
    )


def policy_commands(ids: Sequence[UUID], count: int, *, source: str = "/bench") -> list[EncodedRecord]:
    """The same, but nothing is to be done after a command."""
    policies = [ScalingPolicy(max_replicas=20_000 + number) for number in range(2)]
    return _records(
        (
            c.SetScalingPolicy(deployment_id=ids[number % len(ids)], policy=policies[number // len(ids) % 2])
            for number in range(count)
        ),
        source,
    )


def _records(commands: Iterable[c.SetReplicaCount | c.SetScalingPolicy], source: str = "/bench") -> list[EncodedRecord]:
    numbered = enumerate(commands)
    return [encode_command(each, source=source, id=f"{number}", actor="mina", time=BEGUN) for number, each in numbered]


def creation(key: UUID) -> c.CreateDeployment:
    """The command that begins a deployment of two replicas which is due at once."""
    return c.CreateDeployment(
        deployment_id=key,
        name=f"deployment-{key}",
        resource_group=RESOURCE_GROUP,
        domain="bench",
        project=key,
        owner=key,
        replica_count=2,
        target_revision=REVISION,
    )


async def write_running(log: EventLog, ids: Sequence[UUID], *, routes: int) -> None:
    """Have deployments in the log that run, each with so many healthy routes."""
    events = (recorded for key in ids for recorded in _life(key, routes))
    while some := list(islice(events, _EVENTS_AT_ONCE)):
        begun = {recorded.stream_id for recorded in some if recorded.version == 1}
        await log.append(LogBatch(events=some, due=[_due(key) for key in begun]))


def _due(key: UUID) -> DueWork:
    """Its endpoint is to be asserted again, some day."""
    later = BEGUN + timedelta(days=1)
    return DueWork(deployment_id=key, hash=partition_hash(key), due_at=later, version=1)


def _life(key: UUID, routes: int) -> Iterator[RecordedEvent]:
    for number, event in enumerate(_events(key, routes), start=1):
        yield RecordedEvent(key, number, _CAUSE, event)


def _events(key: UUID, routes: int) -> Iterator[e.DeploymentEvent]:
    yield e.DeploymentCreated(
        at=BEGUN,
        deployment_id=key,
        deployment_name=f"deployment-{key}",
        resource_group=RESOURCE_GROUP,
        domain="bench",
        project=REVISION.revision_id,
        owner=REVISION.revision_id,
        open_to_public=False,
        replica_count=routes,
        digest="",
    )
    yield e.TargetRevisionSet(at=BEGUN, revision=REVISION)
    yield e.EndpointRegistered(at=BEGUN, url=f"http://proxy/{key}")
    for some in chunks([UUID(int=key.int ^ number) for number in range(1, routes + 1)], c.MAX_ROUTES_PER_MESSAGE):
        yield e.ScaledOut(at=BEGUN, route_ids=tuple(some), revision_id=REVISION.revision_id, traffic_ratio=1.0)
        changes = tuple(
            e.RouteStatusChange(route_id=each, previous=RouteStatus.PROVISIONING, status=RouteStatus.HEALTHY)
            for each in some
        )
        yield e.RouteStatusReported(at=BEGUN, changes=changes, start_failures=0, scale_out_not_before=None)
    yield e.DeploymentReady(at=BEGUN, replicas=routes)
