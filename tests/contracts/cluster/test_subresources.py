"""Status and scale: parts of an object that are written apart from the rest."""

# the client's models are typed in part only
# pyright: basic, reportArgumentType=false, reportOptionalMemberAccess=false
# pyright: reportAttributeAccessIssue=false, reportIndexIssue=false

from typing import Any

import pytest

from tests.contracts.cluster.backend import Backend
from tests.contracts.cluster.wire import Wire, causes

pytestmark = pytest.mark.contract


@pytest.fixture
def web(wire: Wire, namespace: str, backend: Backend) -> str:
    """Create a paused Deployment without pods, whose status nobody else writes much, and return its path."""
    path = f"/apis/apps/v1/namespaces/{namespace}/deployments"
    assert wire.post(path, backend.deployment("web", replicas=0)).code == 201
    return f"{path}/web"


@pytest.fixture
def pod(wire: Wire, namespace: str, backend: Backend) -> str:
    """Create a pod that no node takes, and return its path."""
    path = f"/api/v1/namespaces/{namespace}/pods"
    assert wire.post(path, backend.unplaced("one")).code == 201
    return f"{path}/one"


def test_a_status_that_comes_with_a_new_object_is_left_out(wire: Wire, namespace: str, backend: Backend) -> None:
    body = backend.unplaced("one") | {"status": {"phase": "Running", "podIP": "10.0.0.1"}}
    status = wire.post(f"/api/v1/namespaces/{namespace}/pods", body).document["status"]
    assert (status["phase"], "podIP" in status) == ("Pending", False)


def test_a_write_of_the_object_leaves_the_status(wire: Wire, pod: str) -> None:
    patch = {"metadata": {"labels": {"seen": "yes"}}, "status": {"message": "forged"}}
    patched = wire.patch(pod, patch).document
    assert patched["metadata"]["labels"]["seen"] == "yes"
    assert "message" not in patched["status"]


def test_a_write_of_the_status_leaves_the_object(wire: Wire, pod: str) -> None:
    patch = {"spec": {"terminationGracePeriodSeconds": 7}, "status": {"message": "told"}}
    patched = wire.patch(f"{pod}/status", patch).document
    assert patched["status"]["message"] == "told"
    assert patched["spec"]["terminationGracePeriodSeconds"] == 1


def test_a_write_of_the_status_does_not_count_as_a_change_of_the_spec(wire: Wire, web: str) -> None:
    before = wire.get(web).document["metadata"]["generation"]
    condition = {"type": "Contract", "status": "True", "reason": "Told", "message": ""}
    patched = wire.patch(f"{web}/status", {"status": {"conditions": [condition]}}).document
    assert patched["metadata"]["generation"] == before


def test_the_status_of_nothing_is_not_found(wire: Wire, namespace: str) -> None:
    assert wire.get(f"/api/v1/namespaces/{namespace}/pods/none/status").refusal == (404, "NotFound")


def test_the_status_is_read_as_the_whole_object(wire: Wire, pod: str) -> None:
    assert wire.get(f"{pod}/status").document["spec"]["containers"]


def test_scale_is_a_view_of_the_replicas(apps: Any, namespace: str, backend: Any) -> None:
    apps.create_namespaced_deployment(namespace, backend.deployment("web", replicas=0))
    scaled = apps.patch_namespaced_deployment_scale("web", namespace, {"spec": {"replicas": 1}})
    assert scaled.spec.replicas == 1
    assert apps.read_namespaced_deployment("web", namespace).spec.replicas == 1


def test_scale_tells_replicas_and_selector(wire: Wire, web: str) -> None:
    scale = wire.get(f"{web}/scale").document
    assert (scale["kind"], scale["apiVersion"]) == ("Scale", "autoscaling/v1")
    assert scale["status"] == {"replicas": 0, "selector": "app=web"}
    assert scale["metadata"]["uid"] == wire.get(web).document["metadata"]["uid"]


def test_a_scale_on_an_old_version_is_a_conflict(wire: Wire, web: str) -> None:
    scale = wire.get(f"{web}/scale").document
    wire.patch(web, {"metadata": {"labels": {"seen": "yes"}}})
    assert wire.put(f"{web}/scale", scale | {"spec": {"replicas": 0}}).refusal == (409, "Conflict")


def test_a_scale_counts_as_a_change_of_the_spec(wire: Wire, web: str) -> None:
    before = wire.get(web).document["metadata"]["generation"]
    wire.patch(f"{web}/scale", {"spec": {"replicas": 1}})
    assert wire.get(web).document["metadata"]["generation"] == before + 1


def test_a_scale_below_zero_is_refused(wire: Wire, web: str) -> None:
    refused = wire.patch(f"{web}/scale", {"spec": {"replicas": -1}})
    assert (refused.refusal, causes(refused)) == ((422, "Invalid"), {"spec.replicas": "FieldValueInvalid"})


def test_a_dry_run_of_a_scale_changes_nothing(wire: Wire, web: str) -> None:
    shown = wire.patch(f"{web}/scale?dryRun=All", {"spec": {"replicas": 3}}).document
    assert shown["spec"]["replicas"] == 3
    assert wire.get(web).document["spec"]["replicas"] == 0


def test_the_scale_of_nothing_is_not_found(wire: Wire, namespace: str) -> None:
    path = f"/apis/apps/v1/namespaces/{namespace}/deployments/none/scale"
    assert wire.patch(path, {"spec": {"replicas": 1}}).refusal == (404, "NotFound")
