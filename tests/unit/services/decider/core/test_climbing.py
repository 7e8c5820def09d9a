"""What becomes of an open incident where another playbook has another ladder: no guard skipped, nothing twice."""

from collections import Counter
from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.decider.core.playbook import hash_of
from services.decider.core.state import workload_bytes, workload_of
from shared.contracts.inbox import Outcome
from shared.contracts.incidents import Decision, Phase, Reason
from tests.unit.services.decider.core.build import History, activated, approval, at, finding, health, history, result

RESTART = "{action: restart-pod, attempts: 2, backoff: 10s, verify: {healthy_for: 30s, within: 2m}}"
RENEW = "{action: restart-rollout, verify: {healthy_for: 30s, within: 2m}}"
ROLLBACK = "{action: rollback, verify: {healthy_for: 30s, within: 2m}}"
GROW = "{action: set-memory, cap: 512Mi, verify: {healthy_for: 30s, within: 2m}}"
WAIT = "{action: wait, for: 1m}"
TELL = "{action: notify, message: It goes on}"
GUARD = "{action: escalate, when: restarts >= 5}"
END = "{action: escalate}"


def ladder(*rungs: str) -> str:
    return f"""\
apiVersion: sre-agent.dev/v1alpha1
kind: HealingPlaybook
metadata: {{name: test}}
spec:
  rules:
    - {{name: crash, signal: container, where: {{reason: CrashLoopBackOff}}, ladder: [{", ".join(rungs)}]}}
"""


def opened(*rungs: str, restarts: int = 0) -> History:
    story = history(ladder(*rungs))
    story.take(health(healthy=False, seconds=0), seconds=0)
    story.take(finding("crash", seconds=1, restarts=restarts), seconds=1)
    return story


def answered(story: History, *, seconds: float, outcome: Outcome = Outcome.APPLIED) -> None:
    story.take(result(story.commands[-1], seconds=seconds, outcome=outcome), seconds=seconds)


def put_in_force(story: History, *rungs: str, seconds: float) -> None:
    story.take(activated(ladder(*rungs)), seconds=seconds)


def refused(story: History, *, seconds: float) -> None:
    answered(story, seconds=seconds, outcome=Outcome.REFUSED)


def ordered(story: History) -> list[str]:
    return [one.action.kind for one in story.commands if not one.dry_run]


def test_a_step_that_is_put_in_before_the_present_one_repeats_nothing() -> None:
    story = opened(RENEW, ROLLBACK, END)
    refused(story, seconds=2)
    assert ordered(story) == ["restart-rollout", "rollback"]
    put_in_force(story, RENEW, TELL, ROLLBACK, END, seconds=3)
    refused(story, seconds=4)
    assert ordered(story) == ["restart-rollout", "rollback"]
    assert story.reasons[-3:] == [Reason.ACTION_REFUSED, Reason.NOTIFIED, Reason.ESCALATED]


def test_the_present_step_is_judged_by_its_own_words_wherever_it_stands_by_now() -> None:
    story = opened(ROLLBACK, END)
    answered(story, seconds=2)
    slower = ROLLBACK.replace("within: 2m", "within: 9m").replace("healthy_for: 30s", "healthy_for: 3m")
    put_in_force(story, RESTART, slower, END, seconds=3)
    story.take(health(healthy=True, seconds=10), seconds=10)
    assert (story.incident.step, story.incident.steps[-1].step) == (1, 1)
    assert story.workload.wake_at == at(122)  # its deadline was set when it was applied
    assert ordered(story) == ["rollback"]


def test_a_guard_that_is_put_in_before_a_step_that_has_not_begun_is_asked_first() -> None:
    story = opened(WAIT, RENEW, END, restarts=7)
    put_in_force(story, WAIT, GUARD, RENEW, END, seconds=3)
    story.wake()
    assert story.reasons[-2:] == [Reason.WAIT_OVER, Reason.ESCALATED]
    assert (story.incident.step, ordered(story)) == (1, [])


