"""Where a command would act: on a node, on the node of a pod, or on no single one."""

from typing import Any

import pytest

from sandbox.cluster.clock import manual_clock
from sandbox.cluster.resources import NAMESPACES, NODES, PODS
from sandbox.cluster.simulation import Simulation
from sandbox.cluster.writes import Target
from services.remediator.adapters.surveying import Survey
from services.remediator.core.brake import ALL_PERCENT, Census, Limits, Line, Place, Scope, Spendings, judge
from shared.contracts.actions import Cordon, DeletePod, Drain, RestartPod, Rollback
from shared.contracts.actions.base import ActionBase
from shared.contracts.refusals import Refusal
from shared.contracts.spendings import Spending
from shared.contracts.workloads import WorkloadRef
from tests.simulation.cluster import SimulatedCluster
from tests.simulation.weather import Weather
from tests.unit.services.remediator.build import NOW, WEB, command

NODE = WorkloadRef(kind="Node", namespace="-", name="node-7")


def survey() -> Survey:
    cluster = Simulation(manual_clock())
    node: Any = {"metadata": {"name": "node-7"}}
    pod: Any = {
        "metadata": {"name": "web-1"},
        "spec": {"nodeName": "node-7", "containers": [{"name": "a", "image": "a"}]},
    }
    cluster.api.create(Target(NAMESPACES), {"metadata": {"name": "bank"}})
    cluster.api.create(Target(NODES), node)
    cluster.api.create(Target(PODS, "bank"), pod)
    return Survey(SimulatedCluster(cluster, weather=Weather()))


@pytest.mark.parametrize(
    ("workload", "action", "node"),
    [
        (WEB, RestartPod(pod="web-1", uid="uid-1"), "node-7"),
        (WEB, DeletePod(pod="web-1", uid="uid-1"), "node-7"),
        (WEB, DeletePod(pod="gone", uid="uid-2"), ""),
        (NODE, Cordon(), "node-7"),
        (NODE, Drain(at_most=10), "node-7"),
        (WEB, Rollback(), ""),
    ],
)
async def test_the_node_of_a_command_is_its_own_or_that_of_its_pod(
    workload: WorkloadRef, action: ActionBase, node: str
) -> None:
    census = await survey().census(command(workload=workload, action=action), now=NOW)
    assert census.place == Place(workload, node)


@pytest.mark.parametrize("action", [DeletePod(pod="web-1", uid="uid-1"), RestartPod(pod="web-1", uid="uid-1")])
async def test_a_drain_that_is_open_takes_a_place_of_its_node(action: ActionBase) -> None:
    drained = await survey().census(command("cmd-1", incident="inc-1", workload=NODE, action=Drain(at_most=9)), now=NOW)
    taken = Spendings().with_told(spending(drained))
    asked = command("cmd-2", incident="inc-2", action=action)
    census = await survey().census(asked, now=NOW)
    told = judge(taken, asked, limits=LIMITS, census=census, now=NOW, line=Line())
    assert told.refusal is Refusal.AT_ONCE_NODE


LIMITS = Limits(
    per_hour=dict.fromkeys(Scope, 100),
    at_once={Scope.NODE: 1, Scope.NAMESPACE: 100, Scope.CLUSTER: 100},
    namespace_percent=ALL_PERCENT,
    nodes_percent=100,
)


def spending(census: Census) -> Spending:
    """Return what a command took that acts there."""
    place = census.place
    return Spending(
        id="spending-1", at=NOW, workload=place.workload, command="cmd-1", incident="inc-1", node=place.node, token=1
    )
