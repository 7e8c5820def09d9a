"""Pods as a kubelet runs them: how each way to fail shows in the status. All of them run beside each other."""

# the client's models are typed in part only
# pyright: basic, reportArgumentType=false, reportOptionalMemberAccess=false
# pyright: reportAttributeAccessIssue=false, reportIndexIssue=false

from collections.abc import Callable
from typing import Any

import pytest

from sandbox.cluster.kubelet import NEEDS_MEMORY
from tests.contracts.cluster.backend import RUNS, Backend, until
from tests.contracts.cluster.wire import STRATEGIC, Wire

pytestmark = pytest.mark.contract

FAILS = {"exec": {"command": ["false"]}, "periodSeconds": 1, "failureThreshold": 1}


def greeting(source: str) -> Any:
    """Return a variable of the environment that is read from a ConfigMap."""
    return {"name": "GREETING", "valueFrom": {"configMapKeyRef": {"name": source, "key": "hello"}}}


def specimens(backend: Backend) -> list[Any]:
    """Return one pod for each fate."""
    container = backend.container
    fills_memory = ["sh", "-c", "x=$(head -c 80000000 /dev/zero | tr '\\0' x); sleep 60"]
    crashes = ["sh", "-c", "echo fatal >&2; exit 3"]
    return [
        backend.pod("plain", container(ports=[{"containerPort": 80}])),
        backend.pod("crash", container(command=crashes)),
        backend.pod("ends", container(command=["sh", "-c", "exit 0"])),
        backend.pod("done", container(command=["true"]), restartPolicy="Never"),
        backend.pod("failed", container(command=["sh", "-c", "exit 4"]), restartPolicy="Never"),
        backend.pod("retried", container(command=["sh", "-c", "exit 5"]), restartPolicy="OnFailure"),
        backend.pod(
            "hungry",
            container(command=fills_memory, resources={"limits": {"memory": "20Mi"}}),
            notes={NEEDS_MEMORY: "80Mi"},
        ),
        backend.pod("no-image", container(image="localhost/server:missing-v2")),
        backend.pod("never-pulled", container(image="localhost/server:missing-v2", imagePullPolicy="Never")),
        backend.pod("no-config", container(env=[greeting("greetings")])),
        backend.pod("waits", container(env=[greeting("late")])),
        backend.pod("no-secret", container(envFrom=[{"secretRef": {"name": "keys"}}])),
        backend.pod("may-lack", container(envFrom=[{"configMapRef": {"name": "none", "optional": True}}])),
        backend.pod("unlive", container(livenessProbe=FAILS)),
        backend.pod("unready", container(readinessProbe=FAILS)),
        backend.pod("two", container(), container("side", command=crashes)),
        backend.pod("prepared", initContainers=[container("first", command=["true"])]),
        backend.pod("unprepared", initContainers=[container("first", command=["false"])]),
        backend.pod(
            "half-prepared",
            initContainers=[container("first", command=["true"]), container("second", image="localhost/x:missing-v1")],
        ),
        backend.pod("nowhere", nodeSelector={"node": "none"}),
    ]


@pytest.fixture(scope="module")
def zoo(api: Any, backend: Backend, home: str) -> str:
    """Start all specimens at once, and return the path of their pods."""
    wire = Wire(api)
    path = f"/api/v1/namespaces/{home}/pods"
    for pod in specimens(backend):
        assert wire.post(path, pod).code == 201
    until(lambda: waiting(wire.get(f"{path}/waits").document) == "CreateContainerConfigError")
    wire.post(f"/api/v1/namespaces/{home}/configmaps", {"metadata": {"name": "late"}, "data": {"hello": "world"}})
    return path


@pytest.fixture
def pod_of(wire: Wire, zoo: str) -> Callable[[str], Any]:
    def read(name: str) -> Any:
        return wire.get(f"{zoo}/{name}").document

    return read


def status_of(pod: Any, container: str = "server") -> Any:
    """Return the status of a container, which may be one of those that prepare the pod."""
    status = pod["status"]
    told = [*status.get("containerStatuses", []), *status.get("initContainerStatuses", [])]
    return next((one for one in told if one["name"] == container), {})


def waiting(pod: Any, container: str = "server") -> str:
    return status_of(pod, container).get("state", {}).get("waiting", {}).get("reason", "")


def last(pod: Any, container: str = "server") -> Any:
    return status_of(pod, container).get("lastState", {}).get("terminated", {})


def condition(pod: Any, kind: str) -> Any:
    return next((one for one in pod["status"].get("conditions", []) if one["type"] == kind), {})


