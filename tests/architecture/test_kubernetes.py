"""deploy/kubernetes: manifests as the API server takes them, hardened, each service as its settings say."""

import importlib
import subprocess
import sys
from pathlib import Path

import kubernetes_validate
import pytest
import yaml

FOLDER = Path(__file__).parents[2] / "deploy/kubernetes"
ROOT = FOLDER.parents[1]
OBJECTS = [
    (path.name, each)
    for path in sorted(FOLDER.glob("*.yaml"))
    for each in yaml.safe_load_all(path.read_text())
]
SERVICES = sorted(path.parent.name for path in ROOT.glob("services/*/pyproject.toml"))
VERSIONS = ("1.32", "1.35")
PODS = [
    (name, each["spec"]["template"]["spec"]) for name, each in OBJECTS if "template" in each.get("spec", {})
]


@pytest.mark.parametrize("version", VERSIONS)
def test_every_object_is_one_that_the_api_server_takes(version):
    assert len(OBJECTS) > 15
    for name, each in OBJECTS:
        try:
            kubernetes_validate.validate(each, version, strict=True)
        except kubernetes_validate.ValidationError as bad:
            pytest.fail(f"{name}, {each['kind']} {each['metadata']['name']}: {bad.message}")


def test_a_manifest_with_a_fault_is_found():
    broken = next(each for _, each in OBJECTS if each["kind"] == "Deployment") | {"spec": {"replicas": "two"}}
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(broken, VERSIONS[0], strict=True)


@pytest.mark.parametrize(("name", "pod"), PODS, ids=[name for name, _ in PODS])
def test_pods_may_do_nothing_that_they_need_not(name, pod):
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert pod["automountServiceAccountToken"] is False
    for container in (*pod["containers"], *pod.get("initContainers", ())):
        context = container["securityContext"]
        assert context["readOnlyRootFilesystem"] is True
        assert context["allowPrivilegeEscalation"] is False
        assert context["capabilities"] == {"drop": ["ALL"]}
        assert container["resources"]["limits"]["memory"]
        mounted = {mount["name"] for mount in container["volumeMounts"]}
        claimed = {"data"} if name == "nats.yaml" else set()
        assert mounted <= {volume["name"] for volume in pod["volumes"]} | claimed


@pytest.mark.parametrize("service", SERVICES)
def test_a_service_has_two_instances_with_settings_that_it_knows(service):
    objects = {each["kind"]: each for name, each in OBJECTS if name == f"{service}.yaml"}
    assert set(objects) == {"Deployment", "Service", "PodDisruptionBudget"}
    assert objects["Deployment"]["spec"]["replicas"] >= 2
    pod = objects["Deployment"]["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    assert container["image"] == f"kompetensnav/{service}:dev"
    assert {"startupProbe", "livenessProbe", "readinessProbe"} <= set(container)
    settings = importlib.import_module(f"kompetensnav_{service}.settings").Settings
    known = {f"{service}_{name}".upper() for name in settings.model_fields}
    assert {row["name"] for row in container["env"]} <= known
    (setup,) = [e for n, e in OBJECTS if n == "setup.yaml" and e["metadata"]["name"] == "provision"]
    assert service in setup["spec"]["template"]["spec"]["containers"][0]["command"]
    addresses = next(row["value"] for row in container["env"] if row["name"].endswith("_NATS_URL"))
    nats = next(each for _, each in OBJECTS if each["kind"] == "StatefulSet")
    assert len(addresses.split(",")) == nats["spec"]["replicas"] == 3


def test_the_configuration_is_made_for_the_pods(tmp_path):
    """The commands of the README write what the manifests mount."""
    command = [Path(sys.executable).parent / "kompetensnav", "topology", "containers"]
    subprocess.run(
        [*command, "--file", FOLDER / "stack.toml", "--out", tmp_path], check=True, capture_output=True
    )
    for number in range(3):
        text = (tmp_path / f"n{number}/server.conf").read_text()
        assert 'listen: "0.0.0.0:4222"' in text
        assert f'client_advertise: "nats-{number}.nats:4222"' in text
        assert f'store_dir: "/data/n{number}"' in text
        assert "/etc/nats-tls/tls.crt" in text
    written = {path.name for path in (tmp_path / "secrets").iterdir()}
    for service in SERVICES:
        assert {f"{service}_nats_seed", f"{service}_database_url"} <= written
