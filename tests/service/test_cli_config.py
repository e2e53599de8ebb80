"""`routekeeper config`: what is in force, in which unit, where it came from, and never a secret."""

from pathlib import Path

import yaml

from service.settings import Settings
from service.settings_fields import single_settings
from tests.cli_support import json_of, row_of, runner_for

SECRETS = {
    "ROUTEKEEPER_DATABASE__URL": "postgresql://me:canary-1@db/control",
    "ROUTEKEEPER_KAFKA__BOOTSTRAP_SERVERS": "broker:9093",
    "ROUTEKEEPER_KAFKA__SECURITY__PROTOCOL": "SASL_SSL",
    "ROUTEKEEPER_KAFKA__SECURITY__SASL_USERNAME": "mina",
    "ROUTEKEEPER_KAFKA__SECURITY__SASL_PASSWORD": "canary-2",
}


def test_every_setting_is_shown_with_value_unit_default_and_origin(tmp_path: Path) -> None:
    run = runner_for(tmp_path, ROUTEKEEPER_DECIDER__BATCH_WAIT_SECONDS="0.01")

    result = run("config")

    assert row_of(result, "decider.batch_wait_seconds") == [
        "decider.batch_wait_seconds",
        "0.01",
        "seconds",
        "0.005",
        "environment variable",
    ]
    assert row_of(result, "retry.backoff.jitter")[2:] == ["ratio", "0.2", "default"]
    assert row_of(result, "proxy.connections.max_body_bytes")[2] == "bytes"
    names = {".".join(path) for path, _ in single_settings(Settings())}
    assert {line.split()[0] for line in result.stdout.splitlines()[1:]} == names


def test_secrets_are_masked_in_every_format(tmp_path: Path) -> None:
    run = runner_for(tmp_path, **SECRETS)

    for output in ("table", "json", "yaml"):
        result = run("config", "-o", output)
        assert result.exit_code == 0, result.stderr
        assert "canary" not in result.stdout
        assert "**********" in result.stdout


def test_programs_get_the_variable_of_each_setting(tmp_path: Path) -> None:
    run = runner_for(tmp_path, **SECRETS)

    settings = {each["variable"]: each for each in json_of(run("config", "--set", "-o", "json"))}

    assert settings.keys() == {*SECRETS, "ROUTEKEEPER_DATA_DIR", "ROUTEKEEPER_AUDIT__VIEWS_WAIT_SECONDS"}
    assert settings["ROUTEKEEPER_KAFKA__SECURITY__SASL_USERNAME"] == {
        "name": "kafka.security.sasl_username",
        "variable": "ROUTEKEEPER_KAFKA__SECURITY__SASL_USERNAME",
        "value": "mina",
        "unit": "",
        "default": None,
        "origin": "environment variable",
    }
    assert len(yaml.safe_load(run("config", "--set", "-o", "yaml").stdout)) == len(settings)


def test_a_setting_that_cannot_be_used_is_an_error(tmp_path: Path) -> None:
    result = runner_for(tmp_path, ROUTEKEEPER_LOG_FORMAT="xml")("config")

    assert result.exit_code == 1
    assert "error: ROUTEKEEPER_LOG_FORMAT: Input should be 'console' or 'json'" in result.stderr
