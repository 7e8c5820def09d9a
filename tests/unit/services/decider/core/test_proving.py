"""A cure that a query shows: its samples, told after the order, meet the condition unbroken for long enough."""

from typing import Any

import pytest

from services.decider.core.cases import read_cases
from services.decider.core.faults import PlaybookError
from services.decider.core.linting import remarks_on
from services.decider.core.matching import index_rules, match
from services.decider.core.playbook import load_playbook
from services.decider.core.telling import rule_in_words
from services.decider.core.trial import try_cases
from shared.contracts.inbox import Observation, Outcome
from shared.contracts.incidents import Phase, Reason
from tests.unit.services.decider.core.build import (
    PLAYBOOK,
    History,
    activated,
    approval,
    at,
    finding,
    health,
    history,
    result,
    sample,
)

VERIFY = "{query: error-rate, when: value < 0.5, healthy_for: 1m, within: 5m}"
RULE = f"""\
    - name: errors
      signal: container
      where: {{reason: Errors}}
      ladder:
        - {{action: restart-pod, verify: {VERIFY}}}
        - {{action: escalate}}
"""
TEXT = PLAYBOOK + RULE
INDEX = index_rules(load_playbook(TEXT, file="test"))


def tell(story: History, seconds: float, value: float, *, text: str = TEXT, **told: Any) -> None:
    """Let a sample be told, by default at its own moment."""
    came = told.pop("came", seconds)
    for entry in match(index_rules(load_playbook(text, file="test")), sample(value=value, seconds=seconds, **told)):
        story.take(entry, seconds=came)


def ordered(text: str = TEXT) -> History:
    story = history(text)
    story.take(finding("errors", seconds=1, reason="Errors"), seconds=1)
    return story


def applied(text: str = TEXT) -> History:
    story = ordered(text)
    story.take(result(story.commands[0], seconds=2), seconds=2)
    return story


def test_every_sample_of_the_query_is_told_whether_it_holds_or_not() -> None:
    told = [match(INDEX, sample(value=value, seconds=1)) for value in (0.1, 0.9)]
    found = [entry for entries in told for entry in entries if isinstance(entry, Observation)]
    assert [(one.rule, one.part, one.holds) for one in found] == [
        ("errors", "verify/0", True),
        ("errors", "verify/0", False),
    ]
    assert not match(INDEX, sample(value=0.1, seconds=1, query="latency"))


def test_a_cure_is_proven_when_the_samples_have_met_the_condition_for_long_enough() -> None:
    story = applied()
    for seconds in (5, 35, 64):
        tell(story, seconds, 0.1)
        assert story.incident.phase is Phase.VERIFYING
    tell(story, 65, 0.1)
    assert (story.incident.phase, story.incident.reason) == (Phase.HEALED, Reason.VERIFIED)
    assert story.workload.proofs == ()


def test_time_alone_proves_nothing_where_samples_do() -> None:
    story = applied()
    tell(story, 5, 0.1)
    assert story.workload.wake_at == at(302)
    story.wake()
    assert story.reasons[-2:] == [Reason.NOT_VERIFIED, Reason.ESCALATED]


def test_without_samples_a_cure_is_not_proven_however_healthy_the_workload_is() -> None:
    story = applied()
    story.take(health(healthy=True, seconds=5), seconds=5)
    assert story.workload.wake_at == at(302)
    story.wake()
    assert Reason.NOT_VERIFIED in story.reasons


def test_the_workloads_own_health_does_not_matter() -> None:
    story = applied()
    story.take(health(healthy=False, seconds=3), seconds=3)
    tell(story, 5, 0.1)
    tell(story, 65, 0.1)
    assert story.incident.reason is Reason.VERIFIED


def test_a_sample_that_does_not_meet_it_begins_the_proof_anew() -> None:
    story = applied()
    for seconds, value in ((5, 0.1), (35, 0.9), (65, 0.1), (124, 0.1)):
        tell(story, seconds, value)
    assert story.incident.phase is Phase.VERIFYING
    tell(story, 125, 0.1)
    assert story.incident.phase is Phase.HEALED


def test_a_bad_sample_that_is_told_late_breaks_the_proof_as_well() -> None:
    story = applied()
    tell(story, 5, 0.1)
    tell(story, 40, 0.1)
    tell(story, 20, 0.9, came=50)
    tell(story, 65, 0.1)
    assert story.incident.phase is Phase.VERIFYING


def test_samples_from_before_the_order_prove_nothing_also_where_they_are_told_after_it() -> None:
    story = history(TEXT)
    tell(story, -60, 0.1)
    story.take(finding("errors", seconds=1, reason="Errors"), seconds=1)
    tell(story, 0, 0.1, came=2)
    story.take(result(story.commands[0], seconds=3), seconds=3)
    tell(story, 62, 0.1)
    assert story.incident.phase is Phase.VERIFYING


def test_what_is_told_while_the_action_is_carried_out_counts() -> None:
    story = ordered()
    tell(story, 2, 0.1)
    tell(story, 62, 0.1)
    story.take(result(story.commands[0], seconds=63), seconds=63)
    assert story.incident.reason is Reason.VERIFIED


def test_every_series_of_the_query_must_meet_it_at_the_same_time() -> None:
    story = applied()
    for seconds in (5, 65):
        tell(story, seconds, 0.1, code="500")
        tell(story, seconds, 0.9, code="502")
    assert story.incident.phase is Phase.VERIFYING
    for seconds in (95, 155):
        assert story.incident.phase is Phase.VERIFYING
        tell(story, seconds, 0.1, code="502")
        tell(story, seconds, 0.1, code="500")
    assert story.incident.phase is Phase.HEALED


