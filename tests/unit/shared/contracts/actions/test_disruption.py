"""A new template is refused where its rollout could take more pods than a PodDisruptionBudget leaves."""

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.contracts.actions.base import ActionBase, Done
from shared.contracts.actions.disruption import budget_broken, lowest_in_rollout, lowest_in_scaling, selects
from shared.contracts.actions.rollback import Rollback
from shared.contracts.actions.scale import Scale
from shared.contracts.actions.set_memory import SetMemory
from shared.contracts.refusals import Refusal
from tests.unit.shared.contracts.actions.conversation import Server, order, outcome
from tests.unit.shared.contracts.actions.objects import DEPLOYMENT, deployment

BUDGET = "/apis/policy/v1/namespaces/bank/poddisruptionbudgets/web"
MORE = SetMemory(container="c0", from_bytes=128 << 20, to_bytes=256 << 20)


def rolling(kind: str = "Deployment", *, replicas: int = 4, available: int = 4, **strategy: Any) -> Any:
    template = {"metadata": {"labels": {"app": "web", "tier": "front"}}}
    spec = {"replicas": replicas, "template": template, "strategy": strategy, "updateStrategy": strategy}
    status = {"availableReplicas": available, "numberAvailable": available, "desiredNumberScheduled": replicas}
    return {"kind": kind, "spec": spec, "status": status}


