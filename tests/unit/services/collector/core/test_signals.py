"""Objects to signals: what each says of health, and that nothing a cluster says can make it stumble."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given

from services.collector.core.news import News
from services.collector.core.owners import LATELY_GONE, Owners, self_of
from services.collector.core.queries import Query, problem_of, samples_of
from services.collector.core.signals import event_signal, node_signal, pod_signals, workload_signal
from shared.contracts.model import JsonObject
from shared.contracts.objects import MOST_LABELS
from shared.contracts.signals import ContainerSignal, ContainerState, PodSignal
from shared.contracts.workloads import WorkloadRef
from tests.json_documents import spoiled

NOW = datetime(2030, 1, 1, tzinfo=UTC)
FRONTEND = WorkloadRef(kind="Deployment", namespace="bank", name="frontend")
NODE = WorkloadRef(kind="Node", name="node-1")
WEB = WorkloadRef(kind="Deployment", namespace="bank", name="web")


def crashing(*, version: str = "5", restarts: int = 3, leaving: bool = False) -> Any:
    metadata: dict[str, Any] = {"name": "web-1", "namespace": "bank", "uid": "u1", "resourceVersion": version}
    if leaving:
        metadata["deletionTimestamp"] = "2030-01-01T00:00:00Z"
    return {
        "metadata": metadata | {"labels": {"pod-template-hash": "abc"}},
        "spec": {
            "nodeName": "node-1",
            "containers": [{"name": "server", "resources": {"limits": {"memory": "128Mi"}}}],
        },
        "status": {
            "phase": "Running",
            "containerStatuses": [
                {
                    "name": "server",
                    "restartCount": restarts,
                    "state": {"waiting": {"reason": "CrashLoopBackOff", "message": "back-off 10s"}},
                    "lastState": {
                        "terminated": {"reason": "OOMKilled", "exitCode": 137, "finishedAt": "2029-12-31T23:59:50Z"}
                    },
                }
            ],
        },
    }


def container_of(pod: JsonObject) -> ContainerSignal:
    return next(one for one in pod_signals(pod, FRONTEND, cluster="c", now=NOW) if isinstance(one, ContainerSignal))


def test_a_crash_loop_tells_reason_restarts_last_end_and_limit() -> None:
    signal = container_of(crashing())
    assert (signal.state, signal.reason, signal.restarts) == (ContainerState.WAITING, "CrashLoopBackOff", 3)
    assert (signal.last_reason, signal.last_exit_code) == ("OOMKilled", 137)
    assert (signal.memory_limit_bytes, signal.node, signal.template_hash) == (128 << 20, "node-1", "abc")
    assert signal.at == datetime(2029, 12, 31, 23, 59, 50, tzinfo=UTC)
    assert signal.key == "bank/Deployment/frontend"


def test_a_container_of_a_pod_that_leaves_is_no_fault() -> None:
    told = list(pod_signals(crashing(leaving=True), FRONTEND, cluster="c", now=NOW))
    assert [(one.kind, one.terminating, one.deleted) for one in told if isinstance(one, PodSignal)] == [
        ("pod", True, False)
    ]
    assert len(told) == 1


def test_a_pod_that_is_gone_is_told_under_an_id_of_its_own() -> None:
    there = next(pod_signals(crashing(), FRONTEND, cluster="c", now=NOW))
    gone = list(pod_signals(crashing(), FRONTEND, cluster="c", now=NOW, deleted=True))
    assert [(one.kind, one.id != there.id) for one in gone] == [("pod", True)]


def test_a_node_that_is_gone_is_neither_well_nor_the_same_news() -> None:
    node: JsonObject = {
        "metadata": {"name": "node-1", "uid": "n1", "resourceVersion": "3"},
        "status": {"conditions": [{"type": "Ready", "status": "True", "lastTransitionTime": "2029-12-31T00:00:00Z"}]},
    }
    there = node_signal(node, NODE, cluster="c", now=NOW)
    gone = node_signal(node, NODE, cluster="c", now=NOW, deleted=True)
    assert (there.healthy, there.deleted) == (True, False)
    assert (gone.healthy, gone.ready, gone.deleted, gone.at) == (False, False, True, NOW)
    assert gone.id != there.id


def test_a_container_that_begins_the_pod_is_told_like_others_and_one_for_debugging_is_not() -> None:
    pod = crashing()
    pod["spec"]["initContainers"] = [{"name": "migrate", "resources": {"limits": {"memory": "64Mi"}}}]
    pod["spec"]["ephemeralContainers"] = [{"name": "debug"}]
    statuses = pod["status"].pop("containerStatuses")
    pod["status"]["initContainerStatuses"] = [{**statuses[0], "name": "migrate"}]
    pod["status"]["ephemeralContainerStatuses"] = [{**statuses[0], "name": "debug"}]
    told = [one for one in pod_signals(pod, FRONTEND, cluster="c", now=NOW) if isinstance(one, ContainerSignal)]
    assert [(one.container, one.reason, one.memory_limit_bytes) for one in told] == [
        ("migrate", "CrashLoopBackOff", 64 << 20)
    ]


def test_the_same_state_is_news_once_whatever_its_version() -> None:
    news = News()
    first, same = container_of(crashing()), container_of(crashing(version="6"))
    changed = container_of(crashing(version="7", restarts=4))
    assert news.is_news(first)
    news.told(first)
    assert not news.is_news(same)
    assert news.is_news(changed)


def node(*, since: str, ready: str = "True", **spec: Any) -> Any:
    told = {"type": "Ready", "status": ready, "lastTransitionTime": since}
    metadata = {"name": "node-1", "uid": "uid-1", "resourceVersion": "9"}
    return {"metadata": metadata, "spec": spec, "status": {"conditions": [told]}}


LONG_AGO, SINCE = "2026-01-01T00:00:00Z", NOW.isoformat().replace("+00:00", "Z")


@pytest.mark.parametrize(
    ("then", "observed", "at"),
    [
        (node(since=LONG_AGO, unschedulable=True), NOW, NOW),  # a cordon tells no time
        (node(since=SINCE, ready="False"), NOW + timedelta(seconds=9), NOW),  # as the object itself tells
        (node(since=LONG_AGO, unschedulable=True), datetime(2025, 1, 1, tzinfo=UTC), datetime(2026, 1, 1, tzinfo=UTC)),
    ],
)
def test_what_becomes_of_a_node_within_a_state_is_not_as_old_as_the_state(then: Any, observed: Any, at: Any) -> None:
    news = News()
    first = news.dated(node_signal(node(since=LONG_AGO), NODE, cluster="c", now=NOW), now=NOW)
    assert first.at == datetime(2026, 1, 1, tzinfo=UTC)
    news.told(first)
    second = node_signal(then, NODE, cluster="c", now=observed)
    assert news.is_news(second)
    assert news.dated(second, now=observed).at == at
    news.forget("uid-1")
    assert news.dated(second, now=observed).at == second.at


def test_what_a_container_tells_of_its_end_before_stays_as_old_as_its_state() -> None:
    news = News()
    news.told(container_of(crashing()))
    later = container_of(crashing(version="7", restarts=4))
    assert news.dated(later, now=NOW + timedelta(hours=1)).at == later.at


def labelled(labels: object) -> Any:
    source = crashing()
    source["metadata"]["labels"] = labels
    return source


def test_a_pod_and_its_containers_tell_the_labels_of_the_pod() -> None:
    told = list(pod_signals(labelled({"tier": "database", "app": "web"}), FRONTEND, cluster="c", now=NOW))
    assert [one.labels for one in told if isinstance(one, PodSignal | ContainerSignal)] == [
        {"app": "web", "tier": "database"}
    ] * 2


def test_a_workload_and_a_node_tell_their_own_labels() -> None:
    source = labelled({"tier": "database"})
    assert workload_signal(source, WEB, cluster="c", now=NOW).labels == {"tier": "database"}
    assert node_signal(source, NODE, cluster="c", now=NOW).labels == {"tier": "database"}


def test_a_label_alone_is_no_news() -> None:
    news = News()
    news.told(container_of(labelled({"app": "web"})))
    assert not news.is_news(container_of(labelled({"app": "web", "looked-at-by": "ada"})))


@pytest.mark.parametrize("labels", [None, [], "tier", {"tier": 1}, {"tier": "x" * 64}, {"x" * 318: "database"}])
def test_what_cannot_be_a_label_is_none(labels: object) -> None:
    assert container_of(labelled(labels)).labels == {}


def test_an_object_with_more_labels_than_are_told_tells_the_same_ones_each_time() -> None:
    labels = {f"label-{number:03}": "x" * 63 for number in range(MOST_LABELS + 10)}
    told = container_of(labelled(dict(reversed(labels.items())))).labels
    assert list(told) == sorted(labels)[:MOST_LABELS]


@pytest.mark.parametrize(
    ("counts", "healthy"),
    [
        ({"replicas": 2, "updatedReplicas": 2, "readyReplicas": 2, "availableReplicas": 2}, True),
        ({"replicas": 3, "updatedReplicas": 2, "readyReplicas": 2, "availableReplicas": 2}, False),
        ({"replicas": 2, "updatedReplicas": 1, "readyReplicas": 2, "availableReplicas": 2}, False),
        ({"replicas": 2, "updatedReplicas": 2, "readyReplicas": 1, "availableReplicas": 1}, False),
        ({}, False),
    ],
)
def test_a_deployment_is_healthy_when_all_is_there_new_and_ready(counts: dict[str, int], healthy: bool) -> None:
    source: JsonObject = {
        "metadata": {"name": "web", "namespace": "bank", "generation": 2},
        "spec": {"replicas": 2},
        "status": {"observedGeneration": 2, **counts},
    }
    assert workload_signal(source, WEB, cluster="c", now=NOW).healthy is healthy


def test_a_status_of_an_older_spec_is_not_healthy() -> None:
    counts = {"replicas": 1, "updatedReplicas": 1, "readyReplicas": 1, "availableReplicas": 1}
    source: JsonObject = {
        "metadata": {"name": "web", "namespace": "bank", "generation": 3},
        "spec": {"replicas": 1},
        "status": {"observedGeneration": 2, **counts},
    }
    assert not workload_signal(source, WEB, cluster="c", now=NOW).healthy


def test_each_count_of_an_event_is_a_signal_of_its_own() -> None:
    event: JsonObject = {"metadata": {"uid": "e1"}, "count": 1, "reason": "BackOff", "type": "Warning"}
    ids = {event_signal({**event, "count": count}, FRONTEND, cluster="c", now=NOW).id for count in (1, 2, 2)}
    assert len(ids) == 2


def owned(owner: tuple[str, str], **metadata: Any) -> Any:
    reference = {"kind": owner[0], "name": owner[1], "controller": True}
    return {"metadata": {"namespace": "bank", "ownerReferences": [reference], **metadata}}


POD = WorkloadRef(kind="Pod", namespace="bank", name="frontend-abc-1")
REPLICA_SET = WorkloadRef(kind="ReplicaSet", namespace="bank", name="frontend-abc")


def test_the_top_owner_is_found_through_what_lies_between() -> None:
    owners = Owners()
    owners.learn(POD, owned(("ReplicaSet", "frontend-abc")))
    assert owners.unknown(POD) == REPLICA_SET
    owners.learn(REPLICA_SET, owned(("Deployment", "frontend")))
    assert owners.unknown(POD) is None
    assert owners.top_of(POD) == FRONTEND


def test_what_is_told_of_a_pod_stays_under_its_workload_when_what_lies_between_goes_first() -> None:
    owners = Owners()
    owners.learn(REPLICA_SET, owned(("Deployment", "frontend")))
    owners.learn(POD, owned(("ReplicaSet", "frontend-abc")))
    owners.forget(REPLICA_SET)
    assert owners.top_of(POD) == FRONTEND


def pod(number: int) -> WorkloadRef:
    return WorkloadRef(kind="Pod", namespace="bank", name=f"other-{number}")


def test_a_pod_that_is_gone_is_known_until_enough_others_have_gone_after_it_and_then_nothing_is_kept() -> None:
    owners = Owners()
    owners.learn(REPLICA_SET, owned(("Deployment", "frontend")))
    owners.learn(POD, owned(("ReplicaSet", "frontend-abc")))
    owners.forget(POD)
    owners.forget(REPLICA_SET)
    for number in range(LATELY_GONE - 1):
        owners.forget(pod(number))
    assert owners.top_of(POD) == FRONTEND
    owners.forget(pod(LATELY_GONE))
    assert (owners.unknown(POD), owners.unknown(REPLICA_SET)) == (POD, REPLICA_SET)
    kept = Owners()
    for number in (*range(LATELY_GONE - 1), LATELY_GONE):
        kept.forget(pod(number))
    assert owners == kept


def test_a_pod_that_comes_back_under_its_name_is_not_forgotten_with_the_one_before() -> None:
    owners = Owners()
    owners.learn(POD, owned(("ReplicaSet", "frontend-abc")))
    owners.forget(POD)
    owners.learn(POD, owned(("ReplicaSet", "frontend-abc")))
    for number in range(LATELY_GONE + 1):
        owners.forget(pod(number))
    assert owners.unknown(POD) == REPLICA_SET


def test_an_owner_that_owns_itself_ends_the_climb() -> None:
    owners = Owners()
    owners.learn(POD, owned(("ReplicaSet", "frontend-abc")))
    owners.learn(REPLICA_SET, owned(("ReplicaSet", "frontend-abc")))
    assert owners.unknown(POD) is None
    assert owners.top_of(POD) == REPLICA_SET


def test_a_static_pod_belongs_to_its_node() -> None:
    owners = Owners()
    owners.learn(POD, owned(("Node", "node-1")))
    assert owners.top_of(POD) == WorkloadRef(kind="Node", name="node-1")


@pytest.mark.parametrize(
    "metadata", [{}, {"name": "web"}, {"uid": "u"}, {"name": "a/b", "uid": "u"}, {"name": "x" * 254, "uid": "u"}]
)
def test_what_has_no_identity_is_nobody(metadata: JsonObject) -> None:
    assert self_of({"metadata": metadata}, "Pod") is None


QUERY = Query(name="restarts", expr="up")


def answer(metric: dict[str, str], value: Any) -> Any:
    return {"status": "success", "data": {"resultType": "vector", "result": [{"metric": metric, "value": value}]}}


def test_a_sample_belongs_to_the_workload_that_its_labels_name() -> None:
    labels = {"namespace": "bank", "deployment": "frontend"}
    sample = next(samples_of(QUERY, answer(labels, [1893456000.5, "2.5"]), cluster="c"))
    assert (sample.workload, sample.value, sample.query) == (FRONTEND, 2.5, "restarts")


@pytest.mark.parametrize("value", ["NaN", "+Inf", "-Inf", "x", None])
def test_what_is_no_number_is_left_out(value: Any) -> None:
    labels = {"namespace": "bank", "deployment": "frontend"}
    assert list(samples_of(QUERY, answer(labels, [1893456000.5, value]), cluster="c")) == []


@given(spoiled(answer({"namespace": "bank", "deployment": "frontend"}, [1893456000.5, "2.5"])))
def test_no_answer_of_prometheus_makes_it_stumble(told: JsonObject) -> None:
    assert problem_of(told) or list(samples_of(QUERY, told, cluster="c")) is not None


@pytest.mark.parametrize("at", [1e300, float("inf"), float("nan"), -1e12, True, "now"])
def test_a_moment_that_is_none_is_left_out(at: Any) -> None:
    labels = {"namespace": "bank", "deployment": "frontend"}
    assert list(samples_of(QUERY, answer(labels, [at, "1"]), cluster="c")) == []


@pytest.mark.parametrize("labels", [{}, {"namespace": "bank"}, {"deployment": "a"}, {"node": "a/b"}])
def test_labels_that_name_no_workload_give_nothing(labels: dict[str, str]) -> None:
    assert list(samples_of(QUERY, answer(labels, [1893456000.5, "1"]), cluster="c")) == []
