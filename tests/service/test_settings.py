"""Settings come from the environment, and one that cannot be used is named."""

from pathlib import Path

import pytest

from service.kafka_access import known_kafka
from service.settings import Settings, SettingsInvalid, load_settings
from service.settings_reference import REFERENCE, reference
from service.settings_sources import Origin, origins


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

    with pytest.raises(
        SettingsInvalid, match="ROUTEKEEPER_DATADIR: there is no such setting; did you mean ROUTEKEEPER_D"
    ):
        load_settings()


def refused(monkeypatch: pytest.MonkeyPatch, **variables: str) -> str:
    """What is said about settings that cannot be used."""
    for name, value in variables.items():
        monkeypatch.setenv(f"ROUTEKEEPER_{name}", value)
    with pytest.raises(SettingsInvalid) as caught:
        load_settings()
    return str(caught.value)


def test_a_misspelt_nested_setting_is_told_what_was_meant(monkeypatch: pytest.MonkeyPatch) -> None:
    said = refused(monkeypatch, KAFKA__CONSUMER__MAXRECORDS="10")

    assert "ROUTEKEEPER_KAFKA__CONSUMER__MAXRECORDS: there is no such setting" in said
    assert "did you mean ROUTEKEEPER_KAFKA__CONSUMER__MAX_RECORDS" in said


def test_allowed_values_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    said = refused(monkeypatch, LOG_FORMAT="xml", KAFKA__SECURITY__PROTOCOL="TLS", PROXY__ALLOWED_HOSTS="http://a")

    assert "ROUTEKEEPER_LOG_FORMAT: Input should be 'console' or 'json' (it is 'xml')" in said
    assert "should be 'PLAINTEXT', 'SSL', 'SASL_PLAINTEXT' or 'SASL_SSL' (it is 'TLS')" in said
    assert "ROUTEKEEPER_PROXY__ALLOWED_HOSTS: 'http://a' is no host" in said


@pytest.mark.parametrize(
    ("security", "at_fault", "problem"),
    [
        ({"PROTOCOL": "SASL_SSL"}, "SASL_USERNAME", "is unset, and mechanism SCRAM-SHA-512 needs it"),
        ({"PROTOCOL": "SASL_SSL", "SASL_USERNAME": "me"}, "SASL_PASSWORD", "is unset, and so is sasl_password_file"),
        (
            {"PROTOCOL": "SASL_SSL", "SASL_USERNAME": "me", "SASL_PASSWORD": "hush", "SASL_PASSWORD_FILE": "/f"},
            "SASL_PASSWORD",
            "is set, and so is sasl_password_file",
        ),
        ({"SASL_PASSWORD": "hush"}, "SASL_PASSWORD", "is set, but protocol PLAINTEXT does not use SASL"),
        ({"CA_FILE": "/ca"}, "CA_FILE", "is set, but protocol PLAINTEXT does not use TLS"),
        ({"PROTOCOL": "SSL", "KEY_FILE": "/key"}, "KEY_FILE", "is set, but certificate_file is not"),
        ({"PROTOCOL": "SSL", "SASL_USERNAME": "me"}, "SASL_USERNAME", "protocol SSL does not use SASL"),
        ({"OAUTH__CLIENT_ID": "me"}, "OAUTH", "protocol PLAINTEXT does not use SASL"),
        ({"PROTOCOL": "SASL_SSL", "SASL_MECHANISM": "OAUTHBEARER"}, "OAUTH__TOKEN_URL", "OAUTHBEARER needs it"),
        (
            {
                "PROTOCOL": "SASL_SSL",
                "SASL_MECHANISM": "OAUTHBEARER",
                "OAUTH__TOKEN_URL": "https://idp.example/token",
                "OAUTH__CLIENT_ID": "me",
            },
            "OAUTH__CLIENT_SECRET",
            "is unset, and so is client_secret_file",
        ),
        ({"OAUTH__TOKEN_URL": "http://idp.example/token"}, "OAUTH__TOKEN_URL", "is not https"),
        ({"SASL_PASWORD": "hush"}, "SASL_PASWORD", "did you mean ROUTEKEEPER_KAFKA__SECURITY__SASL_PASSWORD"),
    ],
)
def test_security_that_does_not_fit_together_is_refused_by_the_name_of_the_field(
    monkeypatch: pytest.MonkeyPatch, security: dict[str, str], at_fault: str, problem: str
) -> None:
    variables = {f"KAFKA__SECURITY__{name}": value for name, value in security.items()}

    said = refused(monkeypatch, KAFKA__BOOTSTRAP_SERVERS="broker:9092", **variables)

    assert f"ROUTEKEEPER_KAFKA__SECURITY__{at_fault}: " in said
    assert problem in said
    assert "hush" not in said


def test_security_without_a_broker_to_connect_to_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """Else an embedded broker would be used, without any."""
    assert "ROUTEKEEPER_KAFKA__BOOTSTRAP_SERVERS: is unset" in refused(monkeypatch, KAFKA__SECURITY__PROTOCOL="SSL")


