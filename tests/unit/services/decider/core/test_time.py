"""Questions of time and number, asked through `match` and `decide`: windows, `for`, `after`, `without`, `by`."""

from dataclasses import dataclass

import pytest

from services.decider.core.cases import read_cases
from services.decider.core.matching import index_rules, match
from services.decider.core.playbook import Playbook, load_playbook
from services.decider.core.trial import Made, try_cases
from shared.contracts.inbox import Observation
from shared.contracts.incidents import Incident, Reason
from tests.unit.services.decider.core.build import (
    HEAD,
    History,
    activated,
    at,
    container,
    finding,
    health,
    history,
    pod,
    result,
    wake_up,
)

RULE = "    - {{name: one, {words}, cooldown: 10m, ladder: [{{action: escalate}}]}}\n"
BROKEN = "signal: container, where: {reason: Error}"


def playbook(words: str) -> Playbook:
    return load_playbook(HEAD + RULE.format(words=words), file="test")


def made(words: str, *given: str) -> list[Made]:
    """Return the decisions of a rule with these words on these inputs."""
    lines = "".join(f"      - {{{line}}}\n" for line in given)
    text = f"playbook: p\ncases:\n  - name: one\n    given:\n{lines}    expect: [{{reason: escalated}}]\n"
    return list(try_cases(read_cases(text, file="c"), playbook(words))[0].made)


def told(words: str, *given: str) -> list[str]:
    """Return what was decided: each reason with its moment, but not what an opened incident leads to."""
    return [
        f"{one.decision.reason.value} {one.since.total_seconds():g}"
        for one in made(words, *given)
        if one.decision.reason.value != "escalated"
    ]


def error(at: str, *, pod: str = "a", reason: str = "Error", more: str = "", seen: str = "") -> str:
    facts = f"{{reason: {reason}, object: {pod}{more}}}"
    return f"at: {at}, signal: container, facts: {facts}{f', seen: {seen}' if seen else ''}"


def event(at: str, reason: str, *, seen: str = "") -> str:
    return f"at: {at}, signal: event, facts: {{reason: {reason}}}{f', seen: {seen}' if seen else ''}"


@dataclass(frozen=True)
class Told:
    """What a rule decides about its inputs."""

    words: str
    given: tuple[str, ...]
    decided: list[str]


COUNTED = {
    "different pods are counted, not signals": Told(
        BROKEN + ", window: {count: 2, distinct: object, within: 1m}",
        (error("0s"), error("1s"), error("2s", pod="b")),
        ["window-not-reached 0", "window-not-reached 1", "incident-opened 2"],
    ),
    "a value that is told again counts from its newest signal on": Told(
        BROKEN + ", window: {count: 2, distinct: object, within: 1m}",
        (error("0s"), error("50s"), error("70s", pod="b")),
        ["window-not-reached 0", "window-not-reached 50", "incident-opened 70"],
    ),
    "a different value that is too old does not count": Told(
        BROKEN + ", window: {count: 2, distinct: object, within: 1m}",
        (error("0s"), error("60s", pod="b")),
        ["window-not-reached 0", "window-not-reached 60"],
    ),
    "a rate is so many signals in the window": Told(
        BROKEN + ", window: {rate: 2, per: 1m, within: 2m}",
        (error("0s"), error("30s"), error("60s"), error("61s")),
        ["window-not-reached 0", "window-not-reached 30", "window-not-reached 60", "incident-opened 61"],
    ),
    "a rate of a number is its increase, and the first one told is none": Told(
        BROKEN + ", window: {rate: 3, of: restarts, per: 1m, within: 1m}",
        tuple(error(f"{at}s", more=f", restarts: {count}") for at, count in ((0, 7), (10, 8), (20, 9), (30, 10))),
        ["window-not-reached 0", "window-not-reached 10", "window-not-reached 20", "incident-opened 30"],
    ),
    "a number that fell began anew at nothing": Told(
        BROKEN + ", window: {rate: 3, of: restarts, per: 1m, within: 1m}",
        tuple(error(f"{at}s", more=f", restarts: {count}") for at, count in ((0, 7), (10, 1), (20, 3))),
        ["window-not-reached 0", "window-not-reached 10", "incident-opened 20"],
    ),
    "the numbers of two pods are not compared with each other": Told(
        BROKEN + ", window: {rate: 3, of: restarts, per: 1m, within: 1m}",
        (error("0s", more=", restarts: 1"), error("1s", pod="b", more=", restarts: 9")),
        ["window-not-reached 0", "window-not-reached 1"],
    ),
    "a clock that is far ahead counts as of when its signal came": Told(
        BROKEN + ", window: {count: 2, within: 1m}",
        (error("0s", seen="1h"), error("30s")),
        ["window-not-reached 0", "incident-opened 30"],
    ),
    "what is counted apart does not add up": Told(
        BROKEN + ", window: {count: 2, within: 1m}, by: [workload, object]",
        (error("0s"), error("1s", pod="b"), error("2s")),
        ["window-not-reached 0", "window-not-reached 1", "incident-opened 2"],
    ),
}

