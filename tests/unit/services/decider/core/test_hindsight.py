"""What came without an action that a rule's mode kept from being ordered: told once, by what the inbox says alone."""

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.decider.core.hindsight import MOST_FORGONE
from services.decider.core.matching import index_rules, match
from services.decider.core.playbook import load_playbook
from services.decider.core.turn import Output
from shared.contracts.actions import Rollback
from shared.contracts.inbox import InboxEntry, Outcome, WakeUp
from shared.contracts.incidents import Decision, Incident, Mode, Phase, Reason
from shared.contracts.model import body_of
from shared.contracts.scores import HINDSIGHTS, Score, scores_of
from tests.unit.services.decider.core.build import (
    PLAYBOOK,
    History,
    activated,
    at,
    finding,
    gone,
    health,
    history,
    manual,
    pause,
    result,
    sample,
    wake_up,
)
from tests.unit.services.decider.core.histories import Kind, Move, decided, ended, in_mode, moves, records_of, told

SHADOW = PLAYBOOK.replace("spec:", "spec:\n  mode: shadow")
CRASH_ALONE = PLAYBOOK.replace("cooldown: 5m", "cooldown: 5m\n      mode: shadow")
PROVEN_BY_QUERY = (
    SHADOW
    + """\
    - name: errors
      signal: container
      where: {reason: Errors}
      ladder: [{action: restart-pod, verify: {query: error-rate, when: value < 0.5, healthy_for: 30s, within: 2m}}]
"""
)
Step = Callable[[History], object]


def forwent(text: str = SHADOW, *, rule: str = "crash", known: bool = True, **fields: Any) -> History:
    """Return a history in which a rule forwent its first action at second 1; its time is over at 121."""
    story = history(text)
    if known:
        story.take(health(healthy=False, seconds=0), seconds=0)
    story.take(finding(rule, seconds=1, **fields), seconds=1)
    return story


def hindsights(story: History) -> list[Decision]:
    return [one for one in story.outputs if isinstance(one, Decision) and one.reason in HINDSIGHTS]


def taken(seconds: float, entry: Callable[[float], InboxEntry]) -> Step:
    return lambda story: story.take(entry(seconds), seconds=seconds)


def healthy(seconds: float, **fields: Any) -> Step:
    return taken(seconds, lambda now: health(healthy=True, seconds=now).model_copy(update=fields))


def broken(seconds: float) -> Step:
    return taken(seconds, lambda now: health(healthy=False, seconds=now))


def found(seconds: float, *, signal: float | None = None) -> Step:
    return taken(seconds, lambda now: finding(seconds=now if signal is None else signal))


def person(seconds: float, **fields: Any) -> Step:
    return taken(seconds, lambda now: manual(seconds=now, **fields))


def answered(seconds: float, outcome: Outcome = Outcome.APPLIED) -> Step:
    return lambda story: story.take(result(story.commands[-1], seconds=seconds, outcome=outcome), seconds=seconds)


def deleted(seconds: float) -> Step:
    return taken(seconds, lambda now: gone(seconds=now))


def paused(seconds: float) -> Step:
    return taken(seconds, pause)


def woken(story: History) -> None:
    story.wake()


def late(seconds: float) -> Step:
    """Deliver the wake-up that is asked for, but later."""

    def come(story: History) -> None:
        assert story.workload.wake_at is not None
        story.take(wake_up(story.workload.wake_at), seconds=seconds)

    return come


NEEDLESS, MISSED, CONFIRMED, DIFFERED, UNTOLD = HINDSIGHTS


