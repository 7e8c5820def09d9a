"""Which pods go and how few are left: by each controller's rules, and never fewer than its strategy allows."""

from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.remediator.core.evidence import name_of
from services.remediator.core.rollouts import Rollout, eviction, lowest_available, rollout
from shared.contracts.workloads import WorkloadRef
from tests.unit.services.remediator.core.clusters import pod, workload

REPLACED = ("pods", "away", "surge", "lowest")
OFF = {"type": "OnDelete"}


def rolling(**told: Any) -> Any:
    return {"type": "RollingUpdate", "rollingUpdate": told}


def changed(kind: str, after: Any, pods: Any, sets: Any = ()) -> Rollout:
    found = rollout(WorkloadRef(kind=kind, namespace="bank", name="web"), after, pods=pods, sets=sets)
    assert found is not None
    return found


def names(change: Rollout) -> list[str]:
    return [name_of(one) for one in change.pods]


@pytest.mark.parametrize(
    ("strategy", "away", "surge", "lowest"),
    [
        (None, 1, 1, 3),
        (rolling(maxSurge=0, maxUnavailable=2), 2, 0, 2),
        (rolling(maxSurge="50%", maxUnavailable="50%"), 2, 2, 2),
        (rolling(maxSurge="30%", maxUnavailable="30%"), 1, 2, 3),  # 1.2 of each: rounded up, and down
        (rolling(maxSurge=0, maxUnavailable=0), 1, 0, 3),
        (rolling(maxSurge=0, maxUnavailable="half"), 4, 0, 0),  # of what cannot be read the worst is said
        ({"type": "Recreate"}, 4, 0, 0),
    ],
)
def test_a_deployment_keeps_what_its_strategy_says(strategy: Any, away: int, surge: int, lowest: int) -> None:
    pods = [pod(f"web-{number}") for number in range(4)]
    change = changed("Deployment", workload(replicas=4, strategy=strategy), pods)
    assert (change.away, change.surge, len(change.pods)) == (away, surge, 4)
    assert lowest_available(change, pods) == lowest


def test_of_a_deployment_the_pods_that_have_the_template_already_stay() -> None:
    before: Any = {**workload(image="v1"), "metadata": {"name": "web-v1"}}
    before["spec"]["template"]["metadata"]["labels"]["pod-template-hash"] = "v1"
    pods = [pod("old", owner="web-v1"), pod("new", owner="web-v2", ready=False)]
    change = changed("Deployment", workload(image="v1"), pods, [before])
    assert (names(change), lowest_available(change, pods)) == (["new"], 1)


def test_a_paused_deployment_replaces_nothing() -> None:
    after = workload()
    after["spec"]["paused"] = True
    pods = [pod("web-1")]
    change = changed("Deployment", after, pods)
    assert (names(change), lowest_available(change, pods), bool(change.note)) == ([], 1, True)


@pytest.mark.parametrize(
    ("strategy", "replaced", "lowest"),
    [
        (None, ["web-10", "web-2", "web-1"], 2),
        (rolling(partition=2), ["web-10", "web-2"], 2),
        (rolling(partition=11), [], 3),
        (rolling(maxUnavailable=2), ["web-10", "web-2", "web-1"], 1),
        (rolling(maxUnavailable="10%"), ["web-10", "web-2", "web-1"], 2),
        (OFF, [], 3),
    ],
)
def test_a_stateful_set_goes_from_the_highest_number_down(strategy: Any, replaced: list[str], lowest: int) -> None:
    pods = [pod(f"web-{number}", owner="web", kind="StatefulSet") for number in (1, 2, 10)]
    change = changed("StatefulSet", workload(strategy=strategy), pods)
    assert (names(change), lowest_available(change, pods)) == (replaced, lowest)


def test_a_stateful_set_goes_on_although_another_pod_is_away_already() -> None:
    pods = [pod(f"web-{number}", owner="web", kind="StatefulSet", ready=number > 0) for number in range(3)]
    assert lowest_available(changed("StatefulSet", workload(), pods), pods) == 1


@pytest.mark.parametrize(
    ("strategy", "replaced", "lowest"),
    [
        (None, 3, 2),
        (rolling(maxUnavailable="34%"), 3, 1),
        (rolling(maxSurge=1, maxUnavailable=0), 3, 3),
        (OFF, 0, 3),
    ],
)
def test_a_daemon_set_goes_node_by_node(strategy: Any, replaced: int, lowest: int) -> None:
    pods = [pod(f"web-{number}", owner="web", kind="DaemonSet", node=str(number)) for number in range(3)]
    change = changed("DaemonSet", workload(strategy=strategy), pods)
    assert (len(change.pods), lowest_available(change, pods), change.is_pinned) == (replaced, lowest, replaced > 0)


@pytest.mark.parametrize(("ready", "lowest"), [(True, 1), (False, 2)])
def test_an_eviction_takes_one_pod_whatever_is_wanted(ready: bool, lowest: int) -> None:
    gone = pod("web-1", ready=ready)
    pods = [gone, pod("web-2"), pod("web-3", ready=not ready)]
    assert lowest_available(eviction(gone), pods) == lowest


def test_of_another_kind_nothing_is_said() -> None:
    assert rollout(WorkloadRef(kind="Job", namespace="bank", name="web"), workload(), pods=[], sets=[]) is None


@dataclass
class Rolling:
    """A Deployment's controller in the middle of a rolling update, that does whatever its strategy allows."""

    old: int
    old_broken: int
    wanted: int
    away: int
    surge: int
    new: int = 0
    new_ready: int = 0

    @property
    def available(self) -> int:
        return self.old + self.new_ready

    def step(self, draw: Any) -> None:
        moves = [name for name, is_allowed in self.moves().items() if is_allowed]
        if moves:
            getattr(self, f"_{draw(st.sampled_from(moves))}")()

    def moves(self) -> dict[str, bool]:
        total = self.old + self.old_broken + self.new
        return {
            "make": self.new < self.wanted and total < self.wanted + self.surge,
            "take": self.old > 0 and self.available > self.wanted - self.away,
            "clean": self.old_broken > 0,
            "begin": self.new_ready < self.new,
        }

    def _make(self) -> None:
        self.new += 1

    def _take(self) -> None:
        self.old -= 1

    def _clean(self) -> None:
        self.old_broken -= 1

    def _begin(self) -> None:
        self.new_ready += 1


@given(st.data())
def test_whatever_a_rolling_update_does_no_fewer_are_available_than_was_predicted(data: Any) -> None:
    draw = data.draw
    wanted, away, surge = draw(st.integers(0, 6)), draw(st.integers(0, 6)), draw(st.integers(0, 6))
    old, broken = draw(st.integers(0, 6)), draw(st.integers(0, 3))
    pods = [pod(f"old-{number}", ready=number < old) for number in range(old + broken)]
    after = workload(replicas=wanted, strategy=rolling(maxSurge=surge, maxUnavailable=away))
    change = changed("Deployment", after, pods)
    lowest = lowest_available(change, pods)
    assert min(old, max(wanted - change.away, 0)) <= lowest <= old
    course = Rolling(old, broken, wanted, change.away, change.surge)
    for _ in range(draw(st.integers(0, 20))):
        course.step(draw)
        assert course.available >= lowest
