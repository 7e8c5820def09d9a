"""A cure that is not proven is undone where it has an inverse, before anything else; what cannot be is a person's."""

import pytest

from shared.contracts.actions import Scale, SetMemory
from shared.contracts.inbox import Outcome
from shared.contracts.incidents import Decision, Phase, Reason
from tests.unit.services.decider.core.build import (
    PLAYBOOK,
    History,
    activated,
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
)

MEBIBYTE = 1 << 20
LEAK = """\
    - name: leak
      signal: container
      where: {reason: Leak}
      ladder:
        - {action: set-memory, cap: 1Gi, verify: {healthy_for: 30s, within: 1m}}
        - {action: set-memory, cap: 1Gi, factor: 4, verify: {healthy_for: 30s, within: 1m}}
        - {action: escalate}
"""
TEXT = PLAYBOOK + LEAK
RAISED = SetMemory(container="server", from_bytes=128 * MEBIBYTE, to_bytes=256 * MEBIBYTE)
LOWERED = SetMemory(container="server", from_bytes=256 * MEBIBYTE, to_bytes=128 * MEBIBYTE)


def raised(text: str = TEXT, outcome: Outcome = Outcome.APPLIED) -> History:
    """Return a history in which more memory was given, and its proof is waited for."""
    story = history(text)
    story.take(finding("leak", seconds=1, reason="Leak"), seconds=1)
    story.take(result(story.commands[0], seconds=2, outcome=outcome), seconds=2)
    return story


def unproven(text: str = TEXT, outcome: Outcome = Outcome.APPLIED) -> History:
    """Return a history in which more memory did not help until the time for it was over."""
    story = raised(text, outcome)
    story.wake()
    return story


def test_a_cure_that_is_not_proven_is_undone_by_the_inverse_of_what_was_done() -> None:
    story = unproven()
    assert story.reasons[-2:] == [Reason.NOT_VERIFIED, Reason.REVERT_ORDERED]
    assert [command.action for command in story.commands] == [RAISED, LOWERED]
    done, undone = story.commands
    assert undone.reverts == done.id != undone.id
    assert not undone.dry_run
    assert story.incident.phase is Phase.REVERTING
    assert (story.incident.steps[-1].reverts, story.incident.steps[0].inverse) == (done.id, LOWERED)


def test_after_the_revert_the_next_rung_acts_on_what_was_set_back() -> None:
    story = unproven()
    story.take(finding("leak", seconds=63, reason="Leak", memory_limit_bytes=256 * MEBIBYTE), seconds=63)
    story.take(result(story.commands[1], seconds=64), seconds=64)
    assert story.reasons[-2:] == [Reason.REVERTED, Reason.ACTION_ORDERED]
    assert story.commands[2].action == RAISED.model_copy(update={"to_bytes": 512 * MEBIBYTE})
    assert story.incident.step == 1


def test_a_further_attempt_comes_after_the_revert_and_its_back_off() -> None:
    story = unproven(TEXT.replace("cap: 1Gi, verify", "cap: 1Gi, attempts: 2, verify"))
    story.take(result(story.commands[1], seconds=64), seconds=64)
    assert (story.incident.phase, story.incident.attempt, story.workload.wake_at) == (Phase.WAITING, 2, at(74))
    story.wake()
    assert [command.action for command in story.commands] == [RAISED, LOWERED, RAISED]
    assert len({command.id for command in story.commands}) == 3


@pytest.mark.parametrize("outcome", [Outcome.REFUSED, Outcome.FAILED, Outcome.UNKNOWN, Outcome.DRY_RUN])
def test_a_revert_that_is_not_applied_hands_the_incident_to_a_person(outcome: Outcome) -> None:
    story = unproven()
    story.take(result(story.commands[1], seconds=64, outcome=outcome), seconds=64)
    assert (story.incident.phase, story.incident.reason) == (Phase.ESCALATED, Reason.REVERT_FAILED)
    assert len(story.commands) == 2


