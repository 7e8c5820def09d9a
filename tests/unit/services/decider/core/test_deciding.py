"""The way of an incident: what each input does to it, by which named reason."""

from typing import Any

import pytest

from services.decider.core.faults import PlaybookError
from services.decider.core.playbook import hash_of, load_playbook
from shared.contracts.actions import RestartPod, Rollback, SetMemory
from shared.contracts.inbox import Outcome
from shared.contracts.incidents import Decision, Phase, Reason
from shared.contracts.reports import RcaRequest
from shared.contracts.signals import Signal
from tests.unit.services.decider.core.build import (
    PLAYBOOK,
    History,
    activated,
    approval,
    at,
    event,
    finding,
    finding_on,
    gone,
    health,
    history,
    manual,
    pause,
    pod,
    result,
    resume,
    wake_up,
)

MEMORY: dict[str, Any] = {"reason": "OOMKilled", "last_reason": "OOMKilled", "restarts": 1}


def applied() -> History:
    story = history()
    story.take(finding(), seconds=1)
    story.take(result(story.commands[0], seconds=2), seconds=2)
    return story


def test_a_finding_opens_an_incident_and_orders_the_first_rung() -> None:
    story = history()
    story.take(finding(), seconds=1)
    assert story.reasons == [Reason.INCIDENT_OPENED, Reason.ACTION_ORDERED]
    assert story.commands[0].action == RestartPod(pod="frontend-1", uid="uid-frontend-1")
    assert not story.commands[0].dry_run
    assert story.incident.phase is Phase.ACTING


def test_a_cure_is_proven_when_the_workload_was_healthy_long_enough() -> None:
    story = applied()
    story.take(health(healthy=True, seconds=5), seconds=5)
    assert story.incident.phase is Phase.VERIFYING
    assert story.workload.wake_at == at(35)
    story.wake()
    assert (story.incident.phase, story.incident.reason) == (Phase.HEALED, Reason.VERIFIED)
    assert story.workload.wake_at is None


def test_health_told_before_the_action_proves_nothing() -> None:
    story = history()
    story.take(health(healthy=True, seconds=0), seconds=0)
    story.take(finding(), seconds=1)
    story.take(result(story.commands[0], seconds=2), seconds=2)
    story.wake()
    assert Reason.NOT_VERIFIED in story.reasons


def test_another_finding_while_verifying_starts_the_proof_again() -> None:
    story = applied()
    story.take(health(healthy=True, seconds=5), seconds=5)
    story.take(finding(seconds=20), seconds=20)
    assert story.workload.wake_at == at(50)


def test_a_step_that_did_not_help_is_tried_again_then_the_next_rung_then_a_person() -> None:
    story = applied()
    story.wake()
    assert (story.incident.phase, story.incident.attempt) == (Phase.WAITING, 2)
    story.wake()
    story.take(result(story.commands[1], seconds=140), seconds=140)
    story.wake()
    assert story.commands[2].action == Rollback()
    story.take(result(story.commands[2], seconds=300, outcome=Outcome.REFUSED), seconds=300)
    assert story.reasons[-2:] == [Reason.ACTION_REFUSED, Reason.ESCALATED]
    assert story.incident.phase is Phase.ESCALATED


def test_the_cause_is_asked_for_once() -> None:
    story = applied()
    story.wake()
    story.wake()
    story.take(result(story.commands[1], seconds=140), seconds=140)
    assert len([output for output in story.outputs if isinstance(output, RcaRequest)]) == 1


def test_memory_is_previewed_then_approved_by_a_person_then_raised() -> None:
    story = history()
    story.take(finding("memory", **MEMORY), seconds=1)
    assert story.commands[0].dry_run
    story.take(result(story.commands[0], seconds=2, outcome=Outcome.DRY_RUN), seconds=2)
    assert story.incident.phase is Phase.AWAITING_APPROVAL
    story.take(approval(story.incident, seconds=3), seconds=3)
    live = story.commands[1]
    assert not live.dry_run
    assert live.id != story.commands[0].id
    assert live.action == SetMemory(container="server", from_bytes=128 << 20, to_bytes=256 << 20)


