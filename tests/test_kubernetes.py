"""The manifests are valid by the schemas of Kubernetes and KEDA, and ask for no more rights than are needed."""

from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
from cloudcoil.models.keda.v1alpha1 import ScaledObject

from tests.deployment_support import ROOT, documents, image

MANIFESTS = ROOT / "deploy" / "kubernetes"
BASE = MANIFESTS / "base"
EXAMPLES = {"secrets.example.yaml"}

Manifest = dict[str, Any]


def _name(resource: Manifest) -> str:
    return f"{resource['kind']}-{resource['metadata']['name']}"


RESOURCES = [
    document
    for path in sorted(BASE.glob("*.yaml"))
    if path.name != "kustomization.yaml"
    for document in documents(path)
]
WITH_PODS = [resource for resource in RESOURCES if "template" in resource.get("spec", {})]


@pytest.mark.parametrize("version", ["1.31", kubernetes_validate.latest_version()])
@pytest.mark.parametrize("resource", RESOURCES, ids=_name)
def test_a_manifest_follows_the_schema_of_kubernetes(resource: Manifest, version: str) -> None:
    """From the oldest version that knows every field to the newest whose schemas are there, without unknown fields."""
    kubernetes_validate.validate(resource, version, strict=True)


def test_an_unknown_field_would_be_noticed() -> None:
    [resource] = documents(BASE / "service.yaml")
    resource["spec"]["clusterIp"] = "None"

    with pytest.raises(kubernetes_validate.ValidationError, match="clusterIp"):
        kubernetes_validate.validate(resource, kubernetes_validate.latest_version(), strict=True)


def test_the_scaled_object_follows_the_schema_of_keda() -> None:
    """The model drops fields that it does not know, so all of them must come back."""
    [scaled_object] = documents(MANIFESTS / "keda" / "scaled-object.yaml")

    read = ScaledObject.model_validate(scaled_object)

    assert read.model_dump(mode="json", by_alias=True, exclude_unset=True) == scaled_object


@pytest.mark.parametrize("folder", [BASE, MANIFESTS / "keda"], ids=lambda folder: folder.name)
def test_a_kustomization_names_every_manifest_and_no_example(folder: Path) -> None:
    [kustomization] = documents(folder / "kustomization.yaml")
    files = {path.name for path in folder.glob("*.yaml")} - EXAMPLES - {"kustomization.yaml"}
    folders = {name for name in kustomization["resources"] if (folder / name).is_dir()}

    assert set(kustomization["resources"]) - folders == files
    assert folders <= {"../base"}


def test_no_two_resources_have_the_same_name() -> None:
    names = [_name(resource) for resource in RESOURCES]

    assert len(set(names)) == len(names)


def test_every_image_is_the_one_that_is_built() -> None:
    [kustomization] = documents(BASE / "kustomization.yaml")
    images = {c["image"] for resource in WITH_PODS for c in _pod(resource)["containers"]}

    assert images == {image()}
    assert [f"{each['name']}:{each['newTag']}" for each in kustomization["images"]] == [image()]


@pytest.mark.parametrize("resource", WITH_PODS, ids=_name)
def test_a_pod_keeps_to_the_restricted_security_standard(resource: Manifest) -> None:
    pod = _pod(resource)

    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["securityContext"]["runAsUser"] == 10001, "as in the image"
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    for container in pod["containers"]:
        assert container["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }


@pytest.mark.parametrize("resource", WITH_PODS, ids=_name)
def test_a_pod_has_bounds_for_memory_and_asks_for_what_it_needs(resource: Manifest) -> None:
    for container in _pod(resource)["containers"]:
        assert set(container["resources"]["requests"]) == {"cpu", "memory"}
        assert "memory" in container["resources"]["limits"]


@pytest.mark.parametrize("resource", WITH_PODS, ids=_name)
def test_a_pod_gets_no_token_and_no_variables_that_it_did_not_ask_for(resource: Manifest) -> None:
    """Kubernetes would call a service's variables ROUTEKEEPER_…, and an unknown setting stops the start."""
    pod = _pod(resource)

    assert pod["automountServiceAccountToken"] is False
    assert pod["enableServiceLinks"] is False


def test_an_example_holds_no_secret() -> None:
    for secret in documents(BASE / "secrets.example.yaml"):
        assert "data" not in secret
        assert {value for name, value in secret["stringData"].items() if name != "PGUSER"} == {"CHANGE-ME"}


def _pod(resource: Manifest) -> dict[str, Any]:
    pod: dict[str, Any] = resource["spec"]["template"]["spec"]
    return pod
