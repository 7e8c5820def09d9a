"""What the remediator's brake puts off: it waits with the same attempt, is told with its figures, and orders anew."""

from datetime import timedelta
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given

from services.decider.core.steps import LONGEST_BRAKE, SHORTEST_BRAKE
from shared.contracts.inbox import Outcome
from shared.contracts.incidents import Decision, Phase, Reason
from shared.contracts.reports import RcaRequest
from tests.unit.services.decider.core.build import (
    PLAYBOOK,
    History,
    activated,
    approval,
    at,
    braked,
    finding,
    health,
    history,
    pause,
    result,
    resume,
    silence,
)
from tests.unit.services.decider.core.histories import Move, moves, told

MEMORY: dict[str, Any] = {"reason": "OOMKilled", "last_reason": "OOMKilled", "restarts": 1}


def put_off(*, retry_after: float = 60) -> History:
    story = history()
    story.take(finding(), seconds=1)
    story.take(braked(story.commands[0], seconds=2, retry_after=retry_after), seconds=2)
    return story


def test_it_waits_with_the_same_attempt_and_tells_the_figures() -> None:
    story = put_off()
    incident, decision = story.incident, [one for one in story.outputs if isinstance(one, Decision)][-1]
    assert (incident.phase, incident.reason, incident.step, incident.attempt) == (Phase.WAITING, Reason.BRAKED, 0, 1)
    assert story.workload.wake_at == at(62)
    assert (decision.reason, decision.detail) == (Reason.BRAKED, "budget-node: 3 of 3 in the last hour")
    assert decision.command == story.commands[0].id


def test_it_orders_the_same_attempt_again_under_another_id_however_often() -> None:
    story = put_off()
    for time in range(2, 5):
        story.wake()
        story.take(braked(story.commands[-1], seconds=time * 100), seconds=time * 100)
    story.wake()
    assert {(one.step, one.attempt, one.action) for one in story.commands} == {(0, 1, story.commands[0].action)}
    assert len({one.id for one in story.commands}) == 5
    assert [(one.command, one.braked) for one in story.incident.steps] == [(story.commands[-1].id, 4)]


def test_an_attempt_that_fails_after_it_was_put_off_is_followed_by_the_second() -> None:
    story = put_off()
    story.wake()
    story.take(result(story.commands[1], seconds=70, outcome=Outcome.FAILED), seconds=70)
    assert (story.incident.phase, story.incident.attempt) == (Phase.WAITING, 2)
    assert story.incident.reason is Reason.ACTION_FAILED


def test_the_cause_is_asked_for_when_there_is_evidence_not_when_it_is_put_off() -> None:
    story = put_off()
    assert not [one for one in story.outputs if isinstance(one, RcaRequest)]
    story.wake()
    story.take(result(story.commands[1], seconds=70), seconds=70)
    assert len([one for one in story.outputs if isinstance(one, RcaRequest)]) == 1


def test_what_becomes_healthy_while_it_waits_is_not_touched() -> None:
    story = put_off(retry_after=3600)
    story.take(health(healthy=True, seconds=10), seconds=10)
    story.wake()
    assert (story.incident.phase, story.incident.reason) == (Phase.HEALED, Reason.RECOVERED)
    assert len(story.commands) == 1


@pytest.mark.parametrize(
    ("retry_after", "waits"), [(-5.0, SHORTEST_BRAKE), (0.0, SHORTEST_BRAKE), (9e6, LONGEST_BRAKE)]
)
def test_the_wait_is_bounded_whatever_the_remediator_says(retry_after: float, waits: timedelta) -> None:
    assert put_off(retry_after=retry_after).incident.deadline == at(2) + waits


def approved() -> History:
    story = history()
    story.take(finding("memory", **MEMORY), seconds=1)
    story.take(result(story.commands[0], seconds=2, outcome=Outcome.DRY_RUN), seconds=2)
    story.take(approval(story.incident, seconds=3), seconds=3)
    story.take(braked(story.commands[1], seconds=4), seconds=4)
    return story


def test_what_a_person_allowed_is_ordered_again_without_asking_twice() -> None:
    story = approved()
    story.wake()
    assert (story.incident.phase, len(story.commands)) == (Phase.ACTING, 3)
    assert story.commands[2].action == story.commands[1].action
    assert not story.commands[2].dry_run
    assert story.commands[2].id != story.commands[1].id


def test_a_silence_or_a_pause_holds_what_was_allowed() -> None:
    for hold in (silence(10, lasts=600), pause(10)):
        story = approved()
        story.take(hold, seconds=10)
        story.wake()
        assert (story.incident.phase, len(story.commands)) == (Phase.WAITING, 2)


def test_a_playbook_that_says_off_holds_what_was_allowed() -> None:
    story = approved()
    story.take(activated(PLAYBOOK.replace("mode: approval", "mode: off")), seconds=10)
    story.wake()
    assert len(story.commands) == 2


def test_after_a_preview_in_between_the_id_is_none_that_was_put_off() -> None:
    story = put_off()
    story.take(activated(PLAYBOOK.replace("backoff: 10s", "backoff: 10s\n          mode: approval")), seconds=10)
    story.wake()
    story.take(result(story.commands[1], seconds=70, outcome=Outcome.DRY_RUN), seconds=70)
    story.take(approval(story.incident, seconds=80), seconds=80)
    assert [one.dry_run for one in story.commands] == [False, True, False]
    assert len({one.id for one in story.commands}) == 3


def test_a_pause_outlasts_the_brake_and_then_it_goes_on() -> None:
    story = put_off()
    story.take(pause(10), seconds=10)
    story.wake()
    assert story.incident.reason is Reason.PAUSED
    story.take(resume(70), seconds=70)
    story.wake()
    assert len(story.commands) == 2


@given(moves())
def test_what_is_put_off_fails_nothing_and_keeps_its_attempt(steps: list[Move]) -> None:
    decided = [one for one in told(steps).outputs if isinstance(one, Decision)]
    for put_off, after in pairwise(decided):
        if put_off.reason is Reason.BRAKED and after.reason is Reason.ACTION_ORDERED:
            same = (after.incident, after.step, after.attempt) == (put_off.incident, put_off.step, put_off.attempt)
            assert same or after.incident != put_off.incident


@given(moves())
def test_an_incident_keeps_one_record_of_an_attempt_however_often_it_was_put_off(steps: list[Move]) -> None:
    incident = told(steps).workload.incident
    put_off = [(one.step, one.attempt) for one in incident.steps if one.retry_after] if incident else []
    assert len(put_off) == len(set(put_off))
