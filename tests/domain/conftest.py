"""Settings of the property-based tests: no deadlines, and on a build server the same examples every time."""

import os

import pytest
from hypothesis import settings

pytest.register_assert_rewrite("tests.domain.invariants", "tests.domain.scenario", "tests.domain.simulation")

settings.register_profile("domain", deadline=None, derandomize="CI" in os.environ)
settings.load_profile("domain")