@pytest.mark.parametrize(
    ("steps", "reason", "at_second", "because"),
    [
        ([healthy(10), woken], NEEDLESS, 40, "it healed without, for 30s"),
        ([healthy(10), late(45)], NEEDLESS, 45, "it healed without"),
        ([healthy(91), woken], NEEDLESS, 121, "it healed without"),
        ([healthy(91), late(300)], NEEDLESS, 300, "it healed without"),
        ([healthy(91), broken(130)], NEEDLESS, 130, "it healed without"),
        ([healthy(92), woken], MISSED, 121, "it had not healed within 2m"),
        ([healthy(92), late(300)], MISSED, 300, "it had not healed within 2m"),
        ([woken], MISSED, 121, "it had not healed within 2m"),
        ([healthy(10), broken(39), woken], MISSED, 121, "it had not healed"),
        ([healthy(10), found(39), woken], NEEDLESS, 69, "it healed without"),
        ([healthy(10), found(39, signal=1), woken], NEEDLESS, 40, "it healed without"),
        ([healthy(10), found(20), found(39, signal=20), woken], NEEDLESS, 50, "it healed without"),
        ([healthy(80), found(100), woken], MISSED, 121, "it had not healed"),
        ([paused(5), healthy(10), woken], NEEDLESS, 40, "it healed without"),
        ([deleted(10)], UNTOLD, 10, "the Deployment was deleted"),
    ],
)
def test_what_comes_by_itself_is_told(steps: list[Step], reason: Reason, at_second: float, because: str) -> None:
    story = forwent()
    for step in steps:
        step(story)
    [only] = hindsights(story)
    assert (only.reason, only.at) == (reason, at(at_second))
    assert only.detail.startswith("restart pod frontend-1: ")
    assert because in only.detail


@pytest.mark.parametrize(
    ("steps", "reason", "because"),
    [
        ([person(10), answered(12)], CONFIRMED, "restart pod frontend-1 by ana"),
        ([person(10, action=Rollback()), answered(12)], DIFFERED, "by ana"),
        ([person(10), healthy(11), answered(12)], CONFIRMED, "by ana"),
        ([person(10), answered(12, Outcome.REFUSED), healthy(20), woken], NEEDLESS, "it healed without"),
        ([person(10), answered(12, Outcome.REFUSED), woken], MISSED, "it had not healed"),
        ([person(10, dry_run=True), answered(12, Outcome.DRY_RUN), healthy(20), woken], NEEDLESS, "it healed"),
        ([person(10), answered(12, Outcome.UNKNOWN)], UNTOLD, "what became of restart pod frontend-1 by ana"),
        ([healthy(5), person(30), late(36)], UNTOLD, "it healed, but what became of a command about it is not known"),
    ],
)
def test_what_a_person_does_is_held_against_what_was_forgone(steps: list[Step], reason: Reason, because: str) -> None:
    live_people = SHADOW.replace("mode: shadow", "mode: live").replace(
        "cooldown: 5m", "cooldown: 5m\n      mode: shadow"
    )
    story = forwent(live_people)
    for step in steps:
        step(story)
    [only] = hindsights(story)
    assert only.reason is reason
    assert because in only.detail


def test_another_rule_that_acts_is_an_actor_like_a_person() -> None:
    story = forwent(CRASH_ALONE)
    story.take(finding("slow", seconds=5, reason="Slow", restarts=1), seconds=5)
    story.wake()
    story.take(result(story.commands[0], seconds=66), seconds=66)
    [only] = hindsights(story)
    assert (only.reason, only.rule) == (Reason.CONFIRMED, "crash")
    assert only.detail.endswith("by rule slow")


def test_a_result_that_nobody_waits_for_says_nothing_of_what_was_forgone_after_it() -> None:
    story = history(CRASH_ALONE)
    story.take(manual(seconds=0), seconds=0)
    command = story.commands[0]
    story.take(result(command, seconds=1), seconds=1)
    story.take(health(healthy=True, seconds=2), seconds=2)
    while story.workload.open_incident is not None:
        story.wake()
    story.take(finding(seconds=300), seconds=300)
    story.take(result(command, seconds=301).model_copy(update={"id": "again"}), seconds=301)
    assert not hindsights(story)


def test_a_result_that_is_not_the_one_that_is_waited_for_confirms_nothing() -> None:
    story = forwent(CRASH_ALONE)
    person(10)(story)
    stray = story.commands[-1].model_copy(update={"id": "cmd-of-before"})
    story.take(result(stray, seconds=11), seconds=11)
    assert not hindsights(story)
    answered(12)(story)
    assert [one.reason for one in hindsights(story)] == [Reason.CONFIRMED]


