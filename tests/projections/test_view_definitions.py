import json
from hashlib import sha256

import pytest
from sqlalchemy import create_mock_engine
from sqlalchemy.schema import CreateIndex, CreateTable

from domain.events import DeploymentCreated
from domain.registry import EVENT_TYPES
from projections.catalogue import VIEWS
from projections.database import open_database
from projections.runner import ProjectionRunner
from projections.view import View
from tests.domain.golden_examples import EXAMPLES
from tests.projection_support import CHAT, SEARCH, MemoryLog, all_rows, created

#: What each view was when its version began: its tables, and the rows that one event of each type comes to.
FINGERPRINTS = {
    ("deployments", 3): "206e8faa2f99f728",
    ("autoscaling_decisions", 2): "5de9f952875a2b34",
    ("operation_failures", 1): "b2dcf2165c6193fa",
    ("rejected_records", 1): "f5e2de145f5dd1c2",
    ("control", 1): "40c34d7d1bbe609a",
}


def definition(view: View) -> str:
    """The statements that make the view's tables in PostgreSQL."""
    statements: list[CreateTable | CreateIndex] = [CreateTable(table) for table in view.tables]
    statements += [CreateIndex(index) for table in view.tables for index in sorted(table.indexes, key=str)]
    engine = create_mock_engine("postgresql+psycopg://", lambda *_: None)
    return "\n".join(str(each.compile(dialect=engine.dialect)) for each in statements)


async def rows_of_examples(view: View) -> str:
    """What all examples of events come to, the shortest to one deployment, the longest to another."""
    log = MemoryLog()
    for deployment_id, examples in zip((CHAT, SEARCH), zip(*EXAMPLES, strict=True), strict=True):
        log.append(created(deployment_id), to=deployment_id)
        log.append(*(event for event in examples if not isinstance(event, DeploymentCreated)), to=deployment_id)
    engine = open_database("sqlite://")
    await ProjectionRunner(engine, [view], log).catch_up()
    return json.dumps(all_rows(engine, [view]), default=str)


def test_every_event_type_changes_some_view() -> None:
    handled = frozenset().union(*(view.handles for view in VIEWS))

    assert handled == frozenset(EVENT_TYPES.values())


def test_names_of_views_and_tables_are_unique() -> None:
    names = [view.name for view in VIEWS]
    tables = [table.name for view in VIEWS for table in view.tables]

    assert len(set(names)) == len(names)
    assert len(set(tables)) == len(tables)


@pytest.mark.parametrize("view", VIEWS, ids=lambda view: view.name)
async def test_a_view_that_changes_gets_a_new_version(view: View) -> None:
    """If this fails, raise the view's version and add its fingerprint: stored rows of the old one are worth nothing."""
    described = definition(view) + await rows_of_examples(view)

    assert sha256(described.encode()).hexdigest()[:16] == FINGERPRINTS[view.name, view.version]
