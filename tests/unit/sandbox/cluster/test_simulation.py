"""The cluster in virtual time: what is broken on cue, how it backs off, and that its history is in order."""

from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sandbox.cluster.clock import manual_clock
from sandbox.cluster.deployments import Bounds, planned
from sandbox.cluster.documents import rows, text, whole
from sandbox.cluster.kubelet import EXIT_CODE, FAILS_PROBE, NEEDS_MEMORY
from sandbox.cluster.patching import Patch, PatchKind
from sandbox.cluster.resources import BUDGETS, CONFIG_MAPS, DEPLOYMENTS, EVENTS, NAMESPACES, NODES, PODS
from sandbox.cluster.simulation import Simulation
from sandbox.cluster.store import Change
from sandbox.cluster.writes import Target

BANK = "bank"
WEB = Target(DEPLOYMENTS, BANK, "web")
LABELS = {"app": "web"}
MISSING = {"name": "server", "image": "web:missing-v2"}


def web(*, replicas: int = 1, **container: Any) -> Any:
    labels = LABELS
    return {
        "metadata": {"name": "web"},
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": labels},
            "template": {
                "metadata": {"labels": labels},
                "spec": {"containers": [{"name": "server", "image": "web:v1"} | container]},
            },
        },
    }


@pytest.fixture
def cluster() -> Simulation:
    simulation = Simulation(manual_clock())
    simulation.api.create(Target(NAMESPACES), {"metadata": {"name": BANK}})
    return simulation


def deployed(cluster: Simulation, **fields: Any) -> Any:
    cluster.api.create(Target(DEPLOYMENTS, BANK), web(**fields))
    cluster.advance(timedelta(seconds=2))
    return pod(cluster)


def pod(cluster: Simulation) -> Any:
    return cluster.plane.select(PODS, BANK)[0]


def state(cluster: Simulation) -> Any:
    return pod(cluster)["status"]["containerStatuses"][0]


def progress(cluster: Simulation) -> str:
    conditions = rows(cluster.api.get(WEB), "status", "conditions")
    return next(text(one, "reason") for one in conditions if text(one, "type") == "Progressing")


def allowed(cluster: Simulation) -> int:
    return whole(cluster.api.get(Target(BUDGETS, BANK, "web")), "status", "disruptionsAllowed")


def cue(cluster: Simulation, target: Target, name: str, value: str) -> None:
    body: Any = {"metadata": {"annotations": {name: value}}}
    cluster.api.patch(target, Patch(PatchKind.MERGE, body))


def test_a_crash_loop_backs_off_twice_as_long_each_time_until_the_pod_is_replaced(cluster: Simulation) -> None:
    broken = Target(PODS, BANK, deployed(cluster)["metadata"]["name"])
    cue(cluster, broken, EXIT_CODE, "3")
    cluster.advance(timedelta(seconds=4))
    assert state(cluster)["state"]["waiting"]["reason"] == "CrashLoopBackOff"
    assert "back-off 10s" in state(cluster)["state"]["waiting"]["message"]
    cluster.advance(timedelta(seconds=12))
    assert "back-off 20s" in state(cluster)["state"]["waiting"]["message"]
    assert state(cluster)["lastState"]["terminated"]["exitCode"] == 3
    cluster.api.evict(broken, {})
    cluster.advance(timedelta(seconds=2))
    assert state(cluster)["ready"] is True
    assert state(cluster)["restartCount"] == 0


def test_a_need_above_the_limit_is_killed_for_memory_until_the_limit_is_raised(cluster: Simulation) -> None:
    deployed(cluster, resources={"limits": {"memory": "128Mi"}})
    cue(cluster, WEB, NEEDS_MEMORY, "200Mi")
    cluster.advance(timedelta(seconds=4))
    killed = state(cluster)["lastState"]["terminated"]
    assert (killed["exitCode"], killed["reason"]) == (137, "OOMKilled")
    body: Any = {
        "spec": {
            "template": {"spec": {"containers": [{"name": "server", "resources": {"limits": {"memory": "256Mi"}}}]}}
        }
    }
    cluster.api.patch(WEB, Patch(PatchKind.STRATEGIC, body))
    cluster.advance(timedelta(seconds=5))
    assert [one["status"]["containerStatuses"][0]["ready"] for one in cluster.plane.select(PODS, BANK)] == [True]  # type: ignore[index, call-overload] - raw JSON


def test_a_readiness_probe_that_fails_takes_the_pod_out_and_a_liveness_probe_restarts_it(cluster: Simulation) -> None:
    found = deployed(cluster, livenessProbe={"httpGet": {"port": 80}, "periodSeconds": 1, "failureThreshold": 3})
    target = Target(PODS, BANK, found["metadata"]["name"])
    cue(cluster, target, FAILS_PROBE, "readiness")
    assert state(cluster)["ready"] is False
    cue(cluster, target, FAILS_PROBE, "liveness")
    cluster.advance(timedelta(seconds=5))
    assert state(cluster)["restartCount"] >= 1
    assert {"Unhealthy", "Killing"} <= {str(one["reason"]) for one in cluster.plane.select(EVENTS, BANK)}