HELD = BROKEN + ", for: 5m"
LASTING = {
    "what holds without a break opens when its time is over": Told(
        HELD, (error("0s"),), ["held-too-short 0", "incident-opened 300"]
    ),
    "what is over before does not": Told(
        HELD, (error("0s"), error("299s", reason="Running")), ["held-too-short 0", "no-longer-held 299"]
    ),
    "what ends at the very moment does not": Told(
        HELD, (error("0s"), error("300s", reason="Running")), ["held-too-short 0", "no-longer-held 300"]
    ),
    "after a break it begins anew": Told(
        HELD,
        (error("0s"), error("200s", reason="Running"), error("250s")),
        ["held-too-short 0", "no-longer-held 200", "held-too-short 250", "incident-opened 550"],
    ),
    "signals that lie as far apart prove it at once": Told(
        HELD, (error("600s", seen="0s"), error("601s", seen="300s")), ["held-too-short 600", "incident-opened 601"]
    ),
    "one old signal alone proves nothing: its end may be on the way": Told(
        HELD,
        (error("600s", seen="0s"), error("601s", seen="10s", reason="Running")),
        ["held-too-short 600", "no-longer-held 601"],
    ),
    "an end that is told late counts from what came after it": Told(
        HELD,
        (error("0s"), error("200s"), error("210s", seen="100s", reason="Running")),
        ["held-too-short 0", "held-too-short 200", "incident-opened 510"],
    ),
    "an end from before it held says nothing": Told(
        HELD,
        (error("100s"), error("101s", seen="50s", reason="Running")),
        ["held-too-short 100", "incident-opened 400"],
    ),
    "a signal from before the end that was told does not bring it back": Told(
        HELD,
        (error("0s"), error("100s", reason="Running"), error("101s", seen="50s")),
        ["held-too-short 0", "no-longer-held 100", "no-longer-held 101"],
    ),
    "one pod's end is not another's": Told(
        HELD,
        (error("0s"), error("10s", pod="b"), error("20s", reason="Running")),
        ["held-too-short 0", "held-too-short 10", "incident-opened 310"],
    ),
    "with a pod that goes, what held of its containers is over": Told(
        HELD,
        (error("0s"), "at: 100s, signal: pod, facts: {phase: Running, object: a, terminating: true}"),
        ["held-too-short 0", "no-longer-held 100"],
    ),
    "with the workload all is over": Told(
        HELD,
        (error("0s"), "at: 100s, signal: workload, facts: {healthy: false, deleted: true}"),
        ["held-too-short 0"],
    ),
    "a series that was silent for more than 5 minutes holds anew from where it speaks again": Told(
        "signal: sample, where: {query: load}, when: value > 5.0, for: 10m",
        tuple(f"at: {at}s, signal: sample, facts: {{query: load, value: 9.0}}" for at in (0, 240, 900, 1140)),
        ["held-too-short 0", "held-too-short 240", "held-too-short 900", "held-too-short 1140"],
    ),
    "a series that falls silent does not hold": Told(
        "signal: sample, where: {query: load}, when: value > 5.0, for: 10m",
        ("at: 0s, signal: sample, facts: {query: load, value: 9.0}",),
        ["held-too-short 0"],
    ),
    "a series that goes on holds": Told(
        "signal: sample, where: {query: load}, when: value > 5.0, for: 10m",
        tuple(f"at: {at}s, signal: sample, facts: {{query: load, value: 9.0}}" for at in (0, 240, 480)),
        ["held-too-short 0", "held-too-short 240", "held-too-short 480", "incident-opened 600"],
    ),
    "another series does not end it": Told(
        "signal: sample, where: {query: load}, when: value > 5.0, for: 1m",
        (
            "at: 0s, signal: sample, facts: {query: load, value: 9.0, labels: {pod: a}}",
            "at: 1s, signal: sample, facts: {query: load, value: 1.0, labels: {pod: b}}",
            "at: 2s, signal: sample, facts: {query: errors, value: 1.0, labels: {pod: a}}",
        ),
        ["held-too-short 0", "incident-opened 60"],
    ),
}

