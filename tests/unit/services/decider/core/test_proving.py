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
from shared.contracts.actions import DeletePod
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
    manual,
    pod,
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


LEFT_BEHIND = """\
apiVersion: sre-agent.dev/v1alpha1
kind: HealingPlaybook
metadata: {name: test}
spec:
  rules:
    - name: left-behind
      signal: pod
      where: {phase: Failed, namespace: bank}
      ladder:
        - {action: delete-pod, verify: {healthy_for: 1m, within: 5m}}
        - {action: escalate}
    - name: broken-service
      signal: pod
      where: {phase: Unreachable}
      ladder:
        - {action: restore-service, service: frontend, revert: false, verify: {healthy_for: 1m, within: 5m}}
        - {action: escalate}
"""
LISTENING = index_rules(load_playbook(LEFT_BEHIND, file="test"))


def failed(*, phase: str = "Failed") -> History:
    """Return a history in which a step was applied about a pod of a workload that was healthy all along."""
    story = history(LEFT_BEHIND)
    story.take(health(healthy=True, seconds=0), seconds=0)
    for entry in match(LISTENING, pod(phase=phase, at=at(1))):
        story.take(entry, seconds=1)
    story.take(result(story.commands[0], seconds=2), seconds=2)
    return story


def ends(story: History, *, seconds: float, uid: str = "uid-frontend-1", **told: Any) -> None:
    """Let the end of a pod of this name be told."""
    named = pod().object.model_copy(update={"uid": uid})
    gone = pod(id=f"gone-{seconds}", at=at(seconds), phase="Failed", object=named, **{"deleted": True, **told})
    for entry in match(LISTENING, gone):
        if isinstance(entry, Observation):
            story.take(entry, seconds=seconds)


def test_a_deleted_pod_is_proven_by_its_end_and_health_that_lasts_from_then_on() -> None:
    story = failed()
    ends(story, seconds=10)
    assert story.workload.wake_at == at(70)
    story.wake()
    assert (story.incident.phase, story.incident.reason) == (Phase.HEALED, Reason.VERIFIED)
    assert story.workload.proofs == ()


def test_the_end_may_be_told_before_the_result() -> None:
    story = history(LEFT_BEHIND)
    story.take(health(healthy=True, seconds=0), seconds=0)
    for entry in match(LISTENING, pod(phase="Failed", at=at(1))):
        story.take(entry, seconds=1)
    ends(story, seconds=2)
    assert story.incident.phase is Phase.ACTING
    story.take(result(story.commands[0], seconds=10), seconds=10)
    story.wake()
    assert (story.incident.reason, story.incident.closed_at) == (Reason.VERIFIED, at(62))


@pytest.mark.parametrize("told", [{"uid": "uid-of-another"}, {"deleted": False, "terminating": True}])
def test_the_end_of_another_pod_or_one_that_is_to_come_proves_nothing(told: dict[str, Any]) -> None:
    story = failed()
    ends(story, seconds=10, **told)
    story.wake()
    assert story.reasons[-2:] == [Reason.NOT_VERIFIED, Reason.ESCALATED]


def test_health_that_breaks_after_the_end_of_the_pod_proves_nothing_until_it_is_back() -> None:
    story = failed()
    ends(story, seconds=10)
    story.take(health(healthy=False, seconds=30), seconds=30)
    assert story.workload.wake_at == at(302)
    story.take(health(healthy=True, seconds=100), seconds=100)
    assert story.workload.wake_at == at(160)


def test_where_health_was_never_told_the_end_of_a_pod_proves_nothing() -> None:
    story = history(LEFT_BEHIND)
    for entry in match(LISTENING, pod(phase="Failed", at=at(1))):
        story.take(entry, seconds=1)
    story.take(result(story.commands[0], seconds=2), seconds=2)
    ends(story, seconds=10)
    story.wake()
    assert story.reasons[-2:] == [Reason.NOT_VERIFIED, Reason.ESCALATED]


def test_what_was_shown_of_one_order_proves_nothing_of_the_next() -> None:
    story = failed()
    ends(story, seconds=10)
    story.take(health(healthy=False, seconds=11), seconds=11)
    story.wake()
    assert story.incident.phase is Phase.ESCALATED
    story.take(health(healthy=True, seconds=390), seconds=390)
    story.take(manual(action=DeletePod(pod="frontend-1", uid="uid-frontend-1"), seconds=400), seconds=400)
    story.take(result(story.commands[-1], seconds=401), seconds=401)
    assert story.workload.wake_at == at(701)
    ends(story, seconds=410)
    assert story.workload.wake_at == at(440)


@pytest.mark.parametrize("phase", ["Unreachable", "Failed"])
def test_health_that_was_good_all_along_proves_nothing_by_being_told_again(phase: str) -> None:
    story = failed(phase=phase)
    story.take(health(healthy=True, seconds=10), seconds=10)
    story.wake()
    assert story.reasons[-2:] == [Reason.NOT_VERIFIED, Reason.ESCALATED]


@pytest.mark.parametrize("phase", ["Unreachable", "Failed"])
def test_health_that_becomes_good_after_the_order_proves_the_cure(phase: str) -> None:
    story = failed(phase=phase)
    story.take(health(healthy=False, seconds=10), seconds=10)
    story.take(health(healthy=True, seconds=20), seconds=20)
    story.wake()
    assert (story.incident.reason, story.incident.closed_at) == (Reason.VERIFIED, at(80))


def test_only_the_end_of_pods_that_the_rule_may_be_about_is_listened_for() -> None:
    elsewhere = pod(deleted=True).workload.model_copy(update={"namespace": "shop"})
    assert match(LISTENING, pod(phase="Pending", deleted=True, workload=elsewhere)) == []
    [seen] = match(LISTENING, pod(phase="Pending", deleted=True))
    assert isinstance(seen, Observation)
    assert (seen.rule, seen.part, seen.holds) == ("left-behind", "verify/0", True)


def test_a_step_that_health_tells_nothing_of_is_remarked_where_no_query_proves_it() -> None:
    known = load_playbook(LEFT_BEHIND, file="p")
    assert [str(remark) for remark in remarks_on(known)] == [
        (
            "p:16:20: spec.rules[1].ladder[0].action: no count of a healthy workload changes by restore-service;"
            " expected a `query` in `verify` (its health proves a cure only where it becomes good then) [warning]"
        )
    ]
    words = [line for rule in known.rules.values() for line in rule_in_words(known, rule) if "  proven: " in line]
    assert words == [
        "  proven: the pod is gone, and healthy for 1m, at the latest 5m after it",
        "  proven: healthy again for 1m, at the latest 5m after it",
    ]
