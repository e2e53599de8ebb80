"""Checks of the brokers and the topics."""

import asyncio
import logging
from collections.abc import Iterator, Mapping, Sequence

from aiokafka.errors import KafkaError

from adapters.kafka.connection import KafkaConnection
from adapters.kafka.handshake import describe, try_handshake
from adapters.kafka.inspection import TopicInspection, inspect_topics, wrong_configuration
from adapters.kafka.topic_reading import read_topics
from adapters.kafka.topics import KafkaUnavailable, Topics, TopicsUnusable, administration
from service.doctor.finding import Finding, Patience, Status, failed, ok, skipped
from service.kafka_access import NoBroker, known_kafka
from service.settings import Settings, SettingsInvalid

_KAFKA, _COPARTITIONED = "kafka", "topics co-partitioned"
_REPAIR = (
    "see that the broker runs, that ROUTEKEEPER_KAFKA__BOOTSTRAP_SERVERS names the listener for us, and that "
    "ROUTEKEEPER_KAFKA__SECURITY__… fits that listener"
)


async def check_kafka(settings: Settings, patience: Patience) -> Sequence[Finding]:
    """Whether each broker lets us in, and the topics are as they must be."""
    # What goes wrong is told by the findings; the client's own warnings would only repeat it.
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)
    try:
        connection = known_kafka(settings).connection
    except NoBroker:
        return [skipped(_KAFKA, "ROUTEKEEPER_KAFKA__BOOTSTRAP_SERVERS is unset: a worker starts an embedded broker")]
    except SettingsInvalid as error:
        return [failed(_KAFKA, str(error), "correct the setting or the file")]
    brokers = await asyncio.gather(*(_check_broker(connection, server, patience) for server in connection.servers))
    if all(each.status is Status.FAILED for each in brokers):
        return [*brokers, skipped("topics", "no broker lets us in")]
    return [*brokers, *await _check_topics(connection, settings.kafka.topics, patience)]


async def _check_broker(connection: KafkaConnection, server: str, patience: Patience) -> Finding:
    how: str = connection.security.protocol
    if connection.security.is_authenticated:
        how += f" with {connection.security.sasl_mechanism}"
    try:
        async with asyncio.timeout(patience.check_seconds):
            await try_handshake(connection, server)
    except (KafkaError, OSError, TimeoutError) as error:
        return failed(_KAFKA, f"{server} by {how}: {describe(error, connection)}", _REPAIR)
    return ok(_KAFKA, f"{server} lets us in by {how}")


async def _check_topics(connection: KafkaConnection, topics: Topics, patience: Patience) -> Sequence[Finding]:
    try:
        async with administration(connection, give_up_after=patience.check_seconds) as admin:
            seen = await inspect_topics(admin, topics)
            there = [name for name, each in seen.items() if each.partitions]
            wrong = await wrong_configuration(admin, topics, there)
    except (TopicsUnusable, KafkaError) as error:
        return [failed("topics", str(error), _REPAIR)]
    published = [name for name in (topics.events, topics.desired_routes) if name in there and not seen[name].problem]
    reading = [await _read_back(connection, name, patience) for name in published]
    return [*_judged_topics(seen, topics, wrong), _judged_counts(seen, topics), *reading]


async def _read_back(connection: KafkaConnection, name: str, patience: Patience) -> Finding:
    """Whether we can read what was published, as each worker does at its start."""
    check = f"reading {name}"
    try:
        await read_topics(connection, [name], only_last=True, give_up_after=patience.check_seconds)
    except (KafkaUnavailable, KafkaError) as error:
        repair = f"let us: kafka-acls.sh --add --operation Read --operation Describe --topic {name} …"
        return failed(check, f"{error}; a worker compares its last records with the log at each start", repair)
    return ok(check, "its last records can be read")


def _judged_topics(
    seen: Mapping[str, TopicInspection], topics: Topics, wrong: Mapping[str, Mapping[str, str]]
) -> Iterator[Finding]:
    for name, each in seen.items():
        check = f"topic {name}"
        if each.problem:
            yield failed(check, each.problem, f"let us: kafka-acls.sh --add --operation Describe --topic {name} …")
        elif not each.partitions:
            yield failed(check, "is not there", "run 'routekeeper init'")
        elif name in wrong:
            found = ", ".join(f"{key} is {value}" for key, value in wrong[name].items())
            wanted = ",".join(f"{key}={value}" for key, value in topics.configuration(name).items())
            yield failed(
                check,
                found,
                f"kafka-configs.sh --alter --entity-type topics --entity-name {name} --add-config {wanted}",
            )
        else:
            settings = "".join(f", {key}={value}" for key, value in topics.configuration(name).items())
            yield ok(check, f"{each.partitions} partitions{settings}")


def _judged_counts(seen: Mapping[str, TopicInspection], topics: Topics) -> Finding:
    counts = {topic: seen[topic].partitions for topic in topics.inputs}
    found = ", ".join(f"{topic} has {count}" for topic, count in counts.items())
    if not all(counts.values()):
        return skipped(_COPARTITIONED, "not all input topics are there")
    if len(set(counts.values())) > 1:
        return failed(_COPARTITIONED, found, "stop the workers and run 'routekeeper init --repartition'")
    return ok(_COPARTITIONED, found)