AFTER = "signal: event, where: {reason: Failed}, after: {signal: event, where: {reason: Scaled}, within: 1m}"
WITHOUT = "signal: event, where: {reason: Killing}, without: {signal: event, where: {reason: Started}, within: 1m}"
ORDERED = {
    "what came before it within the time opens": Told(
        AFTER, (event("0s", "Scaled"), event("60s", "Failed")), ["incident-opened 60"]
    ),
    "what came before it longer ago does not": Told(
        AFTER, (event("0s", "Scaled"), event("61s", "Failed")), ["not-preceded 61"]
    ),
    "what came after it does not": Told(AFTER, (event("0s", "Failed"), event("1s", "Scaled")), ["not-preceded 0"]),
    "what came before it but was told later opens when it is told": Told(
        AFTER,
        (event("10s", "Failed"), event("20s", "Scaled", seen="5s")),
        ["not-preceded 10", "incident-opened 20"],
    ),
    "only what was preceded is counted": Told(
        AFTER + ", window: {count: 2, within: 10m}",
        (event("0s", "Failed"), event("10s", "Scaled"), event("20s", "Failed"), event("30s", "Failed")),
        ["not-preceded 0", "window-not-reached 20", "incident-opened 30"],
    ),
    "what does not come in time opens": Told(
        WITHOUT, (event("0s", "Killing"),), ["still-awaited 0", "incident-opened 60"]
    ),
    "what comes in time does not": Told(
        WITHOUT, (event("0s", "Killing"), event("59s", "Started")), ["still-awaited 0", "came-in-time 59"]
    ),
    "what comes at the last moment has come in time": Told(
        WITHOUT, (event("0s", "Killing"), event("60s", "Started")), ["still-awaited 0", "came-in-time 60"]
    ),
    "what came before it is no answer": Told(
        WITHOUT,
        (event("0s", "Started"), event("1s", "Killing")),
        ["still-awaited 1", "incident-opened 61"],
    ),
    "an answer that was told before its question counts": Told(
        WITHOUT,
        (event("0s", "Killing"), event("20s", "Started"), event("21s", "Killing", seen="10s")),
        ["still-awaited 0", "came-in-time 20", "came-in-time 21"],
    ),
    "an answer is remembered for what is told later than others' answers": Told(
        WITHOUT,
        (event("10s", "Started"), event("100s", "Started"), event("101s", "Killing", seen="5s")),
        ["came-in-time 101"],
    ),
    "a question that is asked again does not put the first one off": Told(
        WITHOUT,
        (event("0s", "Killing"), event("50s", "Killing")),
        ["still-awaited 0", "still-awaited 50", "incident-opened 60"],
    ),
    "one answer serves all that waited": Told(
        WITHOUT,
        (event("0s", "Killing"), event("10s", "Killing"), event("20s", "Started")),
        ["still-awaited 0", "still-awaited 10", "came-in-time 20"],
    ),
}


def silence(at: str, lasts: str = "10m") -> str:
    return f"at: {at}, control: silence, lasts: {lasts}, matchers: {{rule: one}}"


