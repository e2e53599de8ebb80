"""What must hold after every simulated storm: nothing lost, nothing twice, and the proxy as the log says."""

from collections import Counter
from uuid import UUID

from domain.deployment import Lifecycle
from domain.recorded import RecordCause
from domain.rejections import RecordsRejected
from tests.handlers.fault_world import World
from tests.oracle import commands_with_effect, folded


async def check(world: World) -> None:
    """Check everything. Raises :class:`AssertionError`."""
    states = folded(world.events)
    assert states == world.states
    assert await world.log.deployments(states) == states
    _memory_is_the_log(world)
    _every_command_has_one_outcome(world)
    _every_refused_record_is_written_once(world)
    _order_is_kept(world)
    should_have = {key for key, state in states.items() if state.endpoint.url is not None}
    assert set(world.proxy.endpoints) == should_have
    assert {key for key, state in states.items() if state.lifecycle is Lifecycle.DESTROYED}.isdisjoint(should_have)
    assert {key: world.proxy.endpoints[key] for key in should_have} == {
        key: states[key].endpoint.url for key in should_have
    }


def _memory_is_the_log(world: World) -> None:
    """Where somebody else may have written, what is in memory may be older than the log, but never different."""
    faults = world.plan.faults
    alone = not (faults.foreign or faults.rebalances or faults.shared)
    for worker in world.workers:
        for state in worker.plane.decider._memory:
            logged = world.states[state.id]
            assert state == logged or (not alone and state.version < logged.version)


def _every_command_has_one_outcome(world: World) -> None:
    # A report may be repeated: it is an observation.
    twice = {id_ for (_, id_), times in commands_with_effect(world.events).items() if times > 1}
    assert twice & world.load.commands.keys() == set()
    assert sorted(id_ for _, id_ in world.outcomes()) == sorted(world.load.commands)


def _every_refused_record_is_written_once(world: World) -> None:
    refused: Counter[tuple[str, int, int]] = Counter()
    for logged in world.events:
        event = logged.recorded.event
        if isinstance(event, RecordsRejected):
            refused.update((event.topic, event.partition, record.offset) for record in event.records)
    assert {place for place, times in refused.items() if times > 1} == set()
    poison = {(r.origin.topic, r.origin.partition, r.offset) for r in world.load.poison}
    assert poison <= refused.keys()
    handed_over = {(r.origin.topic, r.origin.partition, r.offset) for r, _ in world.dead_letters.sent}
    assert refused.keys() <= handed_over


def _order_is_kept(world: World) -> None:
    """Of one deployment's records in one partition, what was sent first took effect first."""
    reached: dict[tuple[UUID, str, int], int] = {}
    for logged in world.events:
        cause = logged.recorded.cause
        if isinstance(cause, RecordCause) and not isinstance(logged.recorded.event, RecordsRejected):
            key = (logged.recorded.stream_id, cause.topic, cause.partition)
            assert reached.get(key, -1) <= cause.offset
            reached[key] = cause.offset
