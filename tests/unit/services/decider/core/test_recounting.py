"""A playbook whose rule has other words: what the former ones counted counts where the new ones count it, too."""

from dataclasses import dataclass, replace
from typing import Any

import pytest

from services.decider.core.matching import index_rules, match, says
from services.decider.core.playbook import load_playbook
from services.decider.core.state import workload_bytes, workload_of
from shared.contracts.inbox import Finding, Observation
from shared.contracts.incidents import Reason
from shared.contracts.signals import Signal
from tests.unit.services.decider.core.build import HEAD, History, activated, at, container, event, history, pod, sample

OTHER = "    - {name: other, signal: node, ladder: [{action: escalate}]}\n"
COUNTING = "signal: container, where: {reason: Error}, window: {count: 3, within: 10m}"
LASTING = "signal: container, where: {reason: [Hung, Stuck]}, for: 60s"
AFTER = "signal: event, where: {reason: Failed}, after: {signal: event, where: {reason: Scaled}, within: 60s}"
WITHOUT = "signal: event, where: {reason: Killing}, without: {signal: event, where: {reason: Started}, within: 60s}"


def text_of(words: str) -> str:
    """Return a playbook of a rule with these words; where there are none, of another rule alone."""
    return HEAD + (f"    - {{name: one, cooldown: 1m, ladder: [{{action: escalate}}], {words}}}\n" if words else OTHER)


def taken(story: History, words: str, signal: Signal, *, seconds: float) -> None:
    """Take what these words tell of a signal, whatever is in force by now."""
    for entry in match(index_rules(load_playbook(text_of(words), file="test")), signal):
        story.take(entry, seconds=seconds)


def begun(words: str, *signals: Signal) -> History:
    story = history(text_of(words))
    for signal in signals:
        taken(story, words, signal, seconds=(signal.at - at(0)).total_seconds())
    return story


def error(seconds: float, **fields: Any) -> Signal:
    return container(**{"reason": "Error", **fields}, seconds=seconds)


def happened(reason: str, seconds: float) -> Signal:
    return event(id=f"{reason}-{seconds}", at=at(seconds), reason=reason)


@dataclass(frozen=True)
class Case:
    """What was counted by `before` is met by `after` at 10 s; then comes one more signal, and is decided so."""

    before: str
    told: tuple[Signal, ...]
    after: str
    then: Signal
    decided: Reason


COUNTED = {
    "other facts begin a count anew": Case(
        COUNTING, (error(0), error(1)), COUNTING.replace("Error", "'Err*'"), error(11), Reason.WINDOW_NOT_REACHED
    ),
    "another condition begins a count anew": Case(
        COUNTING, (error(0), error(1)), f"{COUNTING}, when: restarts >= 0", error(11), Reason.WINDOW_NOT_REACHED
    ),
    "another way of counting begins anew": Case(
        COUNTING,
        (error(0), error(1)),
        COUNTING.replace("count: 3", "count: 3, distinct: restarts"),
        error(11),
        Reason.WINDOW_NOT_REACHED,
    ),
    "another grouping begins anew": Case(
        COUNTING,
        (error(0), error(1)),
        f"{COUNTING}, by: [workload, node]",
        error(11, node="n"),
        Reason.WINDOW_NOT_REACHED,
    ),
    "what holds instead of being counted begins anew": Case(
        COUNTING,
        (error(0), error(1)),
        "signal: container, where: {reason: Error}, for: 60s",
        error(11),
        Reason.HELD_TOO_SHORT,
    ),
    "how many it takes changes nothing of what was counted": Case(
        COUNTING.replace("3", "9"), (error(0), error(1)), COUNTING, error(11), Reason.ESCALATED
    ),
    "a longer window changes nothing of what was counted": Case(
        COUNTING, (error(0), error(1)), COUNTING.replace("10m", "20m"), error(11), Reason.ESCALATED
    ),
    "other people, words and modes change nothing of what was counted": Case(
        COUNTING,
        (error(0), error(1)),
        f"{COUNTING}, mode: approval, severity: critical, owner: ana, description: more",
        error(11),
        Reason.ESCALATED,
    ),
    "another partner begins anew": Case(
        AFTER,
        (happened("Scaled", 0),),
        AFTER.replace("Scaled", "'Scal*'"),
        happened("Failed", 11),
        Reason.NOT_PRECEDED,
    ),
    "a longer time to the partner changes nothing of what was told": Case(
        AFTER, (happened("Scaled", 0),), AFTER.replace("60s", "90s"), happened("Failed", 11), Reason.ESCALATED
    ),
    "a rule that was away begins anew": Case(COUNTING, (error(0), error(1)), "", error(11), Reason.WINDOW_NOT_REACHED),
}


@pytest.mark.parametrize("name", COUNTED)
def test_what_was_counted_counts_by_the_words_in_force(name: str) -> None:
    case = COUNTED[name]
    story = begun(case.before, *case.told)
    story.take(activated(text_of(case.after)), seconds=10)
    if not case.after:
        taken(story, case.before, error(10.5), seconds=10.5)
        story.take(activated(text_of(case.before)), seconds=10.8)
    taken(story, case.after or case.before, case.then, seconds=11)
    assert story.reasons[-1] is case.decided


