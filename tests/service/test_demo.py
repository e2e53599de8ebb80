"""The demonstration reaches every state that it promises, and what it leaves behind can be audited."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from adapters.event_store.event_log import open_sqlite_log
from projections.catalogue import VIEWS
from projections.database import open_database
from projections.replay import replay
from service.demo.acts import ACTS
from tests.oracle import assert_one_story

ROOT = Path(__file__).parents[2]


def routekeeper(*arguments: str, data_dir: Path) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "ROUTEKEEPER_DATA_DIR": str(data_dir), "PYTHONPATH": str(ROOT), "COLUMNS": "120"}
    return subprocess.run(
        [sys.executable, "-m", "service", *arguments],
        env=environment,
        cwd=data_dir.parent,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of one demonstration that was played to its end."""
    data_dir = tmp_path_factory.mktemp("demo") / "data"
    played = routekeeper("demo", "--exit", data_dir=data_dir)
    assert played.returncode == 0, played.stdout + played.stderr
    for act in ACTS:
        assert act.title in played.stdout
    return data_dir


@pytest.mark.timeout(150)
async def test_the_demonstration_leaves_one_story_behind(data_dir: Path) -> None:
    log, views = open_sqlite_log(data_dir / "events.db"), open_database(f"sqlite:///{data_dir / 'views.db'}")

    states = await assert_one_story(log, views, circuits=())

    log.close()
    views.dispose()
    assert {state.name for state in states.values()} == {"chat", "search"}


async def test_views_that_were_deleted_are_rebuilt_from_the_log(data_dir: Path, tmp_path: Path) -> None:
    log, rebuilt = open_sqlite_log(data_dir / "events.db"), open_database(f"sqlite:///{tmp_path / 'views.db'}")

    await replay(log, VIEWS, until=await log.head(), engine=rebuilt)

    await assert_one_story(log, rebuilt, circuits=())
    log.close()
    rebuilt.dispose()


def test_the_past_can_be_asked_for_after_everything_was_stopped(data_dir: Path) -> None:
    then = routekeeper("replay", "--until", "7", data_dir=data_dir)

    assert then.returncode == 0, then.stderr
    assert "chat" in then.stdout
    assert "2/2/2" in then.stdout