def test_a_guard_that_is_put_in_at_the_beginning_is_asked_before_the_next_step() -> None:
    story = opened(RENEW, ROLLBACK, END, restarts=7)
    put_in_force(story, GUARD, RENEW, ROLLBACK, END, seconds=2)
    refused(story, seconds=3)
    assert (story.incident.step, story.incident.reason) == (0, Reason.ESCALATED)
    assert ordered(story) == ["restart-rollout"]


def test_a_guard_of_other_words_is_another_one_and_asked_again() -> None:
    story = opened(GUARD, RENEW, ROLLBACK, END, restarts=3)
    put_in_force(story, GUARD.replace("5", "2"), RENEW, ROLLBACK, END, seconds=2)
    refused(story, seconds=3)
    assert (story.incident.step, story.incident.reason) == (0, Reason.ESCALATED)


@pytest.mark.parametrize("other", [("action", "when: restarts >= 0, action"), ("cap: 512Mi", "cap: 1Gi, factor: 3")])
def test_an_action_is_not_done_again_because_it_has_other_words(other: tuple[str, str]) -> None:
    story = opened(GROW, ROLLBACK, END)
    refused(story, seconds=2)
    put_in_force(story, GROW.replace(*other), ROLLBACK, END, seconds=3)
    refused(story, seconds=4)
    assert ordered(story) == ["set-memory", "rollback"]
    assert story.incident.reason is Reason.ESCALATED


def test_the_present_step_is_the_same_under_another_condition() -> None:
    story = opened(ROLLBACK, END)
    answered(story, seconds=2)
    put_in_force(story, TELL, ROLLBACK.replace("action", "when: restarts >= 9, action"), END, seconds=3)
    story.take(health(healthy=True, seconds=10), seconds=10)
    story.wake()
    assert (story.incident.step, story.incident.reason) == (1, Reason.VERIFIED)


def test_steps_that_changed_places_are_each_taken_once() -> None:
    story = opened(RENEW, ROLLBACK, RESTART, END)
    refused(story, seconds=2)
    put_in_force(story, RESTART, ROLLBACK, RENEW, END, seconds=3)
    refused(story, seconds=4)
    refused(story, seconds=5)
    assert ordered(story) == ["restart-rollout", "rollback", "restart-pod"]


def test_an_action_that_stands_twice_on_a_ladder_is_taken_twice_also_on_another() -> None:
    later = RENEW.replace("action", "when: restarts < 9, action")
    story = opened(RENEW, TELL, later, END)
    put_in_force(story, RENEW, WAIT, later, END, seconds=2)
    refused(story, seconds=3)
    story.wake()
    assert ordered(story) == ["restart-rollout", "restart-rollout"]


def test_an_action_whose_step_is_gone_may_still_prove_to_have_helped() -> None:
    story = opened(ROLLBACK, RENEW, END)
    put_in_force(story, RENEW, END, seconds=2)
    story.take(health(healthy=True, seconds=2), seconds=2)
    answered(story, seconds=3)
    story.wake()
    assert (story.incident.reason, story.incident.closed_at) == (Reason.VERIFIED, at(122))  # as long as results take


@pytest.mark.parametrize("outcome", [Outcome.APPLIED, Outcome.REFUSED, Outcome.FAILED, Outcome.UNKNOWN])
def test_a_step_that_has_begun_and_is_gone_goes_to_a_person_by_that_reason(outcome: Outcome) -> None:
    story = opened(ROLLBACK, RENEW, END)
    put_in_force(story, RENEW, END, seconds=2)
    answered(story, seconds=3, outcome=outcome)
    while story.incident.phase is Phase.VERIFYING:
        story.wake()
    assert (story.incident.phase, story.incident.reason) == (Phase.ESCALATED, Reason.STEP_GONE)
    assert ordered(story) == ["rollback"]


def test_what_a_step_that_is_gone_has_changed_is_undone_before_a_person_gets_it() -> None:
    story = opened(GROW, END)
    answered(story, seconds=2)
    put_in_force(story, RENEW, END, seconds=3)
    story.wake()
    assert story.reasons[-2:] == [Reason.NOT_VERIFIED, Reason.REVERT_ORDERED]
    answered(story, seconds=200)
    assert story.reasons[-2:] == [Reason.REVERTED, Reason.STEP_GONE]
    assert ordered(story) == ["set-memory", "set-memory"]


