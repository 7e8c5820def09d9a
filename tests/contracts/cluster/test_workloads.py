"""Workloads: rollouts with revisions, pods that crash or cannot be pulled, evictions under a budget, logs, events."""

# the client's models are typed in part only
# pyright: basic, reportArgumentType=false, reportOptionalMemberAccess=false
# pyright: reportAttributeAccessIssue=false, reportIndexIssue=false

from typing import Any

import pytest
from kubernetes import client

from tests.contracts.cluster.backend import Backend, until
from tests.contracts.cluster.test_objects import refusal

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


def test_a_container_that_exits_crashes_with_back_off_and_its_log_stays(
    core: Any, apps: Any, namespace: str, backend: Backend
) -> None:
    command = ["sh", "-c", "echo fatal >&2; exit 3"]
    apps.create_namespaced_deployment(namespace, backend.deployment("web", command=command))
    until(lambda: [waiting_reason(pod) for pod in pods_of(core, namespace, "web")] == ["CrashLoopBackOff"])
    pod = pods_of(core, namespace, "web")[0]
    status = pod.status.container_statuses[0]
    assert status.restart_count >= 1
    assert status.last_state.terminated.exit_code == 3
    assert status.last_state.terminated.reason == "Error"
    assert "fatal" in core.read_namespaced_pod_log(pod.metadata.name, namespace, previous=True)

    def has_backed_off() -> bool:
        events = core.list_namespaced_event(namespace, field_selector=f"involvedObject.name={pod.metadata.name}").items
        return any(one.reason == "BackOff" and one.type == "Warning" for one in events)

    until(has_backed_off)


def test_a_pod_that_is_deleted_is_replaced(core: Any, apps: Any, namespace: str, backend: Backend) -> None:
    apps.create_namespaced_deployment(namespace, backend.deployment("web"))
    until(lambda: is_rolled_out(apps, namespace, "web"))
    first = pods_of(core, namespace, "web")[0].metadata.uid
    core.delete_namespaced_pod(pods_of(core, namespace, "web")[0].metadata.name, namespace)
    until(lambda: all(pod.metadata.uid != first for pod in pods_of(core, namespace, "web")))
    until(lambda: is_rolled_out(apps, namespace, "web"))


def test_an_eviction_respects_the_budget(api: Any, core: Any, apps: Any, namespace: str, backend: Backend) -> None:
    policy = client.PolicyV1Api(api)
    apps.create_namespaced_deployment(namespace, backend.deployment("web", replicas=2))
    until(lambda: is_rolled_out(apps, namespace, "web"))
    budget = {"metadata": {"name": "web"}, "spec": {"minAvailable": 2, "selector": {"matchLabels": {"app": "web"}}}}
    policy.create_namespaced_pod_disruption_budget(namespace, budget)

    def counted() -> bool:
        status = policy.read_namespaced_pod_disruption_budget("web", namespace).status
        return bool(status and status.expected_pods == 2)

    until(counted)
    pod = pods_of(core, namespace, "web")[0].metadata.name
    eviction = client.V1Eviction(metadata=client.V1ObjectMeta(name=pod, namespace=namespace))
    refused = refusal(lambda: core.create_namespaced_pod_eviction(pod, namespace, eviction))
    assert (refused.status, "disruption budget" in str(refused.body)) == (429, True)
    policy.patch_namespaced_pod_disruption_budget("web", namespace, {"spec": {"minAvailable": 1}})

    def may_go() -> bool:
        return policy.read_namespaced_pod_disruption_budget("web", namespace).status.disruptions_allowed == 1

    until(may_go)
    core.create_namespaced_pod_eviction(pod, namespace, eviction)
    until(lambda: pod not in {one.metadata.name for one in pods_of(core, namespace, "web")})


def test_an_eviction_with_the_wrong_uid_is_refused(core: Any, apps: Any, namespace: str, backend: Backend) -> None:
    apps.create_namespaced_deployment(namespace, backend.deployment("web"))
    until(lambda: is_rolled_out(apps, namespace, "web"))
    pod = pods_of(core, namespace, "web")[0].metadata.name
    options = client.V1DeleteOptions(preconditions=client.V1Preconditions(uid="another"))
    eviction = client.V1Eviction(metadata=client.V1ObjectMeta(name=pod, namespace=namespace), delete_options=options)
    assert refusal(lambda: core.create_namespaced_pod_eviction(pod, namespace, eviction)).status == 409


def test_a_dry_run_of_an_eviction_leaves_the_pod(core: Any, apps: Any, namespace: str, backend: Backend) -> None:
    apps.create_namespaced_deployment(namespace, backend.deployment("web"))
    until(lambda: is_rolled_out(apps, namespace, "web"))
    pod = pods_of(core, namespace, "web")[0]
    eviction = client.V1Eviction(metadata=client.V1ObjectMeta(name=pod.metadata.name, namespace=namespace))
    core.create_namespaced_pod_eviction(pod.metadata.name, namespace, eviction, dry_run="All")
    assert core.read_namespaced_pod(pod.metadata.name, namespace).metadata.deletion_timestamp is None


def test_a_stateful_set_names_its_pods_by_number(core: Any, apps: Any, namespace: str, backend: Backend) -> None:
    stateful_set = backend.deployment("db", replicas=2) | {"kind": "StatefulSet"}
    stateful_set["spec"]["serviceName"] = "db"
    apps.create_namespaced_stateful_set(namespace, stateful_set)
    until(lambda: apps.read_namespaced_stateful_set("db", namespace).status.ready_replicas == 2)
    assert sorted(pod.metadata.name for pod in pods_of(core, namespace, "db")) == ["db-0", "db-1"]


def test_deleting_a_deployment_takes_its_pods_along(core: Any, apps: Any, namespace: str, backend: Backend) -> None:
    apps.create_namespaced_deployment(namespace, backend.deployment("web"))
    until(lambda: is_rolled_out(apps, namespace, "web"))
    apps.delete_namespaced_deployment("web", namespace)
    until(lambda: not pods_of(core, namespace, "web"))


def test_nodes_tell_that_they_are_ready(core: Any) -> None:
    conditions = {one.type: one.status for node in core.list_node().items for one in node.status.conditions}
    assert conditions["Ready"] == "True"