SILENCED = {
    "what lasts is followed while it is silenced and opens at its very end": Told(
        HELD,
        (silence("0s", "601s"), error("10s")),
        ["silenced 10", "silenced 310", "incident-opened 601"],
    ),
    "what is over before the silence is does not open": Told(
        HELD,
        (silence("0s"), error("10s"), error("500s", reason="Completed")),
        ["silenced 10", "silenced 310", "no-longer-held 500"],
    ),
    "what is due in a silence that is ended opens within a minute": Told(
        HELD,
        (error("0s"), silence("10s"), "at: 400s, control: silence-ended"),
        ["held-too-short 0", "silenced 300", "incident-opened 420"],
    ),
    "a second silence is said as well": Told(
        HELD,
        (error("0s"), silence("10s"), silence("350s")),
        ["held-too-short 0", "silenced 300", "silenced 360", "incident-opened 950"],
    ),
    "what is told in a silence waits for no answer": Told(
        WITHOUT,
        (silence("0s"), event("10s", "Killing")),
        ["silenced 10"],
    ),
    "what waits since before a silence opens after it": Told(
        WITHOUT,
        (event("0s", "Killing"), silence("10s")),
        ["still-awaited 0", "silenced 60", "incident-opened 610"],
    ),
    "what precedes is known though it is told in a silence": Told(
        AFTER.replace("1m", "20m"),
        (silence("0s"), event("10s", "Scaled"), event("20s", "Failed"), event("11m", "Failed")),
        ["silenced 20", "incident-opened 660"],
    ),
}


@pytest.mark.parametrize("name", SILENCED)
def test_what_time_decides_waits_for_the_end_of_a_silence(name: str) -> None:
    case = SILENCED[name]
    assert told(case.words, *case.given) == case.decided


@pytest.mark.parametrize("name", COUNTED)
def test_a_window_counts(name: str) -> None:
    case = COUNTED[name]
    assert told(case.words, *case.given) == case.decided


@pytest.mark.parametrize("name", LASTING)
def test_for_means_without_a_break(name: str) -> None:
    case = LASTING[name]
    assert told(case.words, *case.given) == case.decided


@pytest.mark.parametrize("name", ORDERED)
def test_after_and_without_compare_the_signals_own_moments(name: str) -> None:
    case = ORDERED[name]
    assert told(case.words, *case.given) == case.decided


@pytest.mark.parametrize(
    ("by", "subject"),
    [
        ("node", "-/Node/node-7"),
        ("namespace", "bank/Namespace/bank"),
        ("[namespace, reason]", "bank/Group/namespace=bank,reason=Error"),
        ("labels.team", "-/Group/labels.team=payments"),
        ("[workload, object]", "bank/Deployment/one"),
    ],
)
def test_an_incident_is_about_what_its_rule_groups_by(by: str, subject: str) -> None:
    facts = "{reason: Error, object: a, node: node-7, labels: {team: payments}}"
    given = (f"at: 0s, workload: bank/Deployment/one, signal: container, facts: {facts}",)
    opened = made(f"{BROKEN}, by: {by}", *given)[0].decision
    assert (opened.reason.value, opened.workload.key) == ("incident-opened", subject)


def test_pods_of_several_workloads_add_up_on_their_node() -> None:
    given = (
        f"at: {place}s, workload: bank/Deployment/{name}, signal: container, facts: {{reason: Error, node: {node}}}"
        for place, (name, node) in enumerate((("one", "n-1"), ("two", "n-2"), ("three", "n-1")))
    )
    words = BROKEN + ", by: node, window: {count: 2, distinct: workload, within: 1m}"
    assert told(words, *given) == ["window-not-reached 0", "window-not-reached 1", "incident-opened 2"]


def test_a_signal_without_what_its_rule_groups_by_is_no_finding() -> None:
    assert made(f"{BROKEN}, by: labels.team", error("0s")) == []


@pytest.mark.parametrize(
    ("where", "met"),
    [
        ('{object: "frontend-*"}', True),
        ('{object: "*end-?"}', True),
        ("{object: [backend-1, 'front*']}", True),
        ('{object: "front"}', False),
        ('{object: "front?"}', False),
        ("{labels.team: payments}", True),
        ("{labels.app.kubernetes.io/name: web}", True),
        ("{labels.team: 'p*'}", True),
        ("{labels.tier: payments}", False),
    ],
)
def test_where_takes_globs_and_labels(where: str, met: bool) -> None:
    signal = container(labels={"team": "payments", "app.kubernetes.io/name": "web"})
    assert bool(match(index_rules(playbook(f"signal: container, where: {where}")), signal)) == met


