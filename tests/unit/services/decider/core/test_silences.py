"""Silences: what they hold back and what they let through, for how long, and what is said of it."""

from datetime import timedelta

import pytest
from pydantic import ValidationError

from services.decider.core.silencing import silence_about
from services.decider.core.state import PartitionState, partition_bytes, partition_of
from shared.contracts.codec import body_of
from shared.contracts.inbox import LONGEST_SILENCE, Matchers, Outcome, Silence
from shared.contracts.incidents import Decision, Incident, Phase, Reason
from tests.unit.services.decider.core.build import (
    FRONTEND,
    START,
    History,
    approval,
    at,
    finding,
    health,
    history,
    manual,
    pause,
    result,
    resume,
    silence,
    silence_ended,
    wake_up,
)
from tests.unit.services.decider.core.histories import decided, records_of


def silenced(*, seconds: float = 1, lasts: float = 600) -> History:
    story = history()
    story.take(silence(seconds, lasts=lasts), seconds=seconds)
    return story


def suppressed(story: History) -> list[str]:
    return [one.suppressed_by for one in story.outputs if isinstance(one, Decision) and one.suppressed_by]


def test_a_silenced_finding_opens_nothing_and_is_answered_by_who_why_and_until_when() -> None:
    story = silenced()
    story.take(finding(), seconds=2)
    decision = story.outputs[0]
    assert isinstance(decision, Decision)
    assert (decision.reason, decision.suppressed_by, decision.rule) == (Reason.SILENCED, "silence-1", "crash")
    assert decision.detail == "by ana until 2026-01-01T12:10:01+00:00: moving the database"
    assert story.workload.incident is None


def test_what_is_silenced_is_not_counted() -> None:
    story = silenced(lasts=10)
    story.take(finding("twice", seconds=2, reason="Error"), seconds=2)
    story.take(finding("twice", seconds=12, reason="Error"), seconds=12)
    assert story.reasons == [Reason.SILENCED, Reason.WINDOW_NOT_REACHED]


def test_a_silence_ends_by_itself_at_the_very_moment() -> None:
    story = silenced(seconds=1, lasts=10)
    story.take(finding(seconds=10, pod="a"), seconds=10.999)
    story.take(finding(seconds=11, pod="b"), seconds=11)
    assert story.reasons == [Reason.SILENCED, Reason.INCIDENT_OPENED, Reason.ACTION_ORDERED]


def test_a_silence_that_is_ended_early_holds_nothing_any_more() -> None:
    story = silenced()
    story.take(silence_ended("silence-1", seconds=2), seconds=2)
    story.take(finding(), seconds=3)
    assert story.reasons[0] is Reason.INCIDENT_OPENED


def test_the_end_of_another_silence_ends_nothing() -> None:
    story = silenced()
    story.take(silence_ended("silence-2", seconds=2), seconds=2)
    story.take(finding(), seconds=3)
    assert story.reasons == [Reason.SILENCED]


def failed_while_silenced(*, lasts: float = 600) -> History:
    story = history()
    story.take(finding(), seconds=1)
    story.take(silence(2, lasts=lasts), seconds=2)
    story.take(result(story.commands[0], seconds=3, outcome=Outcome.FAILED), seconds=3)
    story.wake()  # its back-off is over
    return story


def test_an_open_incident_begins_no_further_step_and_says_so_once() -> None:
    story = failed_while_silenced()
    waiting = story.incident
    story.wake()
    story.wake()
    assert (waiting.phase, waiting.reason, waiting.suppressed_by) == (Phase.WAITING, Reason.SILENCED, "silence-2")
    assert story.incident == waiting
    assert suppressed(story) == ["silence-2"]
    assert len(story.commands) == 1


def test_an_open_incident_goes_on_at_the_moment_at_which_its_silence_expires() -> None:
    story = failed_while_silenced(lasts=30)
    assert story.workload.wake_at == at(32)
    story.wake()
    assert story.reasons[-1] is Reason.ACTION_ORDERED
    assert (story.commands[1].attempt, story.incident.suppressed_by) == (2, "")


def test_an_open_incident_goes_on_within_a_minute_after_its_silence_was_ended() -> None:
    story = failed_while_silenced()
    story.take(silence_ended("silence-2", seconds=20), seconds=20)
    story.wake()
    assert story.incident.at <= at(20) + timedelta(minutes=1)
    assert story.reasons[-1] is Reason.ACTION_ORDERED


