"""What must hold of the container files, checked without a container engine."""

import json
import re
from importlib import resources
from typing import Any

import jsonschema
import pytest
import typer

from service.cli.app import app
from service.demo import reference_proxy, reference_runtime
from service.proxy_targets import load_proxy_targets
from tests.deployment_support import (
    ADMIN_PORT,
    ROOT,
    defaults,
    documents,
    image,
    longest_stop,
    longest_stop_of_follower,
    settings_from,
)

PINNED = re.compile(r"^[a-z0-9./-]+:\d+\.\d+(\.\d+)?[\w.-]*(@sha256:[0-9a-f]{64})?$")
RUNS_ONCE = {"init"}
# It has no port to ask at; nobody depends on it, and a process that ends is started again.
CANNOT_BE_ASKED = {"runtime"}
OURS = {"init", "worker", "follower", "app-proxy", "runtime"}
REFERENCE_PARTS = {"app-proxy": reference_proxy, "runtime": reference_runtime}

Services = dict[str, dict[str, Any]]


@pytest.fixture(scope="module")
def compose() -> dict[str, Any]:
    """The parsed compose.yaml."""
    [parsed] = documents(ROOT / "compose.yaml")
    return parsed


@pytest.fixture(scope="module")
def services(compose: dict[str, Any]) -> Services:
    """The services of compose.yaml by name."""
    by_name: Services = compose["services"]
    return by_name


@pytest.fixture(scope="module")
def dockerfile() -> str:
    """The text of the Dockerfile."""
    return (ROOT / "Dockerfile").read_text(encoding="utf-8")


def test_compose_file_follows_the_compose_specification(compose: dict[str, Any]) -> None:
    schema = resources.files("check_jsonschema").joinpath("builtin_schemas", "vendor", "compose-spec.json")

    jsonschema.validate(compose, json.loads(schema.read_text(encoding="utf-8")))


def test_every_image_is_pinned_to_a_version(services: Services) -> None:
    assert [service["image"] for service in services.values() if not PINNED.match(service["image"])] == []


def test_what_is_built_has_the_name_and_version_of_the_distribution(services: Services) -> None:
    assert {name: service["image"] for name, service in services.items() if "build" in service} == dict.fromkeys(
        OURS, image()
    )


def test_every_service_that_stays_up_and_can_be_asked_has_a_health_check(services: Services) -> None:
    checked = {name for name, service in services.items() if "test" in service.get("healthcheck", {})}

    assert checked == set(services) - RUNS_ONCE - CANNOT_BE_ASKED


def test_every_dependency_waits_until_it_is_ready_or_done(services: Services) -> None:
    for service in services.values():
        for name, dependency in service.get("depends_on", {}).items():
            expected = "service_completed_successfully" if name in RUNS_ONCE else "service_healthy"
            assert dependency["condition"] == expected, name


def test_what_must_survive_a_restart_is_on_named_volumes(compose: dict[str, Any], services: Services) -> None:
    mounted = {volume.split(":")[0] for service in services.values() for volume in service.get("volumes", ())}

    assert mounted == set(compose["volumes"])


def test_every_secret_can_be_given_from_outside(services: Services) -> None:
    for service in services.values():
        for name, value in service.get("environment", {}).items():
            if name.endswith(("PASSWORD", "TOKEN")):
                assert str(value).startswith("${"), name
            assert not re.search(r"://[^:/@]+:[^@]+@", str(value)), name


def test_every_file_that_a_config_names_is_there(compose: dict[str, Any]) -> None:
    for file in defaults({name: config["file"] for name, config in compose["configs"].items()}).values():
        assert (ROOT / file).is_file(), file


@pytest.mark.parametrize("name", sorted(OURS))
def test_a_process_of_ours_runs_with_no_more_rights_than_it_needs(services: Services, name: str) -> None:
    service = services[name]

    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert "cap_add" not in service
    assert "user" not in service, "the image says who"


@pytest.mark.parametrize("name", ["kafka", "postgres"])
def test_a_backing_service_has_only_the_rights_that_its_image_asks_for(services: Services, name: str) -> None:
    service = services[name]

    assert service["cap_drop"] == ["ALL"]
    assert set(service.get("cap_add", ())) <= {"CHOWN", "DAC_OVERRIDE", "FOWNER", "SETGID", "SETUID"}


def test_no_process_can_gain_rights(services: Services) -> None:
    assert [name for name, s in services.items() if s["security_opt"] != ["no-new-privileges:true"]] == []