def test_an_end_is_told_only_of_what_the_rule_looks_at() -> None:
    index = index_rules(playbook("signal: container, where: {reason: Error, namespace: bank}, for: 1m"))
    (over,) = match(index, container(reason="Running"))
    assert isinstance(over, Observation)
    assert (over.part, over.holds) == ("for", False)
    other = index_rules(playbook("signal: container, where: {reason: Error, namespace: shop}, for: 1m"))
    assert match(other, container(reason="Running")) == []
    assert match(other, pod(deleted=True)) != []


TWO = (
    HEAD
    + "    - {name: hung, signal: container, where: {reason: Hung}, for: 5m, ladder: [{action: escalate}]}\n"
    + "    - {name: crash, signal: container, where: {reason: Error}, ladder: [{action: rollback}]}\n"
)


def crashed_while_hung() -> History:
    """Return a history in which one rule's action is applied while another's finding holds."""
    story = history(TWO)
    story.take(finding("hung", reason="Hung", seconds=0), seconds=0)
    story.take(finding("crash", reason="Error", seconds=10), seconds=10)
    story.take(result(story.commands[0], seconds=11), seconds=11)
    return story


def test_what_holds_through_another_rules_incident_opens_its_own_when_that_is_over() -> None:
    story = crashed_while_hung()
    story.take(health(healthy=True, seconds=370), seconds=370)
    assert story.incident.rule == "crash"
    while story.workload.wake_at is not None:
        story.wake()
    assert (story.incident.rule, story.reasons[-2:]) == ("hung", [Reason.INCIDENT_OPENED, Reason.ESCALATED])


def test_an_incident_that_ends_in_the_turn_in_which_the_next_one_opens_is_told_as_ended() -> None:
    story = crashed_while_hung()
    story.take(health(healthy=True, seconds=30), seconds=30)
    told = story.take(wake_up(at(400)), seconds=400)
    assert [(one.rule, one.phase.is_final) for one in told if isinstance(one, Incident)] == [
        ("crash", True),
        ("hung", True),
    ]


def test_of_two_groups_the_incident_of_one_that_ends_at_once_leaves_the_other_for_after_the_cooldown() -> None:
    words = "{name: hung, signal: container, by: [workload, container], for: 5m, ladder: [{action: escalate}]}"
    story = history(HEAD + f"    - {words}\n")
    for place, group in enumerate(("a", "b")):
        found = finding("hung", reason="Hung", seconds=place, pod=group, container=group)
        story.take(found.model_copy(update={"group": f"container={group}"}), seconds=place)
    while story.workload.wake_at is not None:
        story.wake()
    assert story.reasons[-4:] == [Reason.INCIDENT_OPENED, Reason.ESCALATED] * 2
    assert story.incident.opened_at == at(600)


def test_what_begins_to_hold_during_another_rules_incident_opens_its_own_in_time() -> None:
    story = history(TWO)
    story.take(finding("crash", reason="Error", seconds=10), seconds=10)
    story.take(finding("hung", reason="Hung", seconds=20), seconds=20)
    story.take(result(story.commands[0], seconds=21), seconds=21)
    story.take(health(healthy=True, seconds=30), seconds=30)
    while story.workload.wake_at is not None:
        story.wake()
    assert (story.incident.rule, story.incident.opened_at) == ("hung", at(320))


def test_an_incident_that_is_due_and_barred_says_so_once_and_opens_when_nothing_bars_it_any_more() -> None:
    story = history(TWO)
    story.take(finding("hung", reason="Hung", seconds=0), seconds=0)
    story.take(activated(TWO.replace("spec:", "spec:\n  mode: off")), seconds=100)
    for _ in range(3):
        story.wake()
    assert story.reasons == [Reason.HELD_TOO_SHORT, Reason.MODE_OFF]
    story.take(activated(TWO), seconds=1000)
    story.wake()
    assert story.reasons[-2:] == [Reason.INCIDENT_OPENED, Reason.ESCALATED]


def test_a_finding_of_an_earlier_wording_that_carries_no_number_counts_for_no_rate() -> None:
    rule = (
        "{name: crash, signal: sample, window: {rate: 2, per: 1m, of: value, within: 5m}, ladder: [{action: escalate}]}"
    )
    story = history(HEAD + f"    - {rule}\n")
    story.take(finding("crash", seconds=0), seconds=0)
    assert (story.workload.incident, len(story.reasons)) == (None, 1)
