"""Evidence: whose pods and events it takes, how much of them, and that no object makes it stumble."""

from typing import Any

import pytest
from hypothesis import given
from pydantic_core import to_json

from services.remediator.core.evidence import (
    LOG_BYTES,
    Container,
    bounded,
    containers_of,
    events_about,
    log_of,
    names_between,
    node_state,
    nodes_of,
    owners_between,
    pods_of,
    selector_of,
    trimmed,
)
from shared.contracts.evidence import ContainerLog, EventLine
from shared.contracts.workloads import WorkloadRef
from tests.json_documents import spoiled

WEB = WorkloadRef(kind="Deployment", namespace="bank", name="web")


def owned(name: str, kind: str, owner: str, **members: Any) -> Any:
    references = [{"kind": kind, "name": owner, "controller": True}]
    return {"metadata": {"name": name, "namespace": "bank", "ownerReferences": references}, **members}


def pod(name: str, owner: str, *, ready: bool = True) -> Any:
    return owned(name, "ReplicaSet", owner, status={"containerStatuses": [{"name": "server", "ready": ready}]})


REPLICA_SETS = [owned("web-abc", "Deployment", "web"), owned("web-api-xyz", "Deployment", "web-api")]
PODS = [pod("web-abc-1", "web-abc"), pod("web-api-xyz-1", "web-api-xyz"), pod("web-abc-2", "web-abc", ready=False)]


def names(pods: list[Any]) -> list[str]:
    return [one["metadata"]["name"] for one in pods]


def test_pods_are_a_workloads_by_who_controls_them_and_not_by_their_names() -> None:
    between = names_between(WEB, REPLICA_SETS)
    assert between == {("ReplicaSet", "web-abc")}
    assert names(pods_of(WEB, PODS, between)) == ["web-abc-2", "web-abc-1"]


def test_what_is_broken_comes_first_and_three_are_enough() -> None:
    many = [pod(f"web-abc-{number}", "web-abc", ready=number != 7) for number in range(9)]
    found = names(pods_of(WEB, many, names_between(WEB, REPLICA_SETS)))
    assert found == ["web-abc-7", "web-abc-0", "web-abc-1"]


@pytest.mark.parametrize(
    ("selector", "asked"),
    [
        ({"matchLabels": {"app": "web", "tier": "front"}}, "app=web,tier=front"),
        (
            {
                "matchLabels": {"app": "web"},
                "matchExpressions": [
                    {"key": "tier", "operator": "In", "values": ["front", "back"]},
                    {"key": "track", "operator": "NotIn", "values": ["canary"]},
                    {"key": "team", "operator": "Exists"},
                    {"key": "old", "operator": "DoesNotExist"},
                ],
            },
            "app=web,tier in (front,back),track notin (canary),team,!old",
        ),
        ({}, ""),
        (None, ""),
    ],
)
def test_a_workloads_pods_are_asked_for_by_its_selector(selector: Any, asked: str) -> None:
    assert selector_of({"spec": {"selector": selector}}) == asked


@pytest.mark.parametrize("kind", ["StatefulSet", "DaemonSet", "Job", "ReplicaSet"])
def test_a_workload_that_controls_its_pods_itself_needs_nothing_between(kind: str) -> None:
    workload = WorkloadRef(kind=kind, namespace="bank", name="db")
    pods = [owned("db-0", kind, "db"), owned("db-1", "StatefulSet", "db-2"), owned("db-2", "Node", "db")]
    assert names(pods_of(workload, pods, frozenset())) == ["db-0"]


def test_a_pod_that_nobody_controls_is_its_own_workload() -> None:
    alone: Any = {"metadata": {"name": "alone"}}
    workload = WorkloadRef(kind="Pod", namespace="bank", name="alone")
    assert pods_of(workload, [*PODS, alone], frozenset()) == [alone]


def event(kind: str, name: str, reason: str, last: str = "2030-01-01T00:00:00Z", **members: Any) -> Any:
    return {"involvedObject": {"kind": kind, "name": name}, "reason": reason, "lastTimestamp": last, **members}


def test_events_are_in_the_order_of_their_last_occurrence_and_about_these_objects_alone() -> None:
    events = [
        event("Pod", "web-abc-1", "BackOff", "2030-01-01T00:00:09Z", series={"count": 7}),
        event("ReplicaSet", "web-abc", "FailedCreate", "2030-01-01T00:00:01Z"),
        event("Service", "web-abc", "Other"),
        event("Pod", "web-api-xyz-1", "Other"),
    ]
    found = events_about(frozenset({("Pod", "web-abc-1"), ("ReplicaSet", "web-abc")}), events)
    assert [(one.reason, one.count) for one in found] == [("FailedCreate", 1), ("BackOff", 7)]


