"""Folds a long history into the views of an SQLite file, and says on standard output after each batch how far it is.

``python -m tests.projections.fold_until_killed URL``
"""

import asyncio
import sys

from projections.catalogue import VIEWS
from projections.database import open_database
from projections.runner import ProjectionRunner
from tests.histories import History, random_history
from tests.projection_support import MemoryLog


def long_history() -> History:
    """The same one in every process."""
    return random_history(41, steps=400)


async def fold(url: str) -> None:
    """Fold in small batches, until the end or the death of the process."""
    runner = ProjectionRunner(open_database(url), VIEWS, MemoryLog(long_history().log), batch_size=3)
    while await runner.step():
        print(max(runner.positions.values()), flush=True)  # noqa: T201 - whoever kills this process waits for it


if __name__ == "__main__":
    asyncio.run(fold(sys.argv[1]))
