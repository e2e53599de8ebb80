"""Contracts are imported, not collected: their assertions are to explain themselves all the same."""

import pytest

pytest.register_assert_rewrite(
    "tests.adapters.event_log_contract",
    "tests.adapters.event_log_crash_contract",
    "tests.adapters.event_log_reading_contract",
)
