"""Events that somebody writes: once under a name, in the namespace of what they are about, found by its uid."""

from typing import Any

import pytest

from tests.contracts.cluster.backend import Backend
from tests.contracts.cluster.wire import Wire

pytestmark = pytest.mark.contract


def event(pod: Any, *, namespace: str) -> Any:
    metadata = pod["metadata"]
    return {
        "metadata": {"name": "told", "namespace": namespace},
        "involvedObject": {
            "apiVersion": "v1",
            "kind": "Pod",
            "namespace": metadata["namespace"],
            "name": metadata["name"],
            "uid": metadata["uid"],
            "resourceVersion": metadata["resourceVersion"],
        },
        "type": "Warning",
        "reason": "RestartPodRefused",
        "action": "RestartPod",
        "message": "told",
        "firstTimestamp": "2030-01-01T00:00:00Z",
        "lastTimestamp": "2030-01-01T00:00:00Z",
        "count": 1,
        "source": {"component": "contract"},
        "reportingComponent": "contract",
        "reportingInstance": "here",
    }


@pytest.fixture
def pod(wire: Wire, namespace: str, backend: Backend) -> Any:
    return wire.post(f"/api/v1/namespaces/{namespace}/pods", backend.pod("one")).document


def test_an_event_is_taken_once_under_its_name_and_found_by_what_it_is_about(
    wire: Wire, namespace: str, pod: Any
) -> None:
    path = f"/api/v1/namespaces/{namespace}/events"
    assert wire.post(path, event(pod, namespace=namespace)).code == 201
    again = wire.post(path, event(pod, namespace=namespace))
    assert (again.code, again.document["reason"]) == (409, "AlreadyExists")
    about = f"involvedObject.uid={pod['metadata']['uid']},involvedObject.kind=Pod,reason=RestartPodRefused"
    (found,) = wire.get(f"{path}?fieldSelector={about}").document["items"]
    assert (found["source"], found["reportingInstance"], found["count"]) == ({"component": "contract"}, "here", 1)


def test_an_event_about_what_lies_in_another_namespace_is_refused(wire: Wire, namespace: str, pod: Any) -> None:
    answer = wire.post("/api/v1/namespaces/default/events", event(pod, namespace="default"))
    assert (answer.code, answer.document["reason"]) == (422, "Invalid")
    assert "involvedObject.namespace" in answer.document["message"]


def test_an_event_about_what_has_no_namespace_lives_in_default(wire: Wire, namespace: str, pod: Any) -> None:
    about_node = event(pod, namespace=namespace)
    about_node["involvedObject"] = {"apiVersion": "v1", "kind": "Node", "name": "any", "uid": "any"}
    assert wire.post(f"/api/v1/namespaces/{namespace}/events", about_node).code == 422
    about_node["metadata"] = {"name": f"told-{namespace}", "namespace": "default"}
    assert wire.post("/api/v1/namespaces/default/events", about_node).code == 201
    wire.delete(f"/api/v1/namespaces/default/events/told-{namespace}")