def test_where_the_template_was_changed_by_others_nobody_knows_whether_it_healed_by_itself() -> None:
    story = history(SHADOW)
    story.take(health(healthy=False, seconds=0).model_copy(update={"revision": 4}), seconds=0)
    story.take(finding(seconds=1), seconds=1)
    healthy(10, revision=5)(story)
    story.wake()
    [only] = hindsights(story)
    assert only.reason is Reason.UNTOLD
    assert "its template was changed meanwhile (revision 4, then 5)" in only.detail


def test_that_nothing_is_told_of_a_health_proves_nothing() -> None:
    story = forwent(known=False)
    story.wake()
    [only] = hindsights(story)
    assert (only.reason, only.at) == (Reason.UNTOLD, at(121))
    assert "nothing told of its health within 2m" in only.detail


@pytest.mark.parametrize(("steps", "reason"), [([woken], UNTOLD), ([found(60), woken], MISSED)])
def test_health_that_never_saw_the_trouble_does_not_tell_of_its_end(steps: list[Step], reason: Reason) -> None:
    story = history(SHADOW)
    healthy(0)(story)
    story.take(finding(seconds=1), seconds=1)
    healthy(50)(story)
    for step in steps:
        step(story)
    assert [one.reason for one in hindsights(story)] == [reason]


def test_a_further_finding_tells_that_it_is_broken_where_no_health_is_told() -> None:
    story = forwent(known=False)
    found(60)(story)
    story.wake()
    assert [one.reason for one in hindsights(story)] == [Reason.MISSED]


def tell(story: History, seconds: float, value: float) -> None:
    for entry in match(index_rules(load_playbook(PROVEN_BY_QUERY, file="test")), sample(value=value, seconds=seconds)):
        story.take(entry, seconds=seconds)


@pytest.mark.parametrize(
    ("samples", "reason", "at_second"),
    [
        ([(5, 0.9), (20, 0.1), (40, 0.1), (50, 0.1)], NEEDLESS, 50),
        ([(20, 0.1), (40, 0.9), (60, 0.1)], MISSED, 121),
        ([], UNTOLD, 121),
    ],
)
def test_where_samples_prove_a_cure_they_tell_whether_it_was_needed(
    samples: list[tuple[float, float]], reason: Reason, at_second: float
) -> None:
    story = forwent(PROVEN_BY_QUERY, rule="errors", reason="Errors")
    healthy(2)(story)
    for seconds, value in samples:
        tell(story, seconds, value)
    if not hindsights(story):
        story.wake()
    [only] = hindsights(story)
    assert (only.reason, only.at) == (reason, at(at_second))


def test_a_dry_run_is_watched_from_when_it_is_done() -> None:
    story = forwent(PLAYBOOK.replace("spec:", "spec:\n  mode: dry-run"))
    story.take(result(story.commands[0], seconds=3, outcome=Outcome.DRY_RUN), seconds=3)
    assert story.incident.reason is Reason.DRY_RUN_DONE
    story.wake()
    [only] = hindsights(story)
    assert (only.reason, only.at) == (Reason.MISSED, at(123))


def test_what_a_person_asked_only_to_see_is_not_watched() -> None:
    story = history()
    story.take(manual(seconds=1, dry_run=True), seconds=1)
    answered(2, Outcome.DRY_RUN)(story)
    assert not story.workload.forgone
    assert story.workload.wake_at is None


def test_a_watched_incident_has_ended_and_holds_nothing_up() -> None:
    story = forwent(CRASH_ALONE)
    assert story.incident.phase is Phase.CLOSED
    story.take(finding("slow", seconds=5, reason="Slow"), seconds=5)
    assert story.incident.rule == "slow"
    told_of = [one for one in story.outputs if isinstance(one, Incident) and one.rule == "crash"]
    story.take(health(healthy=True, seconds=6), seconds=6)
    while hindsights(story) == []:
        story.wake()
    assert [one for one in story.outputs if isinstance(one, Incident) and one.rule == "crash"] == told_of


def test_it_is_told_of_its_own_incident_and_step_by_the_playbook_in_force() -> None:
    story = forwent()
    first = story.incident
    story.take(activated(PLAYBOOK.replace("name: crash", "name: other")), seconds=2)
    story.wake()
    [only] = hindsights(story)
    assert (only.incident, only.step, only.attempt, only.rule) == (first.id, 0, 1, "crash")
    assert only.playbook == story.partition.playbook.hash if story.partition.playbook else ""