def awaiting_approval() -> History:
    story = history()
    story.take(finding("memory", **MEMORY), seconds=1)
    story.take(result(story.commands[0], seconds=2, outcome=Outcome.DRY_RUN), seconds=2)
    return story


def test_a_rejection_ends_it_and_nothing_is_done() -> None:
    story = awaiting_approval()
    story.take(approval(story.incident, seconds=3, approved=False), seconds=3)
    assert (story.incident.phase, story.incident.reason) == (Phase.ESCALATED, Reason.APPROVAL_REJECTED)
    assert all(command.dry_run for command in story.commands)


def test_an_approval_that_never_comes_ends_it_and_nothing_is_done() -> None:
    story = awaiting_approval()
    story.wake()
    assert (story.incident.phase, story.incident.reason) == (Phase.ESCALATED, Reason.APPROVAL_EXPIRED)
    assert all(command.dry_run for command in story.commands)


def test_an_approval_of_another_step_changes_nothing() -> None:
    story = applied()
    before = story.workload.incident
    story.take(approval(story.incident, seconds=3), seconds=3)
    assert story.reasons[-1] is Reason.APPROVAL_NOT_AWAITED
    assert story.workload.incident == before


def test_memory_at_its_cap_goes_to_a_person() -> None:
    story = history()
    story.take(finding("memory", **MEMORY, memory_limit_bytes=512 << 20), seconds=1)
    assert story.reasons == [Reason.INCIDENT_OPENED, Reason.CAP_REACHED, Reason.LADDER_EXHAUSTED]
    assert not story.commands


def test_a_window_counts_signals_not_deliveries() -> None:
    story = history()
    story.take(finding("twice", reason="Error"), seconds=1)
    story.take(finding("twice", reason="Error"), seconds=2)
    assert story.reasons == [Reason.WINDOW_NOT_REACHED] * 2
    story.take(finding("twice", reason="Error", seconds=30), seconds=30)
    assert Reason.INCIDENT_OPENED in story.reasons


def test_a_dry_run_ends_with_what_it_would_have_done() -> None:
    story = history()
    for seconds in (1, 2):
        story.take(finding("twice", reason="Error", seconds=seconds), seconds=seconds)
    story.take(result(story.commands[0], seconds=3, outcome=Outcome.DRY_RUN), seconds=3)
    assert (story.incident.phase, story.incident.reason) == (Phase.CLOSED, Reason.DRY_RUN_DONE)
    assert all(command.dry_run for command in story.commands)


def test_after_an_incident_its_rule_rests() -> None:
    story = applied()
    story.take(health(healthy=True, seconds=5), seconds=5)
    story.wake()
    story.take(finding(seconds=40), seconds=40)
    assert story.reasons[-1] is Reason.COOLDOWN
    story.take(finding(seconds=400), seconds=400)
    assert story.reasons[-1] is Reason.ACTION_ORDERED


def test_a_finding_from_before_the_end_of_the_incident_is_stale() -> None:
    story = applied()
    story.take(health(healthy=True, seconds=5), seconds=5)
    story.wake()
    story.take(finding(seconds=20), seconds=1000)
    assert story.reasons[-1] is Reason.STALE_FINDING


def test_a_pause_holds_orders_back_until_it_ends() -> None:
    story = history()
    story.take(pause(0), seconds=0)
    story.take(finding(), seconds=1)
    assert story.reasons == [Reason.INCIDENT_OPENED, Reason.PAUSED]
    story.wake()
    assert story.reasons[-1] is Reason.PAUSED
    assert not story.commands
    story.take(resume(15), seconds=15)
    story.wake()
    assert len(story.commands) == 1


