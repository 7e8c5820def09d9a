"""Evictions: what a disruption budget lets go, and how a refusal says what is lacking."""

# the client's models are typed in part only
# pyright: basic, reportArgumentType=false, reportOptionalMemberAccess=false
# pyright: reportAttributeAccessIssue=false, reportIndexIssue=false

from collections.abc import Callable
from typing import Any

import pytest
from kubernetes import client

from tests.contracts.cluster.backend import Backend, until
from tests.contracts.cluster.test_deployments import is_rolled_out, pods_of
from tests.contracts.cluster.test_objects import refusal
from tests.contracts.cluster.wire import Answer, Wire

pytestmark = pytest.mark.contract

HELD = "contract.sre-agent.dev/held"


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


@pytest.fixture(scope="module")
def base(api: Any, backend: Backend, home: str) -> str:
    """Start a few pods, some of which never become ready, and return the path of their namespace."""
    wire = Wire(api)
    pods = f"/api/v1/namespaces/{home}"
    fails = {"exec": {"command": ["false"]}, "periodSeconds": 1, "failureThreshold": 1}
    for group in GROUPS:
        for number in range(4):
            unready = {"readinessProbe": fails} if number == 0 and group in UNREADY else {}
            pod = backend.pod(f"{group}-{number}", backend.container(**unready))
            pod["metadata"]["labels"] = {"app": group}
            assert wire.post(f"{pods}/pods", pod).code == 201
    until(lambda: all(_is_running(one) for one in wire.get(f"{pods}/pods").document["items"] if _is_ours(one)))
    return pods


def _is_ours(pod: Any) -> bool:
    return pod["metadata"].get("labels", {}).get("app") in GROUPS


def _is_running(pod: Any) -> bool:
    """Tell whether a pod runs: of one that is still pending no budget is asked."""
    return pod.get("status", {}).get("phase") == "Running"


GROUPS = ("most", "spared", "always", "twice", "free")
UNREADY = {"spared", "always"}


@pytest.fixture
def evict(wire: Wire, base: str) -> Callable[..., Answer]:
    def ask(pod: str, name: str = "") -> Answer:
        body = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": name or pod}}
        return wire.post(f"{base}/pods/{pod}/eviction", body)

    return ask


def budget(wire: Wire, base: str, group: str, **spec: Any) -> Callable[[], Any]:
    """Make a budget over a group of pods, and return a way to read its status."""
    path = base.replace("/api/v1", "/apis/policy/v1") + "/poddisruptionbudgets"
    name = f"{group}-{len(wire.get(path).document['items'])}"
    body = {"metadata": {"name": name}, "spec": {"selector": {"matchLabels": {"app": group}}, **spec}}
    assert wire.post(path, body).code == 201
    return lambda: wire.get(f"{path}/{name}").document["status"]


@pytest.mark.parametrize(
    ("bound", "desired"), [({"minAvailable": "60%"}, 2), ({"maxUnavailable": 1}, 1), ({"maxUnavailable": "50%"}, 1)]
)
def test_a_budget_in_shares_counts_what_the_controllers_want(
    wire: Wire, apps: Any, namespace: str, backend: Backend, bound: dict[str, Any], desired: int
) -> None:
    apps.create_namespaced_deployment(namespace, backend.deployment("web", replicas=2))
    status = budget(wire, f"/api/v1/namespaces/{namespace}", "web", **bound)
    until(lambda: status().get("currentHealthy") == 2)
    assert (status()["expectedPods"], status()["desiredHealthy"]) == (2, desired)
    assert status()["disruptionsAllowed"] == 2 - desired


@pytest.mark.parametrize("bound", [{"minAvailable": "60%"}, {"maxUnavailable": 1}])
def test_a_budget_in_shares_lets_no_pod_go_that_nobody_controls(wire: Wire, base: str, bound: dict[str, Any]) -> None:
    status = budget(wire, base, "most", **bound)
    until(lambda: status().get("currentHealthy") == 4)
    assert (status()["expectedPods"], status()["disruptionsAllowed"]) == (0, 0)
    assert status()["conditions"][0]["reason"] == "InsufficientPods"


def test_a_refusal_says_how_many_pods_the_budget_needs(wire: Wire, base: str, evict: Any) -> None:
    status = budget(wire, base, "spared", minAvailable=4)
    until(lambda: status().get("currentHealthy") == 3)
    refused = evict("spared-1")
    assert refused.refusal == (429, "TooManyRequests")
    cause = refused.document["details"]["causes"][0]
    assert cause["reason"] == "DisruptionBudget"
    assert cause["message"].endswith("needs 4 healthy pods and has 3 currently")
    assert evict("spared-0").code == 429  # not ready, and yet spared: the budget is not met


def test_an_unready_pod_may_go_where_the_budget_always_lets_it(wire: Wire, base: str, evict: Any) -> None:
    status = budget(wire, base, "always", minAvailable=4, unhealthyPodEvictionPolicy="AlwaysAllow")
    until(lambda: status().get("currentHealthy") == 3)
    assert evict("always-1").code == 429
    assert evict("always-0").code == 201


def test_two_budgets_over_one_pod_are_an_error(wire: Wire, base: str, evict: Any) -> None:
    first, second = (budget(wire, base, "twice", minAvailable=1) for _ in range(2))
    until(lambda: first().get("currentHealthy") == second().get("currentHealthy") == 4)
    assert evict("twice-0").refusal[0] == 500


def test_a_pod_without_a_budget_may_go(wire: Wire, base: str, evict: Any) -> None:
    answer = evict("free-0")
    assert (answer.code, answer.document["kind"], answer.document["status"]) == (201, "Status", "Success")
    until(lambda: wire.get(f"{base}/pods/free-0").code == 404)


def test_a_pod_that_is_evicted_says_so(wire: Wire, base: str, evict: Any) -> None:
    until(lambda: wire.get(f"{base}/pods/free-1").document["status"]["phase"] == "Running")
    wire.patch(f"{base}/pods/free-1", {"metadata": {"finalizers": [HELD]}})
    evict("free-1")
    pod = wire.get(f"{base}/pods/free-1").document
    target = next(one for one in pod["status"]["conditions"] if one["type"] == "DisruptionTarget")
    assert (target["status"], target["reason"]) == ("True", "EvictionByEvictionAPI")
    wire.patch(f"{base}/pods/free-1", {"metadata": {"finalizers": None}})


def test_an_eviction_of_nothing_is_not_found(evict: Any) -> None:
    assert evict("none").refusal == (404, "NotFound")


def test_an_eviction_that_names_another_pod_is_refused(evict: Any) -> None:
    assert evict("free-2", name="free-3").refusal == (400, "BadRequest")
