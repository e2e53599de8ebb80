"""What every event store must do when it is written to, whichever database it stands on.

A store's own test module gives a fixture ``store`` (a :class:`~tests.adapters.event_log_support.LogStore`) and takes
these classes over; so it does with :mod:`tests.adapters.event_log_reading_contract`.
"""

import asyncio
from uuid import uuid4

import pytest

from adapters.event_store.event_log import RecorderEventLog
from handlers.ports import (
    CommandOutcome,
    DuplicateCommands,
    EventTooLarge,
    LogBatch,
    Outcome,
    PositionConflict,
    VersionConflict,
)
from handlers.records import PartitionId
from tests.adapters.event_log_support import (
    FAR_FUTURE,
    P0,
    P1,
    P2,
    LogFixtures,
    LogStore,
    due,
    due_ids,
    error_of,
    event,
    events,
    move,
    outcome,
)


class AppendContract(LogFixtures):
    """All or nothing."""

    async def test_everything_in_a_batch_becomes_true_together(self, store: LogStore, log: RecorderEventLog) -> None:
        deployment = uuid4()
        batch = LogBatch(
            events=events(2, deployment),
            positions=[move(P0, None, 7)],
            outcomes=[outcome("one"), CommandOutcome("console", "two", Outcome.REJECTED)],
            due=[due(deployment, 2)],
        )

        positions = await log.append(batch)

        assert positions == [logged.position for logged in await log.read(after=0, limit=10)]
        assert list(batch.events) == [logged.recorded for logged in await log.stream(deployment)]
        place = (await log.positions([P0]))[P0]
        assert (place.next, place.digest) == (7, "digest-of-6")
        assert store.outcomes() == {("console", "one"): "accepted", ("console", "two"): "rejected"}
        assert await due_ids(log) == [deployment]
        assert await log.position_at(FAR_FUTURE) == positions[-1]

    async def test_a_batch_without_events_moves_positions_and_keeps_outcomes(
        self, store: LogStore, log: RecorderEventLog
    ) -> None:
        assert list(await log.append(LogBatch(positions=[move(P0, None, 1)], outcomes=[outcome("one")]))) == []

        assert (await log.positions([P0]))[P0].next == 1
        assert list(store.outcomes()) == [("console", "one")]
        assert await log.head() == 0
        assert await log.position_at(FAR_FUTURE) == 0

    async def test_positions_of_events_ascend_over_batches(self, log: RecorderEventLog) -> None:
        positions = [*await log.append(LogBatch(events=events(3))), *await log.append(LogBatch(events=events(2)))]

        assert positions == sorted(set(positions))
        assert len(positions) == 5

    async def test_a_large_batch_is_one_batch(self, store: LogStore, log: RecorderEventLog) -> None:
        """Each event has the position that it is told to have, however many are written at once."""
        streams = [events(7) for _ in range(45)]
        mixed = [stream[number] for number in range(7) for stream in streams]
        work = [due(stream[0].stream_id, 7) for stream in streams]
        outcomes = [outcome(str(number)) for number in range(201)]
        await log.append(LogBatch(events=events(1)))

        positions = await log.append(LogBatch(events=mixed, outcomes=outcomes, due=work))

        read = await log.read(after=1, limit=1000)
        assert [(logged.position, logged.recorded) for logged in read] == list(zip(positions, mixed, strict=True))
        assert len(store.outcomes()) == 201
        assert set(await due_ids(log)) == {stream[0].stream_id for stream in streams}

    async def test_a_batch_of_more_bytes_than_a_socket_takes_at_once_is_appended(self, log: RecorderEventLog) -> None:
        deployment, text = uuid4(), "x" * 1000

        positions = await log.append(LogBatch(events=[event(deployment, version, text) for version in range(1, 4001)]))

        assert len(positions) == await log.stream_version(deployment) == 4000

    @pytest.mark.parametrize("reason", ["position", "outcome", "version", "size"])
    async def test_a_batch_that_is_refused_leaves_nothing(self, store: LogStore, reason: str) -> None:
        log = store.open(max_event_bytes=1000)
        taken, fresh = uuid4(), uuid4()
        first = LogBatch(events=events(1, taken), positions=[move(P0, None, 1)], outcomes=[outcome("known")])
        await log.append(first)
        wrong = {
            "position": LogBatch(positions=[move(P0, 5, 6)]),
            "outcome": LogBatch(outcomes=[outcome("known")]),
            "version": LogBatch(events=[event(taken, 1)]),
            "size": LogBatch(events=[event(taken, 2, "x" * 1000)]),
        }[reason]
        batch = LogBatch(
            events=[*events(2, fresh), *wrong.events],
            positions=[move(P1, None, 9), *wrong.positions],
            outcomes=[outcome("new"), *wrong.outcomes],
            due=[due(fresh, 2)],
        )

        refusal = await error_of(log.append(batch))

        expected = {
            "position": PositionConflict,
            "outcome": DuplicateCommands,
            "version": VersionConflict,
            "size": EventTooLarge,
        }
        assert type(refusal) is expected[reason]
        assert [logged.recorded for logged in await log.read(after=0, limit=10)] == list(first.events)
        assert {origin: place.next for origin, place in (await log.positions([P0, P1])).items()} == {P0: 1}
        assert list(store.outcomes()) == [("console", "known")]
        assert await due_ids(log) == []

    async def test_after_a_refusal_the_log_takes_the_next_batch(self, log: RecorderEventLog) -> None:
        [one, two] = events(2)
        await log.append(LogBatch(events=[one]))
        await error_of(log.append(LogBatch(events=[one])))

        await log.append(LogBatch(events=[two]))

        assert await log.stream_version(one.stream_id) == 2

    async def test_an_event_may_have_as_many_bytes_as_the_limit_says_and_no_more(self, store: LogStore) -> None:
        stream = uuid4()
        probe, log = store.open(max_event_bytes=10), store.open(max_event_bytes=1000)
        overhead = int(str(await error_of(probe.append(LogBatch(events=[event(stream, 1)])))).split()[4])
        await log.append(LogBatch(events=[event(stream, 1, "x" * (1000 - overhead))]))

        refusal = await error_of(log.append(LogBatch(events=[event(stream, 2, "x" * (1001 - overhead))])))

        assert type(refusal) is EventTooLarge
        assert f"{stream}:2" in str(refusal)
        assert "1001 bytes" in str(refusal)


