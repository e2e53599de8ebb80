"""What the demonstration shows, act by act: something is sent through Kafka, and a state is to be reached."""

import json
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from uuid import UUID, uuid4

from domain import commands as c
from domain.autoscaling.rules import Comparator, MetricSource, ScalingPolicy, StepRule
from domain.deployment import Lifecycle
from domain.revision import HealthCheck, Revision
from projections.routes import RouteRow
from service.demo.audience import Audience
from service.demo.reference_proxy_faults import Faults, WorkerState
from service.demo.stage import RESOURCE_GROUP, Stage


@dataclass(frozen=True, slots=True, kw_only=True)
class Play:
    """The stage, who watches it, and the deployments that the acts are about."""

    stage: Stage
    audience: Audience
    chat: UUID = field(default_factory=uuid4)
    search: UUID = field(default_factory=uuid4)

    async def until_healthy(self, deployment_id: UUID, count: int) -> None:
        """Wait until the deployment is ready with ``count`` replicas, all of them healthy."""
        await self.audience.until(
            deployment_id,
            lambda d: (
                (d.lifecycle, d.target_replica_count, d.active_replicas, d.healthy_replicas)
                == (Lifecycle.READY, count, count, count)
            ),
        )

    async def routes(self, deployment_id: UUID) -> Sequence[RouteRow]:
        """The routes that count as replicas."""
        return [route for route in await self.audience.routes(deployment_id) if route.status.is_active]


@dataclass(frozen=True, slots=True)
class Act:
    """A title, what is played, and the commands whose answers are shown at the end."""

    title: str
    play: Callable[[Play], Awaitable[None]]
    shows: Sequence[str]


async def create(play: Play) -> None:
    """Two replicas and an endpoint at the proxy."""
    await play.stage.client.command(_deployment(play.chat, "chat", replicas=2))
    await play.until_healthy(play.chat, 2)


async def scale(play: Play) -> None:
    """Out to five, then in to three: the newest healthy routes go first."""
    for count in (5, 3):
        await play.stage.client.command(c.SetReplicaCount(deployment_id=play.chat, replica_count=count))
        await play.until_healthy(play.chat, count)


async def autoscale(play: Play) -> None:
    """A rule adds two replicas when the mean queue is longer than ten."""
    rule = StepRule(
        name="queue",
        source=MetricSource.KERNEL,
        metric="queue_length",
        comparator=Comparator.GREATER_THAN,
        threshold=10,
        step=2,
        cooldown_seconds=60,
        max_replicas=6,
    )
    policy = ScalingPolicy(rules=(rule,), min_replicas=1, max_replicas=8)
    await play.stage.client.command(c.SetScalingPolicy(deployment_id=play.chat, policy=policy))
    await play.audience.until(play.chat, lambda d: bool(d.scaling_policy.rules))
    loads = {route.id: 12.0 + number for number, route in enumerate(await play.routes(play.chat))}
    await play.stage.client.samples(play.chat, "queue_length", loads)
    await play.until_healthy(play.chat, 5)


async def refuse(play: Play) -> None:
    """What cannot be understood or applied is recorded with its reason, and the partition goes on."""
    before = len(await play.audience.rejected())
    key = str(play.chat).encode()
    await play.stage.client.raw(key, b"{not json")
    await play.stage.client.raw(b"not-a-uuid", _command(play.chat, replica_count=3))
    await play.stage.client.raw(key, _command(play.chat, replica_count=-1))
    await play.stage.client.command(c.SetReplicaCount(deployment_id=uuid4(), replica_count=3))
    await play.audience.until_rejected(before + 4)


async def lose_proxy(play: Play) -> None:
    """The proxy answers 503 for a while; the registration is tried again until it is back."""
    play.stage.proxy.faults.set(Faults(worker=WorkerState.LOST))
    await play.stage.client.command(_deployment(play.search, "search", replicas=1))
    await play.audience.until(play.search, lambda d: d.registration_failure is not None)
    play.stage.proxy.faults.set(Faults())
    await play.until_healthy(play.search, 1)


async def kill_worker(play: Play) -> None:
    """A command that arrives while no worker is up is carried out by the next one."""
    play.stage.worker.kill()
    await play.stage.client.command(c.OverrideReplicas(deployment_id=play.search, replica_count=2))
    await play.until_healthy(play.search, 2)


async def destroy(play: Play) -> None:
    """Routes and endpoints are taken down; nothing is left at the proxy."""
    for deployment_id in (play.chat, play.search):
        await play.stage.client.command(c.DestroyDeployment(deployment_id=deployment_id))
    for deployment_id in (play.chat, play.search):
        await play.audience.until(deployment_id, lambda d: d.lifecycle is Lifecycle.DESTROYED)
        left = [r for r in await play.audience.routes(deployment_id) if not r.status.is_terminal]
        if left or play.stage.proxy.circuits.get(deployment_id):
            raise AssertionError(f"deployment {deployment_id} is destroyed, but something of it is left")


#: The acts in their order; ``{chat}`` and ``{search}`` stand for the deployments.
ACTS: Sequence[Act] = (
    Act(
        "A deployment is created; it gets an endpoint and two replicas",
        create,
        ("get deployments", "get routes --deployment {chat}"),
    ),
    Act(
        "It is scaled out to five replicas, then in to three",
        scale,
        ("get deployments", "get replicas {chat}"),
    ),
    Act(
        "A scaling rule sees long queues and adds two replicas",
        autoscale,
        ("describe deployment {chat}",),
    ),
    Act("Records that cannot be understood or applied are refused, with the reason", refuse, ("rejected --limit 4",)),
    Act(
        "The proxy is out of order while a second deployment begins",
        lose_proxy,
        ("get deployments", "history {search}"),
    ),
    Act("The worker is killed, and a command arrives meanwhile", kill_worker, ("get routes --deployment {search}",)),
    Act(
        "Both deployments are destroyed; nothing is left at the proxy",
        destroy,
        ("get deployments --lifecycle destroyed", "history {chat}"),
    ),
)


def _command(deployment_id: UUID, *, replica_count: int) -> bytes:
    """A record as a careless producer could write it."""
    attributes = {"specversion": "1.0", "id": str(uuid4()), "source": "/careless"}
    data = {"deployment_id": str(deployment_id), "replica_count": replica_count}
    kind = "routekeeper.deployment.set-replica-count.v1"
    return json.dumps({**attributes, "type": kind, "data": data}).encode()


def _deployment(deployment_id: UUID, name: str, *, replicas: int) -> c.CreateDeployment:
    revision = Revision(
        revision_id=uuid4(), image="registry.example/llm:7", model=f"{name}-7b", health_check=HealthCheck()
    )
    return c.CreateDeployment(
        deployment_id=deployment_id,
        name=name,
        resource_group=RESOURCE_GROUP,
        domain="demo",
        project=uuid4(),
        owner=uuid4(),
        replica_count=replicas,
        target_revision=revision,
    )