def test_a_further_attempt_of_a_step_that_is_gone_goes_to_a_person() -> None:
    story = opened(RESTART, END)
    refused(story, seconds=2)
    assert (story.incident.phase, story.incident.attempt) == (Phase.WAITING, 2)
    put_in_force(story, RENEW, END, seconds=3)
    story.wake()
    assert (story.incident.reason, ordered(story)) == (Reason.STEP_GONE, ["restart-pod"])


def test_a_further_attempt_comes_before_what_is_put_in_before_its_step() -> None:
    story = opened(RESTART, END)
    refused(story, seconds=2)
    put_in_force(story, TELL, RESTART, END, seconds=3)
    story.wake()
    assert (story.incident.step, story.incident.attempt, ordered(story)) == (1, 2, ["restart-pod", "restart-pod"])
    refused(story, seconds=20)
    assert story.reasons[-2:] == [Reason.NOTIFIED, Reason.ESCALATED]


def test_a_step_that_is_gone_for_a_time_is_found_again() -> None:
    story = opened(RENEW, ROLLBACK, END)
    refused(story, seconds=2)
    put_in_force(story, RENEW, END, seconds=3)
    story.take(health(healthy=False, seconds=4), seconds=4)
    put_in_force(story, RENEW, ROLLBACK, END, seconds=5)
    answered(story, seconds=6)
    story.take(health(healthy=True, seconds=7), seconds=7)
    story.wake()
    assert (story.incident.step, story.incident.reason) == (1, Reason.VERIFIED)


def test_a_wait_that_is_gone_by_its_end_leads_on() -> None:
    story = opened(WAIT, RENEW, END)
    put_in_force(story, RENEW, END, seconds=3)
    story.wake()
    assert (story.incident.step, ordered(story)) == (0, ["restart-rollout"])


def test_what_a_person_allows_is_not_done_before_a_step_that_was_put_in_before_it() -> None:
    asked = ROLLBACK.replace("action", "mode: approval, action")
    story = opened(asked, END, restarts=7)
    answered(story, seconds=2, outcome=Outcome.DRY_RUN)
    put_in_force(story, GUARD, asked, END, seconds=3)
    story.take(approval(story.incident, seconds=5), seconds=5)
    assert (story.incident.phase, story.incident.reason) == (Phase.ESCALATED, Reason.ESCALATED)
    assert ordered(story) == []


def test_what_a_person_allows_is_shown_again_after_an_action_that_was_put_in_before_it() -> None:
    asked = ROLLBACK.replace("action", "mode: approval, action")
    story = opened(asked, END)
    answered(story, seconds=2, outcome=Outcome.DRY_RUN)
    put_in_force(story, RENEW, asked, END, seconds=3)
    story.take(approval(story.incident, seconds=5), seconds=5)
    assert story.reasons[-2:] == [Reason.APPROVAL_OUTDATED, Reason.ACTION_ORDERED]
    refused(story, seconds=6)
    assert story.reasons[-1] is Reason.PREVIEW_ORDERED
    assert ordered(story) == ["restart-rollout"]


def test_what_a_person_allows_is_done_where_only_its_number_is_another() -> None:
    asked = ROLLBACK.replace("action", "mode: approval, action")
    story = opened(TELL, asked, END)
    answered(story, seconds=2, outcome=Outcome.DRY_RUN)
    put_in_force(story, asked, END, seconds=3)
    story.take(health(healthy=False, seconds=4), seconds=4)
    story.take(approval(story.incident, seconds=5), seconds=5)
    assert (story.incident.step, ordered(story)) == (0, ["rollback"])


@pytest.mark.parametrize("outcome", [Outcome.DRY_RUN, Outcome.REFUSED])
@pytest.mark.parametrize(
    ("there", "reasons"),
    [
        (TELL, [Reason.NOTIFIED, Reason.ESCALATED]),
        (f"{GUARD}, {ROLLBACK}", [Reason.ESCALATED]),
        (RENEW.replace("action", "mode: approval, action"), [Reason.PREVIEW_ORDERED]),
    ],
)
def test_a_preview_is_followed_by_what_stands_in_its_place_by_now(
    there: str, reasons: list[Reason], outcome: Outcome
) -> None:
    story = opened(ROLLBACK.replace("action", "mode: approval, action"), END, restarts=7)
    put_in_force(story, there, END, seconds=2)
    answered(story, seconds=3, outcome=outcome)
    assert story.reasons == [Reason.INCIDENT_OPENED, Reason.PREVIEW_ORDERED, *reasons]
    assert ordered(story) == []


