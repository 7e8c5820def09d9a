"""What a ladder's rungs do beside acting: conditions that pass them, waiting, telling people."""

import re
from typing import Any

from shared.contracts.actions import RestartPod
from shared.contracts.inbox import Outcome
from shared.contracts.incidents import Decision, Mode, Note, Phase, Reason
from tests.unit.services.decider.core.build import (
    PLAYBOOK,
    History,
    activated,
    approval,
    at,
    finding,
    health,
    history,
    pause,
    result,
    resume,
)


def slow(*, restarts: int = 0) -> History:
    story = history()
    story.take(finding("slow", seconds=1, reason="Slow", restarts=restarts), seconds=1)
    return story


def details(story: History, reason: Reason) -> list[str]:
    return [one.detail for one in story.outputs if isinstance(one, Decision) and one.reason is reason]


def test_people_are_told_and_the_ladder_goes_on_at_once() -> None:
    story = slow()
    assert story.reasons == [Reason.INCIDENT_OPENED, Reason.NOTIFIED, Reason.WAITING]
    assert details(story, Reason.NOTIFIED) == ["It is slow"]
    assert story.incident.notes == (Note(at=at(1), step=0, message="It is slow"),)


def test_all_that_people_were_told_stays_in_the_incident() -> None:
    wait = "{action: wait, for: 1m, healthy_for: 30s}"
    story = history(PLAYBOOK.replace(wait, "{action: notify, message: Still}"))
    story.take(finding("slow", seconds=1, reason="Slow"), seconds=1)
    assert [note.message for note in story.incident.notes] == ["It is slow", "Still"]


def test_a_message_tells_what_the_latest_finding_saw() -> None:
    story = history(PLAYBOOK.replace("message: It goes on", "message: '{container} restarted {restarts} times'"))
    story.take(finding("slow", seconds=1, reason="Slow", restarts=2), seconds=1)
    story.take(finding("slow", seconds=9, reason="Slow", restarts=0), seconds=9)
    story.take(finding("slow", seconds=8, reason="Slow", restarts=2), seconds=10)
    story.take(finding("slow", seconds=11, reason="Slow", restarts=3), seconds=11)
    story.wake()
    for seconds in (62, 75):
        story.take(result(story.commands[-1], seconds=seconds, outcome=Outcome.REFUSED), seconds=seconds)
        if story.workload.wake_at is not None:
            story.wake()
    assert details(story, Reason.ESCALATED) == ["server restarted 3 times"]


SAID = """\
      description: Where containers are slow
      summary: '{workload} in {namespace} is slow'
      owner: payments
      runbook: https://runbooks.example/slow
      labels: {team: payments, tier: gold}
"""


def test_an_incident_carries_what_its_rule_says_of_it() -> None:
    story = history(PLAYBOOK.replace("    - name: slow\n", f"    - name: slow\n{SAID}"))
    story.take(finding("slow", seconds=1, reason="Slow"), seconds=1)
    incident = story.incident
    assert incident.summary == "frontend in bank is slow"
    assert (incident.owner, incident.runbook) == ("payments", "https://runbooks.example/slow")
    assert incident.labels == {"team": "payments", "tier": "gold"}


def test_a_description_is_the_summary_where_no_summary_is_said() -> None:
    described = SAID.replace("      summary: '{workload} in {namespace} is slow'\n", "")
    story = history(PLAYBOOK.replace("    - name: slow\n", f"    - name: slow\n{described}"))
    story.take(finding("slow", seconds=1, reason="Slow"), seconds=1)
    assert story.incident.summary == "Where containers are slow"


def test_a_wait_is_waited_and_then_the_next_rung_begins() -> None:
    story = slow(restarts=1)
    assert (story.incident.phase, story.incident.reason) == (Phase.WAITING, Reason.WAITING)
    assert story.workload.wake_at == at(61)
    assert not story.commands
    story.wake()
    assert story.reasons[-2:] == [Reason.WAIT_OVER, Reason.ACTION_ORDERED]
    assert story.commands[0].action == RestartPod(pod="frontend-1", uid="uid-frontend-1")


def test_what_recovers_while_it_is_waited_for_is_healed_by_itself() -> None:
    story = slow()
    story.take(health(healthy=True, seconds=10), seconds=10)
    assert story.workload.wake_at == at(40)
    story.wake()
    assert (story.incident.phase, story.incident.reason) == (Phase.HEALED, Reason.RECOVERED)


def test_what_health_never_saw_does_not_recover_while_it_is_waited_for() -> None:
    story = history()
    story.take(health(healthy=True, seconds=0), seconds=0)
    story.take(finding("slow", seconds=1, reason="Slow", restarts=1), seconds=1)
    story.take(health(healthy=True, seconds=40), seconds=40)
    story.wake()
    assert story.reasons[-2:] == [Reason.WAIT_OVER, Reason.ACTION_ORDERED]


def test_a_finding_while_it_waits_begins_the_recovery_anew_and_not_the_wait() -> None:
    story = slow()
    story.take(health(healthy=True, seconds=10), seconds=10)
    story.take(finding("slow", seconds=35, reason="Slow"), seconds=35)
    assert story.workload.wake_at == at(61)


