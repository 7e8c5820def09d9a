"""Several pods under one rule of time: an incident is about the one that is due, whatever is told of the others."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pytest

from services.decider.core.matching import index_rules, match
from services.decider.core.playbook import load_playbook
from services.decider.core.state import workload_bytes, workload_of
from services.decider.core.tallies import MOST_SHOWN
from shared.contracts.actions import RestartPod
from shared.contracts.inbox import Outcome
from shared.contracts.incidents import Decision, Phase, Reason
from shared.contracts.signals import Signal
from shared.contracts.workloads import ObjectRef
from tests.unit.services.decider.core.build import (
    History,
    activated,
    at,
    container,
    event,
    finding_on,
    health,
    history,
    pod,
    result,
    silence,
    wake_up,
)

HEAD = """\
apiVersion: sre-agent.dev/v1alpha1
kind: HealingPlaybook
metadata: {name: test}
spec:
  protected: {labels: {tier: database}}
  rules:
"""
LADDER = "[{action: restart-pod, attempts: 2, verify: {healthy_for: 30s, within: 2m}}, {action: escalate}]"
FOR = "signal: container, where: {reason: [Hung, Stuck]}, for: 60s"
WITHOUT = "signal: event, where: {reason: Killing}, without: {signal: event, where: {reason: Started}, within: 60s}"
AFTER = "signal: event, where: {reason: Failed}, after: {signal: event, where: {reason: Scaled}, within: 60s}"


def text_of(words: str, *, ladder: str = LADDER) -> str:
    """Return a playbook whose one rule has these words."""
    return f"{HEAD}    - {{name: one, {words}, cooldown: 1m, ladder: {ladder}}}\n"


Told = tuple[float, Signal]
"""A signal and the second at which it is told."""


def hung(name: str, seconds: float, *, told: float | None = None, **fields: object) -> Told:
    signal = container(pod=name, seconds=seconds, **{"reason": "Hung", **fields})  # type: ignore[arg-type]
    return seconds if told is None else told, signal


def gone(name: str, seconds: float) -> Told:
    named = ObjectRef(kind="Pod", namespace="bank", name=name, uid=f"uid-{name}")
    return seconds, pod(id=f"gone-{name}", at=at(seconds), object=named, deleted=True)


def happened(reason: str, name: str, seconds: float, *, told: float | None = None) -> Told:
    named = ObjectRef(kind="Pod", namespace="bank", name=name, uid=f"uid-{name}")
    signal = event(id=f"{reason}-{name}-{seconds}", at=at(seconds), reason=reason, object=named)
    return seconds if told is None else told, signal


def taken(words: str, told: Sequence[Told], *, until: float = 0, ladder: str = LADDER) -> History:
    """Return what becomes of signals told at these seconds, and of every wake-up that is asked for meanwhile."""
    text = text_of(words, ladder=ladder)
    story, index = history(text), index_rules(load_playbook(text, file="test"))
    for seconds, signal in told:
        wake_until(story, seconds)
        for entry in match(index, signal):
            story.take(entry, seconds=seconds)
    wake_until(story, until)
    return story


def wake_until(story: History, seconds: float) -> None:
    while (due := story.workload.wake_at) is not None and due <= at(seconds):
        story.take(wake_up(due), seconds=(due - at(0)).total_seconds())


def restarted(story: History) -> list[str]:
    """Return which pods were restarted, each with the second at which that was ordered."""
    ordered = [(one.action, one.at) for one in story.commands]
    assert all(isinstance(action, RestartPod) for action, _ in ordered)
    return [f"{action.pod} {(when - at(0)).total_seconds():g}" for action, when in ordered]  # type: ignore[union-attr]


@dataclass(frozen=True)
class Case:
    """What is told of several pods, and which of them is restarted when."""

    words: str
    told: tuple[Told, ...]
    restarted: list[str]


OPENED = {
    "of two that hold the one that has held for long enough": Case(FOR, (hung("a", 0), hung("b", 30)), ["a 60"]),
    "one that is told again is as old as it was": Case(FOR, (hung("b", 0), hung("a", 30), hung("b", 31)), ["b 60"]),
    "the other where the first is over": Case(
        FOR, (hung("a", 0), hung("b", 30), hung("a", 40, reason="Running")), ["b 90"]
    ),
    "the other where the first pod is gone": Case(FOR, (hung("a", 0), hung("b", 30), gone("a", 40)), ["b 90"]),
    "the one that is due where a finding of another comes before the wake-up": Case(
        FOR, (hung("a", 0), hung("b", 59), hung("c", 60)), ["a 60"]
    ),
    "the one that two signals prove, not the one that is told first": Case(
        FOR, (hung("a", 100), hung("b", 10, told=101), hung("b", 75, told=102)), ["b 102"]
    ),
    "one that is protected keeps no other from being acted on": Case(
        FOR, (hung("a", 0, labels={"tier": "database"}), hung("b", 30)), ["b 90"]
    ),
    "with the newest of what is told of it": Case(
        FOR, (hung("a", 0), hung("b", 30), hung("a", 31, reason="Stuck")), ["a 60"]
    ),
    "what waits for an answer since longest": Case(
        WITHOUT, (happened("Killing", "a", 0), happened("Killing", "b", 30)), ["a 60"]
    ),
    "what waits for an answer since longest, though the others are older by their own clocks": Case(
        WITHOUT, (happened("Killing", "a", 0), happened("Killing", "b", -30, told=30)), ["a 60"]
    ),
    "what was not answered": Case(
        WITHOUT,
        (happened("Killing", "a", 0), happened("Started", "a", 20), happened("Killing", "b", 30)),
        ["b 90"],
    ),
    "what was preceded, not what is told last": Case(
        AFTER,
        (happened("Failed", "a", 70), happened("Failed", "b", 200), happened("Scaled", "c", 60, told=210)),
        ["a 210"],
    ),
    "of what was preceded the newest": Case(
        AFTER,
        (happened("Failed", "b", 80), happened("Failed", "a", 70), happened("Scaled", "c", 60, told=210)),
        ["b 210"],
    ),
}


@pytest.mark.parametrize("name", OPENED)
def test_an_incident_is_about_the_object_that_is_due(name: str) -> None:
    case = OPENED[name]
    story = taken(case.words, case.told, until=90)
    assert restarted(story)[:1] == case.restarted


RETRIED = {
    "the same although another is told meanwhile": Case(FOR, (hung("a", 0), hung("b", 62)), ["a 60", "a 75"]),
    "the one that is told instead where the first is over": Case(
        FOR, (hung("a", 0), hung("b", 62), gone("a", 63)), ["a 60", "b 75"]
    ),
    "that has held longest where the first is over": Case(
        FOR, (hung("a", 0), hung("b", 20), hung("c", 10), hung("d", 62), gone("a", 63)), ["a 60", "c 75"]
    ),
    "the same where the others are over as well": Case(
        FOR, (hung("a", 0), hung("b", 20), gone("b", 62), gone("a", 63)), ["a 60", "a 75"]
    ),
    "the same although another begins to wait for an answer": Case(
        WITHOUT, (happened("Killing", "a", 0), happened("Killing", "b", 62)), ["a 60", "a 75"]
    ),
    "the same although another is told that nothing preceded": Case(
        AFTER,
        (happened("Scaled", "c", 0), happened("Failed", "a", 60), happened("Failed", "b", 61)),
        ["a 60", "a 75"],
    ),
    "another that was preceded as well": Case(
        AFTER,
        (
            happened("Scaled", "c", 0),
            happened("Failed", "a", 60),
            happened("Scaled", "c", 61),
            happened("Failed", "b", 62),
        ),
        ["a 60", "b 75"],
    ),
}


@pytest.mark.parametrize("name", RETRIED)
def test_a_step_that_is_tried_again_acts_on(name: str) -> None:
    case = RETRIED[name]
    story = taken(case.words, case.told, until=62)
    story.take(result(story.commands[0], seconds=65, outcome=Outcome.FAILED), seconds=65)
    wake_until(story, 90)
    assert restarted(story) == case.restarted


def test_of_two_that_are_due_at_a_late_wake_up_the_one_that_waits_longer_is_acted_on() -> None:
    story = taken(WITHOUT, (happened("Killing", "a", 0), happened("Killing", "b", -30, told=30)), until=59)
    story.take(wake_up(at(60)), seconds=100)
    assert restarted(story) == ["a 100"]


def test_an_incident_stays_with_its_object_though_another_was_told_of_before() -> None:
    told = OPENED["the one that two signals prove, not the one that is told first"].told
    story = taken(FOR, (*told, hung("c", 103)))
    story.take(result(story.commands[0], seconds=105, outcome=Outcome.FAILED), seconds=105)
    wake_until(story, 130)
    assert restarted(story) == ["b 102", "b 115"]


def test_what_a_new_playbook_protects_bars_no_other_object() -> None:
    free = text_of(FOR).replace("tier: database", "tier: other")
    story, index = history(free), index_rules(load_playbook(free, file="test"))
    for seconds, signal in (hung("a", 0, labels={"tier": "database"}), hung("b", 30)):
        story.take(match(index, signal)[0], seconds=seconds)
    story.take(activated(text_of(FOR)), seconds=40)
    wake_until(story, 90)
    assert Reason.PROTECTED in story.reasons
    assert restarted(story) == ["b 90"]


def cured(story: History, *, seconds: float) -> None:
    """Let the newest order succeed, and the workload be healthy for long enough after it."""
    story.take(result(story.commands[-1], seconds=seconds), seconds=seconds)
    story.take(health(healthy=True, seconds=seconds + 1), seconds=seconds + 1)
    wake_until(story, seconds + 32)
    assert story.incident.phase is Phase.HEALED


LEFT = {
    "the next once the rule has rested": Case(FOR, (hung("a", 0), hung("b", 30)), ["a 60", "b 156"]),
    "the next when it is due": Case(FOR, (hung("a", 0), hung("b", 62, told=62)), ["a 60", "b 156"]),
    "none that is over by then": Case(FOR, (hung("a", 0), hung("b", 30), gone("b", 64)), ["a 60"]),
    "none that is acted on by its pod": Case(FOR, (hung("a", 0), hung("a", 30, container="other")), ["a 60"]),
    "each group's": Case(
        f"{FOR}, by: [workload, container]", (hung("a", 0), hung("b", 30, container="other")), ["a 60", "b 156"]
    ),
    "none whose pod is gone, though its end tells of no group": Case(
        f"{FOR}, by: [workload, container]", (hung("a", 0), hung("b", 30, container="other"), gone("b", 64)), ["a 60"]
    ),
    "none that is over, though its end is of another group": Case(
        f"{FOR}, by: [workload, reason]",
        (hung("a", 0), hung("b", 30, reason="Stuck"), hung("b", 64, reason="Running")),
        ["a 60"],
    ),
    "nothing of what waited for an answer": Case(
        WITHOUT, (happened("Killing", "a", 0), happened("Killing", "b", 30)), ["a 60"]
    ),
}


@pytest.mark.parametrize("name", LEFT)
def test_after_an_incident_has_healed_there_is_left(name: str) -> None:
    case = LEFT[name]
    story = taken(case.words, case.told, until=64)
    cured(story, seconds=65)
    wake_until(story, 200)
    assert restarted(story) == case.restarted


def test_what_was_acted_on_begins_anew() -> None:
    story = taken(FOR, (hung("a", 0), hung("a", 10)), until=64)
    cured(story, seconds=65)
    assert story.workload.tallies == {}
    wake_until(story, 200)
    story.take(finding_on(hung("a", 200)[1], "one"), seconds=200)
    assert story.reasons[-1] is Reason.HELD_TOO_SHORT
    assert story.workload.wake_at == at(260)


TWO = (hung("a", 0), hung("b", 30))
ENDED = {
    "each is told to a person in its turn": (
        "[{action: escalate, message: '{object}'}]",
        ["incident-opened 60", "escalated 60", "incident-opened 120", "escalated 120"],
    ),
    "each is shadowed in its turn": (
        "[{action: restart-pod, mode: shadow, verify: {healthy_for: 1s, within: 2s}}]",
        [
            "incident-opened 60",
            "shadowed 60",
            "shadow-done 60",
            "untold 62",
            "incident-opened 120",
            "shadowed 120",
            "shadow-done 120",
            "untold 122",
        ],
    ),
    "what is about the whole workload is about all of them": (
        "[{action: rollback, mode: shadow, verify: {healthy_for: 1s, within: 2s}}]",
        ["incident-opened 60", "shadowed 60", "shadow-done 60", "untold 62"],
    ),
    "so it is where nobody knows what became of its preview": (
        "[{action: rollback, mode: approval}, {action: escalate}]",
        ["incident-opened 60", "preview-ordered 60", "result-missing 180"],
    ),
}


@pytest.mark.parametrize("name", ENDED)
def test_of_two_that_hold(name: str) -> None:
    ladder, decided = ENDED[name]
    story = taken(FOR, TWO, until=300, ladder=ladder)
    about = (one for one in story.outputs if isinstance(one, Decision) and one.reason is not Reason.HELD_TOO_SHORT)
    assert [f"{one.reason.value} {(one.at - at(0)).total_seconds():g}" for one in about] == decided


def test_the_newest_signal_of_the_object_is_what_is_acted_on() -> None:
    story = taken(FOR, OPENED["with the newest of what is told of it"].told, until=60)
    assert story.workload.finding is not None
    assert story.workload.finding.at == at(31)
    assert story.incident.signal_at == at(31)


def test_one_that_is_barred_is_said_once_and_the_next_is_looked_at_in_time() -> None:
    labels = {"tier": "database"}
    story = taken(FOR, (hung("a", 0, labels=labels), hung("b", 30)), until=89)
    assert story.reasons.count(Reason.PROTECTED) == 1  # told as it came: what shows the label is not counted
    assert story.workload.wake_at == at(90)


def test_what_a_silence_held_back_is_about_what_has_held_since_before_it() -> None:
    text = text_of(FOR)
    story, index = history(text), index_rules(load_playbook(text, file="test"))
    story.take(silence(0, lasts=100), seconds=0)
    for seconds, signal in (hung("b", 1), hung("a", 2)):
        story.take(match(index, signal)[0], seconds=seconds)
    wake_until(story, 100)
    assert restarted(story) == ["b 100"]


def test_a_finding_is_answered_though_what_bars_the_one_that_is_due_was_said_before() -> None:
    story = taken(FOR, (hung("a", 0),), until=59)
    story.take(silence(59, rule="one"), seconds=59)
    wake_until(story, 60)
    assert story.reasons[-1] is Reason.SILENCED
    decided = len(story.reasons)
    _, signal = hung("b", 61)
    story.take(finding_on(signal, "one"), seconds=61)
    assert story.reasons[decided:] == [Reason.SILENCED]


def test_no_more_objects_are_followed_than_can_be_shown_and_those_that_began_first_are() -> None:
    told = [hung(f"pod-{place:03}", place / 10) for place in range(MOST_SHOWN + 10)]
    (tally,) = taken(FOR, told).workload.tallies.values()
    assert [one.object for one in tally.held] == [f"pod-{place:03}/server" for place in range(MOST_SHOWN)]
    assert all(one.finding is not None for one in tally.held)


def test_of_what_waits_for_a_partner_the_newest_are_shown() -> None:
    told = [happened("Failed", f"pod-{place}", place / 10) for place in range(MOST_SHOWN + 10)]
    (tally,) = taken(AFTER, told).workload.tallies.values()
    assert [hit.finding is not None for hit in tally.hits] == [False] * 10 + [True] * MOST_SHOWN


def stored_by_an_earlier_version(story: History) -> bytes:
    """Return the state as a version wrote it that kept the newest finding of a tally alone."""
    row = json.loads(workload_bytes(story.workload))
    for tally in row["tallies"].values():
        shown: list[dict[str, Any] | None] = [one.pop("finding") for one in (*tally["held"], *tally["hits"])]
        tally["finding"] = max((one for one in shown if one), key=lambda one: one["at"], default=None)
    return json.dumps(row).encode()


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (FOR, (hung("a", 0), hung("b", 30))),
        (WITHOUT, (happened("Killing", "a", 0), happened("Killing", "b", 30))),
    ],
)
def test_a_state_that_an_earlier_version_stored_acts_on_what_its_finding_is_of(
    words: str, told: Sequence[Told]
) -> None:
    story = taken(words, told, until=59)
    story.workload = workload_of(stored_by_an_earlier_version(story))
    assert all(tally.finding is None for tally in story.workload.tallies.values())
    wake_until(story, 90)
    assert restarted(story) == ["b 90"]


def test_a_stored_state_names_what_it_was_told_by() -> None:
    story = taken(FOR, (hung("a", 0), hung("b", 30)), until=59)
    assert workload_of(workload_bytes(story.workload)) == story.workload