class PositionContract(LogFixtures):
    """A partition's position is compared and set."""

    async def test_a_partition_that_was_never_read_has_no_position(self, log: RecorderEventLog) -> None:
        await log.append(LogBatch(positions=[move(P0, None, 1)]))

        assert await log.positions([P1, PartitionId("commands", "epoch-2", 0)]) == {}

    async def test_a_position_moves_from_where_it_is(self, log: RecorderEventLog) -> None:
        await log.append(LogBatch(positions=[move(P0, None, 5), move(P1, None, 2)]))
        await log.append(LogBatch(positions=[move(P0, 5, 8)]))

        places = await log.positions([P0, P1])

        assert {origin: place.next for origin, place in places.items()} == {P0: 8, P1: 2}
        assert places[P0].digest == "digest-of-7"

    @pytest.mark.parametrize("expected", [None, 4, 6, 0])
    async def test_a_position_does_not_move_from_where_it_is_not(
        self, log: RecorderEventLog, expected: int | None
    ) -> None:
        await log.append(LogBatch(positions=[move(P0, None, 5)]))

        refusal = await error_of(log.append(LogBatch(positions=[move(P0, expected, 9)])))

        assert isinstance(refusal, PositionConflict)
        assert refusal.origins == {P0}
        assert (await log.positions([P0]))[P0].next == 5

    async def test_a_position_that_was_never_placed_cannot_be_moved(self, log: RecorderEventLog) -> None:
        refusal = await error_of(log.append(LogBatch(positions=[move(P0, 0, 9)])))

        assert isinstance(refusal, PositionConflict)
        assert await log.positions([P0]) == {}

    async def test_a_conflict_names_every_position_that_was_moved_and_no_other(self, log: RecorderEventLog) -> None:
        await log.append(LogBatch(positions=[move(P0, None, 5), move(P1, None, 5), move(P2, None, 5)]))
        batch = LogBatch(positions=[move(P0, 4, 9), move(P1, 5, 9), move(P2, None, 9)])

        refusal = await error_of(log.append(batch))

        assert isinstance(refusal, PositionConflict)
        assert refusal.origins == {P0, P2}
        assert [place.next for place in (await log.positions([P0, P1, P2])).values()] == [5, 5, 5]

    async def test_a_recreated_topic_has_positions_of_its_own(self, log: RecorderEventLog) -> None:
        again = PartitionId(P0.topic, "epoch-2", P0.partition)
        await log.append(LogBatch(positions=[move(P0, None, 5)]))

        await log.append(LogBatch(positions=[move(again, None, 1)]))

        assert {o: place.next for o, place in (await log.positions([P0, again])).items()} == {P0: 5, again: 1}