def test_the_same_event_again_only_counts_up(cluster: Simulation) -> None:
    found = deployed(cluster)
    cue(cluster, Target(PODS, BANK, found["metadata"]["name"]), EXIT_CODE, "1")
    cluster.advance(timedelta(minutes=2))
    back_offs = [one for one in cluster.plane.select(EVENTS, BANK) if one["reason"] == "BackOff"]
    assert len(back_offs) == 1
    assert int(str(back_offs[0]["count"])) >= 3


def test_a_cordoned_node_gets_no_pods(cluster: Simulation) -> None:
    for number in (1, 2):
        body: Any = {"spec": {"unschedulable": True}}
        cluster.api.patch(Target(NODES, "", f"node-{number}"), Patch(PatchKind.MERGE, body))
    assert not deployed(cluster)["spec"].get("nodeName")
    body = {"spec": {"unschedulable": None}}
    cluster.api.patch(Target(NODES, "", "node-2"), Patch(PatchKind.MERGE, body))
    cluster.advance(timedelta(seconds=2))
    assert pod(cluster)["spec"]["nodeName"] == "node-2"


def test_a_rollout_without_progress_is_overdue_at_its_deadline(cluster: Simulation) -> None:
    deployed(cluster)
    late: Any = {"spec": {"progressDeadlineSeconds": 20, "template": {"spec": {"containers": [MISSING]}}}}
    cluster.api.patch(WEB, Patch(PatchKind.STRATEGIC, late))
    cluster.advance(timedelta(seconds=15))
    assert progress(cluster) == "ReplicaSetUpdated"
    cluster.advance(timedelta(seconds=10))
    assert progress(cluster) == "ProgressDeadlineExceeded"


def test_a_container_starts_soon_after_its_configuration_is_there(cluster: Simulation) -> None:
    deployed(cluster, envFrom=[{"configMapRef": {"name": "settings"}}])
    assert state(cluster)["state"]["waiting"]["reason"] == "CreateContainerConfigError"
    cluster.api.create(Target(CONFIG_MAPS, BANK), {"metadata": {"name": "settings"}})
    cluster.advance(timedelta(seconds=3))
    assert state(cluster)["ready"] is True


def test_a_pod_is_not_evicted_for_a_controller_that_wants_more(cluster: Simulation) -> None:
    deployed(cluster, replicas=3)
    budget: Any = {"metadata": {"name": "web"}, "spec": {"maxUnavailable": 1, "selector": {"matchLabels": LABELS}}}
    cluster.api.create(Target(BUDGETS, BANK), budget)
    assert allowed(cluster) == 1
    more: Any = {"spec": {"replicas": 5}}
    cluster.api.patch(WEB, Patch(PatchKind.MERGE, more))
    assert allowed(cluster) == 0  # what is not there yet counts as lacking
    cluster.advance(timedelta(seconds=2))
    assert allowed(cluster) == 1


def test_listeners_are_told_in_the_order_of_the_versions(cluster: Simulation) -> None:
    told: list[int] = []

    def listen(change: Change) -> None:
        told.append(change.version)

    cluster.store.listen(listen)
    deployed(cluster, replicas=3)
    assert told == sorted(told)
    assert len(told) > 10


def test_the_same_steps_give_the_same_cluster() -> None:
    def run() -> list[tuple[int, str]]:
        simulation, told = Simulation(manual_clock()), list[tuple[int, str]]()
        simulation.store.listen(lambda change: told.append((change.version, str(change.now))))
        simulation.api.create(Target(NAMESPACES), {"metadata": {"name": BANK}})
        deployed(simulation, replicas=2, command=["sh", "-c", "exit 3"])
        simulation.advance(timedelta(minutes=3))
        return told

    assert run() == run()


def replica_set(name: str, size: int, available: int) -> Any:
    return {"metadata": {"name": name}, "spec": {"replicas": size}, "status": {"availableReplicas": available}}


@given(
    replicas=st.integers(0, 20),
    surge=st.integers(0, 5),
    unavailable=st.integers(0, 5),
    new=st.integers(0, 20),
    old=st.integers(0, 20),
    data=st.data(),
)
def test_a_rollout_keeps_within_its_bounds(
    replicas: int, surge: int, unavailable: int, new: int, old: int, data: st.DataObject
) -> None:
    bounds = Bounds(replicas, surge, unavailable if surge or unavailable else 1)
    new_up, old_up = data.draw(st.integers(0, new)), data.draw(st.integers(0, old))
    plan = planned(bounds, replica_set("new", new, new_up), [replica_set("old", old, old_up)], recreate=False)
    assert 0 <= plan["old"] <= old
    assert plan["new"] <= max(new, replicas)
    if new <= replicas:
        assert plan["new"] + old <= max(replicas + bounds.surge, new + old)
    taken = max(0, old_up - plan["old"]) if plan["old"] < old_up else 0
    if taken:
        assert new_up + old_up - taken >= replicas - bounds.unavailable
