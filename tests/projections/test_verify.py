import pytest
from sqlalchemy import Engine, text

from projections.catalogue import VIEWS
from projections.database import open_database
from projections.errors import ViewNotBuilt
from projections.runner import ProjectionRunner
from projections.verify import Difference, verify
from tests.histories import History, random_history
from tests.projection_support import MemoryLog


@pytest.fixture(scope="module")
def history() -> History:
    """A long one."""
    return random_history(31, steps=150)


async def found_after(engine: Engine, history: History, tampering: str, *, limit: int = 1000) -> list[Difference]:
    """Fold, tamper with the rows, and verify them; meanwhile the log goes on."""
    log = MemoryLog(history.log[:-10])
    await ProjectionRunner(engine, VIEWS, log).catch_up()
    with engine.begin() as connection:
        connection.execute(text(tampering))
    log.events += history.log[-10:]
    return await verify(log, VIEWS, engine=engine, scratch=open_database("sqlite://"), limit=limit)


async def test_rows_that_are_what_the_log_says_do_not_differ(engine: Engine, history: History) -> None:
    assert await found_after(engine, history, "SELECT 1") == []


async def test_an_altered_row_is_shown_as_it_is_and_as_it_should_be(engine: Engine, history: History) -> None:
    first = str(min(history.states))

    (difference,) = await found_after(engine, history, f"UPDATE deployments SET owner = 'me' WHERE id = '{first}'")

    assert (difference.view, difference.table, difference.key) == ("deployments", "deployments", (first,))
    assert difference.stored is not None
    assert difference.rebuilt is not None
    changed = {name for name, value in difference.stored.items() if difference.rebuilt[name] != value}
    assert changed == {"owner"}


async def test_a_missing_row_is_found(engine: Engine, history: History) -> None:
    first = str(min(history.states))

    differences = await found_after(engine, history, f"DELETE FROM replicas WHERE deployment_id = '{first}'")

    assert {difference.table for difference in differences} == {"replicas"}
    assert all(difference.stored is None for difference in differences)
    assert [difference.key for difference in differences] == sorted(difference.key for difference in differences)


async def test_a_row_too_many_is_found(engine: Engine, history: History) -> None:
    copied = "INSERT INTO rejected_records SELECT position, ordinal + 100, " + ", ".join(
        f'"{name}"'
        for name in ("at", "topic", "epoch", "partition", "offset", "digest", "length", "code", "field", "value")
    )

    differences = await found_after(
        engine, history, copied + ', reason, "key", source, id FROM rejected_records WHERE ordinal = 0'
    )

    assert differences
    assert all(difference.rebuilt is None and difference.key[1] >= 100 for difference in differences)


async def test_only_so_many_differences_are_collected(engine: Engine, history: History) -> None:
    assert len(await found_after(engine, history, "DELETE FROM deployments", limit=2)) == 2


async def test_a_view_that_is_not_there_cannot_be_verified(engine: Engine) -> None:
    await ProjectionRunner(engine, VIEWS[:1], MemoryLog()).catch_up()

    with pytest.raises(ViewNotBuilt, match="autoscaling_decisions is not there in version 2"):
        await verify(MemoryLog(), VIEWS, engine=engine, scratch=open_database("sqlite://"))
