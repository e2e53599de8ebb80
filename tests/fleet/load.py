"""Commands for many deployments, and what has to become of each of them, made of a seed."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import pairwise
from random import Random
from uuid import UUID

from aiokafka import AIOKafkaProducer

from adapters.kafka.encoding import EncodedRecord, encode_command
from domain import commands as c
from domain.revision import Revision
from handlers.ports import Outcome
from tests.fleet.fleet import RESOURCE_GROUP

SOURCE = "/load"
NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)

#: What share of the records is sent twice, cannot be understood, or destroys its deployment.
_TWICE, _POISON, _DESTROYED = 0.02, 0.005, 0.2


@dataclass
class Load:
    """``records`` to be sent in this order. ``wanted`` is how many replicas each deployment has in the end.

    ``None`` is for those that are destroyed. ``outcomes`` are those of the commands by their ids, ``poison`` (count)
    the records that nobody understands.
    """

    records: list[EncodedRecord] = field(default_factory=list)
    wanted: dict[UUID, int | None] = field(default_factory=dict)
    outcomes: dict[str, Outcome] = field(default_factory=dict)
    poison: int = 0

    def pieces(self, count: int) -> Iterator[list[EncodedRecord]]:
        """The records in so many pieces of about one size."""
        bounds = [len(self.records) * n // count for n in range(count + 1)]
        return (self.records[start:end] for start, end in pairwise(bounds))


def make_load(seed: int, *, commands: int, deployments: int) -> Load:
    """Commands (count) for so many deployments (count), the creations first."""
    dice = Random(seed)
    load = Load()
    commands_sent: list[EncodedRecord] = []
    ids = [UUID(int=dice.getrandbits(128), version=4) for _ in range(deployments)]
    for deployment_id in ids:
        load.wanted[deployment_id] = 1
        commands_sent.append(_add(load, _creation(dice, deployment_id)))
    while len(load.outcomes) < commands:
        deployment_id = dice.choice(ids)
        # Those that are destroyed are so late, that most commands come before and some after.
        is_late = len(load.outcomes) > commands * 0.8
        # What becomes of a second destruction depends on how far the first one is.
        is_there = load.wanted[deployment_id] is not None
        if is_late and is_there and dice.random() < _DESTROYED * deployments / (commands * 0.2):
            command: c.ExternalCommand = c.DestroyDeployment(deployment_id=deployment_id)
        else:
            command = c.SetReplicaCount(deployment_id=deployment_id, replica_count=dice.randrange(4))
        commands_sent.append(_add(load, command))
        if dice.random() < _TWICE:
            load.records.append(dice.choice(commands_sent))
        if dice.random() < _POISON:
            load.poison += 1
            load.records.append(EncodedRecord(key=str(deployment_id).encode(), value=b"{%d" % load.poison))
    return load


def _add(load: Load, command: c.ExternalCommand) -> EncodedRecord:
    number = str(len(load.outcomes))
    record = encode_command(command, source=SOURCE, id=number, actor="load", time=NOW)
    load.records.append(record)
    load.outcomes[number] = Outcome.ACCEPTED
    is_over = load.wanted[command.deployment_id] is None
    match command:
        case c.DestroyDeployment():
            load.wanted[command.deployment_id] = None
        case c.SetReplicaCount() if is_over:
            load.outcomes[number] = Outcome.REJECTED
        case c.SetReplicaCount():
            load.wanted[command.deployment_id] = command.replica_count
        case _:
            pass
    return record


def _creation(dice: Random, deployment_id: UUID) -> c.CreateDeployment:
    revision = Revision(revision_id=UUID(int=dice.getrandbits(128), version=4), image="image", model="model")
    return c.CreateDeployment(
        deployment_id=deployment_id,
        name=f"deployment-{deployment_id}",
        resource_group=RESOURCE_GROUP,
        domain="test",
        project=UUID(int=1),
        owner=UUID(int=2),
        target_revision=revision,
    )


async def send(producer: AIOKafkaProducer, topic: str, records: list[EncodedRecord]) -> None:
    """Send records in their order, and return when the broker has all of them."""
    sent = [await producer.send(topic, record.value, key=record.key) for record in records]
    for each in sent:
        await each
