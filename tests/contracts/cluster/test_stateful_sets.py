"""StatefulSets: pods with numbers, started one after the other, renewed from the highest."""

# the client's models are typed in part only
# pyright: basic, reportArgumentType=false, reportOptionalMemberAccess=false
# pyright: reportAttributeAccessIssue=false, reportIndexIssue=false

from typing import Any

import pytest

from tests.contracts.cluster.backend import Backend, until
from tests.contracts.cluster.test_deployments import pods_of
from tests.contracts.cluster.wire import Wire

pytestmark = pytest.mark.contract

UNREADY = {"exec": {"command": ["false"]}, "periodSeconds": 1}


def names(core: Any, namespace: str) -> set[str]:
    return {pod.metadata.name for pod in pods_of(core, namespace, "db")}


def revisions(core: Any, namespace: str) -> dict[str, str]:
    pods = pods_of(core, namespace, "db")
    return {pod.metadata.name: pod.metadata.labels["controller-revision-hash"] for pod in pods}


@pytest.fixture
def db(wire: Wire, namespace: str, backend: Backend) -> str:
    """Start a StatefulSet of two pods, and return its path."""
    path = f"/apis/apps/v1/namespaces/{namespace}/statefulsets"
    wire.post(path, backend.deployment("db", replicas=2, kind="StatefulSet", serviceName="db"))
    until(lambda: wire.get(f"{path}/db").document["status"].get("readyReplicas") == 2)
    return f"{path}/db"


def test_a_stateful_set_names_its_pods_by_number(core: Any, apps: Any, namespace: str, backend: Backend) -> None:
    stateful_set = backend.deployment("db", replicas=2) | {"kind": "StatefulSet"}
    stateful_set["spec"]["serviceName"] = "db"
    apps.create_namespaced_stateful_set(namespace, stateful_set)
    until(lambda: apps.read_namespaced_stateful_set("db", namespace).status.ready_replicas == 2)
    assert sorted(pod.metadata.name for pod in pods_of(core, namespace, "db")) == ["db-0", "db-1"]


def test_a_stateful_set_starts_the_next_pod_when_the_one_before_is_ready(
    wire: Wire, core: Any, namespace: str, backend: Backend
) -> None:
    body = backend.deployment("db", replicas=2, kind="StatefulSet", serviceName="db")
    body["spec"]["template"]["spec"]["containers"][0]["readinessProbe"] = UNREADY
    wire.post(f"/apis/apps/v1/namespaces/{namespace}/statefulsets", body)
    until(lambda: any(pod.status.phase == "Running" for pod in pods_of(core, namespace, "db")))
    assert names(core, namespace) == {"db-0"}


def test_a_parallel_stateful_set_starts_all_pods_at_once(
    wire: Wire, core: Any, namespace: str, backend: Backend
) -> None:
    body = backend.deployment("db", replicas=2, kind="StatefulSet", serviceName="db", podManagementPolicy="Parallel")
    body["spec"]["template"]["spec"]["containers"][0]["readinessProbe"] = UNREADY
    wire.post(f"/apis/apps/v1/namespaces/{namespace}/statefulsets", body)
    until(lambda: names(core, namespace) == {"db-0", "db-1"})


def test_a_pod_of_a_stateful_set_comes_back_under_its_name(wire: Wire, core: Any, namespace: str, db: str) -> None:
    pod = f"/api/v1/namespaces/{namespace}/pods/db-0"
    uid = wire.get(pod).document["metadata"]["uid"]
    wire.delete(pod)
    until(lambda: wire.get(pod).document.get("metadata", {}).get("uid", uid) != uid)


def test_a_pod_of_a_stateful_set_carries_its_name_and_number(wire: Wire, namespace: str, db: str) -> None:
    labels = wire.get(f"/api/v1/namespaces/{namespace}/pods/db-1").document["metadata"]["labels"]
    assert labels["statefulset.kubernetes.io/pod-name"] == "db-1"
    assert labels["apps.kubernetes.io/pod-index"] == "1"


def test_what_a_template_keeps_in_an_emptydir_is_told_with_the_kind_of_the_object(
    wire: Wire, namespace: str, backend: Backend
) -> None:
    path = f"/apis/apps/v1/namespaces/{namespace}/statefulsets"
    body = backend.deployment("db", replicas=0, kind="StatefulSet", serviceName="db")
    volumes = [{"name": "books", "emptyDir": {}}, {"name": "shm", "emptyDir": {"medium": "Memory"}}]
    body["spec"]["template"]["spec"]["volumes"] = volumes
    wire.post(path, body)
    found = wire.get(f"{path}/db").document
    assert (found["kind"], found["spec"]["template"]["spec"]["volumes"]) == ("StatefulSet", volumes)


def test_a_stateful_set_is_scaled_down_from_the_highest(wire: Wire, core: Any, namespace: str, db: str) -> None:
    wire.patch(f"{db}/scale", {"spec": {"replicas": 1}})
    until(lambda: names(core, namespace) == {"db-0"})


def test_a_stateful_set_is_renewed_from_the_highest_down_to_its_partition(
    wire: Wire, core: Any, namespace: str, db: str
) -> None:
    before = revisions(core, namespace)["db-0"]
    strategy = {"type": "RollingUpdate", "rollingUpdate": {"partition": 1}}
    template = {"metadata": {"annotations": {"renewed": "once"}}}
    wire.patch(db, {"spec": {"updateStrategy": strategy, "template": template}})
    until(lambda: wire.get(db).document["status"].get("updatedReplicas") == 1)
    until(lambda: wire.get(db).document["status"].get("readyReplicas") == 2)
    status = wire.get(db).document["status"]
    assert revisions(core, namespace) == {"db-0": before, "db-1": status["updateRevision"]}
    assert status["currentRevision"] == before


def test_a_stateful_set_that_is_renewed_ends_on_one_revision(wire: Wire, core: Any, namespace: str, db: str) -> None:
    wire.patch(db, {"spec": {"template": {"metadata": {"annotations": {"renewed": "once"}}}}})

    def is_renewed() -> bool:
        found = wire.get(db).document
        status = found["status"]
        is_current = status["observedGeneration"] == found["metadata"]["generation"]
        return is_current and status["currentRevision"] == status["updateRevision"] and status["readyReplicas"] == 2

    until(is_renewed)
    revision = wire.get(db).document["status"]["updateRevision"]
    assert set(revisions(core, namespace).values()) == {revision}


def test_a_stateful_set_that_is_renewed_on_delete_waits_for_that(
    wire: Wire, core: Any, namespace: str, db: str
) -> None:
    wire.patch(db, {"spec": {"updateStrategy": {"type": "OnDelete", "rollingUpdate": None}}})
    wire.patch(db, {"spec": {"template": {"metadata": {"annotations": {"renewed": "once"}}}}})
    generation = wire.get(db).document["metadata"]["generation"]
    until(lambda: wire.get(db).document["status"]["observedGeneration"] == generation)
    update = wire.get(db).document["status"]["updateRevision"]
    assert update not in revisions(core, namespace).values()
    wire.delete(f"/api/v1/namespaces/{namespace}/pods/db-0")
    until(lambda: revisions(core, namespace).get("db-0") == update)