def test_a_silence_that_follows_another_is_waited_for_and_named_as_well() -> None:
    story = failed_while_silenced(lasts=30)
    story.take(silence(20, lasts=600), seconds=20)
    story.take(wake_up(at(32)), seconds=32)
    assert suppressed(story) == ["silence-2", "silence-20"]
    assert story.incident.deadline == at(620)


def test_an_incident_is_proven_while_it_is_silenced() -> None:
    story = history()
    story.take(finding(), seconds=1)
    story.take(result(story.commands[0], seconds=2), seconds=2)
    story.take(silence(3), seconds=3)
    story.take(health(healthy=True, seconds=4), seconds=4)
    story.wake()
    assert (story.incident.phase, story.incident.reason) == (Phase.HEALED, Reason.VERIFIED)


def test_an_incident_that_recovers_while_it_waits_is_over() -> None:
    story = failed_while_silenced()
    story.take(health(healthy=True, seconds=20), seconds=20)
    story.take(wake_up(at(50)), seconds=50)
    assert (story.incident.reason, story.incident.suppressed_by) == (Reason.RECOVERED, "")


def test_a_finding_of_the_open_incident_begins_its_proof_anew_though_it_is_silenced() -> None:
    story = history()
    story.take(finding(), seconds=1)
    story.take(result(story.commands[0], seconds=2), seconds=2)
    story.take(silence(3), seconds=3)
    story.take(health(healthy=True, seconds=4), seconds=4)
    story.take(finding(seconds=20), seconds=20)
    assert story.reasons[-1] is Reason.REPEATED_FINDING
    assert story.workload.wake_at == at(50)


def test_the_escalation_of_what_is_silenced_waits_as_any_other_step() -> None:
    story = history()
    story.take(finding("memory"), seconds=1)
    story.take(silence(2), seconds=2)
    story.take(result(story.commands[0], seconds=3, outcome=Outcome.REFUSED), seconds=3)
    assert story.reasons[-2:] == [Reason.PREVIEW_REFUSED, Reason.SILENCED]
    story.take(silence_ended("silence-2", seconds=4), seconds=4)
    story.wake()
    assert (story.incident.phase, story.incident.reason) == (Phase.ESCALATED, Reason.LADDER_EXHAUSTED)


def awaiting_approval() -> History:
    story = history()
    story.take(finding("memory"), seconds=1)
    story.take(result(story.commands[0], seconds=2, outcome=Outcome.DRY_RUN), seconds=2)
    return story


def test_an_approval_of_what_is_silenced_lets_nothing_be_done() -> None:
    story = awaiting_approval()
    story.take(silence(3), seconds=3)
    story.take(approval(story.incident, seconds=4), seconds=4)
    assert (story.reasons[-1], story.incident.phase) == (Reason.SILENCED, Phase.AWAITING_APPROVAL)
    story.take(silence_ended("silence-3", seconds=5), seconds=5)
    story.take(approval(story.incident, seconds=6), seconds=6)
    assert story.reasons[-1] is Reason.ACTION_ORDERED


def test_a_rejection_of_what_is_silenced_holds() -> None:
    story = awaiting_approval()
    story.take(silence(3), seconds=3)
    story.take(approval(story.incident, seconds=4, approved=False), seconds=4)
    assert story.reasons[-1] is Reason.APPROVAL_REJECTED


def test_what_a_person_asks_for_is_not_silenced() -> None:
    story = silenced()
    story.take(silence(1, name="all", rule="*"), seconds=1)
    story.take(manual(seconds=2), seconds=2)
    assert story.reasons == [Reason.MANUAL_ACTION, Reason.ACTION_ORDERED]


def test_after_a_silence_a_pause_still_holds() -> None:
    story = failed_while_silenced(lasts=30)
    story.take(pause(20), seconds=20)
    story.take(wake_up(at(32)), seconds=32)
    assert (story.reasons[-1], story.incident.suppressed_by) == (Reason.PAUSED, "")
    story.take(resume(33), seconds=33)
    story.wake()
    assert story.reasons[-1] is Reason.ACTION_ORDERED


