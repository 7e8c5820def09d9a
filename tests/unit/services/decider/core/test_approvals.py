"""Who may approve a step: by name or role, another person than who asked, and of what was shown alone."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.decider.core.faults import PlaybookError
from services.decider.core.playbook import load_playbook
from services.decider.core.proving import STEADY
from shared.contracts.actions import Rollback
from shared.contracts.approvals import Objection, Terms, objection_to
from shared.contracts.inbox import Approval, Outcome
from shared.contracts.incidents import Decision, Incident, Phase, Reason
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
    manual,
    result,
)

MEMORY: dict[str, Any] = {"reason": "OOMKilled", "last_reason": "OOMKilled", "restarts": 1}
PLAIN = "approval: {expires: 10m}"
NAMED = "approval: {by: [ben, database], expires: 10m}"
FOUR_EYES = PLAYBOOK.replace("spec:\n", "spec:\n  manual: {mode: approval, approval: {other_person: true}}\n")
NAMES = st.sampled_from(["ana", "ben", "cy", "approver", "database", "operator"])


def awaiting(words: str = NAMED) -> History:
    story = history(PLAYBOOK.replace(PLAIN, words))
    story.take(finding("memory", **MEMORY), seconds=1)
    story.take(result(story.commands[0], seconds=2, outcome=Outcome.DRY_RUN), seconds=2)
    assert story.incident.phase is Phase.AWAITING_APPROVAL
    return story


ASKED_FOR_HALF_AN_HOUR = "approval: {expires: 30m}"
STEADY_S = STEADY.total_seconds()


def test_a_question_is_withdrawn_when_the_workload_has_been_well_for_longer_than_between_two_crashes() -> None:
    story = awaiting(ASKED_FOR_HALF_AN_HOUR)
    for seconds in (10, 70):
        story.take(health(healthy=False, seconds=seconds), seconds=seconds)
        story.take(health(healthy=True, seconds=seconds + 20), seconds=seconds + 20)
    assert story.workload.wake_at == at(90 + STEADY_S)
    story.wake()
    assert (story.incident.phase, story.incident.reason) == (Phase.HEALED, Reason.RECOVERED)


def test_a_crash_while_a_person_is_asked_begins_the_recovery_anew() -> None:
    story = awaiting(ASKED_FOR_HALF_AN_HOUR)
    story.take(health(healthy=True, seconds=10), seconds=10)
    story.take(finding("memory", seconds=300, **MEMORY), seconds=300)
    assert story.workload.wake_at == at(300 + STEADY_S)


@pytest.mark.parametrize("known", [0, 1])
def test_a_question_stays_where_health_never_saw_the_trouble(known: float) -> None:
    story = history(PLAYBOOK.replace(PLAIN, ASKED_FOR_HALF_AN_HOUR))
    story.take(health(healthy=True, seconds=known), seconds=known)
    story.take(finding("memory", **MEMORY), seconds=1)
    story.take(result(story.commands[0], seconds=2, outcome=Outcome.DRY_RUN), seconds=2)
    story.take(health(healthy=True, seconds=1000), seconds=1000)
    assert story.incident.phase is Phase.AWAITING_APPROVAL
    story.wake()
    assert (story.incident.phase, story.incident.reason) == (Phase.ESCALATED, Reason.APPROVAL_EXPIRED)


def asked_by_ana() -> History:
    story = history(FOUR_EYES)
    story.take(manual(seconds=1), seconds=1)
    story.take(result(story.commands[0], seconds=2, outcome=Outcome.DRY_RUN), seconds=2)
    assert story.incident.phase is Phase.AWAITING_APPROVAL
    return story


def answer(story: History, **changed: Any) -> Approval:
    asked = approval(story.incident, seconds=3)
    return asked.model_copy(update={"version": story.incident.version} | changed)


@pytest.mark.parametrize(
    ("begun", "by", "roles", "reason"),
    [
        (awaiting, "ben", (), Reason.APPROVAL_GRANTED),
        (awaiting, "cy", ("approver", "database"), Reason.APPROVAL_GRANTED),
        (awaiting, "ana", ("approver",), Reason.APPROVER_NOT_NAMED),
        (awaiting, "ana", (), Reason.APPROVER_NOT_NAMED),
        (awaiting, "Ben", (), Reason.APPROVER_NOT_NAMED),
        (lambda: awaiting(PLAIN), "ana", (), Reason.APPROVAL_GRANTED),
        (lambda: awaiting("approval: {by: ana, other_person: true}"), "ana", (), Reason.APPROVAL_GRANTED),
        (asked_by_ana, "ana", ("admin",), Reason.APPROVER_ASKED_FOR_IT),
        (asked_by_ana, "ben", ("approver",), Reason.APPROVAL_GRANTED),
    ],
)
def test_an_approval_counts_from_whom_the_playbook_names_and_not_from_who_asked(
    begun: Callable[[], History], by: str, roles: tuple[str, ...], reason: Reason
) -> None:
    story = begun()
    story.take(answer(story, by=by, roles=roles), seconds=3)
    granted = reason is Reason.APPROVAL_GRANTED
    assert reason in story.reasons
    assert (story.incident.phase is Phase.ACTING) == granted
    assert any(not command.dry_run for command in story.commands) == granted
    assert granted or story.incident.phase is Phase.AWAITING_APPROVAL


def test_who_approved_stands_in_the_decision_the_command_and_the_step() -> None:
    story = awaiting()
    story.take(answer(story, by="ben"), seconds=3)
    assert (story.commands[-1].approved_by, story.commands[-1].requested_by) == ("ben", "rule memory")
    assert story.incident.steps[-1].approved_by == "ben"
    assert not story.incident.steps[0].approved_by


def test_a_refused_approval_names_who_may_and_the_right_one_may_follow() -> None:
    story = awaiting()
    story.take(answer(story, by="ana", roles=("approver",)), seconds=3)
    (refused,) = (
        one for one in story.outputs if isinstance(one, Decision) and one.step == 0 and one.detail[:3] == "by "
    )
    assert (refused.reason, refused.detail) == (
        Reason.APPROVER_NOT_NAMED,
        "by ana: the playbook lets approve it: ben, database",
    )
    story.take(answer(story, by="ben", id="approval-2"), seconds=4)
    assert story.incident.phase is Phase.ACTING


def test_an_approval_of_what_was_shown_before_it_changed_allows_nothing() -> None:
    story = awaiting(PLAIN)
    story.take(answer(story, version="another"), seconds=3)
    assert story.reasons[-1] is Reason.APPROVAL_STALE
    assert all(command.dry_run for command in story.commands)
    story.take(answer(story, version="another", approved=False, id="rejected"), seconds=4)
    assert story.reasons[-1] is Reason.APPROVAL_STALE
    assert story.incident.phase is Phase.AWAITING_APPROVAL


def test_an_answer_that_was_written_before_there_were_versions_counts_as_it_did() -> None:
    story = awaiting(PLAIN)
    story.take(approval(story.incident, seconds=3), seconds=3)
    assert story.incident.phase is Phase.ACTING


def test_anybody_who_may_answer_may_reject() -> None:
    story = awaiting()
    story.take(answer(story, by="cy", approved=False), seconds=3)
    assert (story.incident.phase, story.incident.reason) == (Phase.ESCALATED, Reason.APPROVAL_REJECTED)


def test_the_playbook_in_force_says_who_may_also_of_what_was_shown_before() -> None:
    story = awaiting(PLAIN)
    story.take(activated(PLAYBOOK.replace(PLAIN, NAMED)), seconds=3)
    story.take(answer(story, by="ana"), seconds=4)
    assert story.reasons[-1] is Reason.APPROVER_NOT_NAMED


def test_an_incident_tells_who_may_approve_it() -> None:
    assert awaiting().incident.approval == Terms(by=("ben", "database"))
    assert asked_by_ana().incident.approval == Terms(other_person=True, asked_by="ana")


@pytest.mark.parametrize(
    ("mode", "dry_run", "orders"),
    [("live", False, [False]), ("live", True, [True]), ("approval", False, [True]), ("dry-run", False, [True])],
)
def test_an_action_by_hand_goes_as_far_as_the_playbook_lets_people_go(
    mode: str, dry_run: bool, orders: list[bool]
) -> None:
    story = history(PLAYBOOK.replace("spec:\n", f"spec:\n  manual: {{mode: {mode}}}\n"))
    story.take(manual(seconds=1, dry_run=dry_run), seconds=1)
    assert [command.dry_run for command in story.commands] == orders


@pytest.mark.parametrize("mode", ["off", "shadow"])
def test_where_the_playbook_lets_nobody_act_by_hand_nothing_is_ordered(mode: str) -> None:
    story = history(PLAYBOOK.replace("spec:\n", f"spec:\n  manual: {{mode: {mode}}}\n"))
    story.take(manual(seconds=1), seconds=1)
    assert story.commands == []
    assert story.incident.phase.is_final


@pytest.mark.parametrize("words", ["{by: []}", "{by: [a b]}", "{by: ['']}", "{other_person: maybe}", "{who: ann}"])
def test_terms_that_name_nobody_are_a_fault(words: str) -> None:
    with pytest.raises(PlaybookError):
        load_playbook(PLAYBOOK.replace(PLAIN, f"approval: {words}"), file="p.yaml")


@given(NAMES, st.lists(NAMES, max_size=3), st.builds(Terms, by=st.lists(NAMES, max_size=3), other_person=st.booleans()))
def test_stricter_terms_never_let_more_people_approve(person: str, roles: list[str], terms: Terms) -> None:
    terms = terms.model_copy(update={"by": tuple(terms.by), "asked_by": "ana"})
    laxer = [terms.model_copy(update={"by": ()}), terms.model_copy(update={"other_person": False})]
    if objection_to(person, roles, terms=terms) is None:
        assert all(objection_to(person, roles, terms=one) is None for one in laxer)
        assert not (terms.other_person and person == "ana")
        assert not terms.by or {person, *roles} & set(terms.by)
    assert objection_to("ana", terms.by, terms=terms) is (Objection.SAME_PERSON if terms.other_person else None)


@pytest.mark.parametrize(
    "changed",
    [
        {"phase": Phase.ACTING},
        {"step": 1},
        {"attempt": 2},
        {"steps": ()},
        {"id": "inc-other"},
    ],
)
def test_a_version_is_another_once_anything_is_different_that_was_shown(changed: dict[str, Any]) -> None:
    incident: Incident = awaiting().incident
    assert incident.model_copy(update=changed).version != incident.version
    assert incident.model_copy(update={"findings": 7, "at": incident.signal_at}).version == incident.version


SAME = "{action: set-memory, cap: 512Mi, mode: approval, approval: {expires: 10m}}"
OTHER = PLAYBOOK.replace(SAME, "{action: rollback, mode: approval}")
CHANGED = {
    "another action": (OTHER, Reason.APPROVAL_OUTDATED),
    "another factor": (PLAYBOOK.replace("cap: 512Mi", "cap: 512Mi, factor: 3"), Reason.APPROVAL_OUTDATED),
    "a cap that the action reaches": (PLAYBOOK.replace("cap: 512Mi", "cap: 160Mi"), Reason.APPROVAL_OUTDATED),
    "a cap that changes nothing of the action": (PLAYBOOK.replace("cap: 512Mi", "cap: 1Gi"), Reason.APPROVAL_GRANTED),
    "another proof": (PLAYBOOK.replace(SAME, SAME[:-1] + ", verify: {within: 9m}}"), Reason.APPROVAL_GRANTED),
    "another condition": (PLAYBOOK.replace(SAME, SAME[:-1] + ", when: restarts > 5}"), Reason.APPROVAL_GRANTED),
    "live": (PLAYBOOK.replace(SAME, SAME.replace("mode: approval", "mode: live")), Reason.APPROVAL_GRANTED),
    "another rule beside it": (PLAYBOOK.replace("cooldown: 5m", "cooldown: 6m"), Reason.APPROVAL_GRANTED),
    "a step before it": (
        PLAYBOOK.replace(SAME, f"{{action: rollback, mode: approval}}\n        - {SAME}"),
        Reason.APPROVAL_OUTDATED,
    ),
    "no action": (PLAYBOOK.replace(SAME, "{action: escalate}"), Reason.ESCALATED),
}


@pytest.mark.parametrize("changed", CHANGED)
def test_an_approval_orders_what_was_shown_if_the_playbook_in_force_still_has_it(changed: str) -> None:
    text, reason = CHANGED[changed]
    story = awaiting(PLAIN)
    shown = story.incident.steps[-1].action
    story.take(activated(text), seconds=3)
    story.take(answer(story), seconds=4)
    assert reason in story.reasons
    live = [command.action for command in story.commands if not command.dry_run]
    assert live == ([shown] if reason is Reason.APPROVAL_GRANTED else [])


def test_a_newer_finding_alone_outdates_no_approval() -> None:
    story = awaiting(PLAIN)
    shown = story.incident.steps[-1].action
    story.take(finding("memory", **MEMORY, memory_limit_bytes=256 << 20, seconds=3), seconds=3)
    story.take(answer(story), seconds=4)
    assert story.commands[-1].action == shown
    assert not story.commands[-1].dry_run


def outdated() -> History:
    story = awaiting(PLAIN)
    story.take(activated(OTHER), seconds=3)
    story.take(answer(story), seconds=4)
    return story


def test_an_outdated_approval_previews_the_step_anew_and_the_next_one_counts() -> None:
    story = awaiting(PLAIN)
    before = answer(story)
    story.take(activated(OTHER), seconds=3)
    story.take(before, seconds=4)
    assert story.reasons[-2:] == [Reason.APPROVAL_OUTDATED, Reason.PREVIEW_ORDERED]
    first, second = story.commands
    assert (first.step, first.attempt, first.dry_run) == (second.step, second.attempt, second.dry_run)
    assert (first.id != second.id, second.action) == (True, Rollback())
    story.take(result(second, seconds=5, outcome=Outcome.DRY_RUN), seconds=5)
    story.take(before.model_copy(update={"id": "again"}), seconds=6)
    assert story.reasons[-1] is Reason.APPROVAL_STALE
    story.take(answer(story, id="anew"), seconds=7)
    assert (story.commands[-1].action, story.commands[-1].dry_run) == (Rollback(), False)


def test_each_preview_of_one_attempt_is_a_command_of_its_own() -> None:
    story = outdated()
    for place, text in enumerate((PLAYBOOK, OTHER, PLAYBOOK)):
        seconds = 10 + 10 * place
        story.take(result(story.commands[-1], seconds=seconds, outcome=Outcome.DRY_RUN), seconds=seconds)
        story.take(activated(text), seconds=seconds + 1)
        story.take(answer(story, id=f"answer-{place}"), seconds=seconds + 2)
    assert len({command.id for command in story.commands}) == len(story.commands) == 5


def test_a_second_preview_is_a_command_of_its_own_also_where_a_former_release_knew_no_ladder() -> None:
    story = awaiting(PLAIN)
    story.workload = replace(story.workload, climb=None)
    story.take(activated(OTHER), seconds=3)
    story.take(answer(story), seconds=4)
    first, second = story.commands
    assert (first.dry_run, second.dry_run, first.id != second.id) == (True, True, True)


def test_what_the_brake_put_off_is_previewed_anew_where_the_playbook_has_another_action_by_then() -> None:
    story = awaiting(PLAIN)
    story.take(answer(story), seconds=3)
    story.take(braked(story.commands[-1], seconds=4), seconds=4)
    story.take(activated(OTHER), seconds=5)
    story.wake()
    assert (story.commands[-1].action, story.commands[-1].dry_run) == (Rollback(), True)
    assert len({command.id for command in story.commands}) == len(story.commands) == 3


def test_what_a_person_asked_for_is_no_playbooks_to_change() -> None:
    story = asked_by_ana()
    story.take(activated(FOUR_EYES.replace("cooldown: 5m", "cooldown: 6m")), seconds=3)
    story.take(answer(story, by="ben"), seconds=4)
    assert story.incident.phase is Phase.ACTING


def test_an_approval_that_waited_for_a_release_that_notes_what_was_previewed_counts_where_the_action_is_the_same() -> (
    None
):
    for text, granted in ((PLAYBOOK, True), (OTHER, False)):
        story = awaiting(PLAIN)
        story.workload = replace(story.workload, previewed="")
        story.take(activated(text), seconds=3)
        story.take(answer(story), seconds=4)
        assert (story.incident.phase is Phase.ACTING) == granted
