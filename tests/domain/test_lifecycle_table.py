import typing

import pytest

from domain.commands import AnyCommand
from domain.errors import RejectionCode
from domain.evolve import replay
from tests.domain.lifecycle_table import CELLS, COMMANDS, MEANING, STATES
from tests.domain.scenario import given


@pytest.mark.parametrize(("command", "state"), CELLS)
def test_the_table_says_what_each_command_leads_to_in_each_state(command: str, state: str) -> None:
    meaning = MEANING[CELLS[command, state]]

    when = given(*STATES[state]).when(COMMANDS[command])

    if isinstance(meaning, RejectionCode):
        when.then_rejected(meaning)
    else:
        when.then_events(*meaning)


def test_the_table_has_a_cell_for_every_command_in_every_state() -> None:
    assert {(command, state) for command in COMMANDS for state in STATES} == set(CELLS)


def test_the_table_has_a_row_for_every_kind_of_command() -> None:
    assert set(typing.get_args(AnyCommand)) == {type(command) for command in COMMANDS.values()}


def test_every_word_that_the_table_may_use_is_used() -> None:
    assert set(MEANING) == set(CELLS.values())


def test_the_states_of_the_table_are_in_the_lifecycle_that_they_are_named_after() -> None:
    lifecycles = {name: state.lifecycle.value for name in STATES if (state := replay(STATES[name]))}

    assert lifecycles == {
        "pending": "pending",
        "revised": "pending",
        "scaling": "scaling",
        "matched": "scaling",
        "ready": "ready",
        "short": "ready",
        "destroying": "destroying",
        "unregistered": "destroying",
        "destroyed": "destroyed",
    }
