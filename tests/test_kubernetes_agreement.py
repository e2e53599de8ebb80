"""The manifests agree with each other, with the settings, and with how a worker behaves."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from service.proxy_targets import load_proxy_targets
from service.settings import Settings
from tests.deployment_support import (
    ADMIN_PATHS,
    ADMIN_PORT,
    ROOT,
    documents,
    longest_stop,
    longest_stop_of_follower,
    settings_from,
)

MANIFESTS = ROOT / "deploy" / "kubernetes"
BASE = MANIFESTS / "base"
#: What is given to a pod beside settings, and who reads it: libpq, and the file of proxy targets.
OTHER_VARIABLES = {"PGUSER", "PGPASSWORD", "PROXY_TOKEN"}

Manifest = dict[str, Any]


def only(name: str) -> Manifest:
    """The one manifest of a file."""
    [manifest] = documents(BASE / name)
    return manifest


@pytest.fixture
def workers() -> Manifest:
    """The StatefulSet."""
    return only("workers.yaml")


@pytest.fixture
def worker(workers: Manifest) -> Manifest:
    """The container of a worker."""
    [container] = workers["spec"]["template"]["spec"]["containers"]
    return dict(container)


@pytest.fixture
def followers() -> Manifest:
    """The Deployment of what follows the log."""
    return only("followers.yaml")


@pytest.fixture
def follower(followers: Manifest) -> Manifest:
    """The container of a follower."""
    [container] = followers["spec"]["template"]["spec"]["containers"]
    return dict(container)


@pytest.fixture
def init() -> Manifest:
    """The container of the init job."""
    [container] = only("init.yaml")["spec"]["template"]["spec"]["containers"]
    return dict(container)


@pytest.fixture
def scaled_object() -> Manifest:
    """KEDA's part."""
    [manifest] = documents(MANIFESTS / "keda" / "scaled-object.yaml")
    return manifest


def sources() -> dict[tuple[str, str], dict[str, str]]:
    """What ConfigMaps and Secrets hold, by kind and name."""
    found = {}
    for path in BASE.glob("*.yaml"):
        for document in documents(path):
            if document["kind"] in {"ConfigMap", "Secret"}:
                held = document["data"] if document["kind"] == "ConfigMap" else document["stringData"]
                found[document["kind"], document["metadata"]["name"]] = held
    return found


def environment(container: Manifest) -> dict[str, str]:
    """The variables of a container; what Kubernetes fills in is ``routekeeper-0``."""
    variables: dict[str, str] = {}
    for source in container["envFrom"]:
        [(reference, named)] = source.items()
        kind = {"configMapRef": "ConfigMap", "secretRef": "Secret"}[reference]
        variables |= sources()[kind, named["name"]]
    filled_in = {each["name"]: "routekeeper-0" for each in container.get("env", ())}
    return {**variables, **filled_in}