def test_a_state_of_a_former_release_goes_on_by_its_number() -> None:
    story = opened(RENEW, ROLLBACK, END)
    refused(story, seconds=2)
    former = workload_bytes(story.workload).replace(b'"climb":{', b'"former":{')
    story.workload = workload_of(former)
    assert story.workload.climb is None
    story.take(health(healthy=False, seconds=3), seconds=3)
    put_in_force(story, RENEW, TELL, ROLLBACK, END, seconds=4)
    refused(story, seconds=5)
    assert ordered(story) == ["restart-rollout", "rollback"]
    assert story.reasons[-2:] == [Reason.NOTIFIED, Reason.ESCALATED]


def plain(rung: str) -> str:
    """Return a step as it is where no person is asked: to the incident it is the same one."""
    return rung.replace("mode: approval, ", "")


ACTIONS = {"restart-pod": RESTART, "restart-rollout": RENEW, "rollback": ROLLBACK, "set-memory": GROW}
ASKED = [rung.replace("{action", "{mode: approval, action") for rung in (RENEW, ROLLBACK)]
RUNGS = [*ACTIONS.values(), *ASKED, TELL, GUARD.replace("5", "1"), WAIT, "{action: notify, message: Still}"]
LADDERS = st.lists(st.lists(st.sampled_from(RUNGS), min_size=1, unique_by=plain), min_size=2, max_size=5)
ANSWERS = st.lists(
    st.sampled_from([Outcome.REFUSED, Outcome.APPLIED, Outcome.FAILED, Outcome.UNKNOWN]), min_size=8, max_size=8
)


@settings(max_examples=100)
@given(ladders=LADDERS, answers=ANSWERS, changes=st.lists(st.booleans(), min_size=8, max_size=8))
def test_through_any_ladders_no_action_comes_again_and_no_step_is_left_out(
    ladders: Sequence[Sequence[str]], answers: Sequence[Outcome], changes: Sequence[bool]
) -> None:
    story, left = opened(*ladders[0], END), list(ladders[1:])
    for number, (answer, changed) in enumerate(zip(answers, changes, strict=True)):
        if changed and left:
            put_in_force(story, *left.pop(0), END, seconds=10 + number * 1000)
        if story.incident.awaited_command is not None:
            is_shown = story.commands[-1].dry_run and answer is not Outcome.REFUSED
            answered(story, seconds=20 + number * 1000, outcome=Outcome.DRY_RUN if is_shown else answer)
        while not story.incident.phase.is_final and story.incident.awaited_command is None:
            if story.incident.phase is Phase.AWAITING_APPROVAL:
                story.take(approval(story.incident, seconds=30), seconds=30 + number * 1000)
            else:
                story.wake()
    orders = [one for one in story.commands if not one.dry_run and not one.reverts]
    tried = Counter(one.action.kind for one in orders)
    assert all(tried[kind] <= (2 if kind == "restart-pod" else 1) for kind in tried)
    assert len({one.id for one in story.commands}) == len(story.commands)
    assert left_out(story, ladders) == []


def left_out(story: History, ladders: Sequence[Sequence[str]]) -> list[str]:
    """Return what the ladder in force had before an order, and of which nothing had been decided by then."""
    rungs = {hash_of(ladder(*one, END)): [*map(plain, one), END] for one in ladders}
    known: set[str] = set()
    missing: list[str] = []
    for one in (one for one in story.outputs if isinstance(one, Decision) and one.step is not None):
        in_force, step = rungs[one.playbook], one.step or 0
        known.update(in_force[step : step + 1])
        if one.reason is Reason.ACTION_ORDERED and one.attempt == 1:
            missing += [rung for rung in in_force[:step] if rung not in known]
    return missing
