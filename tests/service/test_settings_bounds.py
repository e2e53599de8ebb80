"""No setting takes a value that could only be a mistake, and none that may be a secret is repeated."""

import pytest

from service.settings import Settings, SettingsInvalid, load_settings
from service.settings_errors import variable_of
from service.settings_fields import FieldPath, single_settings

SECRET = "canary-51fe"
NUMBERS = [
    path
    for path, value in single_settings(Settings.model_construct())
    if isinstance(value, int | float) and not isinstance(value, bool)
]
TIMES = [path for path, value in single_settings(Settings.model_construct()) if isinstance(value, float)]


def refused(monkeypatch: pytest.MonkeyPatch, **variables: str) -> str:
    """What is said about settings that cannot be used; never the secret."""
    for name, value in variables.items():
        monkeypatch.setenv(f"ROUTEKEEPER_{name}", value)
    with pytest.raises(SettingsInvalid) as caught:
        load_settings()
    assert SECRET not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("path", NUMBERS, ids=".".join)
def test_no_number_may_be_below_zero(monkeypatch: pytest.MonkeyPatch, path: FieldPath) -> None:
    variable = variable_of(Settings, path)

    assert f"{variable}: " in refused(monkeypatch, **{variable.removeprefix("ROUTEKEEPER_"): "-1"})


@pytest.mark.parametrize("value", ["nan", "inf"])
def test_no_time_or_ratio_may_be_without_end(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    variables = [variable_of(Settings, path) for path in TIMES]

    said = refused(monkeypatch, **{variable.removeprefix("ROUTEKEEPER_"): value for variable in variables})

    assert [variable for variable in variables if f"{variable}: " not in said] == []


@pytest.mark.parametrize(
    "name",
    [
        "KAFKA__SASL_PASSWORD",
        "KAFKA__PASSWORD",
        "PROXY__TOKEN",
        "PROXY__LIMITS__KEY",
        "DECISIONS__NO_SUCH_SETTING",
        "DATABASE__DSN",
        "PROMETHEUS__TOKEN__VALEU",
        "PROMETHEUS__CREDENTIALS",
    ],
)
def test_the_value_of_a_name_that_is_no_setting_is_not_shown(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """It may be a secret whose place was mistaken."""
    assert f"ROUTEKEEPER_{name}: there is no such setting" in refused(monkeypatch, **{name: SECRET})


@pytest.mark.parametrize("name", ["KAFKA__SECURITY", "PROMETHEUS__TOKEN", "PROXY__LIMITS", "DATABASE__URL__VALUE"])
def test_what_is_given_in_the_place_of_a_group_is_not_shown(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    said = refused(monkeypatch, **{name: SECRET})

    assert f"ROUTEKEEPER_{name.removesuffix('__VALUE')}: " in said
    assert "(it is not shown)" in said


@pytest.mark.parametrize(
    ("name", "value", "problem"),
    [
        ("PROMETHEUS__URL", f"http://me:{SECRET}@prometheus:9090", "holds credentials: give a token instead"),
        ("PROMETHEUS__URL", f"prometheus:9090/{SECRET}", "has to be http://HOST:PORT or https://HOST:PORT"),
        ("DATABASE__URL", f"mysql://me:{SECRET}@db/control", "looks like postgresql://"),
        ("DATABASE__VIEWS_URL", f"sqlite:///{SECRET}", "looks like postgresql://"),
        ("KAFKA__BOOTSTRAP_SERVERS", f"me:{SECRET}@broker:9092", "has to be HOST:PORT"),
        ("KAFKA__SECURITY__OAUTH__TOKEN_URL", f"https://me:{SECRET}@idp.example/token", "holds an @"),
        ("PROXY__ALLOWED_HOSTS", f"http://me:{SECRET}@proxy", "what holds an @ is no host"),
    ],
)
def test_an_address_that_cannot_be_used_is_named_and_not_shown(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str, problem: str
) -> None:
    said = refused(monkeypatch, **{name: value})

    assert f"ROUTEKEEPER_{name}: " in said
    assert problem in said


@pytest.mark.parametrize("servers", ["broker", "broker:", ":9092", "broker:0", "broker:70000", "a:1,,b:2", "a:1 b:2"])
def test_every_broker_has_a_host_and_a_port(monkeypatch: pytest.MonkeyPatch, servers: str) -> None:
    said = refused(monkeypatch, KAFKA__BOOTSTRAP_SERVERS=servers)

    assert "ROUTEKEEPER_KAFKA__BOOTSTRAP_SERVERS: has to be HOST:PORT" in said
    assert repr(servers) in said


@pytest.mark.parametrize("servers", ["broker:9092", "a.example:9092, b_2:9093", "[::1]:9092", "10.0.0.1:9092"])
def test_brokers_may_be_several(monkeypatch: pytest.MonkeyPatch, servers: str) -> None:
    monkeypatch.setenv("ROUTEKEEPER_KAFKA__BOOTSTRAP_SERVERS", servers)

    assert load_settings().kafka.bootstrap_servers == servers


@pytest.mark.parametrize(
    ("name", "value", "problem"),
    [
        ("ROUTES", "routekeeper.commands", "is 'routekeeper.commands', and so is commands"),
        ("EVENTS", "a b", "'a b' is no topic's name"),
        ("EVENTS", "..", "'..' is no topic's name"),
    ],
)
def test_each_topic_has_a_name_of_its_own(monkeypatch: pytest.MonkeyPatch, name: str, value: str, problem: str) -> None:
    assert f"ROUTEKEEPER_KAFKA__TOPICS__{name}: {problem}" in refused(monkeypatch, **{f"KAFKA__TOPICS__{name}": value})


def test_heartbeats_come_within_the_session_timeout(monkeypatch: pytest.MonkeyPatch) -> None:
    said = refused(monkeypatch, KAFKA__CONSUMER__HEARTBEAT_INTERVAL="30")

    assert "ROUTEKEEPER_KAFKA__CONSUMER__HEARTBEAT_INTERVAL: is 30, and must be below session_timeout" in said


@pytest.mark.parametrize("views_url", ["", "postgresql://reader@db/control", "postgresql://db:5432/control"])
def test_views_do_not_stand_among_the_log(monkeypatch: pytest.MonkeyPatch, views_url: str) -> None:
    """Views are dropped and made anew at will."""
    said = refused(
        monkeypatch,
        DATABASE__URL=f"postgresql://me:{SECRET}@db/control",
        DATABASE__VIEWS_URL=views_url,
        DATABASE__VIEWS_SCHEMA="routekeeper",
    )

    assert "ROUTEKEEPER_DATABASE__VIEWS_SCHEMA: is 'routekeeper', and so is log_schema" in said


def test_in_databases_of_their_own_both_schemas_may_be_called_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ROUTEKEEPER_DATABASE__URL", "postgresql://db/control")
    monkeypatch.setenv("ROUTEKEEPER_DATABASE__VIEWS_URL", "postgresql://db/views")
    monkeypatch.setenv("ROUTEKEEPER_DATABASE__VIEWS_SCHEMA", "routekeeper")

    assert load_settings().database.views_schema == "routekeeper"
