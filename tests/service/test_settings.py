"""Settings come from the environment, and one that cannot be used is named."""

from pathlib import Path

import pytest

from service.settings import SettingsInvalid, load_settings
from service.settings_reference import REFERENCE, reference


def test_nothing_needs_to_be_set() -> None:
    settings = load_settings()

    assert settings.kafka.bootstrap_servers is None
    assert settings.log_file == Path(".routekeeper/events.db")


def test_nested_settings_are_joined_by_two_underscores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ROUTEKEEPER_PROXY__LIMITS__CONCURRENCY", "7")
    monkeypatch.setenv("ROUTEKEEPER_KAFKA__TOPICS__COMMANDS", "mine.commands")

    settings = load_settings()

    assert settings.proxy.limits.concurrency == 7
    assert settings.kafka.topics.inputs == ("mine.commands", "routekeeper.routes", "routekeeper.metrics")


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("ROUTEKEEPER_PROXY__LIMITS__CONCURRENCY", "0"),
        ("ROUTEKEEPER_DECIDER__BATCH_SIZE", "many"),
        ("ROUTEKEEPER_DECISIONS__NO_SUCH_SETTING", "1"),
        ("ROUTEKEEPER_LOG_FORMAT", "xml"),
    ],
)
def test_a_setting_that_cannot_be_used_is_named_with_its_value(
    monkeypatch: pytest.MonkeyPatch, variable: str, value: str
) -> None:
    monkeypatch.setenv(variable, value)

    with pytest.raises(SettingsInvalid) as refused:
        load_settings()

    assert variable in str(refused.value)
    assert repr(value) in str(refused.value)


def test_a_misspelt_setting_is_refused_and_not_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ROUTEKEEPER_DATADIR", "/somewhere")

    with pytest.raises(SettingsInvalid, match="ROUTEKEEPER_DATADIR: there is no such setting"):
        load_settings()


def test_the_reference_in_the_documentation_is_up_to_date() -> None:
    assert REFERENCE.read_text() == reference(), "run: make settings-reference"