def test_containers_that_begin_a_pod_come_first_with_their_lives_before() -> None:
    found: Any = {
        "status": {
            "containerStatuses": [{"name": "server", "restartCount": 0}],
            "initContainerStatuses": [{"name": "migrate", "restartCount": 2}],
        }
    }
    assert list(containers_of(found)) == [
        Container("migrate", has_restarted=True),
        Container("server", has_restarted=False),
    ]


def test_of_a_log_the_end_is_kept() -> None:
    log = log_of(PODS[0], "server", "\n".join(f"line {number}" for number in range(9_999)), previous=True)
    assert (log.lines[-1], log.truncated, len(log.lines)) == ("line 9998", True, 100)
    assert not log_of(PODS[0], "server", "started", previous=False).truncated


def test_no_value_of_the_environment_and_no_annotation_is_kept() -> None:
    container = {"name": "server", "env": [{"name": "PASSWORD", "value": "hunter2"}], "image": "web:v1"}
    source: Any = {
        "metadata": {"annotations": {"a": "hunter2"}, "managedFields": []},
        "spec": {"containers": [container]},
    }
    assert trimmed(source) == {"metadata": {}, "spec": {"containers": [{"name": "server", "image": "web:v1"}]}}


def test_what_does_not_fit_into_one_message_is_left_out_and_noted() -> None:
    log = ContainerLog(pod="p", container="c", previous=False, lines=("\0" * LOG_BYTES,))
    line = EventLine(object="p", type="Warning", reason="r", message="m")
    kept = bounded([log] * 9, [line], [{"spec": "x" * 900_000}])
    assert len(to_json((kept.logs, kept.events, kept.objects))) < 1 << 20
    assert kept.events == (line,)
    assert 0 < len(kept.logs) < 9
    assert kept.notes == (
        f"logs: {9 - len(kept.logs)} of 9 left out, too large for one message",
        "objects: 1 of 1 left out, too large for one message",
    )


WORLD: Any = {
    "pods": PODS,
    "between": REPLICA_SETS,
    "events": [event("Pod", "web-abc-1", "BackOff", series={"count": 2}, message="m")],
}


@given(spoiled(WORLD))
def test_no_object_makes_it_stumble(world: Any) -> None:
    pods, between, events = (objects(world, part) for part in ("pods", "between", "events"))
    ours = pods_of(WEB, pods, names_between(WEB, between))
    logs = [log_of(one, container.name, "told", previous=False) for one in ours for container in containers_of(one)]
    bounded(logs, events_about(frozenset({("Pod", "web-abc-1")}), events), [trimmed(one) for one in ours])


def objects(world: Any, part: str) -> list[Any]:
    """Return what a list gives, which holds objects whatever they hold."""
    found: list[Any] = world.get(part) if isinstance(world.get(part), list) else []
    return [one for one in found if isinstance(one, dict)]


def test_of_a_node_conditions_taints_and_whether_it_takes_pods_are_kept() -> None:
    node: Any = {
        "metadata": {"name": "n", "labels": {"a": "b"}},
        "spec": {"unschedulable": True, "taints": [{"key": "k"}], "podCIDR": "10.0.0.0/24"},
        "status": {"conditions": [{"type": "Ready", "status": "False"}], "images": [{"names": ["x"]}]},
    }
    assert node_state(node) == {
        "kind": "Node",
        "metadata": {"name": "n"},
        "spec": {"unschedulable": True, "taints": [{"key": "k"}]},
        "status": {"conditions": [{"type": "Ready", "status": "False"}]},
    }


def test_each_node_is_named_once_and_a_pod_that_waits_for_one_names_none() -> None:
    pods: list[Any] = [
        {"spec": {"nodeName": "a"}},
        {"spec": {}},
        {"spec": {"nodeName": "b"}},
        {"spec": {"nodeName": "a"}},
    ]
    assert nodes_of(pods) == ["a", "b"]


def test_of_what_stands_between_comes_first_what_owns_a_pod_and_then_the_newest() -> None:
    between = [owned(f"web-{number}", "Deployment", "web") for number in range(4)]
    for number, one in enumerate(between):
        one["metadata"]["creationTimestamp"] = f"2030-01-0{number + 1}T00:00:00Z"
    other = owned("api-1", "Deployment", "api")
    found = owners_between(WEB, [other, *between], pods=[pod("web-1-x", "web-1")])
    assert names(found) == ["web-1", "web-3"]


@given(spoiled({"spec": {"taints": [{"key": "k"}]}, "status": {"conditions": [{"type": "Ready"}]}}))
def test_no_node_makes_it_stumble(node: Any) -> None:
    assert node_state(node)["kind"] == "Node"