def events_about(wire: Wire, zoo: str, name: str) -> list[Any]:
    path = f"{zoo.removesuffix('pods')}events?fieldSelector=involvedObject.kind=Pod,involvedObject.name={name}"
    return wire.get(path).document["items"]


def reasons(wire: Wire, zoo: str, name: str) -> set[tuple[str, str]]:
    return {(one["type"], one["reason"]) for one in events_about(wire, zoo, name)}


def test_a_pod_that_runs_is_ready_in_all_its_conditions(pod_of: Any) -> None:
    until(lambda: condition(pod_of("plain"), "Ready").get("status") == "True")
    pod = pod_of("plain")
    assert pod["status"]["phase"] == "Running"
    for kind in ("PodScheduled", "Initialized", "ContainersReady", "Ready"):
        assert condition(pod, kind)["status"] == "True"
    status = status_of(pod)
    assert (status["ready"], status["started"], status["restartCount"]) == (True, True, 0)
    assert status["state"]["running"]["startedAt"]
    assert status["lastState"] == {}


def test_a_pod_that_runs_has_a_node_an_address_and_a_start(pod_of: Any) -> None:
    until(lambda: pod_of("plain")["status"].get("podIP"))
    pod = pod_of("plain")
    assert pod["spec"]["nodeName"]
    assert pod["status"]["podIPs"][0]["ip"] == pod["status"]["podIP"]
    assert pod["status"]["hostIP"]
    assert pod["status"]["startTime"]


def test_a_container_that_runs_tells_its_image_and_its_id(pod_of: Any, backend: Backend) -> None:
    until(lambda: "running" in status_of(pod_of("plain")).get("state", {}))
    status = status_of(pod_of("plain"))
    assert status["image"].endswith(backend.image)
    assert status["imageID"]
    assert "://" in status["containerID"]


def test_the_start_of_a_pod_is_told_by_events(wire: Wire, zoo: str, pod_of: Any) -> None:
    wanted = {("Normal", reason) for reason in ("Scheduled", "Pulled", "Created", "Started")}
    until(lambda: wanted <= reasons(wire, zoo, "plain"))


@pytest.mark.parametrize(("name", "quality"), [("plain", "BestEffort"), ("hungry", "Burstable")])
def test_the_quality_of_service_follows_from_the_resources(pod_of: Any, name: str, quality: str) -> None:
    assert pod_of(name)["status"]["qosClass"] == quality


def test_a_container_that_exits_waits_in_a_crash_loop(pod_of: Any) -> None:
    until(lambda: waiting(pod_of("crash")) == "CrashLoopBackOff")
    pod = pod_of("crash")
    assert last(pod)["exitCode"] == 3
    assert last(pod)["reason"] == "Error"
    assert last(pod)["finishedAt"]
    assert status_of(pod)["restartCount"] >= 1
    assert (status_of(pod)["ready"], pod["status"]["phase"]) == (False, "Running")


def test_a_crash_loop_tells_how_long_it_waits(pod_of: Any) -> None:
    until(lambda: waiting(pod_of("crash")) == "CrashLoopBackOff")
    message = status_of(pod_of("crash"))["state"].get("waiting", {}).get("message", "back-off 0s")
    assert message.startswith("back-off ")


def test_a_crash_loop_is_told_by_an_event_that_counts(wire: Wire, zoo: str, pod_of: Any) -> None:
    def counted() -> int:
        return max((one["count"] for one in events_about(wire, zoo, "crash") if one["reason"] == "BackOff"), default=0)

    until(lambda: counted() >= 1)
    backing_off = next(one for one in events_about(wire, zoo, "crash") if one["reason"] == "BackOff")
    assert (backing_off["type"], backing_off["source"]["component"]) == ("Warning", "kubelet")
    assert backing_off["involvedObject"]["uid"] == pod_of("crash")["metadata"]["uid"]
    assert backing_off["firstTimestamp"] <= backing_off["lastTimestamp"]


def test_a_container_that_ends_well_is_restarted_too(pod_of: Any) -> None:
    until(lambda: waiting(pod_of("ends")) == "CrashLoopBackOff")
    assert (last(pod_of("ends"))["exitCode"], last(pod_of("ends"))["reason"]) == (0, "Completed")


def test_a_pod_that_is_never_restarted_succeeds(pod_of: Any) -> None:
    until(lambda: pod_of("done")["status"]["phase"] == "Succeeded")
    pod = pod_of("done")
    assert status_of(pod)["state"]["terminated"]["reason"] == "Completed"
    assert (condition(pod, "Ready")["status"], condition(pod, "Ready")["reason"]) == ("False", "PodCompleted")