LASTED = {
    "from its newest signal on where that meets the new words": (
        "signal: container, where: {reason: Hung}, for: 60s",
        65,
    ),
    "as long as it did where only its length is another": (LASTING.replace("60s", "90s"), 90),
    "no more where its newest signal does not meet them": ("signal: container, where: {reason: Gone}, for: 60s", None),
    "no more where another kind is asked": ("signal: pod, where: {phase: Hung}, for: 60s", None),
    "no more where nothing lasts": ("signal: container, where: {reason: Hung}", None),
}


@pytest.mark.parametrize("name", LASTED)
def test_what_held_holds(name: str) -> None:
    after, due = LASTED[name]
    story = begun(LASTING, error(0, reason="Stuck"), error(5, reason="Hung"))
    story.take(activated(text_of(after)), seconds=5)
    taken(story, LASTING, error(5, reason="Hung", pod="else", id="else"), seconds=5)
    tally = story.workload.tallies.get("one")
    held = {one.object: one for one in tally.held} if tally is not None else {}
    due_at = story.workload.wake_at if "frontend-1/server" in held else None
    assert due_at == (at(due) if due is not None else None)


def test_what_was_asked_of_another_query_of_the_rule_holds_no_more() -> None:
    words = "signal: sample, promql: 'sum(up)', when: value > 5.0, for: 60s"
    story = begun(words, sample(value=9, seconds=0, query="one"))
    assert story.workload.tallies["one"].held
    story.take(activated(text_of(words.replace("sum(up)", "max(up)"))), seconds=5)
    story.wake()
    assert story.workload.tallies == {}


def test_a_finding_that_only_the_former_words_tell_is_outdated() -> None:
    story = begun(COUNTING.replace("3", "1").replace("Error", "Gone"))
    taken(story, COUNTING, error(1), seconds=1)
    assert (story.reasons, story.workload.tallies) == ([Reason.FINDING_OUTDATED], {})


def test_a_finding_that_both_words_tell_counts() -> None:
    story = begun(COUNTING.replace("3", "1"))
    taken(story, f"{COUNTING}, when: restarts == 0", error(1), seconds=1)
    assert story.reasons == [Reason.INCIDENT_OPENED, Reason.ESCALATED]


def test_an_outdated_finding_is_none_of_the_open_incident_either() -> None:
    ladder = "ladder: [{action: wait, for: 10m}]"
    story = history(
        text_of(f"signal: container, where: {{reason: Error}}, {ladder}").replace("ladder: [{action: escalate}], ", "")
    )
    index = index_rules(load_playbook(story.partition.playbook.text, file="test"))  # type: ignore[union-attr]
    story.take(match(index, error(1))[0], seconds=1)
    taken(story, "signal: container, where: {reason: Gone}", error(2, reason="Gone"), seconds=2)
    assert story.reasons[-1] is Reason.FINDING_OUTDATED
    assert (story.incident.findings, story.workload.finding.at) == (1, at(1))  # type: ignore[union-attr]


def test_a_partner_that_only_the_former_words_tell_answers_nothing() -> None:
    story = begun(WITHOUT, happened("Killing", 0))
    taken(story, WITHOUT.replace("Started", "Pulled"), happened("Pulled", 1), seconds=1)
    assert story.workload.tallies["one"].hits
    assert story.workload.wake_at == at(60)


def test_the_end_that_former_words_tell_of_another_group_ends_what_holds() -> None:
    story = begun(f"{LASTING}, by: [workload, container]", error(0, reason="Hung"))
    gone = pod(id="gone", at=at(1), deleted=True)
    text = text_of(LASTING)
    (over,) = match(index_rules(load_playbook(text, file="test")), gone)
    story.take(over.model_copy(update={"group": "container=server"}), seconds=1)  # as a former release told it
    assert story.reasons[-1] is Reason.NO_LONGER_HELD


def test_what_an_earlier_version_counted_counts_on_by_the_words_in_force() -> None:
    story = begun(COUNTING, error(0), error(1))
    tallies = {key: replace(tally, counting="") for key, tally in story.workload.tallies.items()}
    story.workload = workload_of(workload_bytes(replace(story.workload, tallies=tallies)))
    taken(story, COUNTING, error(2), seconds=2)
    assert story.reasons[-1] is Reason.ESCALATED


def test_a_rule_says_again_what_it_said_and_nothing_that_it_did_not() -> None:
    told: list[Finding | Observation] = []
    for words, signal in ((COUNTING, error(0)), (LASTING, error(0, reason="Running")), (AFTER, happened("Scaled", 0))):
        book = load_playbook(text_of(words), file="test")
        told += [one for one in match(index_rules(book), signal) if isinstance(one, Finding | Observation)]
    rules = [load_playbook(text_of(words), file="test").rules["one"] for words in (COUNTING, LASTING, AFTER)]
    assert [[says(rule, entry) for entry in told] for rule in rules] == [
        [True, False, False],
        [False, True, False],
        [False, False, True],
    ]
