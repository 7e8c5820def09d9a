"""Leaders that stand still or die at each step: nothing is done by one after the next began, every command once."""

import os
from typing import Any

import pytest

from services.remediator.main import Leadership
from services.remediator.tenure import Tenure
from shared.infra.crashing import CrashPoint
from shared.infra.redis import Term
from tests.simulation.leaders import POINTS, Guards, How, Memory, Trouble, lead

SEEDS = range(int(os.environ.get("LEADER_SEEDS", "2")))
ROUNDS = 25
LONGER_THAN_A_LEASE_S = 9.0
PASSINGS = (1, 2)


def troubles_at(point: CrashPoint, **what: Any) -> list[Trouble]:
    """Return the troubles at each passing of a point; a commit may be the only one."""
    passings = (1,) if point is CrashPoint.BEFORE_SIGNAL_COMMIT else PASSINGS
    return [Trouble(point, passing=one, seconds=LONGER_THAN_A_LEASE_S, **what) for one in passings]


@pytest.mark.parametrize("point", POINTS)
@pytest.mark.parametrize("how", list(How))
def test_at_each_step_a_leader_may_stand_still_beyond_its_lease_or_die(point: CrashPoint, how: How) -> None:
    ran = lead(0, [one for expires in (False, True) for one in troubles_at(point, how=how, expires=expires)])
    assert not ran.violation, ran.violation


@pytest.mark.parametrize("seed", SEEDS)
def test_whatever_a_seed_lets_go_wrong_every_command_is_carried_out_once(seed: int) -> None:
    ran = lead(seed, rounds=ROUNDS)
    assert not ran.violation, ran.violation


@pytest.mark.parametrize("memory", [Memory.WIPED, Memory.OLD])
def test_where_the_store_is_lost_no_token_goes_back_and_nothing_is_done_twice(memory: Memory) -> None:
    points = (CrashPoint.WRITTEN, CrashPoint.SETTLED, CrashPoint.RESULT_PUBLISHED, CrashPoint.BEFORE_SIGNAL_COMMIT)
    ran = lead(1, [one for point in points for one in troubles_at(point, how=How.DIES, memory=memory)])
    assert not ran.violation, ran.violation


class Endless(Tenure):
    """Never over."""

    @property
    def is_held(self) -> bool:
        return True

    def check(self) -> None:
        """Find nothing wrong."""


class Sure(Leadership):
    """Believes that nobody else leads."""

    async def _lead(self, term: Term, tenure: Tenure) -> None:
        await super()._lead(term, Endless(term, until=float("inf")))


STALE_WRITES = [
    one
    for point in (CrashPoint.CAPTURED, CrashPoint.BEFORE_WRITE, CrashPoint.WRITE_CHECKED)
    for one in troubles_at(point, expires=True)
]


@pytest.mark.parametrize(
    ("guards", "point"),
    [
        (Guards(leadership=Sure, is_fenced=False), CrashPoint.BEFORE_WRITE),
        (Guards(is_fenced=False), CrashPoint.WRITE_CHECKED),
    ],
    ids=["neither the hold nor a fence", "a write that was checked, and no fence"],
)
def test_without_a_guard_a_leader_that_was_followed_does_harm(guards: Guards, point: CrashPoint) -> None:
    ran = [lead(seed, troubles_at(point, expires=True), guards=guards) for seed in range(4)]
    assert any("after a leader of token" in one.violation for one in ran), [one.violation for one in ran]


def test_without_the_fence_the_hold_stops_what_was_not_checked_yet() -> None:
    ran = lead(0, troubles_at(CrashPoint.CAPTURED, expires=True), guards=Guards(is_fenced=False))
    assert not ran.violation, ran.violation


def test_without_the_hold_the_fence_stops_all_the_same() -> None:
    ran = lead(0, STALE_WRITES, guards=Guards(leadership=Sure))
    assert "after a leader of token" not in ran.violation, ran.violation