def test_a_revert_whose_result_does_not_come_hands_the_incident_to_a_person() -> None:
    story = unproven()
    story.wake()
    assert (story.incident.phase, story.incident.reason) == (Phase.ESCALATED, Reason.REVERT_FAILED)


def test_what_is_not_known_to_have_happened_is_undone_as_well() -> None:
    assert unproven(outcome=Outcome.UNKNOWN).commands[-1].action == LOWERED


def test_what_was_begun_and_not_ended_is_undone_before_the_next_rung() -> None:
    story = raised(outcome=Outcome.FAILED)
    assert story.reasons[-2:] == [Reason.ACTION_FAILED, Reason.REVERT_ORDERED]
    assert story.commands[-1].action == LOWERED
    story.take(result(story.commands[-1], seconds=3), seconds=3)
    assert (story.reasons[-2:], story.incident.step) == ([Reason.REVERTED, Reason.ACTION_ORDERED], 1)


def test_what_was_begun_and_not_ended_is_gone_on_with_while_there_are_attempts() -> None:
    story = raised(TEXT.replace("cap: 1Gi, verify", "cap: 1Gi, attempts: 2, verify"), Outcome.FAILED)
    assert (story.incident.phase, story.incident.attempt) == (Phase.WAITING, 2)
    story.wake()
    story.take(result(story.commands[-1], seconds=13, outcome=Outcome.FAILED), seconds=13)
    assert [(command.action, bool(command.reverts)) for command in story.commands] == [
        (RAISED, False),
        (RAISED, False),
        (LOWERED, True),
    ]


def test_what_is_to_stay_stays() -> None:
    story = unproven(TEXT.replace("cap: 1Gi, verify", "cap: 1Gi, revert: false, verify"))
    assert story.reasons[-2:] == [Reason.NOT_VERIFIED, Reason.ACTION_ORDERED]
    assert not story.commands[-1].reverts


def test_a_person_is_not_asked_again_before_what_they_allowed_is_undone() -> None:
    story = history(TEXT.replace("cap: 1Gi, verify", "cap: 1Gi, mode: approval, verify"))
    story.take(finding("leak", seconds=1, reason="Leak"), seconds=1)
    story.take(result(story.commands[0], seconds=2, outcome=Outcome.DRY_RUN), seconds=2)
    story.take(approval(story.incident, seconds=3), seconds=3)
    story.take(result(story.commands[1], seconds=4), seconds=4)
    story.wake()
    assert story.reasons[-1] is Reason.REVERT_ORDERED
    assert story.commands[2].reverts == story.commands[1].id


def test_a_pause_holds_a_revert_until_it_is_over() -> None:
    story = raised()
    story.take(pause(10), seconds=10)
    story.wake()
    assert story.reasons[-2:] == [Reason.NOT_VERIFIED, Reason.PAUSED]
    story.wake()
    assert story.reasons[-1] is Reason.PAUSED
    story.take(health(healthy=True, seconds=73), seconds=73)
    story.take(resume(74), seconds=74)
    story.wake()
    assert story.reasons[-1] is Reason.REVERT_ORDERED
    assert len(story.commands) == 2


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (TEXT.replace("spec:", "spec:\n  protected: {namespaces: [bank]}"), Reason.PROTECTED),
        (TEXT.replace("spec:", "spec:\n  mode: off"), Reason.MODE_OFF),
        (TEXT.replace("spec:", "spec:\n  mode: dry-run"), Reason.MODE_OFF),
        (TEXT.replace("cap: 1Gi, verify", "cap: 1Gi, mode: shadow, verify"), Reason.MODE_OFF),
        (PLAYBOOK, Reason.RULE_UNKNOWN),
    ],
)
def test_where_the_playbook_in_force_lets_nothing_act_a_person_is_told_what_was_not_undone(
    text: str, reason: Reason
) -> None:
    story = raised()
    story.take(activated(text), seconds=3)
    while story.workload.wake_at is not None:
        story.wake()
    assert (story.incident.phase, story.incident.reason) == (Phase.ESCALATED, reason)
    ended = [one for one in story.outputs if isinstance(one, Decision)][-1]
    assert ended.detail == "not reverted: set the memory limit of container server from 128Mi to 256Mi"
    assert len(story.commands) == 1