def test_a_pod_that_is_never_restarted_fails(pod_of: Any) -> None:
    until(lambda: pod_of("failed")["status"]["phase"] == "Failed")
    ended = status_of(pod_of("failed"))["state"]["terminated"]
    assert (ended["exitCode"], ended["reason"], status_of(pod_of("failed"))["restartCount"]) == (4, "Error", 0)


def test_a_pod_that_is_restarted_on_failure_tries_again(pod_of: Any) -> None:
    until(lambda: status_of(pod_of("retried")).get("restartCount", 0) >= 1)
    until(lambda: last(pod_of("retried")).get("exitCode") == 5)


def test_a_container_beyond_its_memory_limit_is_killed_for_it(pod_of: Any) -> None:
    until(lambda: last(pod_of("hungry")) != {})
    assert (last(pod_of("hungry"))["reason"], last(pod_of("hungry"))["exitCode"]) == ("OOMKilled", 137)


def test_an_image_that_may_not_be_pulled_must_be_there(pod_of: Any) -> None:
    until(lambda: waiting(pod_of("never-pulled")) == "ErrImageNeverPull")


@pytest.mark.parametrize(
    ("name", "told"), [("no-config", 'configmap "greetings" not found'), ("no-secret", 'secret "keys" not found')]
)
def test_what_a_container_is_configured_from_must_be_there(pod_of: Any, name: str, told: str) -> None:
    until(lambda: waiting(pod_of(name)) == "CreateContainerConfigError")
    pod = pod_of(name)
    assert status_of(pod)["state"]["waiting"]["message"] == told
    assert pod["status"]["phase"] == "Pending"


def test_what_a_container_may_lack_does_not_hold_it_up(pod_of: Any) -> None:
    until(lambda: status_of(pod_of("may-lack")).get("ready"))


def test_a_liveness_probe_that_fails_restarts_the_container(wire: Wire, zoo: str, pod_of: Any) -> None:
    until(lambda: status_of(pod_of("unlive")).get("restartCount", 0) >= 1)
    until(lambda: {("Warning", "Unhealthy"), ("Normal", "Killing")} <= reasons(wire, zoo, "unlive"))
    messages = [one["message"] for one in events_about(wire, zoo, "unlive") if one["reason"] == "Unhealthy"]
    assert messages[0].startswith("Liveness probe failed")


def test_a_readiness_probe_that_fails_keeps_the_pod_unready_and_running(wire: Wire, zoo: str, pod_of: Any) -> None:
    until(lambda: ("Warning", "Unhealthy") in reasons(wire, zoo, "unready"))
    pod = pod_of("unready")
    assert (pod["status"]["phase"], status_of(pod)["ready"], status_of(pod)["restartCount"]) == ("Running", False, 0)
    assert condition(pod, "Ready")["status"] == "False"
    assert condition(pod, "Ready")["reason"] == "ContainersNotReady"
    assert condition(pod, "Ready")["message"] == "containers with unready status: [server]"


def test_one_container_that_crashes_leaves_the_other_running(pod_of: Any) -> None:
    until(lambda: waiting(pod_of("two"), "side") == "CrashLoopBackOff")
    pod = pod_of("two")
    assert "running" in status_of(pod)["state"]
    assert status_of(pod)["ready"]
    assert condition(pod, "Ready")["status"] == "False"


def test_what_prepares_a_pod_ends_before_the_pod_runs(pod_of: Any) -> None:
    until(lambda: condition(pod_of("prepared"), "Ready").get("status") == "True")
    pod = pod_of("prepared")
    ended = status_of(pod, "first")["state"]["terminated"]
    assert (ended["exitCode"], ended["reason"]) == (0, "Completed")
    assert ended["finishedAt"] <= status_of(pod)["state"]["running"]["startedAt"]


def test_what_fails_to_prepare_a_pod_keeps_it_from_running(pod_of: Any) -> None:
    until(lambda: waiting(pod_of("unprepared"), "first") == "CrashLoopBackOff")
    pod = pod_of("unprepared")
    assert (pod["status"]["phase"], waiting(pod)) == ("Pending", "PodInitializing")
    assert condition(pod, "Initialized")["status"] == "False"
    assert condition(pod, "Initialized")["message"] == "containers with incomplete status: [first]"
    assert last(pod, "first")["exitCode"] == 1


def test_what_prepares_a_pod_runs_one_after_the_other(pod_of: Any) -> None:
    until(lambda: "ImagePull" in waiting(pod_of("half-prepared"), "second"))
    pod = pod_of("half-prepared")
    assert status_of(pod, "first")["state"]["terminated"]["exitCode"] == 0
    assert waiting(pod) == "PodInitializing"


