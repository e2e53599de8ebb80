"""A line for each committed event, as loud as it is worth, and none that nobody reads."""

import logging
from unittest.mock import patch
from uuid import UUID

import pytest

from domain.events import CommandHadNoEffect, DeploymentReady
from domain.pauses import PAUSES_ID, EffectsPaused, Everything
from domain.recorded import AnyEvent, OperationCause, RecordedEvent
from handlers.commit import Commit
from handlers.decision_lines import log_decisions
from tests.handlers.decision_support import AT

D1 = UUID(int=1)
CAUSE = OperationCause(operation="scale")
NO_EFFECT = CommandHadNoEffect(at=AT, command="set-replica-count", reason="it is so")


def test_what_changed_is_told_and_what_changed_nothing_only_to_who_asks_for_details(
    caplog: pytest.LogCaptureFixture,
) -> None:
    ready, nothing = recorded(D1, 4, DeploymentReady(at=AT, replicas=1)), recorded(D1, 5, NO_EFFECT)

    with caplog.at_level(logging.DEBUG):
        log_decisions(Commit(states=[], samples=[], position=5, events=[ready, nothing]))

    told = [(record.levelname, record.__dict__["event_id"]) for record in caplog.records]
    assert told == [("INFO", f"{D1}:4"), ("DEBUG", f"{D1}:5")]


def test_an_event_that_is_no_deployments_names_none(caplog: pytest.LogCaptureFixture) -> None:
    paused = EffectsPaused(at=AT, scope=Everything(), reason="", actor="")

    with caplog.at_level(logging.INFO):
        log_decisions(Commit(states=[], samples=[], position=1, events=[recorded(PAUSES_ID, 1, paused)]))

    [record] = caplog.records
    assert record.__dict__["event_type"] == "control.effects-paused.v1"
    assert "deployment_id" not in record.__dict__


def test_what_nobody_reads_is_not_built(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO), patch("handlers.decision_lines._fields") as fields:
        log_decisions(Commit(states=[], samples=[], position=5, events=[recorded(D1, 5, NO_EFFECT)]))

    fields.assert_not_called()


def recorded(stream_id: UUID, version: int, event: AnyEvent) -> RecordedEvent:
    return RecordedEvent(stream_id, version, CAUSE, event)
