"""What must hold after whatever happened: the log, the views and the proxy tell one story."""

from collections import Counter
from collections.abc import Collection
from uuid import UUID

from sqlalchemy import Engine

from adapters.event_store.event_log import RecorderEventLog
from domain.deployment import Deployment, Lifecycle
from domain.evolve import evolve
from domain.recorded import LoggedEvent, RecordCause, SystemEvent
from projections.catalogue import VIEWS
from projections.database import open_database
from projections.verify import verify


async def whole_log(log: RecorderEventLog) -> list[LoggedEvent]:
    """Every event, in log order."""
    events: list[LoggedEvent] = []
    while some := await log.read(after=events[-1].position if events else 0, limit=1000):
        events += some
    return events


def folded(events: Collection[LoggedEvent]) -> dict[UUID, Deployment]:
    """All deployments by id; fails where the versions of one are not contiguous."""
    states: dict[UUID, Deployment] = {}
    for logged in events:
        recorded = logged.recorded
        if isinstance(recorded.event, SystemEvent):
            continue
        before = states.get(recorded.stream_id)
        assert recorded.version == (before.version if before else 0) + 1
        states[recorded.stream_id] = evolve(before, recorded.event)
    return states


def commands_with_effect(events: Collection[LoggedEvent]) -> Counter[tuple[str, str]]:
    """From how many records the events of each command (source, id) came; more than one means applied twice."""
    records = {
        (cause.source, cause.id, cause.topic, cause.epoch, cause.partition, cause.offset)
        for logged in events
        if isinstance(cause := logged.recorded.cause, RecordCause) and cause.id
    }
    return Counter((source, record_id) for source, record_id, *_ in records)


async def assert_one_story(log: RecorderEventLog, views: Engine, circuits: Collection[UUID]) -> dict[UUID, Deployment]:
    """Check all of it; ``circuits`` are the endpoints at the proxy. Gives the deployments."""
    events = await whole_log(log)
    states = folded(events)
    assert {key for key, times in commands_with_effect(events).items() if times > 1} == set()
    loaded = await log.deployments(states.keys())
    assert loaded == states
    assert await verify(log, VIEWS, engine=views, scratch=open_database("sqlite://")) == []
    should_have = {key for key, state in states.items() if state.endpoint.url is not None}
    assert set(circuits) == should_have
    for state in states.values():
        if state.lifecycle is Lifecycle.DESTROYED:
            assert not state.routes
    return states