@pytest.mark.parametrize(
    ("matchers", "met"),
    [
        ({"namespace": "bank"}, True),
        ({"namespace": "b*", "workload": "front???"}, True),
        ({"workload_kind": "Deployment", "rule": "crash"}, True),
        ({"namespace": "bank", "rule": "memory"}, False),
        ({"namespace": "bank", "workload_kind": "StatefulSet"}, False),
        ({"workload": "front"}, False),
        ({"namespace": "*nk", "workload": "frontend", "workload_kind": "Dep*", "rule": "c?ash"}, True),
    ],
)
def test_a_silence_is_about_what_all_of_its_matchers_name(matchers: dict[str, str], met: bool) -> None:
    asked = silence(0).model_copy(update={"matchers": Matchers.model_validate(matchers)})
    found = silence_about([asked], FRONTEND, rule="crash", now=START)
    assert (found is not None) is met


def test_of_several_silences_the_one_that_lasts_longest_is_named() -> None:
    story = silenced(lasts=60)
    story.take(silence(2, lasts=600), seconds=2)
    story.take(silence(3, lasts=30), seconds=3)
    story.take(finding(), seconds=4)
    assert suppressed(story) == ["silence-2"]


def test_a_silence_told_twice_is_held_once_and_one_that_has_expired_is_forgotten_with_the_next() -> None:
    story = silenced(lasts=10)
    story.take(silence(1, lasts=10), seconds=2)
    assert len(story.partition.silences) == 1
    story.take(silence(20), seconds=20)
    assert [one.id for one in story.partition.silences] == ["silence-20"]


def test_a_silence_that_is_delivered_again_after_its_end_holds_nothing_back() -> None:
    story = silenced()
    story.take(silence_ended("silence-1", seconds=2), seconds=2)
    story.deliver(1)
    story.take(finding(), seconds=3)
    assert story.reasons[0] is Reason.INCIDENT_OPENED


def test_silences_are_stored_with_their_partition_and_read_again() -> None:
    state = PartitionState(offset=3, silences=(silence(1), silence(2)))
    assert partition_of(partition_bytes(state), lambda _: None) == state


def test_a_partition_that_was_stored_before_there_were_silences_has_none() -> None:
    stored = b'{"offset":3,"playbook":null,"paused":null}'
    assert partition_of(stored, lambda _: None) == PartitionState(offset=3)


def test_an_incident_and_a_decision_from_before_there_were_silences_are_suppressed_by_nothing() -> None:
    story = history()
    story.take(finding(), seconds=1)
    for one in (story.outputs[0], story.incident):
        assert isinstance(one, Decision | Incident)
        assert type(one).model_validate(one.model_dump(exclude={"suppressed_by"})) == one


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"cause": "  "}, "cause"),
        ({"by": ""}, "by"),
        ({"expires_at": START}, "expected expires_at to be after"),
        ({"expires_at": START + LONGEST_SILENCE + timedelta(seconds=1)}, "by at most 30 days"),
        ({"matchers": {}}, "expected at least one of: namespace, workload, workload_kind, rule"),
        ({"matchers": {"namespace": ""}}, "namespace"),
        ({"matchers": {"namespace": "bank/web"}}, "namespace"),
        ({"matchers": {"workload": "x" * 254}}, "workload"),
    ],
)
def test_a_silence_without_owner_reason_end_or_scope_is_none(changed: dict[str, object], told: str) -> None:
    with pytest.raises(ValidationError, match=told):
        Silence.model_validate(silence(0).model_dump() | changed)


def test_the_longest_silence_is_one() -> None:
    lasting = silence(0).model_dump() | {"expires_at": START + LONGEST_SILENCE}
    assert Silence.model_validate(lasting).expires_at == START + LONGEST_SILENCE


def test_a_matcher_that_is_said_is_told_by_its_name() -> None:
    assert Matchers(namespace="bank", rule="crash*").said == {"namespace": "bank", "rule": "crash*"}


def test_a_restart_remembers_which_silences_were_begun_and_ended() -> None:
    story = silenced()
    story.take(finding(seconds=2), seconds=2)
    story.take(silence_ended("silence-1", seconds=3), seconds=3)
    story.take(finding(seconds=4), seconds=4)
    records = records_of(story)
    assert decided(records, restarts=range(len(records))) == [body_of(one) for one in story.outputs]