@pytest.mark.parametrize("kind", ["Deployment", "Node"])
def test_the_incident_of_what_is_deleted_is_closed(kind: str) -> None:
    story = applied()
    story.take(gone(seconds=3, kind=kind), seconds=3)
    assert (story.incident.phase, story.incident.reason) == (Phase.CLOSED, Reason.TARGET_GONE)
    assert story.workload.wake_at is None
    assert any(isinstance(one, Decision) and one.detail == f"the {kind} was deleted" for one in story.outputs)


RESTARTS = PLAYBOOK.replace(
    "rules:",
    "rules:\n    - {name: stuck, signal: SIGNAL, ladder: [{action: restart-pod}, {action: escalate}]}",
)


@pytest.mark.parametrize("signal", [pod(), event()])
def test_a_pod_is_restarted_by_what_it_says_itself_or_an_event_about_it(signal: Signal) -> None:
    story = history(RESTARTS.replace("SIGNAL", signal.kind))
    story.take(finding_on(signal, "stuck"), seconds=1)
    assert [command.action for command in story.commands] == [RestartPod(pod="frontend-1", uid="uid-frontend-1")]


@pytest.mark.parametrize("signal", [pod(deleted=True), event(kind="Deployment"), event(uid="")])
def test_what_is_no_pod_or_not_there_is_not_restarted(signal: Signal) -> None:
    story = history(RESTARTS.replace("SIGNAL", signal.kind))
    story.take(finding_on(signal, "stuck"), seconds=1)
    assert Reason.TARGET_UNSUITABLE in story.reasons
    assert not story.commands


@pytest.mark.parametrize("kind", ["workload", "node", "sample"])
def test_a_rule_whose_signal_names_no_pod_cannot_restart_one(kind: str) -> None:
    with pytest.raises(PlaybookError, match="expected `signal: container or pod or event`"):
        load_playbook(RESTARTS.replace("SIGNAL", kind), file="test")


def test_a_result_that_never_comes_goes_to_a_person() -> None:
    story = history()
    story.take(finding(), seconds=1)
    story.wake()
    assert story.incident.reason is Reason.RESULT_MISSING


def test_a_result_that_nobody_waits_for_changes_nothing() -> None:
    story = applied()
    before = story.incident
    story.take(result(story.commands[0], seconds=3), seconds=3)
    assert story.reasons[-1] is Reason.RESULT_NOT_AWAITED
    assert story.incident == before


def test_a_persons_action_takes_the_same_way() -> None:
    story = history()
    story.take(manual(seconds=1), seconds=1)
    assert story.commands[0].requested_by == "ana"
    story.take(result(story.commands[0], seconds=2), seconds=2)
    story.take(health(healthy=True, seconds=3), seconds=3)
    story.wake()
    assert story.incident.phase is Phase.HEALED


def test_protected_namespaces_are_left_alone_by_rules_and_people() -> None:
    story = history(PLAYBOOK.replace("spec:", "spec:\n  protected: {namespaces: [bank]}"))
    story.take(finding(), seconds=1)
    story.take(manual(seconds=2), seconds=2)
    assert story.reasons == [Reason.PROTECTED, Reason.PROTECTED]
    assert story.workload.incident is None


LABELLED = PLAYBOOK.replace("spec:", "spec:\n  protected: {labels: {tier: [cache, database]}}")
DATABASE = {"app": "ledger", "tier": "database"}


def decisions(story: History) -> list[Decision]:
    return [one for one in story.outputs if isinstance(one, Decision)]


def test_what_shows_a_protected_label_is_left_alone_and_the_decision_names_the_label() -> None:
    story = history(LABELLED)
    story.take(finding(labels=DATABASE), seconds=1)
    assert [(one.reason, one.detail) for one in decisions(story)] == [
        (Reason.PROTECTED, "protected is what has the label tier=database")
    ]
    assert story.workload.incident is None
    story.take(finding(seconds=2, labels={"tier": "web"}), seconds=2)
    assert len(story.commands) == 1


