"""Deployments and ReplicaSets: rollouts with revisions and bounds, deadlines, pauses, rollbacks, adoption."""

# the client's models are typed in part only
# pyright: basic, reportArgumentType=false, reportOptionalMemberAccess=false
# pyright: reportAttributeAccessIssue=false, reportIndexIssue=false

from typing import Any

import pytest

from tests.contracts.cluster.backend import Backend, until
from tests.contracts.cluster.wire import MERGE, STRATEGIC, Wire

pytestmark = pytest.mark.contract


def pods_of(core: Any, namespace: str, name: str) -> list[Any]:
    return core.list_namespaced_pod(namespace, label_selector=f"app={name}").items


def is_rolled_out(apps: Any, namespace: str, name: str) -> bool:
    found = apps.read_namespaced_deployment(name, namespace)
    status, wanted = found.status, found.spec.replicas
    counts = (status.replicas, status.updated_replicas, status.ready_replicas, status.available_replicas)
    return status.observed_generation == found.metadata.generation and counts == (wanted,) * 4


def waiting_reason(pod: Any) -> str:
    statuses = pod.status.container_statuses or []
    return next((one.state.waiting.reason for one in statuses if one.state.waiting), "")


def test_a_deployment_runs_its_pods_through_a_replica_set(
    core: Any, apps: Any, namespace: str, backend: Backend
) -> None:
    apps.create_namespaced_deployment(namespace, backend.deployment("web", replicas=2))
    until(lambda: is_rolled_out(apps, namespace, "web"))
    pods = pods_of(core, namespace, "web")
    assert len(pods) == 2
    assert all(pod.status.phase == "Running" and pod.spec.node_name for pod in pods)
    owner = apps.read_namespaced_replica_set(pods[0].metadata.owner_references[0].name, namespace)
    assert owner.metadata.owner_references[0].name == "web"
    assert owner.metadata.annotations["deployment.kubernetes.io/revision"] == "1"
    assert pods[0].metadata.labels["pod-template-hash"] == owner.metadata.labels["pod-template-hash"]


def test_an_image_that_is_missing_hangs_the_rollout_and_a_rollback_mends_it(
    core: Any, apps: Any, namespace: str, backend: Backend
) -> None:
    apps.create_namespaced_deployment(namespace, backend.deployment("web", replicas=1))
    until(lambda: is_rolled_out(apps, namespace, "web"))
    good = apps.read_namespaced_deployment("web", namespace).spec.template
    container = {"name": "server", "image": "localhost/server:missing-v2"}
    apps.patch_namespaced_deployment("web", namespace, {"spec": {"template": {"spec": {"containers": [container]}}}})
    until(lambda: any("ImagePull" in waiting_reason(pod) for pod in pods_of(core, namespace, "web")))
    assert any(all(one.ready for one in pod.status.container_statuses) for pod in pods_of(core, namespace, "web"))
    current = apps.read_namespaced_deployment("web", namespace)
    current.spec.template = good
    apps.replace_namespaced_deployment("web", namespace, current)
    until(lambda: is_rolled_out(apps, namespace, "web"))
    annotations = apps.read_namespaced_deployment("web", namespace).metadata.annotations
    assert annotations["deployment.kubernetes.io/revision"] == "3"


def test_a_pod_that_is_deleted_is_replaced(core: Any, apps: Any, namespace: str, backend: Backend) -> None:
    apps.create_namespaced_deployment(namespace, backend.deployment("web"))
    until(lambda: is_rolled_out(apps, namespace, "web"))
    first = pods_of(core, namespace, "web")[0].metadata.uid
    core.delete_namespaced_pod(pods_of(core, namespace, "web")[0].metadata.name, namespace)
    until(lambda: all(pod.metadata.uid != first for pod in pods_of(core, namespace, "web")))
    until(lambda: is_rolled_out(apps, namespace, "web"))


def test_deleting_a_deployment_takes_its_pods_along(core: Any, apps: Any, namespace: str, backend: Backend) -> None:
    apps.create_namespaced_deployment(namespace, backend.deployment("web"))
    until(lambda: is_rolled_out(apps, namespace, "web"))
    apps.delete_namespaced_deployment("web", namespace)
    until(lambda: not pods_of(core, namespace, "web"))


def path_of(namespace: str, kind: str = "deployments") -> str:
    return f"/apis/apps/v1/namespaces/{namespace}/{kind}"


def sets_of(wire: Wire, namespace: str) -> dict[str, Any]:
    """Return the ReplicaSets by their revisions."""
    items = wire.get(path_of(namespace, "replicasets")).document["items"]
    return {one["metadata"]["annotations"]["deployment.kubernetes.io/revision"]: one for one in items}


def condition(document: Any, kind: str) -> Any:
    return next((one for one in document["status"].get("conditions", []) if one["type"] == kind), {})


def renewed(value: str) -> Any:
    """Return a patch that makes a new revision whose pods run as well as the old ones."""
    return {"spec": {"template": {"metadata": {"annotations": {"renewed": value}}}}}


