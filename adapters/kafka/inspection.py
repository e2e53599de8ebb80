"""What is to be known of the topics, each by itself."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.errors import TopicAuthorizationFailedError, UnknownTopicOrPartitionError, for_code

from adapters.kafka.topics import Topics


@dataclass(frozen=True, slots=True, kw_only=True)
class TopicInspection:
    """How many ``partitions`` a topic has (0: it is not there), and why it cannot be seen, if so."""

    partitions: int = 0
    problem: str = ""


async def inspect_topics(admin: AIOKafkaAdminClient, topics: Topics) -> Mapping[str, TopicInspection]:
    """Look at all topics. Raises aiokafka's ``KafkaError``."""
    seen = {}
    for described in await admin.describe_topics():
        problem = for_code(described["error_code"]) if described["error_code"] else None
        if problem is UnknownTopicOrPartitionError:
            continue
        partitions = described["partitions"]
        lost = [str(each["partition"]) for each in partitions if each["leader"] < 0]
        words = f"partitions {', '.join(lost)} have no leader" if lost else ""
        if problem is not None:
            denied = problem is TopicAuthorizationFailedError
            words = "we may not describe it" if denied else problem.description or problem.__name__
        seen[described["topic"]] = TopicInspection(partitions=len(partitions), problem=words)
    return {topic: seen.get(topic, TopicInspection()) for topic in topics.all}


async def wrong_configuration(
    admin: AIOKafkaAdminClient, topics: Topics, names: Sequence[str]
) -> Mapping[str, Mapping[str, str]]:
    """By topic, what is set otherwise than Routekeeper makes it. Raises aiokafka's ``KafkaError``."""
    wrong: dict[str, dict[str, str]] = {}
    for name in names:
        wanted = topics.configuration(name)
        if not wanted:
            continue
        for answer in await admin.describe_configs([ConfigResource(ConfigResourceType.TOPIC, name)]):
            configured = {key: value for (*_, entries) in answer.resources for key, value, *_ in entries}
            differing = {key: configured[key] for key in wanted if configured.get(key, wanted[key]) != wanted[key]}
            if differing:
                wrong[name] = differing
    return wrong
