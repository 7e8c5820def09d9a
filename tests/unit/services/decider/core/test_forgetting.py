"""What was counted is forgotten once nothing that comes in time can need it: state does not grow with a history."""

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.decider.core.language import RuleWords
from services.decider.core.matching import index_rules, match
from services.decider.core.playbook import load_playbook
from services.decider.core.state import workload_bytes
from services.decider.core.tallies import LATE, Tally, lacking, with_finding
from shared.contracts.signals import Signal
from tests.unit.services.decider.core.build import HEAD, History, at, container, event, finding, history, pod

COUNTED = "{name: often, signal: container, where: {reason: Error}, window: {count: 3, within: 2m}"
END = "ladder: [{action: escalate}]}"
BY_POD = "by: [workload, object]"
RULES = {
    "a window": f"{COUNTED}, {BY_POD}, {END}",
    "what came before": (
        "{name: often, signal: container, where: {reason: Error}, window: {count: 3, within: 2m},"
        f" after: {{signal: event, where: {{reason: Scaled}}, within: 2m}}, {BY_POD}, {END}"
    ),
    "what lasts": f"{{name: often, signal: container, where: {{reason: Error}}, for: 2m, {BY_POD}, {END}",
    "what stays away": (
        "{name: often, signal: event, where: {reason: Scaled},"
        f" without: {{signal: container, where: {{reason: Error}}, within: 2m}}, {BY_POD}, {END}"
    ),
}
PODS, APART_S = 400, 100
MOST_AT_ONCE = 12
"""How many pods are told of within what is remembered: of each of them there is one tally at the most."""


def playbook(rule: str) -> str:
    return f"{HEAD}    - {rule}\n"


def told(story: History, text: str, signal: Signal, *, seconds: float) -> None:
    for entry in match(index_rules(load_playbook(text, file="p")), signal):
        story.take(entry, seconds=seconds)


def pods_that_come_and_go(rule: str, *, pods: int = PODS) -> list[History]:
    """Return a history as it stood after each of many pods, of which each scaled, failed once, and went."""
    text, stood = playbook(rule), list[History]()
    story = history(text)
    for number in range(pods):
        begun, name = number * APART_S, f"frontend-{number}"
        named = pod().object.model_copy(update={"name": name, "uid": f"uid-{name}"})
        signals = [
            event(id=f"scaled-{number}", at=at(begun), reason="Scaled", object=named),
            container(reason="Error", pod=name, seconds=begun + 1),
            pod(id=f"gone-{number}", at=at(begun + 2), object=named, phase="Failed", deleted=True),
        ]
        for place, signal in enumerate(signals):
            told(story, text, signal, seconds=begun + place)
        stood.append(History(workload=story.workload))
    return stood


@pytest.mark.parametrize("rule", RULES)
def test_what_is_counted_does_not_grow_with_the_pods_that_come_and_go(rule: str) -> None:
    stood = pods_that_come_and_go(RULES[rule])
    assert all(len(one.workload.tallies) <= MOST_AT_ONCE for one in stood)
    sizes = [len(workload_bytes(one.workload)) for one in stood]
    assert max(sizes[PODS // 2 :]) <= max(sizes[: PODS // 2]) + 100  # names and offsets have more digits by then


LAGS = st.lists(st.tuples(st.integers(0, 900), st.integers(0, int(LATE.total_seconds()))), min_size=1, max_size=12)


@given(LAGS)
def test_of_what_is_told_in_time_nothing_is_forgotten_that_counts(told_with_lag: Sequence[tuple[int, int]]) -> None:
    story, counted = history(playbook(f"{COUNTED}, {END}")), Tally()
    words = (
        RuleWords.model_validate(story.partition.playbook.rules["often"].words) if story.partition.playbook else None
    )
    assert words is not None
    for number, (moment, lag) in enumerate(sorted(told_with_lag, key=lambda one: one[0] + one[1])):
        found = finding("often", seconds=moment, reason="Error", pod=f"frontend-{number}")
        counted = with_finding(counted, found, words=words, now=at(moment + lag))
        story.take(found, seconds=moment + lag)
        assert (story.workload.incident is not None) == (lacking(counted, words=words, now=at(moment + lag)) is None)
        if story.workload.incident is not None:
            return


def test_what_comes_late_all_together_is_counted_together() -> None:
    story = history(playbook(f"{COUNTED}, {END}"))
    for number in range(3):
        story.take(finding("often", seconds=number * 50, reason="Error"), seconds=7200 + number)
    assert story.workload.incident is not None


def test_what_lasts_is_not_forgotten_however_long_nothing_is_told() -> None:
    text = playbook(f"{{name: often, signal: container, where: {{reason: Error}}, for: 5h, {END}")
    story = history(text)
    told(story, text, container(reason="Error", seconds=1), seconds=1)
    told(story, text, container(reason="Error", pod="frontend-2", seconds=14_000), seconds=14_000)
    assert [one.object for one in story.workload.tallies["often"].held] == ["frontend-1/server", "frontend-2/server"]
    story.wake()
    assert story.incident.rule == "often"
