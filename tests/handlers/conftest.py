"""What tests of deciding share."""

from collections.abc import AsyncIterator

import pytest

from tests.handlers.decision_support import DecidingWorker, new_log

# The oracle of simulated faults is imported, not collected: its assertions are to explain themselves all the same.
pytest.register_assert_rewrite("tests.handlers.fault_oracle", "tests.handlers.fault_world", "tests.oracle")


@pytest.fixture
async def worker() -> AsyncIterator[DecidingWorker]:
    """A decider that runs on an empty log."""
    worker = DecidingWorker(new_log())
    yield worker
    await worker.stop()
