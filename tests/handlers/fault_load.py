"""What simulated people and a simulated runtime send: commands, some of them twice or elsewhere, reports and poison."""

import asyncio
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import count
from typing import Final
from uuid import UUID

from adapters.kafka.encoding import encode_command
from adapters.kafka.topics import Topics
from domain import commands as c
from domain.autoscaling.rules import ScalingPolicy
from domain.deployment import Deployment, Lifecycle
from domain.revision import Revision
from domain.routes import RouteStatus
from handlers.records import PartitionId, ReceivedRecord
from tests.handlers.fault_parts import Kafka
from tests.handlers.fault_plan import Plan
from tests.handlers.fault_worker import PARTITIONS

#: A value that is larger than this (bytes) is refused in the simulation.
MAX_RECORD_BYTES: Final = 4096

REVISION: Final = Revision(revision_id=UUID(int=7), image="image:1", model="llama")
_OTHER_KEY: Final = str(UUID(int=0xBAD)).encode()


def create(deployment_id: UUID, replicas: int, revision: Revision | None = REVISION) -> c.CreateDeployment:
    """Begin a deployment that the proxy can serve."""
    return c.CreateDeployment(
        deployment_id=deployment_id,
        name=f"d{deployment_id.int}",
        resource_group="sg1",
        domain="default",
        project=UUID(int=2),
        owner=UUID(int=3),
        replica_count=replicas,
        target_revision=revision,
    )


@dataclass
class Load:
    """Sends records and remembers what was sent: ``commands`` by id, and the ``poison``."""

    plan: Plan
    kafka: Kafka
    topics: Topics
    clock: Callable[[], datetime]
    commands: dict[str, c.ExternalCommand] = field(default_factory=dict)
    poison: list[ReceivedRecord] = field(default_factory=list)
    _numbers: Iterator[int] = field(default_factory=count)

    async def script(self, number: int, seconds: float) -> None:
        """Lead one deployment through a random life within so many seconds."""
        random = self.plan.random
        deployment_id = UUID(int=1000 + number)
        revision = REVISION if random.random() < 0.7 else None
        steps: list[c.ExternalCommand] = [create(deployment_id, random.randint(0, 4), revision)]
        steps += [self._step(deployment_id) for _ in range(random.randint(2, 6))]
        steps.insert(random.randint(1, len(steps)), c.SetTargetRevision(deployment_id=deployment_id, revision=REVISION))
        if random.random() < 0.5:
            steps.append(c.DestroyDeployment(deployment_id=deployment_id))
            steps += [self._step(deployment_id)] * random.randint(0, 1)
        for step in steps:
            await asyncio.sleep(random.uniform(0, 2 * seconds / len(steps)))
            self.send(step)
            if self.plan.strikes("poison"):
                self._send_poison(deployment_id)

    def send(self, command: c.ExternalCommand, *, shift: int = 0) -> None:
        """Send a command, perhaps more than once, perhaps elsewhere; by ``shift`` so many partitions further."""
        number = str(next(self._numbers))
        is_report = isinstance(command, c.ReportRoutes)
        if not is_report:
            self.commands[number] = command
        topic = self.topics.routes if is_report else self.topics.commands
        record = encode_command(command, source="console", id=number, actor="operator", time=self.clock())
        place = command.deployment_id.int + shift
        self._produce(topic, place, record.key, record.value)
        while self.plan.strikes("resend"):
            self._produce(topic, place, record.key, record.value)

    def _produce(self, topic: str, place: int, key: bytes, value: bytes) -> ReceivedRecord:
        place += self.plan.strikes("foreign")
        origin = PartitionId(topic, "1", place % PARTITIONS)
        gap = self.plan.random.choice((0, 0, 0, 1, 9))
        return self.kafka.produce(origin, key, value, self.clock(), gap=gap)

    def _step(self, deployment_id: UUID) -> c.ExternalCommand:
        random = self.plan.random
        replicas = random.randint(0, 5)
        match random.randrange(6):
            case 0:
                policy = ScalingPolicy(min_replicas=random.randint(0, 2), max_replicas=random.randint(2, 6))
                return c.SetScalingPolicy(deployment_id=deployment_id, policy=policy)
            case 1:
                until = self.clock() + timedelta(seconds=random.uniform(1, 60))
                return c.OverrideReplicas(deployment_id=deployment_id, replica_count=replicas, until=until)
            case _:
                return c.SetReplicaCount(deployment_id=deployment_id, replica_count=replicas)

    def _send_poison(self, deployment_id: UUID) -> None:
        good = encode_command(
            c.SetReplicaCount(deployment_id=deployment_id, replica_count=99),
            source="console",
            id=f"poison {next(self._numbers)}",
            actor="operator",
            time=self.clock(),
        )
        key, value = self.plan.random.choice(
            [
                (good.key, b"{"),
                (good.key, b""),
                (good.key, b"\xff\xfe" + good.value),
                (good.key, b"[" * 1000 + b"]" * 1000),
                (good.key, good.value.replace(b"99", b"NaN")),
                (good.key, good.value.replace(b"99", b"-1")),
                (good.key, good.value.replace(b"99", b"99" + b" " * MAX_RECORD_BYTES)),
                (good.key, good.value.replace(b"set-replica-count", b"make-coffee")),
                (b"", good.value),
                (_OTHER_KEY, good.value),
                (good.key, b'{"_type_":"os:system","_data_":"true"}'),
            ]
        )
        self.poison.append(self._produce(self.topics.commands, deployment_id.int, key, value))

    def report(self, state: Deployment) -> bool:
        """Be the runtime: start routes, now and then in vain, and stop them. Tells whether anything was said."""
        if state.lifecycle is Lifecycle.DESTROYED:
            return False
        reports = []
        for route in state.routes.values():
            if route.status is RouteStatus.TERMINATING:
                reports.append(c.RouteReport(route_id=route.id, status=RouteStatus.TERMINATED))
            elif route.status is RouteStatus.PROVISIONING:
                fails = not self.plan.is_calm and self.plan.random.random() < 0.05
                status = RouteStatus.FAILED_TO_START if fails else RouteStatus.HEALTHY
                reports.append(c.RouteReport(route_id=route.id, status=status))
        if reports:
            self.send(c.ReportRoutes(deployment_id=state.id, reports=tuple(reports)))
        return bool(reports)
