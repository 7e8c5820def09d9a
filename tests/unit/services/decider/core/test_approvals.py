"""Who may approve a step: by name or role, another person than who asked, and of what was shown alone."""

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.decider.core.faults import PlaybookError
from services.decider.core.playbook import load_playbook
from services.decider.core.proving import STEADY
from shared.contracts.approvals import Objection, Terms, objection_to
from shared.contracts.inbox import Approval, Outcome
from shared.contracts.incidents import Decision, Incident, Phase, Reason
from tests.unit.services.decider.core.build import (
    PLAYBOOK,
    History,
    activated,
    approval,
    at,
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