def test_a_series_that_is_told_no_more_does_not_hold_the_proof_up_for_ever() -> None:
    story = applied(TEXT.replace("within: 5m}", "within: 20m}"))
    text = TEXT.replace("within: 5m}", "within: 20m}")
    tell(story, 5, 0.9, text=text, pod="old")
    for seconds in range(10, 300, 60):
        tell(story, seconds, 0.1, text=text, pod="new")
    assert story.incident.phase is Phase.VERIFYING
    tell(story, 310, 0.1, text=text, pod="new")
    assert story.incident.phase is Phase.HEALED


def test_after_a_silence_nobody_knows_whether_it_held() -> None:
    text = TEXT.replace("within: 5m}", "within: 20m}")
    story = applied(text)
    tell(story, 5, 0.1, text=text)
    tell(story, 310, 0.1, text=text)
    assert story.incident.phase is Phase.VERIFYING
    tell(story, 370, 0.1, text=text)
    assert story.incident.phase is Phase.HEALED


def test_a_clock_that_is_ahead_proves_nothing_sooner() -> None:
    story = applied()
    tell(story, 5, 0.1)
    tell(story, 500, 0.1, came=20)
    assert story.incident.phase is Phase.VERIFYING


def test_a_finding_begins_the_proof_anew() -> None:
    story = applied()
    tell(story, 5, 0.1)
    story.take(finding("errors", seconds=30, reason="Errors"), seconds=30)
    tell(story, 65, 0.1)
    assert story.incident.phase is Phase.VERIFYING
    tell(story, 90, 0.1)
    assert story.incident.phase is Phase.HEALED


def test_what_another_playbook_asked_proves_nothing() -> None:
    story = applied()
    tell(story, 5, 0.1)
    stricter = TEXT.replace("value < 0.5", "value < 0.05")
    story.take(activated(stricter), seconds=6)
    tell(story, 65, 0.1)
    assert story.incident.phase is Phase.VERIFYING
    tell(story, 70, 0.01, text=stricter)
    assert story.incident.phase is Phase.VERIFYING
    tell(story, 130, 0.01, text=stricter)
    assert story.incident.phase is Phase.HEALED


def test_what_recovers_by_its_samples_while_a_person_is_asked_is_healed_by_itself() -> None:
    text = TEXT.replace("{action: restart-pod, verify: {query", "{action: restart-pod, mode: approval, verify: {query")
    story = ordered(text)
    story.take(result(story.commands[0], seconds=2, outcome=Outcome.DRY_RUN), seconds=2)
    story.take(health(healthy=True, seconds=3), seconds=3)
    tell(story, 5, 0.1, text=text)
    tell(story, 65, 0.1, text=text)
    assert (story.incident.phase, story.incident.reason) == (Phase.HEALED, Reason.RECOVERED)
    story.take(approval(story.incident, seconds=66), seconds=66)
    assert all(command.dry_run for command in story.commands)


def test_what_was_shown_before_a_person_said_yes_proves_nothing_after_it() -> None:
    text = TEXT.replace("{action: restart-pod, verify: {query", "{action: restart-pod, mode: approval, verify: {query")
    story = ordered(text)
    story.take(result(story.commands[0], seconds=2, outcome=Outcome.DRY_RUN), seconds=2)
    tell(story, 5, 0.1, text=text)
    story.take(approval(story.incident, seconds=20), seconds=20)
    story.take(result(story.commands[1], seconds=21), seconds=21)
    tell(story, 65, 0.1, text=text)
    assert story.incident.phase is Phase.VERIFYING
    tell(story, 125, 0.1, text=text)
    assert story.incident.reason is Reason.VERIFIED


def test_samples_about_no_open_incident_change_nothing() -> None:
    story = history(TEXT)
    before = story.workload
    tell(story, 5, 0.1)
    assert story.reasons == []
    assert (story.workload.incident, story.workload.proofs) == (before.incident, ())


def test_it_is_told_in_words_and_a_kind_without_health_is_no_fault() -> None:
    playbook = load_playbook(
        TEXT.replace("where: {reason: Errors}", "where: {reason: Errors, workload_kind: Job}"), file="p"
    )
    assert "  proven: each sample of error-rate meets value < 0.5 for 1m, at the latest 5m after it" in rule_in_words(
        playbook, playbook.rules["errors"]
    )
    assert not [remark for remark in remarks_on(playbook) if "no health is told" in str(remark)]


def test_a_case_proves_a_cure_by_its_samples() -> None:
    lines = [
        "{at: 0s, signal: container, facts: {reason: Errors}}",
        "{at: 1s, result: applied}",
        "{at: 5s, signal: sample, facts: {query: error-rate, value: 0.01}}",
        "{at: 65s, signal: sample, facts: {query: error-rate, value: 0.02}}",
    ]
    given = "".join(f"      - {line}\n" for line in lines)
    text = f"playbook: p\ncases:\n  - name: a\n    given:\n{given}    expect: [{{reason: verified, at: 65s}}]\n"
    [trial] = try_cases(read_cases(text, file="c"), load_playbook(TEXT, file="p"))
    assert trial.passed, trial.verdicts


@pytest.mark.parametrize(
    ("verify", "fault"),
    [
        ("{query: error-rate}", "verify: key 'when' is missing: what the samples of the query must meet"),
        ("{when: value < 0.5}", "verify.when: only the samples of a query are asked this; expected `query`"),
        ("{query: error-rate, when: restarts < 1}", "undeclared reference to 'restarts'"),
    ],
)
def test_a_proof_that_cannot_be_asked_for_is_refused(verify: str, fault: str) -> None:
    with pytest.raises(PlaybookError) as refused:
        load_playbook(TEXT.replace(VERIFY, verify), file="p")
    assert fault in str(refused.value)
