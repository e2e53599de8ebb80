"""The topics that Routekeeper reads and writes: their names, making them, and checking that they fit together.

::

    TopicsUnusable               the topics are not as they must be
     ├── KafkaUnavailable        no broker answers
     ├── KafkaRefusesUs          the brokers answer, but TLS or SASL fails
     ├── TopicMissing            a topic is not there
     ├── TopicNotCreated         the cluster refused to make a topic
     └── TopicsNotCopartitioned  the input topics have different numbers of partitions
"""

import asyncio
import re
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Annotated, Final

from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.errors import KafkaConnectionError, TopicAlreadyExistsError, for_code
from pydantic import Field

from adapters.kafka.connection import KafkaConnection
from adapters.kafka.handshake import why_refused
from adapters.secrets import FieldInvalid
from domain.errors import RoutekeeperError
from domain.quantities import Bytes

_NO_ERROR = 0
_POLL_INTERVAL = 0.1
_FIELDS: Final = ("commands", "routes", "metrics", "dead_letters", "events", "desired_routes")
#: What Kafka allows as a topic's name.
_NAME: Final = re.compile(r"[A-Za-z0-9._-]{1,249}")


class TopicsUnusable(RoutekeeperError):
    """The topics are not as they must be."""


class KafkaUnavailable(TopicsUnusable):
    """No broker answers."""


class KafkaRefusesUs(TopicsUnusable):
    """The brokers answer, but TLS or SASL fails: certificates, credentials or the security settings are wrong."""


class TopicMissing(TopicsUnusable):
    """A topic is not there."""


class TopicNotCreated(TopicsUnusable):
    """The cluster refused to make a topic."""


class TopicsNotCopartitioned(TopicsUnusable):
    """The input topics have different numbers of partitions."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Topics:
    """Names of the topics, and how missing ones are made: how many ``partitions``, each kept on how many brokers.

    ``dead_letter_max_bytes`` is the largest dead letter: what was refused plus the headers that say why.
    """

    commands: str = "routekeeper.commands"
    routes: str = "routekeeper.routes"
    metrics: str = "routekeeper.metrics"
    dead_letters: str = "routekeeper.dead-letters"
    events: str = "routekeeper.events"
    desired_routes: str = "routekeeper.desired-routes"
    partitions: Annotated[int, Field(ge=1, le=10_000)] = 4
    replication_factor: Annotated[int, Field(ge=1, le=32_767)] = 1
    dead_letter_max_bytes: Bytes = 4 * 1024 * 1024

    def __post_init__(self) -> None:
        """Raise :class:`FieldInvalid` where a name is none, or that of another topic."""
        first: dict[str, str] = {}
        for field in _FIELDS:
            name = getattr(self, field)
            _check_name(field, name)
            if first.setdefault(name, field) != field:
                raise FieldInvalid(field, f"is {name!r}, and so is {first[name]}: each needs a topic of its own")

    def check_further(self, field: str, name: str) -> None:
        """Raise :class:`FieldInvalid` where a further topic, by the setting ``field``, has no name or one of these."""
        _check_name(field, name)
        for known in _FIELDS:
            if getattr(self, known) == name:
                raise FieldInvalid(field, f"is {name!r}, and so is kafka.topics.{known}: each needs a topic of its own")

    @property
    def inputs(self) -> tuple[str, ...]:
        """What is read, all with the same key and number of partitions."""
        return (self.commands, self.routes, self.metrics)

    @property
    def all(self) -> tuple[str, ...]:
        """What is read and what is written."""
        return (*self.inputs, self.dead_letters, self.events, self.desired_routes)

    def configuration(self, topic: str) -> Mapping[str, str]:
        """What is set for one topic beyond the cluster's defaults."""
        if topic == self.desired_routes:
            return {"cleanup.policy": "compact"}
        if topic == self.dead_letters:
            return {"max.message.bytes": str(self.dead_letter_max_bytes)}
        return {}


def _check_name(field: str, name: str) -> None:
    if not _NAME.fullmatch(name) or name in {".", ".."}:
        raise FieldInvalid(field, f"{name!r:.80} is no topic's name: 1 to 249 letters, digits, '.', '_' or '-'")


@asynccontextmanager
async def administration(connection: KafkaConnection, *, give_up_after: float) -> AsyncIterator[AIOKafkaAdminClient]:
    """Connect an administration client, closed at the end; everything together may take ``give_up_after`` seconds.

    Raises :class:`KafkaUnavailable` after that time, and :class:`KafkaRefusesUs`.
    """
    admin = AIOKafkaAdminClient(**connection.client_options())
    obstacle = [""]
    try:
        async with asyncio.timeout(give_up_after):
            await _start(admin, connection, obstacle)
            yield admin
    except TimeoutError as error:
        raise KafkaUnavailable(
            f"Kafka at {connection.bootstrap_servers} did not answer in {give_up_after:g} s{obstacle[0]}"
        ) from error
    finally:
        await admin.close()