def taking(unavailable: Any, surge: Any = 0) -> dict[str, Any]:
    return {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": unavailable, "maxSurge": surge}}


def budget(desired: int | None, **selector: Any) -> Any:
    status = {} if desired is None else {"desiredHealthy": desired}
    return {
        "metadata": {"name": "web", "namespace": "bank"},
        "spec": {"selector": selector or {"matchLabels": {"app": "web"}}},
        "status": status,
    }


@pytest.mark.parametrize(
    ("workload", "lowest"),
    [
        (rolling(), 3),
        (rolling(replicas=3), 3),  # a quarter of three, rounded down, while one more may be started
        (rolling(**taking(2)), 2),
        (rolling(**taking("50%")), 2),
        (rolling(**taking("30%")), 3),
        (rolling(**taking(0, 1)), 4),
        (rolling(**taking(0, 0)), 3),
        (rolling(**taking("tea")), 0),
        (rolling(**taking("9" * 5_000 + "%")), 0),
        (rolling(**taking(9)), 0),
        (rolling(type="Recreate"), 0),
        (rolling("StatefulSet"), 3),
        (rolling("StatefulSet", **taking(2)), 2),
        (rolling("StatefulSet", **taking("10%")), 3),  # rounds to none, and one is taken
        (rolling("StatefulSet", **taking(0)), 3),
        (rolling("StatefulSet", **taking(True)), 0),
        (rolling("StatefulSet", available=3), 2),  # goes on beside the one that is down
        (rolling("StatefulSet", available=1, **taking(2)), 0),
        (rolling("StatefulSet", available=5), 3),  # one more is still going
        (rolling("StatefulSet", available=2, type="OnDelete"), 4),
        (rolling("StatefulSet", type="OnDelete"), 4),
        (rolling("DaemonSet", type="OnDelete"), 4),
        (rolling("DaemonSet", available=3), 3),  # takes the one that is down first
        (rolling(available=3), 3),
        (rolling("DaemonSet"), 3),
        (rolling("DaemonSet", **taking("30%")), 2),
        ({"kind": "Deployment"}, 1),
    ],
)
def test_what_a_rollout_may_leave_is_what_the_strategy_says(workload: Any, lowest: int) -> None:
    assert lowest_in_rollout(workload) == lowest


@pytest.mark.parametrize(
    ("workload", "budgets", "broken"),
    [
        (rolling(), [budget(3)], ""),
        (rolling(), [budget(4)], "a rollout may leave 3 pods available, and web asks for 4"),
        (rolling(), [budget(1), budget(4)], "a rollout may leave 3 pods available, and web asks for 4"),
        (rolling(), [budget(4, matchLabels={"app": "other"})], ""),
        (rolling(), [], ""),
        (rolling("StatefulSet", replicas=3, available=3), [budget(2)], ""),
        (
            rolling("StatefulSet", replicas=3, available=2),
            [budget(2)],
            "a rollout may leave 1 pods available, and web asks for 2",
        ),
        (rolling(), [budget(None)], "a rollout may leave 3 pods available, and web asks for 4"),  # not counted yet
        (rolling(type="Recreate"), [budget(1)], "a rollout may leave 0 pods available, and web asks for 1"),
        (rolling(type="Recreate", available=0), [budget(1)], ""),  # nothing works, so nothing can be taken
    ],
)
def test_a_budget_is_broken_where_less_may_be_left_than_it_asks_for(workload: Any, budgets: Any, broken: str) -> None:
    assert budget_broken(workload, budgets, lowest=lowest_in_rollout(workload), by="a rollout") == broken


@pytest.mark.parametrize(
    ("workload", "to", "lowest"),
    [
        (rolling(), 3, 3),
        (rolling(available=2), 3, 3),  # those that are down go first
        (rolling("StatefulSet"), 3, 3),
        (rolling("StatefulSet", available=3), 3, 2),  # the one with the highest number goes, and another is down
        (rolling("StatefulSet", available=1), 2, 0),
    ],
)
def test_what_fewer_replicas_may_leave_is_told_by_whom_the_controller_takes_first(
    workload: Any, to: int, lowest: int
) -> None:
    assert lowest_in_scaling(workload, to=to) == lowest


def expression(operator: str, *values: str, key: str = "tier") -> dict[str, Any]:
    return {"matchExpressions": [{"key": key, "operator": operator, "values": list(values)}]}


@pytest.mark.parametrize(
    ("spec", "is_selected"),
    [
        ({}, False),
        ({"selector": None}, False),
        ({"selector": {}}, True),
        ({"selector": {"matchLabels": {"app": "web"}}}, True),
        ({"selector": {"matchLabels": {"app": "web", "tier": "back"}}}, False),
        ({"selector": expression("In", "front", "back")}, True),
        ({"selector": expression("In", "back")}, False),
        ({"selector": expression("In", "front", key="zone")}, False),
        ({"selector": expression("NotIn", "front")}, False),
        ({"selector": expression("NotIn", "front", key="zone")}, True),
        ({"selector": expression("Exists")}, True),
        ({"selector": expression("Exists", key="zone")}, False),
        ({"selector": expression("DoesNotExist")}, False),
        ({"selector": expression("DoesNotExist", key="zone")}, True),
        ({"selector": expression("Later")}, True),
    ],
)
def test_a_budget_is_about_the_pods_that_its_selector_takes(spec: Any, is_selected: bool) -> None:
    assert selects(spec, {"app": "web", "tier": "front"}) is is_selected


@pytest.mark.parametrize("action", [MORE], ids=["set-memory"])
def test_a_template_is_not_changed_against_a_budget_unless_it_undoes_a_harm(action: ActionBase) -> None:
    found: Any = {**deployment(), "kind": "Deployment", "status": {"availableReplicas": 2}}
    found["spec"]["strategy"] = taking(1)
    server = Server({DEPLOYMENT: found, BUDGET: budget(2)})
    assert (outcome(server, action), server.written) == (Refusal.DISRUPTION_BUDGET, [])
    assert isinstance(outcome(server, action, replace(order(), reverts="cmd-0")), Done)
    assert isinstance(outcome(Server({DEPLOYMENT: found, BUDGET: budget(1)}), action), Done)


FEWER = Scale(by=-1, least=1, most=5)


@pytest.mark.parametrize(
    ("action", "desired", "refusal"),
    [
        (FEWER, 3, None),
        (FEWER, 4, Refusal.DISRUPTION_BUDGET),
        (FEWER.model_copy(update={"by": -2}), 3, Refusal.DISRUPTION_BUDGET),
        (FEWER.model_copy(update={"by": 1}), 4, None),
        (FEWER.model_copy(update={"by": -9, "least": 3}), 3, None),  # no further than its bound
    ],
)
def test_replicas_are_taken_away_as_far_as_a_budget_allows(action: Scale, desired: int, refusal: Any) -> None:
    found: Any = {**rolling(), "metadata": {"name": "web", "resourceVersion": "7"}}
    objects = {DEPLOYMENT: found, BUDGET: budget(desired)}
    server = Server(objects)
    done = outcome(server, action)
    assert (None if isinstance(done, Done) else done) == refusal
    assert bool(server.written) is (refusal is None)
    assert isinstance(outcome(Server(objects), action, order(reverts="cmd-0")), Done)


def test_a_rollback_asks_the_budgets_before_it_writes() -> None:
    found: Any = {**deployment(), "kind": "Deployment", "status": {"availableReplicas": 2}}
    found["spec"]["strategy"] = {"type": "Recreate"}
    sets = "/apis/apps/v1/namespaces/bank/replicasets"
    owner = [{"kind": "Deployment", "name": "web", "uid": "d", "controller": True}]
    revisions = {
        f"{sets}/web-{number}": {
            "metadata": {
                "name": f"web-{number}",
                "annotations": {"deployment.kubernetes.io/revision": str(number)},
                "labels": {"pod-template-hash": str(number)},
                "ownerReferences": owner,
            },
            "spec": {"template": found["spec"]["template"]},
        }
        for number in (1, 2)
    }
    server = Server({DEPLOYMENT: found, BUDGET: budget(1), **revisions})
    assert (outcome(server, Rollback()), server.written) == (Refusal.DISRUPTION_BUDGET, [])


@given(st.integers(1, 50), st.integers(0, 100), st.integers(0, 100), st.integers(0, 60))
def test_whatever_the_shares_nothing_passes_that_could_leave_too_few(
    replicas: int, unavailable: int, surge: int, desired: int
) -> None:
    workload = rolling(replicas=replicas, available=replicas, **taking(f"{unavailable}%", f"{surge}%"))
    lowest = lowest_in_rollout(workload)
    assert 0 <= lowest <= replicas
    broken = budget_broken(workload, [budget(desired)], lowest=lowest, by="a rollout")
    assert bool(broken) == (lowest < desired)
