"""Maintenance windows: what they hold back, for whom, and until when."""

import pytest

from services.decider.core.cases import check_names, read_cases
from services.decider.core.comparing import Change, differences_between
from services.decider.core.faults import PlaybookError
from services.decider.core.linting import remarks_on
from services.decider.core.playbook import load_playbook
from services.decider.core.telling import rule_in_words
from services.decider.core.trial import try_cases
from shared.contracts.inbox import Outcome
from shared.contracts.incidents import Decision, Phase, Reason
from tests.unit.services.decider.core.build import (
    PLAYBOOK,
    History,
    activated,
    at,
    finding,
    history,
    manual,
    result,
    silence,
)

WINDOW = "name: nightly, schedule: '10 13 * * *', timezone: Europe/Berlin, duration: 30m"  # from 12:10 of UTC on


def within(words: str = WINDOW) -> str:
    """Return the tests' playbook with a maintenance window."""
    return PLAYBOOK.replace("spec:", f"spec:\n  maintenance:\n    - {{{words}}}")


def in_maintenance(words: str = WINDOW, *, seconds: float = 601) -> History:
    story = history(within(words))
    story.take(finding(seconds=seconds), seconds=seconds)
    return story


def test_a_finding_in_a_maintenance_window_opens_nothing_and_is_answered_by_its_name_and_end() -> None:
    decision = in_maintenance().outputs[0]
    assert isinstance(decision, Decision)
    assert (decision.reason, decision.suppressed_by) == (Reason.MAINTENANCE, "nightly")
    assert decision.detail == "nightly until 2026-01-01T12:40:00+00:00"


@pytest.mark.parametrize(("seconds", "held"), [(599, False), (600, True), (2399, True), (2400, False)])
def test_a_window_is_open_from_its_start_for_as_long_as_it_lasts(seconds: float, held: bool) -> None:
    assert (in_maintenance(seconds=seconds).reasons[0] is Reason.MAINTENANCE) is held


@pytest.mark.parametrize(
    ("more", "held"),
    [
        (", namespaces: [bank]", True),
        (", namespaces: [shop, 'b*']", True),
        (", namespaces: [shop]", False),
        (", rules: [crash]", True),
        (", rules: ['m*']", False),
        (", namespaces: [bank], rules: [twice]", False),
    ],
)
def test_a_window_is_about_the_namespaces_and_rules_that_it_names(more: str, held: bool) -> None:
    assert (in_maintenance(WINDOW + more).reasons[0] is Reason.MAINTENANCE) is held


def test_an_open_incident_waits_for_the_end_of_the_window() -> None:
    story = history(within())
    story.take(finding(seconds=590), seconds=590)
    story.take(result(story.commands[0], seconds=595, outcome=Outcome.FAILED), seconds=595)
    while len(story.commands) == 1:
        story.wake()
    assert story.reasons[-2:] == [Reason.MAINTENANCE, Reason.ACTION_ORDERED]
    assert story.commands[1].at == at(2400)


def test_a_playbook_without_the_window_lets_the_incident_go_on() -> None:
    story = history(within())
    story.take(finding(seconds=590), seconds=590)
    story.take(result(story.commands[0], seconds=595, outcome=Outcome.FAILED), seconds=595)
    story.wake()
    assert story.incident.suppressed_by == "nightly"
    story.take(activated(PLAYBOOK), seconds=620)
    story.wake()
    assert (story.incident.phase, story.reasons[-1]) == (Phase.ACTING, Reason.ACTION_ORDERED)


def test_of_a_silence_and_a_window_the_one_that_lasts_longer_is_named() -> None:
    story = history(within())
    story.take(silence(0, lasts=1200), seconds=0)
    story.take(finding(seconds=601), seconds=601)
    story.take(silence(602, lasts=7200), seconds=602)
    story.take(finding(seconds=603), seconds=603)
    assert story.reasons == [Reason.MAINTENANCE, Reason.SILENCED]


def test_what_a_person_asks_for_is_done_in_a_window() -> None:
    story = history(within())
    story.take(manual(seconds=700), seconds=700)
    assert story.reasons == [Reason.MANUAL_ACTION, Reason.ACTION_ORDERED]


def remarks(words: str) -> list[str]:
    return [str(one) for one in remarks_on(load_playbook(within(words), file="p")) if "maintenance" in one.fault.path]


def test_a_window_that_never_closes_and_days_that_are_said_twice_are_remarked() -> None:
    assert remarks(WINDOW) == []
    (ever,) = remarks("name: ever, schedule: '0 * * * *', duration: 2h")
    assert "duration: it opens again after 1h, while it is open; expected a shorter one [warning]" in ever
    (twice,) = remarks("name: first, schedule: '0 2 1-7 * SAT', duration: 2h")
    assert "schedule: either the day of the month or that of the week is enough, as ever in cron" in twice


def test_a_rule_is_told_with_the_windows_that_are_about_it() -> None:
    playbook = load_playbook(within(WINDOW + ", namespaces: ['b*'], rules: [crash]"), file="p")
    told = rule_in_words(playbook, playbook.rules["crash"])
    assert "not in maintenance nightly in b*: 30m from 10 13 * * * (Europe/Berlin) on" in told
    assert not [line for line in rule_in_words(playbook, playbook.rules["memory"]) if "nightly" in line]


def test_a_window_that_came_is_stricter_one_that_went_is_wider_and_one_that_changed_is_told_by_its_field() -> None:
    without, before = load_playbook(PLAYBOOK, file="p"), load_playbook(within(), file="p")
    after = load_playbook(within(WINDOW.replace("30m", "45m")), file="p")
    assert [(one.change, one.field) for one in differences_between(without, before)] == [
        (Change.STRICTER, "spec.maintenance.nightly")
    ]
    assert [one.change for one in differences_between(before, without)] == [Change.WIDER]
    changed = differences_between(before, after)
    assert [(one.field, one.before, one.after) for one in changed] == [
        ("spec.maintenance.nightly.duration", "1800s", "2700s")
    ]


def test_a_case_can_expect_what_a_window_suppressed_and_names_one_that_is_there() -> None:
    playbook = load_playbook(within("name: early, schedule: '30 0 * * *', duration: 1h"), file="p")
    text = (
        "playbook: p\ncases:\n  - name: one\n    given:\n"
        "      - {at: 45m, signal: container, facts: {reason: CrashLoopBackOff}}\n"
        "    expect: [{reason: maintenance, suppressed_by: NAME}]\n"
    )
    cases = read_cases(text.replace("NAME", "early"), file="c")
    check_names(cases, playbook)
    assert try_cases(cases, playbook)[0].passed
    with pytest.raises(PlaybookError) as refused:
        check_names(read_cases(text.replace("NAME", "erly"), file="c"), playbook)
    assert "no maintenance window 'erly'; expected one of: early (did you mean 'early'?)" in str(refused.value)