def test_a_ladder_that_became_another_does_not_keep_a_revert_back() -> None:
    story = raised()
    head, _ = LEAK.split("      ladder:")
    ladder = "      ladder: [{action: wait, for: 1m}, {action: escalate}]\n"
    story.take(activated(f"{PLAYBOOK}{head}{ladder}"), seconds=3)
    story.wake()
    assert story.reasons[-1] is Reason.REVERT_ORDERED


def test_a_cure_that_is_proven_is_not_undone() -> None:
    story = raised()
    story.take(health(healthy=True, seconds=5), seconds=5)
    story.wake()
    assert (story.incident.phase, len(story.commands)) == (Phase.HEALED, 1)


def test_health_while_it_is_undone_proves_nothing() -> None:
    story = unproven()
    story.take(health(healthy=True, seconds=70), seconds=70)
    assert story.workload.wake_at == at(62 + 120)


def test_what_is_gone_is_not_waited_for() -> None:
    story = unproven()
    story.take(gone(seconds=70), seconds=70)
    assert (story.incident.phase, story.incident.reason) == (Phase.CLOSED, Reason.TARGET_GONE)


def test_a_persons_own_action_is_left_as_they_wanted_it() -> None:
    story = history(TEXT)
    story.take(manual(seconds=1, action=RAISED), seconds=1)
    story.take(result(story.commands[0], seconds=2), seconds=2)
    story.wake()
    assert story.reasons[-2:] == [Reason.NOT_VERIFIED, Reason.LADDER_EXHAUSTED]
    assert len(story.commands) == 1


BUSY = """\
    - name: busy
      signal: container
      where: {reason: Busy}
      ladder:
        - {action: scale, by: 1, min: 1, max: 4, verify: {healthy_for: 30s, within: 1m}}
        - {action: escalate}
"""
BACK = Scale(by=-1, least=2, most=2, from_replicas=3)


def scaled(text: str, *, outcome: Outcome = Outcome.APPLIED, told: Scale | None = BACK) -> History:
    """Return a history in which more replicas did not help; only the object could tell how many there were."""
    story = history(PLAYBOOK + text)
    story.take(finding("busy", seconds=1, reason="Busy"), seconds=1)
    answer = result(story.commands[0], seconds=2, outcome=outcome).model_copy(update={"inverse": told})
    story.take(answer, seconds=2)
    story.wake()
    return story


def test_what_only_the_object_could_tell_is_undone_by_what_the_result_told() -> None:
    story = scaled(BUSY)
    assert [command.action for command in story.commands] == [Scale(by=1, least=1, most=4), BACK]
    assert story.commands[1].reverts == story.commands[0].id
    assert story.incident.steps[0].inverse == BACK
    story.take(result(story.commands[1], seconds=64).model_copy(update={"inverse": RAISED}), seconds=64)
    assert (story.incident.phase, story.incident.steps[1].inverse) == (Phase.ESCALATED, None)


@pytest.mark.parametrize(
    "story",
    [
        scaled(BUSY.replace("max: 4,", "max: 4, revert: false,")),
        scaled(BUSY, told=None),
        scaled(BUSY, outcome=Outcome.UNKNOWN),
    ],
    ids=["it is to stay", "nobody could tell", "not known to have happened"],
)
def test_nothing_is_undone_where_it_is_to_stay_or_nobody_could_tell(story: History) -> None:
    assert story.reasons[-2:] == [Reason.NOT_VERIFIED, Reason.ESCALATED]
    assert len(story.commands) == 1
