"""Time in the signals' own clocks: what a window counts, what is late, and which finding is acted on."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.decider.core.orders import RESULT_WITHIN
from shared.contracts.actions import RestartPod
from shared.contracts.inbox import Outcome
from shared.contracts.incidents import Phase, Reason
from tests.unit.services.decider.core.build import (
    PLAYBOOK,
    History,
    approval,
    at,
    finding,
    gone,
    health,
    history,
    manual,
    pause,
    result,
    resume,
    wake_up,
)

THRICE = PLAYBOOK.replace("window: {count: 2, within: 1m}", "window: {count: 3, within: 1m}")


def counted(*moments: float, text: str = PLAYBOOK) -> History:
    """Return what becomes of signals of these moments, told in this order."""
    story = history(text)
    for place, seconds in enumerate(moments):
        story.take(finding("twice", reason="Error", seconds=seconds), seconds=1_000 + place)
    return story


def test_a_signal_as_old_as_the_window_is_long_is_outside_of_it() -> None:
    assert counted(0, 60).reasons == [Reason.WINDOW_NOT_REACHED] * 2
    assert Reason.INCIDENT_OPENED in counted(0, 59.999).reasons


def test_a_late_signal_counts_if_it_belongs_to_the_window_and_moves_nothing_if_not() -> None:
    assert Reason.INCIDENT_OPENED in counted(100, 70).reasons
    assert counted(100, 0).reasons == [Reason.WINDOW_NOT_REACHED] * 2
    assert Reason.INCIDENT_OPENED in counted(100, 0, 130).reasons


@given(st.lists(st.integers(0, 200), unique=True, max_size=8))
def test_an_incident_opens_at_the_first_signal_with_which_enough_lie_within(moments: list[int]) -> None:
    told = [moments[: place + 1] for place in range(len(moments))]
    reached = [len([one for one in seen if max(seen) - one < 60]) >= 3 for seen in told]
    story = counted(*moments, text=THRICE)
    opened = [place for place, is_reached in enumerate(reached) if is_reached][:1]
    assert (story.workload.incident is not None) == bool(opened)
    if opened:
        assert story.incident.opened_at == at(1_000 + opened[0])


def test_a_finding_of_the_moment_at_which_the_incident_ended_is_stale() -> None:
    story = history()
    story.take(finding(), seconds=1)
    story.take(gone(seconds=10), seconds=10)
    story.take(finding("memory", seconds=10, reason="OOMKilled", last_reason="OOMKilled"), seconds=11)
    assert story.reasons[-1] is Reason.STALE_FINDING
    story.take(finding("memory", seconds=10.001, reason="OOMKilled", last_reason="OOMKilled"), seconds=12)
    assert Reason.PREVIEW_ORDERED in story.reasons


def test_what_was_counted_before_an_incident_does_not_open_the_next() -> None:
    story = counted(0, 10, text=PLAYBOOK.replace("count: 2, within: 1m", "count: 2, within: 1h"))
    story.take(gone(seconds=2_000), seconds=2_000)
    story.take(finding("twice", reason="Error", seconds=2_301), seconds=2_301)
    assert story.reasons[-1] is Reason.WINDOW_NOT_REACHED
    assert len(story.workload.tallies["twice"].hits) == 1


def test_a_late_finding_does_not_replace_a_newer_one_as_what_is_acted_on() -> None:
    story = history()
    story.take(finding(seconds=50, pod="new"), seconds=50)
    story.take(finding(seconds=10, pod="old"), seconds=51)
    story.take(result(story.commands[0], seconds=52, outcome=Outcome.FAILED), seconds=52)
    story.wake()
    assert story.commands[-1].action == RestartPod(pod="new", uid="uid-new")


def test_a_cure_has_its_time_from_the_result_on() -> None:
    story = history()
    story.take(finding(), seconds=1)
    story.take(result(story.commands[0], seconds=100), seconds=100)
    assert story.incident.deadline == at(220)


def test_health_is_counted_from_when_it_came_and_being_told_again_does_not_move_it() -> None:
    story = history()
    story.take(finding(), seconds=1)
    story.take(result(story.commands[0], seconds=2), seconds=2)
    for seconds in (5, 20, 34):
        story.take(health(healthy=True, seconds=seconds), seconds=seconds)
    assert story.workload.wake_at == at(35)
    story.take(health(healthy=True, seconds=35), seconds=35)
    assert story.incident.phase is Phase.HEALED


def test_the_cooldown_counts_from_the_end_of_the_incident() -> None:
    story = history()
    story.take(finding(), seconds=1)
    story.take(gone(seconds=200), seconds=200)
    story.take(finding(seconds=499), seconds=499)
    assert story.reasons[-1] is Reason.COOLDOWN
    story.take(finding(seconds=500), seconds=500)
    assert Reason.ACTION_ORDERED in story.reasons[-1:]


def test_a_pause_holds_the_second_rung_back_as_well() -> None:
    story = history()
    story.take(finding(), seconds=1)
    for seconds in (2, 20):
        story.take(result(story.commands[-1], seconds=seconds, outcome=Outcome.REFUSED), seconds=seconds)
        if seconds == 2:
            story.wake()
            story.take(pause(15), seconds=15)
    assert (story.incident.step, story.incident.reason) == (1, Reason.PAUSED)
    assert len(story.commands) == 2
    story.take(resume(21), seconds=21)
    story.wake()
    assert len(story.commands) == 3


def test_a_dry_run_is_over_with_its_preview_and_no_person_is_asked() -> None:
    story = history()
    story.take(manual(seconds=1, dry_run=True), seconds=1)
    story.take(result(story.commands[0], seconds=2, outcome=Outcome.DRY_RUN), seconds=2)
    story.take(approval(story.incident, seconds=3), seconds=3)
    assert story.incident.reason is Reason.DRY_RUN_DONE
    assert story.reasons[-1] is Reason.APPROVAL_NOT_AWAITED


def test_a_persons_action_that_failed_is_not_tried_again() -> None:
    story = history()
    story.take(manual(seconds=1), seconds=1)
    story.take(result(story.commands[0], seconds=2, outcome=Outcome.FAILED), seconds=2)
    assert (story.incident.phase, story.incident.reason) == (Phase.ESCALATED, Reason.LADDER_EXHAUSTED)
    assert len(story.commands) == 1


def test_a_result_is_waited_for_longer_than_a_command_lives() -> None:
    story = history()
    story.take(finding(), seconds=1)
    assert story.workload.wake_at == at(1) + RESULT_WITHIN
    assert story.commands[0].expires_at < at(1) + RESULT_WITHIN - timedelta(seconds=30)


@pytest.mark.parametrize(("early", "is_over"), [(0, True), (0.9, True), (1, True), (1.001, False), (3_600, False)])
def test_a_deadline_runs_by_the_time_of_the_log_however_fast_the_clock_of_a_decider(
    early: float, is_over: bool
) -> None:
    story = history()
    story.take(finding(), seconds=5_000)
    due = at(5_120)
    assert story.workload.wake_at == due == at(5_000) + RESULT_WITHIN
    story.take(wake_up(due), seconds=5_120 - early)
    assert (story.incident.phase is Phase.ESCALATED) == is_over
    assert story.workload.wake_at == (None if is_over else due)
    story.take(wake_up(due), seconds=5_120)
    assert story.incident.phase is Phase.ESCALATED


def test_a_signal_from_the_future_is_the_latest_only_until_the_next_comes() -> None:
    story = history()
    story.take(finding(seconds=4_000, pod="ahead"), seconds=50)
    assert story.incident.signal_at == at(50)
    story.take(finding(seconds=51, pod="new"), seconds=51)
    story.take(result(story.commands[0], seconds=52, outcome=Outcome.FAILED), seconds=52)
    story.wake()
    assert story.commands[-1].action == RestartPod(pod="new", uid="uid-new")


def test_a_signal_that_is_a_little_ahead_keeps_its_moment() -> None:
    story = history()
    story.take(finding(seconds=300), seconds=0)
    assert story.incident.signal_at == at(300)
