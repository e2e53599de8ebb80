"""Whether the log is the one that was published: by what the last records of the published topics say."""

import pytest

from adapters.event_store.event_log import RecorderEventLog, open_sqlite_log
from adapters.kafka.connection import KafkaConnection
from adapters.kafka.continuity import LogWentBack, check_continuity
from adapters.kafka.ordered_sending import send_in_order
from adapters.kafka.published import event_record
from adapters.kafka.topics import Topics
from handlers.ports import LogBatch
from tests.adapters.event_log_support import events
from tests.kafka_support import producing


async def published(kafka: KafkaConnection, topics: Topics, count: int, incarnation: int = 1) -> RecorderEventLog:
    """A log with so many events, all of them published."""
    log = open_sqlite_log(":memory:")
    await log.append(LogBatch(events=events(count)))
    records = [event_record(each, incarnation) for each in await log.read(after=0, limit=count)]
    async with producing(kafka) as producer:
        await send_in_order(producer, topics.events, records)
    return log


async def test_a_log_that_holds_what_was_published_and_more_goes_on(kafka: KafkaConnection, topics: Topics) -> None:
    log = await published(kafka, topics, 3)
    await log.append(LogBatch(events=events(2)))

    await check_continuity(kafka, topics, log, 1)
    log.close()


async def test_topics_in_which_nothing_was_published_say_nothing(kafka: KafkaConnection, topics: Topics) -> None:
    log = open_sqlite_log(":memory:")

    await check_continuity(kafka, topics, log, 1)
    log.close()


@pytest.mark.parametrize("kept", [0, 1])
async def test_a_log_that_ends_before_what_was_published_went_back(
    kafka: KafkaConnection, topics: Topics, kept: int
) -> None:
    (await published(kafka, topics, 3)).close()
    log = open_sqlite_log(":memory:")
    await log.append(LogBatch(events=events(kept)))

    with pytest.raises(LogWentBack, match="routekeeper new-incarnation"):
        await check_continuity(kafka, topics, log, 1)
    log.close()


async def test_a_log_that_went_on_in_another_way_is_noticed_too(kafka: KafkaConnection, topics: Topics) -> None:
    """It has come to the same positions since, but with other events."""
    (await published(kafka, topics, 3)).close()
    log = open_sqlite_log(":memory:")
    await log.append(LogBatch(events=events(9)))

    with pytest.raises(LogWentBack):
        await check_continuity(kafka, topics, log, 1)
    log.close()


async def test_what_an_older_incarnation_published_does_not_count(kafka: KafkaConnection, topics: Topics) -> None:
    (await published(kafka, topics, 3)).close()
    log = open_sqlite_log(":memory:")

    await check_continuity(kafka, topics, log, 2)
    log.close()


async def test_a_log_of_an_older_incarnation_than_what_was_published_went_back(
    kafka: KafkaConnection, topics: Topics
) -> None:
    log = await published(kafka, topics, 3, incarnation=2)

    with pytest.raises(LogWentBack, match="incarnation 2"):
        await check_continuity(kafka, topics, log, 1)
    log.close()