@pytest.fixture
def settings(worker: Manifest, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """The settings of a worker."""
    return settings_from(environment(worker), monkeypatch)


def test_every_variable_is_a_setting_or_read_by_somebody_else(
    worker: Manifest, follower: Manifest, init: Manifest
) -> None:
    for container in (worker, follower, init):
        others = {name for name in environment(container) if not name.startswith("ROUTEKEEPER_")}
        assert others <= OTHER_VARIABLES


def test_init_and_workers_are_given_settings_that_there_are(
    init: Manifest, worker: Manifest, monkeypatch: pytest.MonkeyPatch
) -> None:
    both = [settings_from(environment(container), monkeypatch) for container in (init, worker)]

    assert both[0].database == both[1].database
    assert both[0].kafka.topics == both[1].kafka.topics
    assert both[0].database.url is not None, "the root filesystem is read-only"


def test_workers_leave_the_log_to_followers_that_may_do_what_they_may(
    worker: Manifest, follower: Manifest, followers: Manifest, settings: Settings
) -> None:
    """One follows, another one stands by; without a name of its own in the consumer group, as it reads no records."""
    assert settings.follow_log is False
    assert follower["args"] == ["follow"]
    assert follower["envFrom"] == worker["envFrom"]
    assert "env" not in follower
    assert followers["kind"] == "Deployment"
    assert followers["spec"]["replicas"] == 2


def test_only_the_settings_that_are_secret_are_in_secrets(settings: Settings) -> None:
    for (kind, _), held in sources().items():
        assert kind == "ConfigMap" or set(held) <= OTHER_VARIABLES
    assert settings.database.url is not None
    assert "@" not in settings.database.url.get_secret_value()


def test_workers_log_in_as_the_writer(worker: Manifest) -> None:
    assert environment(worker)["PGUSER"] == "routekeeper_writer"


def test_a_worker_has_the_same_identity_each_time_it_starts(
    workers: Manifest, worker: Manifest, settings: Settings
) -> None:
    """Only a StatefulSet gives its pods names that outlast them."""
    [filled_in] = worker["env"]

    assert workers["kind"] == "StatefulSet"
    assert filled_in["valueFrom"] == {"fieldRef": {"fieldPath": "metadata.name"}}
    assert settings.kafka.consumer.instance_id == f"{workers['metadata']['name']}-0"


def test_the_proxy_targets_are_where_the_setting_says(
    workers: Manifest, worker: Manifest, settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    volumes = {volume["name"]: volume for volume in workers["spec"]["template"]["spec"]["volumes"]}
    mounts = {mount["mountPath"]: volumes[mount["name"]] for mount in worker["volumeMounts"]}
    file = settings.proxy_targets_file
    assert file is not None
    held = sources()["ConfigMap", mounts[str(file.parent)]["configMap"]["name"]]
    (tmp_path / file.name).write_text(held[file.name])
    monkeypatch.setenv("PROXY_TOKEN", environment(worker)["PROXY_TOKEN"])

    assert set(load_proxy_targets(tmp_path / file.name)) == {"default"}


def test_what_selects_workers_selects_all_of_them_and_nothing_else(workers: Manifest, followers: Manifest) -> None:
    template = workers["spec"]["template"]
    spread = [each["labelSelector"]["matchLabels"] for each in template["spec"]["topologySpreadConstraints"]]
    selectors = [
        workers["spec"]["selector"]["matchLabels"],
        only("service.yaml")["spec"]["selector"],
        only("disruption-budget.yaml")["spec"]["selector"]["matchLabels"],
        *spread,
    ]
    others = [each["spec"]["template"]["metadata"]["labels"] for each in (only("init.yaml"), followers)]

    for selector in selectors:
        assert selector.items() <= template["metadata"]["labels"].items()
        assert [labels for labels in others if selector.items() <= labels.items()] == []


def test_the_network_policy_covers_every_pod(workers: Manifest, followers: Manifest) -> None:
    policy = only("network-policy.yaml")["spec"]

    for pods in (workers, followers, only("init.yaml")):
        labels = pods["spec"]["template"]["metadata"]["labels"]
        assert policy["podSelector"]["matchLabels"].items() <= labels.items()


@pytest.mark.parametrize("name", ["workers.yaml", "followers.yaml"])
def test_all_mean_the_same_admin_port(name: str) -> None:
    template = only(name)["spec"]["template"]
    [container] = template["spec"]["containers"]
    annotations = template["metadata"]["annotations"]
    [container_port] = container["ports"]
    [service_port] = only("service.yaml")["spec"]["ports"]
    [rule] = only("network-policy.yaml")["spec"]["ingress"]

    assert environment(container)["ROUTEKEEPER_ADMIN__PORT"] == str(ADMIN_PORT)
    assert container_port["containerPort"] == service_port["port"] == rule["ports"][0]["port"] == ADMIN_PORT
    assert service_port["targetPort"] == container_port["name"]
    assert annotations["prometheus.io/port"] == str(ADMIN_PORT)
    assert annotations["prometheus.io/path"] in ADMIN_PATHS


def test_probes_ask_at_paths_that_there_are(worker: Manifest, follower: Manifest) -> None:
    for container in (worker, follower):
        asked = {kind: container[f"{kind}Probe"]["httpGet"] for kind in ("startup", "liveness", "readiness")}

        assert {get["port"] for get in asked.values()} == {container["ports"][0]["name"]}
        assert {kind: get["path"] for kind, get in asked.items()} == {
            "startup": "/livez",
            "liveness": "/livez",
            "readiness": "/readyz",
        }
        assert {get["path"] for get in asked.values()} <= ADMIN_PATHS


def test_a_process_has_the_time_that_it_takes_to_stop(
    workers: Manifest, followers: Manifest, settings: Settings
) -> None:
    of_worker, of_follower = (
        pods["spec"]["template"]["spec"]["terminationGracePeriodSeconds"] for pods in (workers, followers)
    )

    assert of_worker >= longest_stop(settings)
    assert of_follower >= longest_stop_of_follower(settings)


def test_everything_that_is_referred_to_is_there(workers: Manifest, followers: Manifest) -> None:
    account = only("service-account.yaml")["metadata"]["name"]

    assert workers["spec"]["serviceName"] == only("service.yaml")["metadata"]["name"]
    for pods in (workers, followers, only("init.yaml")):
        assert pods["spec"]["template"]["spec"]["serviceAccountName"] == account


def test_keda_scales_the_workers_between_two_and_one_for_each_partition(
    scaled_object: Manifest, workers: Manifest, settings: Settings
) -> None:
    spec = scaled_object["spec"]
    target = {"apiVersion": workers["apiVersion"], "kind": workers["kind"], "name": workers["metadata"]["name"]}

    assert spec["scaleTargetRef"] == target
    assert spec["maxReplicaCount"] == settings.kafka.topics.partitions
    assert 2 <= spec["minReplicaCount"] <= workers["spec"]["replicas"] <= spec["maxReplicaCount"]


def test_keda_looks_at_the_backlog_of_every_input_topic(scaled_object: Manifest, settings: Settings) -> None:
    triggers = scaled_object["spec"]["triggers"]

    assert {trigger["type"] for trigger in triggers} == {"kafka"}
    assert tuple(trigger["metadata"]["topic"] for trigger in triggers) == settings.kafka.topics.inputs
    for metadata in (trigger["metadata"] for trigger in triggers):
        assert metadata["bootstrapServers"] == settings.kafka.bootstrap_servers
        assert metadata["consumerGroup"] == settings.kafka.consumer.group
        assert int(metadata["lagThreshold"]) > settings.kafka.consumer.max_records


def test_keda_and_an_apply_do_not_fight_over_the_number_of_workers(workers: Manifest) -> None:
    [kustomization] = documents(MANIFESTS / "keda" / "kustomization.yaml")
    [patch] = kustomization["patches"]

    assert patch["target"] == {"kind": workers["kind"], "name": workers["metadata"]["name"]}
    assert list(_operations(patch["patch"])) == [("remove", "/spec/replicas")]


def _operations(patch: str) -> Iterator[tuple[str, str]]:
    for operation in yaml.safe_load(patch):
        yield operation["op"], operation["path"]