class OutcomeContract(LogFixtures):
    """A command has one outcome."""

    async def test_exactly_the_commands_that_are_known_are_named(self, store: LogStore, log: RecorderEventLog) -> None:
        await log.append(LogBatch(outcomes=[outcome("one"), outcome("two"), outcome("three", "other")]))
        batch = LogBatch(outcomes=[outcome("two"), outcome("new"), outcome("three"), outcome("three", "other")])

        refusal = await error_of(log.append(batch))

        assert isinstance(refusal, DuplicateCommands)
        assert refusal.keys == {("console", "two"), ("other", "three")}
        assert ("console", "new") not in store.outcomes()

    async def test_duplicates_are_found_in_a_large_batch_too(self, log: RecorderEventLog) -> None:
        known = {str(number) for number in (0, 49, 50, 120, 299)}
        await log.append(LogBatch(outcomes=[outcome(number) for number in known]))

        refusal = await error_of(log.append(LogBatch(outcomes=[outcome(str(number)) for number in range(300)])))

        assert isinstance(refusal, DuplicateCommands)
        assert refusal.keys == {("console", number) for number in known}

    async def test_a_moved_position_is_told_before_duplicates_and_these_before_a_version_that_is_taken(
        self, log: RecorderEventLog
    ) -> None:
        [taken] = events(1)
        await log.append(LogBatch(events=[taken], positions=[move(P0, None, 5)], outcomes=[outcome("one")]))
        wrong = LogBatch(events=[taken], positions=[move(P0, 4, 6)], outcomes=[outcome("one")])

        all_wrong = await error_of(log.append(wrong))
        position_right = await error_of(
            log.append(LogBatch(events=[taken], positions=[move(P0, 5, 6)], outcomes=[outcome("one")]))
        )
        only_version_wrong = await error_of(log.append(LogBatch(events=[taken], positions=[move(P0, 5, 6)])))

        kinds = [type(error) for error in (all_wrong, position_right, only_version_wrong)]
        assert kinds == [PositionConflict, DuplicateCommands, VersionConflict]


class RaceContract:
    """Two logs on one store."""

    async def test_of_two_who_write_the_same_version_one_wins_every_time(self, store: LogStore) -> None:
        one, other, stream = store.open(), store.open(), uuid4()

        for version in range(1, 26):
            appends = (log.append(LogBatch(events=[event(stream, version)])) for log in (one, other))
            results = await asyncio.gather(*appends, return_exceptions=True)
            assert sorted(isinstance(result, VersionConflict) for result in results) == [False, True]

        assert [logged.recorded.version for logged in await one.stream(stream)] == list(range(1, 26))

    async def test_of_two_who_move_the_same_position_one_wins_every_time(self, store: LogStore) -> None:
        one, other = store.open(), store.open()
        expected: int | None = None

        for following in range(1, 26):
            batch = LogBatch(events=events(1), positions=[move(P0, expected, following)])
            rival = LogBatch(events=events(1), positions=[move(P0, expected, following)])
            results = await asyncio.gather(one.append(batch), other.append(rival), return_exceptions=True)
            assert sorted(isinstance(result, PositionConflict) for result in results) == [False, True]
            expected = following

        assert len(await one.read(after=0, limit=100)) == 25

    async def test_those_who_write_to_different_streams_all_succeed(self, store: LogStore) -> None:
        logs = [store.open(), store.open()]
        streams = [uuid4() for _ in range(20)]

        await asyncio.gather(*(logs[i % 2].append(LogBatch(events=events(3, s))) for i, s in enumerate(streams)))

        positions = [logged.position for logged in await logs[0].read(after=0, limit=100)]
        assert len(positions) == 60
        assert positions == sorted(positions)
        assert [await logs[1].stream_version(stream) for stream in streams] == [3] * 20