def test_of_the_oldest_beyond_all_that_can_be_watched_nothing_more_is_told() -> None:
    story = history(SHADOW.replace("cooldown: 5m", "cooldown: 1s"))
    for number in range(MOST_FORGONE + 1):
        story.take(finding(seconds=2 * number), seconds=2 * number)
    assert len(story.workload.forgone) == MOST_FORGONE
    [only] = hindsights(story)
    assert (only.reason, only.at) == (Reason.UNTOLD, at(2 * MOST_FORGONE))


@given(moves(), st.sampled_from([Mode.SHADOW, Mode.DRY_RUN]))
def test_each_forgone_action_is_told_of_exactly_once(steps: list[Move], mode: Mode) -> None:
    story = ended(told(steps, in_mode(mode)))
    told_of = [one.incident for one in hindsights(story)]
    assert len(told_of) == len(set(told_of))
    shadowed = {one.incident for one in story.outputs if isinstance(one, Decision) and one.reason is Reason.SHADOWED}
    assert shadowed <= set(told_of)
    assert not story.workload.forgone


OFFSETS = st.sets(st.integers(0, 25))


@given(moves(), OFFSETS, OFFSETS, OFFSETS)
def test_any_batches_restarts_and_repeats_give_the_same_bytes_and_score(
    steps: list[Move], restarts: set[int], lost: set[int], unwritten: set[int]
) -> None:
    story = ended(told(steps, in_mode(Mode.SHADOW)))
    again = decided(records_of(story), restarts=restarts, lost=lost, unwritten=unwritten)
    assert again == [body_of(one) for one in story.outputs]
    decisions = [one for one in story.outputs if isinstance(one, Decision)]
    assert scores_of(decisions) == scores_of([*decisions, *reversed(decisions)])


@given(moves(), st.sampled_from([Mode.SHADOW, Mode.DRY_RUN]))
def test_what_time_alone_has_told_is_told_the_same_where_nobody_woke_it_in_time(steps: list[Move], mode: Mode) -> None:
    story = ended(told(steps, in_mode(mode)))
    prompt, tardy = History(inbox=story.inbox), History()
    for offset, (entry, now) in enumerate(story.inbox):
        outputs = prompt.deliver(offset)
        is_of_time = isinstance(entry, WakeUp) and entry.due <= now
        if not (is_of_time and outputs and all(is_hindsight(one) for one in outputs)):
            tardy.take(entry, seconds=(now - at(0)).total_seconds())
    assert reasons_by_incident(ended(tardy)) == reasons_by_incident(story)


def is_hindsight(output: Output) -> bool:
    return isinstance(output, Decision) and output.reason in HINDSIGHTS


def reasons_by_incident(story: History) -> dict[str | None, Reason]:
    return {one.incident: one.reason for one in hindsights(story)}


@given(moves(without={Kind.PERSON, Kind.REHEARSAL, Kind.PLAYBOOK}))
def test_in_shadow_only_what_is_told_afterwards_counts(steps: list[Move]) -> None:
    story = ended(told(steps, in_mode(Mode.SHADOW)))
    assert not story.commands
    assert {one.reason for one in hindsights(story)} <= {Reason.NEEDLESS, Reason.MISSED, Reason.UNTOLD}


def test_a_score_is_shown_only_with_its_counts() -> None:
    score = Score(needless=2, missed=5, confirmed=1, differed=3, untold=4)
    assert (score.wanted, score.told, score.precision) == (6, 8, 0.75)
    assert score.precision_in_words == "75 % (6 of 8)"


@pytest.mark.parametrize("score", [Score(), Score(differed=3, untold=1)])
def test_where_nothing_is_known_there_is_no_precision(score: Score) -> None:
    assert score.precision is None
    assert score.precision_in_words == ""


def test_each_decision_counts_once_under_its_rule() -> None:
    story = forwent()
    story.wake()
    [only] = hindsights(story)
    other = only.model_copy(update={"id": "dec-other", "rule": "slow", "reason": Reason.NEEDLESS})
    assert scores_of(
        [only, other, only.model_copy(), *(one for one in story.outputs if isinstance(one, Decision))]
    ) == {
        "crash": Score(missed=1),
        "slow": Score(needless=1),
    }