async def _start(admin: AIOKafkaAdminClient, connection: KafkaConnection, obstacle: list[str]) -> None:
    """Connect, however long it takes; note what is in the way. Raises :class:`KafkaRefusesUs`."""
    while True:
        try:
            await admin.start()
        except KafkaConnectionError as error:
            refusal = await why_refused(connection)
            if refusal is not None and refusal.is_lasting:
                raise KafkaRefusesUs(f"Kafka does not let us in: {refusal.words}") from error
            obstacle[0] = "" if refusal is None else f": {refusal.words}"
            await asyncio.sleep(_POLL_INTERVAL)
        else:
            return


async def ensure_topics(connection: KafkaConnection, topics: Topics, *, give_up_after: float = 30.0) -> Sequence[str]:
    """Make the topics that are not there and give their names, once they can be used.

    Existing topics are left as they are. Raises :class:`TopicNotCreated` where the cluster refuses, and
    :class:`KafkaUnavailable` if it takes longer than ``give_up_after`` seconds.
    """
    async with administration(connection, give_up_after=give_up_after) as admin:
        there = await partition_counts(admin, topics.all)
        missing = [topic for topic in topics.all if topic not in there]
        if not missing:
            return ()
        created = await _create(admin, topics, missing)
        await _usable(admin, topics)
        return created


async def check_copartitioning(connection: KafkaConnection, topics: Topics, *, give_up_after: float = 30.0) -> int:
    """Give the number of partitions that the input topics have in common.

    Raises :class:`TopicMissing`, :class:`TopicsNotCopartitioned`, or :class:`KafkaUnavailable` after ``timeout``
    seconds.
    """
    async with administration(connection, give_up_after=give_up_after) as admin:
        counts = await partition_counts(admin, topics.inputs)
    if missing := [topic for topic in topics.inputs if topic not in counts]:
        raise TopicMissing(f"missing in the Kafka cluster: {', '.join(missing)}")
    if len(set(counts.values())) > 1:
        have = ", ".join(f"{topic} has {counts[topic]}" for topic in topics.inputs)
        raise TopicsNotCopartitioned(
            f"the input topics must have the same number of partitions, but {have}; a deployment's records must be in "
            f"the same partition of each. Stop the workers and run: routekeeper init --repartition (or: "
            f"{' && '.join(_alterations(connection, counts))})"
        )
    return counts[topics.commands]


def _alterations(connection: KafkaConnection, counts: Mapping[str, int]) -> Iterator[str]:
    """What Kafka's own tool repairs it with."""
    most = max(counts.values())
    properties = " --command-config client.properties" if connection.security.protocol != "PLAINTEXT" else ""
    for topic, count in counts.items():
        if count < most:
            yield (
                f"kafka-topics.sh --bootstrap-server {connection.bootstrap_servers}{properties} "
                f"--alter --topic {topic} --partitions {most}"
            )


async def read_cluster_id(connection: KafkaConnection, *, give_up_after: float = 30.0) -> str:
    """What the cluster calls itself, which tells one broker without disk from the next one at the same address.

    Raises :class:`KafkaUnavailable` after ``give_up_after`` seconds.
    """
    async with administration(connection, give_up_after=give_up_after) as admin:
        description = await admin.describe_cluster()
    return str(description.get("cluster_id") or "")


async def _usable(admin: AIOKafkaAdminClient, topics: Topics) -> None:
    while len(await partition_counts(admin, topics.all)) < len(topics.all):  # noqa: ASYNC110 - only the broker knows
        await asyncio.sleep(_POLL_INTERVAL)


async def partition_counts(admin: AIOKafkaAdminClient, topics: Sequence[str]) -> dict[str, int]:
    """How many partitions the topics have; those that are not there, or have no leader yet, are absent."""
    counts = {}
    # All topics are asked for, as naming one that is missing makes some brokers create it.
    for described in await admin.describe_topics():
        partitions = described["partitions"]
        led = all(partition["leader"] >= 0 for partition in partitions)
        if described["topic"] in topics and described["error_code"] == _NO_ERROR and partitions and led:
            counts[described["topic"]] = len(partitions)
    return counts


async def _create(admin: AIOKafkaAdminClient, topics: Topics, missing: Sequence[str]) -> Sequence[str]:
    wanted = [
        NewTopic(name, topics.partitions, topics.replication_factor, topic_configs=dict(topics.configuration(name)))
        for name in missing
    ]
    answer = await admin.create_topics(wanted)
    created = []
    for name, code, *detail in answer.topic_errors:
        if code == _NO_ERROR:
            created.append(name)
        elif for_code(code) is not TopicAlreadyExistsError:
            reason = next(filter(None, detail), "") or for_code(code).description
            raise TopicNotCreated(f"topic {name} was not created: {reason} ({for_code(code).__name__})")
    return tuple(created)
