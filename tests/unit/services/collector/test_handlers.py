"""Observations to signals: whatever a cluster says, signals or nothing, and each can be read again."""

import asyncio
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.collector.adapters.watching import Kind, Observation
from services.collector.handlers import Collecting
from shared.contracts.codec import decode
from shared.contracts.model import JsonObject
from shared.contracts.signals import SIGNALS, ContainerSignal, PodSignal, Signal
from shared.contracts.topics import SIGNALS_KUBERNETES
from shared.infra.kube import KubeError
from shared.infra.memory import MemoryBroker
from tests.fakes.clock import FakeClock
from tests.json_documents import JSON, spoiled

CONDITIONS = [{"type": "Ready", "status": "True", "lastTransitionTime": "2029-12-31T23:59:50Z", "reason": "r"}]
STATUSES = [
    {
        "name": "server",
        "restartCount": 3,
        "state": {"waiting": {"reason": "CrashLoopBackOff", "message": "back-off"}},
        "lastState": {"terminated": {"reason": "Error", "exitCode": 1, "finishedAt": "2029-12-31T23:59:50Z"}},
    }
]


def of(kind: str, **members: Any) -> Any:
    owner = {"kind": "ReplicaSet", "name": "web-1", "controller": True}
    names = {"name": "web", "namespace": "bank", "uid": f"uid-{kind}", "resourceVersion": "7"}
    metadata: dict[str, Any] = {"generation": 1, "ownerReferences": [owner], "annotations": {}, "labels": {}}
    return {"metadata": {**metadata, **names}, **members}


CONTAINERS = [{"name": "server", "resources": {"limits": {"memory": "128Mi"}}}]
POD = of("Pod", spec={"containers": CONTAINERS}, status={"containerStatuses": STATUSES, "conditions": CONDITIONS})
NODE = of("Node", spec={"unschedulable": True}, status={"conditions": CONDITIONS})
WORKLOAD = of("Deployment", spec={"replicas": 2}, status={"replicas": 2, "observedGeneration": 1})
EVENT = of(
    "Event",
    involvedObject={"kind": "Pod", "namespace": "bank", "name": "web-1", "uid": "u"},
    count=2,
    reason="BackOff",
    lastTimestamp="2029-12-31T23:59:50Z",
    series={"count": 3, "lastObservedTime": "2029-12-31T23:59:50.123456Z"},
)


class EmptyCluster:
    """A cluster in which nothing that is asked for exists."""

    async def get(self, path: str) -> JsonObject:
        raise KubeError(404, "NotFound", path)


class Telling:
    """A collector that is told observations, and what it published."""

    def __init__(self) -> None:
        clock = FakeClock()
        self._broker = MemoryBroker(clock)
        self._collecting = Collecting(self._broker.publisher("collector"), EmptyCluster(), cluster="c", clock=clock)

    def tell(self, kind: str, source: Any, *, deleted: bool = False, listed: bool = False) -> None:
        told = Observation(Kind(kind, "/"), source, deleted=deleted, listed=listed)
        asyncio.run(self._collecting.handle([told]))

    @property
    def signals(self) -> list[Signal]:
        """Return what was published, partition by partition, as a consumer reads it."""
        numbers = range(SIGNALS_KUBERNETES.partitions)
        records = [one for number in numbers for one in self._broker.log(SIGNALS_KUBERNETES.name, number)]
        messages = [decode(record).message for record in records]
        assert all(isinstance(one, SIGNALS) for one in messages)
        return messages  # type: ignore[return-value] - just asserted


@pytest.mark.parametrize(
    ("kind", "source"), [("Pod", POD), ("Node", NODE), ("Event", EVENT), ("Deployment", WORKLOAD), ("ReplicaSet", POD)]
)
def test_no_object_makes_it_stumble_and_what_it_tells_can_be_read_again(kind: str, source: Any) -> None:
    @given(spoiled(source))
    def check(one: Any) -> None:
        telling = Telling()
        telling.tell(kind, one)
        telling.tell(kind, one, deleted=True)
        telling.tell(kind, one, listed=True)
        assert telling.signals is not None

    check()


@pytest.mark.parametrize("fields", [{"source": {"component": "sre-agent"}}, {"reportingComponent": "sre-agent"}])
def test_what_we_wrote_of_our_own_commands_is_no_signal(fields: Any) -> None:
    telling = Telling()
    telling.tell("Event", {**EVENT, "type": "Warning", **fields})
    assert telling.signals == []
    telling.tell("Event", {**EVENT, "type": "Warning", "source": {"component": "kubelet"}})
    assert [one.kind for one in telling.signals] == ["event"]


@given(JSON)
def test_no_json_makes_it_stumble(one: Any) -> None:
    for kind in ("Pod", "Node", "Event", "Deployment", "Job"):
        Telling().tell(kind, one if isinstance(one, dict) else {"metadata": one, "status": one, "spec": one})


def test_the_same_object_gives_the_same_signals() -> None:
    first, second = Telling(), Telling()
    for telling in (first, second):
        telling.tell("Pod", POD)
    assert first.signals == second.signals
    assert {one.kind for one in first.signals} == {"pod", "container"}


CHANGES = st.lists(
    st.tuples(st.sampled_from(["a", "b", "c"]), st.sampled_from(["crash", "run", "leave", "go"])), max_size=20
)
State = dict[str, tuple[bool, str | None]]
"""Of each pod by its uid: is it about to go, and why does its container wait; nothing of one about to go."""


@given(CHANGES)
def test_the_last_signal_of_each_object_and_container_is_the_clusters_state(changes: list[tuple[str, str]]) -> None:
    telling = Telling()
    there: dict[str, Any] = {}
    for version, (name, change) in enumerate(changes):
        before = there.get(name)
        if change == "go":
            telling.tell("Pod", {"metadata": before["metadata"]} if before else {}, deleted=True)
            there.pop(name, None)
            continue
        there[name] = changed(before or born(name, version), change, version)
        telling.tell("Pod", there[name])
    assert folded(telling.signals) == {one["metadata"]["uid"]: state_of(one) for one in there.values()}
    ids = [one.id for one in telling.signals]
    assert len(ids) == len(set(ids))


def born(name: str, version: int) -> Any:
    return {"metadata": {"name": name, "namespace": "bank", "uid": f"uid-{version}"}}


def changed(pod: Any, change: str, version: int) -> Any:
    metadata = {**pod["metadata"], "resourceVersion": str(version)}
    if change == "leave":
        metadata["deletionTimestamp"] = "2030-01-01T00:00:00Z"
    state: Any = {"waiting": {"reason": "CrashLoopBackOff"}} if change == "crash" else {"running": {}}
    return {"metadata": metadata, "status": {"containerStatuses": [{"name": "server", "state": state}]}}


def state_of(pod: Any) -> tuple[bool, str | None]:
    if "deletionTimestamp" in pod["metadata"]:
        return True, None
    return False, pod["status"]["containerStatuses"][0]["state"].get("waiting", {}).get("reason", "")


def folded(signals: list[Signal]) -> State:
    pods = {one.object.uid: one for one in signals if isinstance(one, PodSignal)}
    containers = {one.object.uid: one.reason for one in signals if isinstance(one, ContainerSignal)}
    return {
        uid: (pod.terminating, None if pod.terminating else containers.get(uid))
        for uid, pod in pods.items()
        if not pod.deleted
    }


def test_an_owner_that_is_gone_owns_itself() -> None:
    telling = Telling()
    telling.tell("Pod", POD)
    assert {one.workload.key for one in telling.signals} == {"bank/ReplicaSet/web-1"}