MISSING = {"spec": {"template": {"spec": {"containers": [{"name": "server", "image": "localhost/server:missing-v2"}]}}}}


@pytest.fixture
def web(apps: Any, namespace: str, backend: Backend) -> str:
    """Roll a Deployment of one pod out, and return its path."""
    apps.create_namespaced_deployment(namespace, backend.deployment("web"))
    until(lambda: is_rolled_out(apps, namespace, "web"))
    return f"{path_of(namespace)}/web"


def test_a_rollout_that_is_complete_says_so(wire: Wire, web: str) -> None:
    until(lambda: condition(wire.get(web).document, "Progressing").get("reason") == "NewReplicaSetAvailable")
    found = wire.get(web).document
    assert condition(found, "Progressing")["status"] == "True"
    available = condition(found, "Available")
    assert (available["status"], available["reason"]) == ("True", "MinimumReplicasAvailable")
    assert found["metadata"]["annotations"]["deployment.kubernetes.io/revision"] == "1"


def test_a_new_template_makes_a_new_revision_and_empties_the_old(
    wire: Wire, apps: Any, namespace: str, web: str
) -> None:
    wire.patch(web, renewed("once"))
    until(lambda: is_rolled_out(apps, namespace, "web"))
    sets = sets_of(wire, namespace)
    assert {revision: one["spec"]["replicas"] for revision, one in sets.items()} == {"1": 0, "2": 1}
    assert wire.get(web).document["metadata"]["annotations"]["deployment.kubernetes.io/revision"] == "2"


def test_going_back_uses_the_old_replica_set_under_a_new_revision(
    wire: Wire, apps: Any, namespace: str, web: str
) -> None:
    first = sets_of(wire, namespace)["1"]["metadata"]["uid"]
    wire.patch(web, renewed("once"))
    until(lambda: is_rolled_out(apps, namespace, "web"))
    wire.patch(web, {"spec": {"template": {"metadata": {"annotations": None}}}})
    until(lambda: set(sets_of(wire, namespace)) == {"2", "3"})
    again = sets_of(wire, namespace)["3"]
    assert again["metadata"]["uid"] == first
    assert again["metadata"]["annotations"]["deployment.kubernetes.io/revision-history"] == "1"


def test_a_rollout_that_hangs_keeps_the_old_pods(wire: Wire, web: str) -> None:
    wire.patch(web, MISSING, STRATEGIC)
    wanted = {"replicas": 2, "updatedReplicas": 1, "availableReplicas": 1, "unavailableReplicas": 1}
    until(lambda: wanted.items() <= wire.get(web).document["status"].items())


def test_a_rollout_that_hangs_beyond_its_deadline_says_so(wire: Wire, web: str) -> None:
    wire.patch(web, {"spec": {"progressDeadlineSeconds": 1}})
    wire.patch(web, MISSING, STRATEGIC)

    def hangs() -> bool:  # asked in one reading: what its ReplicaSet does is progress, so that the deadline starts anew
        told = condition(wire.get(web).document, "Progressing")
        return (told.get("reason"), told.get("status")) == ("ProgressDeadlineExceeded", "False")

    until(hangs)


def test_a_deployment_below_its_least_is_unavailable(wire: Wire, namespace: str, backend: Backend) -> None:
    wire.post(path_of(namespace), backend.deployment("web", command=["sh", "-c", "exit 1"]))
    found = f"{path_of(namespace)}/web"
    until(lambda: condition(wire.get(found).document, "Available").get("status") == "False")
    assert condition(wire.get(found).document, "Available")["reason"] == "MinimumReplicasUnavailable"


