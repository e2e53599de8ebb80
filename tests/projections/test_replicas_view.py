from sqlalchemy import Engine

from domain import events as e
from domain.routes import RouteStatus
from projections.replicas import ReplicaCountsRow, replica_history
from tests.projection_support import CHAT, SEARCH, after, created, fold, registered, reported, scaled_out, terminating


def history(engine: Engine) -> list[ReplicaCountsRow]:
    """The numbers over time, oldest first."""
    with engine.connect() as connection:
        return replica_history(connection, CHAT)[::-1]


async def test_each_change_of_a_number_is_a_row_with_its_position_in_the_log(engine: Engine) -> None:
    await fold(
        engine,
        created(),
        registered(),
        scaled_out(1, 2),
        reported(RouteStatus.HEALTHY, 1, 2),
        e.ReplicaCountSet(at=after(5), previous=2, replica_count=1),
        terminating(2, seconds=6),
        reported(RouteStatus.TERMINATED, 2, seconds=7),
    )

    rows = [(row.position, row.at, row.target, row.active, row.healthy, row.provisioning) for row in history(engine)]
    assert rows == [
        (10, after(0), 2, 0, 0, 0),
        (30, after(3), 2, 2, 0, 2),
        (40, after(4), 2, 2, 2, 0),
        (50, after(5), 1, 2, 2, 0),
        (60, after(6), 1, 1, 1, 0),
    ]


async def test_what_changes_no_number_is_no_row(engine: Engine) -> None:
    same = e.ReplicaCountSet(at=after(1), previous=2, replica_count=2)

    await fold(engine, created(), same, e.CommandHadNoEffect(at=after(2), command="create", reason="it is there"))

    assert len(history(engine)) == 1


async def test_the_history_can_be_cut_by_time_and_number(engine: Engine) -> None:
    counts = [e.ReplicaCountSet(at=after(n), previous=n + 1, replica_count=n + 2) for n in range(1, 6)]
    await fold(engine, created(), *counts)

    with engine.connect() as connection:
        assert [row.target for row in replica_history(connection, CHAT, limit=2)] == [7, 6]
        assert [row.target for row in replica_history(connection, CHAT, since=after(2), until=after(3))] == [5, 4]
        assert replica_history(connection, SEARCH) == []