@pytest.mark.parametrize("name", ["init", "worker", "follower", "runtime"])
def test_a_process_of_ours_is_given_settings_that_there_are(
    services: Services, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = settings_from(defaults(services[name]["environment"]), monkeypatch)

    assert settings.kafka.bootstrap_servers == "kafka:19092"
    assert settings.database.url is not None or name == "runtime", "the root filesystem is read-only"


def test_workers_log_in_as_the_writer_that_the_database_makes(
    services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    worker, postgres = services["worker"]["environment"], services["postgres"]["environment"]
    settings = settings_from(defaults(worker), monkeypatch)
    [script] = [c["target"] for c in services["postgres"]["configs"] if c["source"] == "create-writer"]

    assert settings.database.url is not None
    assert "//routekeeper_writer@postgres:5432/" in settings.database.url.get_secret_value()
    assert worker["PGPASSWORD"] == postgres["WRITER_PASSWORD"]
    assert script.startswith("/docker-entrypoint-initdb.d/"), "where the image looks for what is to be run once"
    assert "CREATE ROLE routekeeper_writer LOGIN" in (ROOT / "deploy/compose/create-writer.sh").read_text()


def test_no_worker_is_without_partitions(services: Services, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = settings_from(defaults(services["worker"]["environment"]), monkeypatch)

    assert 2 <= services["worker"]["deploy"]["replicas"] <= settings.kafka.topics.partitions


def test_a_worker_has_the_time_that_it_takes_to_stop(services: Services, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = settings_from(defaults(services["worker"]["environment"]), monkeypatch)

    assert float(services["worker"]["stop_grace_period"].removesuffix("s")) >= longest_stop(settings)


def test_workers_leave_the_log_to_a_follower_that_may_do_what_they_may(
    services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    worker, follower = (
        settings_from(defaults(services[name]["environment"]), monkeypatch) for name in ("worker", "follower")
    )

    assert worker.follow_log is False
    assert follower.database == worker.database
    stop_seconds = float(services["follower"]["stop_grace_period"].removesuffix("s"))
    assert stop_seconds >= longest_stop_of_follower(follower)


@pytest.mark.parametrize("name", ["worker", "follower"])
def test_a_process_is_healthy_when_it_says_that_it_is_ready(services: Services, name: str) -> None:
    service = services[name]

    assert service["environment"]["ROUTEKEEPER_ADMIN__PORT"] == ADMIN_PORT
    assert f"http://127.0.0.1:{ADMIN_PORT}/readyz" in service["healthcheck"]["test"][-1]


def test_the_proxy_is_where_the_workers_look_for_it(services: Services, monkeypatch: pytest.MonkeyPatch) -> None:
    proxy, worker = services["app-proxy"], services["worker"]
    monkeypatch.setenv("PROXY_TOKEN", "a-token")
    [target] = load_proxy_targets(ROOT / "docs/examples/proxy-targets.yaml").values()
    options = dict(zip(proxy["command"][::2], proxy["command"][1::2], strict=True))

    assert target.addr == f"http://{options['--advertised-host']}:{options['--port']}"
    assert options["--advertised-host"] in services
    assert f"http://127.0.0.1:{options['--port']}/" in proxy["healthcheck"]["test"][-1]
    assert proxy["environment"]["REFERENCE_PROXY_TOKEN"] == worker["environment"]["PROXY_TOKEN"]


@pytest.mark.parametrize("name", sorted(REFERENCE_PARTS))
def test_a_reference_part_is_started_by_a_command_line_that_it_understands(services: Services, name: str) -> None:
    module, service = REFERENCE_PARTS[name], services[name]
    command_line = typer.Typer()
    command_line.command()(module.main)

    assert service["entrypoint"] == ["python", "-m", module.__name__]
    typer.main.get_command(command_line).make_context(name, list(service["command"]))


@pytest.mark.parametrize("service", ["init", "follower"])
def test_a_command_of_ours_is_started_by_a_command_line_that_it_understands(services: Services, service: str) -> None:
    name, *arguments = services[service]["command"]
    group = typer.main.get_group(app)
    command = group.get_command(group.make_context("routekeeper", [name]), name)

    assert command is not None
    command.make_context(name, arguments)


def test_the_image_is_built_on_a_pinned_base_in_two_stages(dockerfile: str) -> None:
    [base] = re.findall(r"^ARG PYTHON_IMAGE=(\S+)$", dockerfile, re.MULTILINE)

    assert PINNED.match(base)
    assert re.findall(r"^FROM (\S+)", dockerfile, re.MULTILINE) == ["${PYTHON_IMAGE}"] * 2


def test_the_image_runs_as_a_numbered_user_without_rights(dockerfile: str) -> None:
    """A number, because Kubernetes cannot tell whether a named user is root."""
    assert re.findall(r"^USER (\S+)$", dockerfile, re.MULTILINE) == ["10001:10001"]


def test_the_image_installs_nothing_without_a_hash(dockerfile: str) -> None:
    installs = re.findall(r"pip install (.*?)(?:\s*\\?$)", dockerfile, re.MULTILINE)

    assert installs
    assert [line for line in installs if "--require-hashes" not in line and "--no-deps /dist/" not in line] == []


def test_the_image_has_the_packages_of_the_distribution(dockerfile: str) -> None:
    copied = set(re.findall(r"^COPY (\w+)/ \1/$", dockerfile, re.MULTILINE))

    assert copied == {"requirements", "domain", "handlers", "projections", "adapters", "service"}


def test_the_image_names_the_port_that_a_worker_answers_at(dockerfile: str) -> None:
    assert re.findall(r"^EXPOSE (\d+)$", dockerfile, re.MULTILINE) == [str(ADMIN_PORT)]