@pytest.mark.parametrize(
    ("security", "problem"),
    [
        ({"PROTOCOL": "SSL", "CA_FILE": "/no/such/ca"}, "ca_file '/no/such/ca' cannot be used: No such file"),
        ({"PROTOCOL": "SSL", "CERTIFICATE_FILE": "/no/such/cert"}, "certificate_file '/no/such/cert' cannot be used"),
        (
            {"PROTOCOL": "SASL_SSL", "SASL_USERNAME": "me", "SASL_PASSWORD_FILE": "/no/such/password"},
            "sasl_password_file '/no/such/password' cannot be read: No such file",
        ),
    ],
)
def test_a_file_that_cannot_be_read_stops_the_start(
    monkeypatch: pytest.MonkeyPatch, security: dict[str, str], problem: str
) -> None:
    monkeypatch.setenv("ROUTEKEEPER_KAFKA__BOOTSTRAP_SERVERS", "broker:9092")
    for name, value in security.items():
        monkeypatch.setenv(f"ROUTEKEEPER_KAFKA__SECURITY__{name}", value)

    with pytest.raises(SettingsInvalid, match=f"ROUTEKEEPER_KAFKA__SECURITY: {problem}"):
        known_kafka(load_settings())


@pytest.mark.parametrize(("content", "problem"), [("", "is empty"), ("canary" * 20_000, "is longer than 65536 bytes")])
def test_a_password_file_that_holds_no_password_stops_the_start(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, content: str, problem: str
) -> None:
    (tmp_path / "password").write_text(content)
    monkeypatch.setenv("ROUTEKEEPER_KAFKA__BOOTSTRAP_SERVERS", "broker:9092")
    security = {"PROTOCOL": "SASL_SSL", "SASL_USERNAME": "me", "SASL_PASSWORD_FILE": str(tmp_path / "password")}
    for name, value in security.items():
        monkeypatch.setenv(f"ROUTEKEEPER_KAFKA__SECURITY__{name}", value)

    with pytest.raises(SettingsInvalid, match=f"sasl_password_file .* {problem}"):
        known_kafka(load_settings())


def test_settings_come_from_secret_files_and_an_env_file_too(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """What the environment says wins over a secret file, and that over the env file."""
    secrets, env_file = tmp_path / "secrets", tmp_path / "env"
    secrets.mkdir()
    (secrets / "ROUTEKEEPER_DATABASE__URL").write_text("postgresql://from-secret\n")
    (secrets / "ROUTEKEEPER_KAFKA__EPOCH").write_text("from-secret")
    (secrets / "somebody-elses").write_text("x")
    env_file.write_text("ROUTEKEEPER_KAFKA__EPOCH=from-file\nROUTEKEEPER_LOG_LEVEL=DEBUG\nOTHER=1\n")
    monkeypatch.setenv("ROUTEKEEPER_SECRETS_DIR", str(secrets))
    monkeypatch.setenv("ROUTEKEEPER_ENV_FILE", str(env_file))
    monkeypatch.setenv("ROUTEKEEPER_DECIDER__BATCH_SIZE", "7")

    settings = load_settings()

    assert settings.database.url is not None
    assert settings.database.url.get_secret_value() == "postgresql://from-secret"
    assert (settings.kafka.epoch, settings.log_level, settings.decider.batch_size) == ("from-secret", "DEBUG", 7)
    assert origins(Settings) == {
        ("database", "url"): Origin.SECRET_FILE,
        ("kafka", "epoch"): Origin.SECRET_FILE,
        ("log_level",): Origin.ENV_FILE,
        ("decider", "batch_size"): Origin.ENVIRONMENT,
    }


def test_a_misspelt_setting_in_a_file_is_refused_as_well(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "env").write_text("ROUTEKEEPER_LOGLEVEL=DEBUG\n")

    assert "ROUTEKEEPER_LOGLEVEL: there is no such setting" in refused(monkeypatch, ENV_FILE=str(tmp_path / "env"))


@pytest.mark.parametrize("variable", ["ENV_FILE", "SECRETS_DIR"])
def test_a_file_of_settings_that_is_not_there_is_named(monkeypatch: pytest.MonkeyPatch, variable: str) -> None:
    assert "/no/such/place" in refused(monkeypatch, **{variable: "/no/such/place"})


def test_the_reference_in_the_documentation_is_up_to_date() -> None:
    assert REFERENCE.read_text() == reference(), "run: make settings-reference"


@pytest.mark.parametrize(
    ("name", "complaint"),
    [
        ("routekeeper.events", "is 'routekeeper.events', and so is kafka.topics.events: each needs a topic of its own"),
        ("two words", "'two words' is no topic's name"),
    ],
)
def test_tree_heads_need_a_topic_of_their_own(monkeypatch: pytest.MonkeyPatch, name: str, complaint: str) -> None:
    monkeypatch.setenv("ROUTEKEEPER_AUDIT__HEADS_TOPIC", name)

    with pytest.raises(SettingsInvalid, match=f"ROUTEKEEPER_AUDIT__HEADS_TOPIC: {complaint}"):
        load_settings()