def test_a_pause_does_not_lengthen_a_wait_and_holds_the_action_after_it() -> None:
    story = slow(restarts=1)
    story.take(pause(10), seconds=10)
    story.wake()
    assert story.reasons[-2:] == [Reason.WAIT_OVER, Reason.PAUSED]
    assert not story.commands
    story.take(resume(65), seconds=65)
    story.wake()
    assert len(story.commands) == 1


def test_a_rung_whose_condition_does_not_hold_is_passed_by_name() -> None:
    story = slow(restarts=0)
    story.wake()
    assert story.reasons[-4:] == [Reason.STEP_NOT_MET] * 3 + [Reason.ESCALATED]
    assert details(story, Reason.STEP_NOT_MET) == ["restarts >= 1", "restarts >= 2", "restarts == 1"]
    assert not story.commands


def test_the_latest_finding_is_what_a_condition_is_asked_of() -> None:
    story = slow(restarts=0)
    story.take(finding("slow", seconds=30, reason="Slow", restarts=1), seconds=30)
    story.wake()
    assert story.reasons[-1] is Reason.ACTION_ORDERED


def test_a_condition_is_asked_again_before_each_attempt() -> None:
    story = slow(restarts=1)
    story.wake()
    story.take(result(story.commands[0], seconds=62), seconds=62)
    story.take(finding("slow", seconds=70, reason="Slow", restarts=0), seconds=70)
    story.wake()
    assert story.reasons[-1] is Reason.NOT_VERIFIED
    story.wake()
    assert story.reasons[-4:] == [Reason.STEP_NOT_MET] * 3 + [Reason.ESCALATED]
    assert len(story.commands) == 1


def test_an_escalation_with_a_condition_ends_the_ladder_early() -> None:
    story = slow(restarts=2)
    story.wake()
    story.take(result(story.commands[0], seconds=62, outcome=Outcome.REFUSED), seconds=62)
    story.wake()
    story.take(result(story.commands[1], seconds=75, outcome=Outcome.REFUSED), seconds=75)
    assert story.incident.reason is Reason.ESCALATED
    assert details(story, Reason.ESCALATED) == ["It goes on"]


def test_a_condition_is_met_by_no_finding_of_another_kind_than_the_rule_has_by_now() -> None:
    story = slow(restarts=1)
    head, tail = PLAYBOOK.split("    - name: slow\n      signal: container\n")
    other = re.sub("restarts .= .", "ready == false", f"{head}    - name: slow\n      signal: pod\n{tail}")
    story.take(activated(other), seconds=2)
    story.wake()
    assert story.reasons[-4:] == [Reason.STEP_NOT_MET] * 3 + [Reason.ESCALATED]


def test_a_namespace_that_is_protected_by_now_gets_no_step_after_a_wait() -> None:
    story = slow(restarts=1)
    story.take(activated(PLAYBOOK.replace("spec:", "spec:\n  protected: {namespaces: [bank]}")), seconds=2)
    story.wake()
    assert story.reasons[-2:] == [Reason.WAIT_OVER, Reason.PROTECTED]


def test_an_approval_of_a_step_that_acts_no_more_goes_to_a_person() -> None:
    story = history()
    fields: dict[str, Any] = {"reason": "OOMKilled", "last_reason": "OOMKilled", "restarts": 1}
    story.take(finding("memory", **fields), seconds=1)
    story.take(result(story.commands[0], seconds=2, outcome=Outcome.DRY_RUN), seconds=2)
    waits = "        - {action: set-memory, cap: 512Mi, mode: approval, approval: {expires: 10m}}"
    story.take(activated(PLAYBOOK.replace(waits, "        - {action: wait, for: 1m}")), seconds=3)
    story.take(approval(story.incident, seconds=4), seconds=4)
    assert (story.incident.phase, story.incident.reason) == (Phase.ESCALATED, Reason.ESCALATED)
    assert all(command.dry_run for command in story.commands)


def shadowing() -> History:
    story = history(PLAYBOOK.replace("spec:", "spec:\n  mode: shadow"))
    story.take(finding("slow", seconds=1, reason="Slow", restarts=1), seconds=1)
    return story


def test_in_shadow_all_is_decided_and_what_would_be_ordered_is_told() -> None:
    story = shadowing()
    story.wake()
    assert story.reasons[1:] == [
        Reason.NOTIFIED,
        Reason.WAITING,
        Reason.WAIT_OVER,
        Reason.SHADOWED,
        Reason.SHADOW_DONE,
    ]
    assert details(story, Reason.SHADOWED) == ["restart pod frontend-1"]
    assert (story.incident.phase, story.incident.mode) == (Phase.CLOSED, Mode.SHADOW)
    assert not story.commands


def test_a_shadowed_incident_rests_like_any_other() -> None:
    story = shadowing()
    story.wake()
    story.take(finding("slow", seconds=70, reason="Slow", restarts=1), seconds=70)
    assert story.reasons[-1] is Reason.COOLDOWN