def test_a_pod_that_fits_no_node_is_unschedulable(wire: Wire, zoo: str, pod_of: Any) -> None:
    until(lambda: ("Warning", "FailedScheduling") in reasons(wire, zoo, "nowhere"))
    pod = pod_of("nowhere")
    scheduled = condition(pod, "PodScheduled")
    assert (scheduled["status"], scheduled["reason"], pod["status"]["phase"]) == ("False", "Unschedulable", "Pending")
    assert scheduled["message"].startswith("0/")
    assert "nodeName" not in pod["spec"]


@pytest.mark.parametrize(
    ("selector", "name"),
    [
        ("status.phase=Succeeded", "done"),
        ("status.phase=Failed", "failed"),
        ("spec.restartPolicy=OnFailure", "retried"),
    ],
)
def test_pods_are_selected_by_their_fields(wire: Wire, zoo: str, pod_of: Any, selector: str, name: str) -> None:
    until(lambda: pod_of("done")["status"]["phase"] == "Succeeded" and pod_of("failed")["status"]["phase"] == "Failed")
    assert name in {one["metadata"]["name"] for one in wire.get(f"{zoo}?fieldSelector={selector}").document["items"]}


def test_pods_are_selected_by_their_node(wire: Wire, zoo: str, pod_of: Any) -> None:
    until(lambda: pod_of("plain")["spec"].get("nodeName"))
    node = pod_of("plain")["spec"]["nodeName"]
    found = {one["metadata"]["name"] for one in wire.get(f"{zoo}?fieldSelector=spec.nodeName={node}").document["items"]}
    assert "plain" in found
    assert "nowhere" not in found


def test_a_pod_that_is_deleted_stops_within_its_grace(wire: Wire, namespace: str, backend: Backend) -> None:
    path = f"/api/v1/namespaces/{namespace}/pods"
    wire.post(path, backend.pod("one"))
    until(lambda: status_of(wire.get(f"{path}/one").document).get("ready"))
    leaving = wire.delete(f"{path}/one").document["metadata"]
    assert (leaving["deletionGracePeriodSeconds"], bool(leaving["deletionTimestamp"])) == (1, True)
    until(lambda: wire.get(f"{path}/one").code == 404)


def test_a_pod_that_is_deleted_without_grace_is_gone_at_once(wire: Wire, namespace: str, backend: Backend) -> None:
    path = f"/api/v1/namespaces/{namespace}/pods"
    wire.post(path, backend.pod("one"))
    until(lambda: status_of(wire.get(f"{path}/one").document).get("ready"))
    wire.delete(f"{path}/one", {"gracePeriodSeconds": 0})
    assert wire.get(f"{path}/one").code == 404


def test_a_container_takes_a_new_image_by_being_restarted(wire: Wire, namespace: str, backend: Backend) -> None:
    path = f"/api/v1/namespaces/{namespace}/pods"
    wire.post(path, backend.pod("one", backend.container(image="localhost/server:missing-v2", command=RUNS)))
    until(lambda: "ImagePull" in waiting(wire.get(f"{path}/one").document))
    patch = {"spec": {"containers": [{"name": "server", "image": backend.image}]}}
    wire.patch(f"{path}/one", patch, STRATEGIC)
    until(lambda: status_of(wire.get(f"{path}/one").document).get("ready"))


def test_an_image_that_is_not_there_is_waited_for_with_back_off(pod_of: Any) -> None:
    seen: set[str] = set()

    def has_backed_off() -> bool:
        seen.add(waiting(pod_of("no-image")))
        return "ImagePullBackOff" in seen

    until(has_backed_off)
    assert seen <= {"", "ContainerCreating", "ErrImagePull", "ImagePullBackOff"}
    pod = pod_of("no-image")
    assert (pod["status"]["phase"], status_of(pod)["restartCount"]) == ("Pending", 0)
    assert "localhost/server:missing-v2" in status_of(pod)["state"]["waiting"]["message"]


def test_an_image_that_is_not_there_is_told_by_events(wire: Wire, zoo: str) -> None:
    until(lambda: {("Warning", "Failed"), ("Normal", "BackOff")} <= reasons(wire, zoo, "no-image"))
    messages = {one["message"] for one in events_about(wire, zoo, "no-image") if one["reason"] == "Failed"}
    assert "Error: ErrImagePull" in messages


def test_a_container_starts_once_its_configuration_is_there(pod_of: Any) -> None:
    until(lambda: status_of(pod_of("waits")).get("ready"))  # it waited for it when the specimens were started