def test_a_rollout_never_goes_beyond_its_bounds(
    wire: Wire, core: Any, apps: Any, namespace: str, backend: Backend
) -> None:
    bounds = {"rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}}
    wire.post(path_of(namespace), backend.deployment("web", replicas=2, strategy=bounds))
    until(lambda: is_rolled_out(apps, namespace, "web"))
    wire.patch(f"{path_of(namespace)}/web", renewed("once"))
    seen: list[tuple[int, int]] = []

    def is_done() -> bool:
        sets = sets_of(wire, namespace).values()
        total = sum(one["spec"]["replicas"] for one in sets)
        seen.append((total, sum(one["status"].get("availableReplicas", 0) for one in sets)))
        return is_rolled_out(apps, namespace, "web") and "2" in sets_of(wire, namespace)

    until(is_done)
    assert max(total for total, _ in seen) <= 3
    assert min(available for _, available in seen) >= 2


def test_a_deployment_that_is_recreated_stops_all_before_it_starts_any(
    wire: Wire, core: Any, apps: Any, namespace: str, backend: Backend
) -> None:
    wire.post(path_of(namespace), backend.deployment("web", strategy={"type": "Recreate"}))
    until(lambda: is_rolled_out(apps, namespace, "web"))
    wire.patch(f"{path_of(namespace)}/web", renewed("once"))
    most = 0

    def is_done() -> bool:
        nonlocal most
        running = [pod for pod in pods_of(core, namespace, "web") if pod.status.phase == "Running"]
        most = max(most, len(running))
        return is_rolled_out(apps, namespace, "web") and "2" in sets_of(wire, namespace)

    until(is_done)
    assert most == 1


def test_a_pause_holds_a_new_template_back_until_it_ends(wire: Wire, apps: Any, namespace: str, web: str) -> None:
    wire.patch(web, {"spec": {"paused": True}})
    wire.patch(web, renewed("once"))
    generation = wire.get(web).document["metadata"]["generation"]
    until(lambda: wire.get(web).document["status"]["observedGeneration"] == generation)
    assert set(sets_of(wire, namespace)) == {"1"}
    wire.patch(web, {"spec": {"paused": None}})
    until(lambda: set(sets_of(wire, namespace)) == {"1", "2"})


def test_a_pause_says_so(wire: Wire, web: str) -> None:
    wire.patch(web, {"spec": {"paused": True}})
    until(lambda: condition(wire.get(web).document, "Progressing").get("reason") == "DeploymentPaused")
    assert condition(wire.get(web).document, "Progressing")["status"] == "Unknown"


def test_a_paused_deployment_can_be_scaled(wire: Wire, web: str) -> None:
    wire.patch(web, {"spec": {"paused": True}})
    wire.patch(f"{web}/scale", {"spec": {"replicas": 2}})
    until(lambda: wire.get(web).document["status"].get("readyReplicas") == 2)


def test_old_revisions_beyond_the_limit_are_forgotten(wire: Wire, apps: Any, namespace: str, web: str) -> None:
    wire.patch(web, {"spec": {"revisionHistoryLimit": 0}})
    wire.patch(web, renewed("once"))
    until(lambda: set(sets_of(wire, namespace)) == {"2"})


def test_a_deployment_scaled_to_nothing_keeps_no_pods(wire: Wire, core: Any, namespace: str, web: str) -> None:
    wire.patch(f"{web}/scale", {"spec": {"replicas": 0}})
    until(lambda: not pods_of(core, namespace, "web"))
    until(lambda: "replicas" not in wire.get(web).document["status"])


def test_a_change_of_scale_makes_no_revision(wire: Wire, namespace: str, web: str) -> None:
    wire.patch(f"{web}/scale", {"spec": {"replicas": 2}})
    until(lambda: wire.get(web).document["status"].get("readyReplicas") == 2)
    assert set(sets_of(wire, namespace)) == {"1"}


def test_what_a_deployment_does_is_told_by_events(wire: Wire, namespace: str, web: str) -> None:
    path = f"/api/v1/namespaces/{namespace}/events?fieldSelector=involvedObject.kind=Deployment"
    until(lambda: {one["reason"] for one in wire.get(path).document["items"]} == {"ScalingReplicaSet"})


def test_a_replica_set_adopts_the_pods_that_it_selects(wire: Wire, namespace: str, backend: Backend) -> None:
    pods, sets = f"/api/v1/namespaces/{namespace}/pods", path_of(namespace, "replicasets")
    wire.post(pods, backend.pod("web"))
    until(lambda: wire.get(f"{pods}/web").document["status"]["phase"] == "Running")
    uid = wire.post(sets, backend.deployment("web", kind="ReplicaSet")).document["metadata"]["uid"]
    until(lambda: "ownerReferences" in wire.get(f"{pods}/web").document["metadata"])
    owner = wire.get(f"{pods}/web").document["metadata"]["ownerReferences"][0]
    assert (owner["uid"], owner["controller"]) == (uid, True)
    until(lambda: wire.get(f"{sets}/web").document["status"]["replicas"] == 1)
    assert len(wire.get(f"{pods}?labelSelector=app=web").document["items"]) == 1


def test_a_pod_that_loses_its_label_is_let_go_and_replaced(
    wire: Wire, core: Any, namespace: str, backend: Backend
) -> None:
    pods, sets = f"/api/v1/namespaces/{namespace}/pods", path_of(namespace, "replicasets")
    wire.post(sets, backend.deployment("web", kind="ReplicaSet"))
    until(lambda: len(pods_of(core, namespace, "web")) == 1)
    taken = pods_of(core, namespace, "web")[0].metadata.name
    wire.patch(f"{pods}/{taken}", {"metadata": {"labels": {"app": "aside"}}}, MERGE)
    until(lambda: "ownerReferences" not in wire.get(f"{pods}/{taken}").document["metadata"])
    until(lambda: len(pods_of(core, namespace, "web")) == 1)


def test_a_deployment_adopts_the_replica_set_that_it_selects(wire: Wire, namespace: str, backend: Backend) -> None:
    sets = path_of(namespace, "replicasets")
    body = backend.deployment("before", replicas=0, kind="ReplicaSet")
    body["metadata"]["labels"] = {"app": "before"}
    wire.post(sets, body)
    made = backend.deployment("before", replicas=0)
    wire.post(path_of(namespace), made | {"metadata": {"name": "after"}})
    until(lambda: "ownerReferences" in wire.get(f"{sets}/before").document["metadata"])
    assert wire.get(f"{sets}/before").document["metadata"]["ownerReferences"][0]["name"] == "after"