def test_a_protected_label_on_a_later_finding_ends_what_is_open_before_the_next_command() -> None:
    story = history(LABELLED)
    story.take(finding(labels={}), seconds=1)
    story.take(result(story.commands[0], seconds=2, outcome=Outcome.FAILED), seconds=2)
    story.take(finding(seconds=3, labels=DATABASE), seconds=3)
    story.wake()
    assert (story.incident.phase, story.incident.reason) == (Phase.ESCALATED, Reason.PROTECTED)
    assert decisions(story)[-1].detail == "protected is what has the label tier=database"
    assert len(story.commands) == 1


def test_an_approval_does_not_outdo_a_label_that_is_protected_by_now() -> None:
    story = history()
    story.take(finding("memory", **MEMORY, labels=DATABASE), seconds=1)
    story.take(result(story.commands[0], seconds=2, outcome=Outcome.DRY_RUN), seconds=2)
    story.take(activated(LABELLED), seconds=3)
    story.take(approval(story.incident, seconds=4), seconds=4)
    assert (story.incident.phase, story.incident.reason) == (Phase.ESCALATED, Reason.PROTECTED)
    assert decisions(story)[-1].detail.endswith("says no: protected is what has the label tier=database")
    assert all(command.dry_run for command in story.commands)


def test_what_a_person_asks_for_goes_out_with_the_protected_labels_whatever_an_earlier_finding_showed() -> None:
    story = history()
    story.take(finding(labels=DATABASE), seconds=1)
    story.take(gone(seconds=2), seconds=2)
    story.take(activated(LABELLED), seconds=3)
    story.take(manual(seconds=4), seconds=4)
    assert story.commands[0].protected_labels == {}
    assert story.commands[1].protected_labels == {"tier": ("cache", "database")}


def test_a_rule_that_is_off_does_nothing() -> None:
    story = history(PLAYBOOK.replace("spec:", "spec:\n  mode: off"))
    story.take(finding(), seconds=1)
    assert story.reasons == [Reason.MODE_OFF]


def test_a_playbook_without_the_rule_hands_the_open_incident_to_a_person() -> None:
    story = applied()
    story.take(activated(PLAYBOOK.replace("name: crash", "name: other")), seconds=3)
    story.wake()
    assert story.incident.reason is Reason.RULE_UNKNOWN
    story.take(finding(seconds=500), seconds=500)
    assert story.reasons[-1] is Reason.RULE_UNKNOWN


PROTECTING = PLAYBOOK.replace("spec:", "spec:\n  protected: {namespaces: [bank]}")


def test_a_namespace_protected_meanwhile_gets_no_further_command() -> None:
    story = applied()
    story.take(activated(PROTECTING), seconds=3)
    story.wake()
    story.wake()
    assert (story.incident.phase, story.incident.reason) == (Phase.ESCALATED, Reason.PROTECTED)
    assert len(story.commands) == 1


def test_a_command_names_the_playbook_in_force_when_it_is_ordered_and_the_incident_that_at_its_opening() -> None:
    story = applied()
    other = PLAYBOOK.replace("attempts: 2", "attempts: 3")
    story.take(activated(other), seconds=3)
    story.wake()
    story.wake()
    assert [command.playbook for command in story.commands] == [hash_of(PLAYBOOK), hash_of(other)]
    assert story.incident.playbook == hash_of(PLAYBOOK)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (PROTECTING, Reason.PROTECTED),
        (PLAYBOOK.replace("spec:", "spec:\n  mode: off"), Reason.MODE_OFF),
        (PLAYBOOK.replace("spec:", "spec:\n  mode: shadow"), Reason.MODE_OFF),
        (PLAYBOOK.replace("spec:", "spec:\n  mode: dry-run"), Reason.MODE_OFF),
        (PLAYBOOK.replace("name: memory", "name: other"), Reason.RULE_UNKNOWN),
    ],
)
def test_an_approval_does_not_outdo_the_playbook_in_force(text: str, reason: Reason) -> None:
    story = awaiting_approval()
    story.take(activated(text), seconds=3)
    story.take(approval(story.incident, seconds=4), seconds=4)
    assert (story.incident.phase, story.incident.reason) == (Phase.ESCALATED, reason)
    assert all(command.dry_run for command in story.commands)


