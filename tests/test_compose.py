"""What must hold of the container files, checked without a container engine."""

import json
import re
from importlib import resources
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from service.settings import load_settings

ROOT = Path(__file__).resolve().parent.parent
PINNED = re.compile(r"^[a-z0-9./-]+:\d+\.\d+(\.\d+)?[\w.-]*(@sha256:[0-9a-f]{64})?$")
RUNS_ONCE = {"topics"}


@pytest.fixture(scope="module")
def compose() -> dict[str, Any]:
    """The parsed compose.yaml."""
    parsed: dict[str, Any] = yaml.safe_load((ROOT / "compose.yaml").read_text(encoding="utf-8"))
    return parsed


@pytest.fixture(scope="module")
def services(compose: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """The services of compose.yaml by name."""
    by_name: dict[str, dict[str, Any]] = compose["services"]
    return by_name


@pytest.fixture(scope="module")
def dockerfile() -> str:
    """The text of the Dockerfile."""
    return (ROOT / "Dockerfile").read_text(encoding="utf-8")


def test_compose_file_follows_the_compose_specification(compose: dict[str, Any]) -> None:
    schema = resources.files("check_jsonschema").joinpath("builtin_schemas", "vendor", "compose-spec.json")

    jsonschema.validate(compose, json.loads(schema.read_text(encoding="utf-8")))


def test_every_image_is_pinned_to_a_version(services: dict[str, dict[str, Any]]) -> None:
    assert [service["image"] for service in services.values() if not PINNED.match(service["image"])] == []


def test_every_service_that_stays_up_has_a_health_check(services: dict[str, dict[str, Any]]) -> None:
    checked = {name for name, service in services.items() if "test" in service.get("healthcheck", {})}

    assert checked == set(services) - RUNS_ONCE


def test_every_dependency_waits_until_it_is_ready_or_done(services: dict[str, dict[str, Any]]) -> None:
    for service in services.values():
        for name, dependency in service.get("depends_on", {}).items():
            expected = "service_completed_successfully" if name in RUNS_ONCE else "service_healthy"
            assert dependency["condition"] == expected, name


def test_what_must_survive_a_restart_is_on_named_volumes(compose: dict[str, Any]) -> None:
    mounted = {
        volume.split(":")[0] for name in ("kafka", "postgres") for volume in compose["services"][name]["volumes"]
    }

    assert mounted == set(compose["volumes"])


def test_every_password_can_be_given_from_outside(services: dict[str, dict[str, Any]]) -> None:
    for service in services.values():
        for name, value in service.get("environment", {}).items():
            if "PASSWORD" in name:
                assert str(value).startswith("${"), name
            assert not re.search(r"://[^:/@]+:(?!\$\{)[^@]+@", str(value)), name


def test_every_file_that_a_config_names_is_there(compose: dict[str, Any]) -> None:
    for config in compose["configs"].values():
        default = re.sub(r"\$\{\w+:-([^}]*)\}", r"\1", config["file"])
        assert (ROOT / default).is_file(), default


def test_the_worker_runs_with_no_more_rights_than_it_needs(services: dict[str, dict[str, Any]]) -> None:
    worker = services["worker"]

    assert worker["read_only"] is True
    assert worker["cap_drop"] == ["ALL"]
    assert "no-new-privileges:true" in worker["security_opt"]


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


def test_the_worker_is_given_settings_that_there_are(
    services: dict[str, dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in services["worker"]["environment"].items():
        monkeypatch.setenv(name, str(value))

    settings = load_settings()

    assert settings.kafka.bootstrap_servers == "kafka:19092"
    assert settings.database.url is not None, "the root filesystem is read-only"
