"""The oracle of simulated faults is imported, not collected: its assertions are to explain themselves all the same."""

import pytest

pytest.register_assert_rewrite("tests.handlers.fault_oracle", "tests.handlers.fault_world", "tests.oracle")