def test_a_finding_opens_one_incident_also_after_others_and_where_its_clock_is_ahead() -> None:
    story = history()
    ahead = finding(seconds=9_999)
    for seconds, told in ((1, ahead), (10, finding("memory", seconds=10, **MEMORY)), (1_000, ahead)):
        story.take(told, seconds=seconds)
        if story.workload.open_incident is not None:
            story.take(gone(seconds=seconds + 1), seconds=seconds + 1)
    assert story.reasons[-1] is Reason.STALE_FINDING
    assert len({command.id for command in story.commands}) == len(story.commands) == 2


def test_a_persons_action_that_comes_twice_is_done_once() -> None:
    story = history()
    asked = manual(seconds=1)
    story.take(asked, seconds=1)
    story.take(gone(seconds=2), seconds=2)
    story.take(asked, seconds=3)
    assert story.reasons[-1] is Reason.MANUAL_ACTION_REPEATED
    assert len(story.commands) == 1


def test_an_approval_for_another_step_or_incident_than_the_awaited_allows_nothing() -> None:
    story = awaiting_approval()
    asked = approval(story.incident, seconds=3)
    for other in (asked.model_copy(update={"step": 1}), asked.model_copy(update={"incident": "inc-other"})):
        story.take(other, seconds=3)
        assert story.reasons[-1] is Reason.APPROVAL_NOT_AWAITED
    assert story.incident.phase is Phase.AWAITING_APPROVAL


def test_the_result_of_another_command_than_the_awaited_changes_nothing() -> None:
    story = history()
    story.take(finding(), seconds=1)
    other = story.commands[0].model_copy(update={"id": "cmd-other"})
    story.take(result(other, seconds=2), seconds=2)
    assert story.reasons[-1] is Reason.RESULT_NOT_AWAITED
    assert story.incident.phase is Phase.ACTING


def test_a_wake_up_that_is_stamped_before_its_moment_counts_as_of_its_moment() -> None:
    story = applied()
    assert story.workload.wake_at == at(122)
    story.take(wake_up(at(122)), seconds=121.5)
    assert story.reasons[-1] is Reason.NOT_VERIFIED
    assert story.incident.at == at(122)


def test_a_wake_up_for_a_moment_that_was_put_off_changes_nothing() -> None:
    story = applied()
    story.take(health(healthy=True, seconds=5), seconds=5)
    assert story.workload.wake_at == at(35)
    story.take(finding(seconds=30), seconds=30)
    before = story.incident
    story.take(wake_up(at(35)), seconds=35)
    assert story.incident == before
    assert story.workload.wake_at == at(60)


def test_health_told_while_the_order_was_held_back_proves_nothing() -> None:
    story = history()
    story.take(pause(0), seconds=0)
    story.take(finding(), seconds=1)
    story.take(health(healthy=True, seconds=3), seconds=3)
    story.take(resume(5), seconds=5)
    story.wake()
    story.take(result(story.commands[0], seconds=12), seconds=12)
    story.wake()
    assert story.reasons[-1] is Reason.NOT_VERIFIED


def test_the_cause_is_not_asked_for_again_at_the_end() -> None:
    story = applied()
    story.take(gone(seconds=3), seconds=3)
    assert len([output for output in story.outputs if isinstance(output, RcaRequest)]) == 1


def test_a_pause_that_is_delivered_again_after_its_resume_holds_nothing_back() -> None:
    story = history()
    story.take(pause(1), seconds=1)
    story.take(resume(2), seconds=2)
    story.deliver(1)
    assert story.partition.paused is None
    assert story.partition.offset == 2
