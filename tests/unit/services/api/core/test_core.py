"""An incident's story and what a message changes in the read model."""

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from services.api.core.heading import heading
from services.api.core.projection import changes_of, single_id, with_counts
from services.api.core.rules import rule_statuses
from services.api.core.timeline import Happening, timeline
from shared.contracts.actions import Rollback
from shared.contracts.codec import body_of
from shared.contracts.inbox import Outcome, Resume
from shared.contracts.incidents import Decision, Incident, Mode, Note, Phase, Reason, Severity, StepRecord
from shared.contracts.playbooks import PlaybookInForce, RuleBrief
from shared.contracts.scores import SCORED, Score
from shared.contracts.workloads import WorkloadRef

NOW = datetime(2030, 1, 1, tzinfo=UTC)
FRONTEND = WorkloadRef(kind="Deployment", namespace="bank", name="frontend")
SECONDS = st.lists(st.integers(0, 500), max_size=8)


def incident(phase: Phase = Phase.VERIFYING, *steps: StepRecord) -> Incident:
    return Incident(
        id="inc-1",
        at=NOW,
        workload=FRONTEND,
        rule="crash-loop",
        playbook="hash",
        severity=Severity.WARNING,
        mode=Mode.LIVE,
        summary="",
        phase=phase,
        reason=Reason.INCIDENT_OPENED,
        signal_at=NOW,
        opened_at=NOW,
        steps=steps,
    )


def test_an_incident_is_headed_by_what_it_says_of_itself_and_nothing_empty() -> None:
    assert list(heading(incident())) == [("severity", "warning")]
    told = incident().model_copy(
        update={
            "summary": "frontend is slow",
            "owner": "payments",
            "runbook": "https://runbooks.example/slow",
            "labels": {"team": "payments", "tier": "gold"},
            "notes": (Note(at=NOW, step=0, message="It is slow"), Note(at=NOW, step=2, message="Still")),
        }
    )
    assert list(heading(told)) == [
        ("severity", "warning"),
        ("summary", "frontend is slow"),
        ("owner", "payments"),
        ("runbook", "https://runbooks.example/slow"),
        ("labels", "team=payments, tier=gold"),
        ("note", "00:00:00 It is slow"),
        ("note", "00:00:00 Still"),
    ]


def decision(second: int, number: int = 0, of: str | None = "inc-1") -> Decision:
    return Decision(
        id=f"dec-{second}-{number}",
        at=NOW + timedelta(seconds=second),
        workload=FRONTEND,
        cause="e",
        reason=Reason.REPEATED_FINDING,
        incident=of,
    )


def step(*, dry_run: bool) -> StepRecord:
    return StepRecord(
        step=0,
        attempt=1,
        action=Rollback(),
        command="cmd-1",
        dry_run=dry_run,
        ordered_at=NOW,
        outcome=Outcome.APPLIED,
        changes=("a → b",),
        finished_at=NOW + timedelta(seconds=2),
    )


@given(SECONDS)
def test_a_story_holds_every_decision_once_in_the_order_of_their_moments(seconds: list[int]) -> None:
    made = [decision(second, number) for number, second in enumerate(seconds)]
    lines = timeline(incident(), made)
    moments = [line.at for line in lines]
    assert moments == sorted(moments)
    assert sorted(line.id for line in lines if line.happening is Happening.DECISION) == sorted(one.id for one in made)


@given(st.permutations([decision(second) for second in range(5)]))
def test_a_story_does_not_depend_on_the_order_of_delivery(made: list[Decision]) -> None:
    assert timeline(incident(), made) == timeline(incident(), sorted(made, key=lambda one: one.at))


def test_a_preview_is_no_change_and_a_change_is_told_with_its_lines() -> None:
    shown = [one for one in timeline(incident(Phase.VERIFYING, step(dry_run=True)), []) if one.reason == "rollback"]
    assert [(one.happening, one.detail, one.seconds) for one in shown] == [(Happening.PREVIEW, "a → b", 2.0)]
    changed = [one for one in timeline(incident(Phase.VERIFYING, step(dry_run=False)), []) if one.reason == "rollback"]
    assert [(one.happening, one.detail, one.seconds) for one in changed] == [(Happening.CHANGE, "a → b", 2.0)]


def test_a_change_that_undoes_another_is_told_as_that() -> None:
    undone = step(dry_run=False).model_copy(update={"reverts": "cmd-0"})
    told = timeline(incident(Phase.VERIFYING, undone), [])
    assert [one.reason for one in told if one.happening is Happening.CHANGE] == ["rollback reverted"]


@given(st.sampled_from(list(Phase)))
def test_an_incident_is_among_the_open_ones_until_its_phase_is_final(phase: Phase) -> None:
    changes = changes_of(incident(phase))
    verb = "ZREM" if phase.is_final else "ZADD"
    assert [one[0] for one in changes if one[1] == "sre:api:incidents:open"] == [verb]
    assert changes == changes_of(incident(phase))


@given(st.booleans())
def test_a_decision_is_kept_whole_and_under_its_incident_if_it_has_one(has_incident: bool) -> None:
    made = decision(1, of="inc-1" if has_incident else None)
    changes = changes_of(made)
    text = body_of(made).decode()
    assert ("LPUSH", "sre:api:decisions", text) in changes
    assert (("HSET", "sre:api:decisions:inc-1", made.id, text) in changes) is has_incident


def test_what_the_read_model_does_not_hold_changes_nothing() -> None:
    assert changes_of(Resume(id="resume-1", at=NOW, by="ann")) == []


def test_a_decision_that_a_silence_suppressed_counts_for_it_and_others_count_for_none() -> None:
    made = decision(1).model_copy(update={"reason": Reason.SILENCED, "suppressed_by": "silence-1"})
    assert ("HINCRBY", "sre:api:silence:silence-1", "suppressed", "1") in changes_of(made)
    assert not [change for change in changes_of(decision(1)) if change[0] == "HINCRBY"]


@given(st.sampled_from(list(Reason)))
def test_only_what_is_scored_counts_for_its_rule_and_on_its_day(reason: Reason) -> None:
    made = decision(1).model_copy(update={"reason": reason, "rule": "crash/loop", "at": NOW + timedelta(hours=23)})
    counted = [change for change in changes_of(made) if change[1].startswith("sre:api:score")]
    assert bool(counted) is (reason in SCORED)
    if counted:
        assert counted[0] == ("HINCRBY", "sre:api:score:2030-01-01", f"crash/loop/{reason.value}", "1")
        assert counted[1] == ("EXPIREAT", "sre:api:score:2030-01-01", str(int((NOW + timedelta(days=31)).timestamp())))
        assert with_counts({}, {counted[0][2]: "3"}) == {"crash/loop": Score().with_more(reason, times=3)}


def test_the_rules_in_force_come_in_their_order_and_then_what_only_has_a_score_left() -> None:
    briefs = [
        RuleBrief(name=name, signal="container", severity=Severity.WARNING, mode=mode)
        for name, mode in (("slow", Mode.SHADOW), ("crash", Mode.LIVE))
    ]
    in_force = PlaybookInForce(
        id="in-force-1", at=NOW, hash="hash", name="bank", mode=Mode.LIVE, rules=tuple(briefs), text=""
    )
    scores = {"gone": Score(missed=1), "slow": Score(needless=1, confirmed=3), "before": Score(untold=2)}
    told = [(one.name, one.mode, one.precision) for one in rule_statuses(in_force, scores)]
    assert told == [("slow", "shadow", 0.75), ("crash", "live", None), ("before", None, None), ("gone", None, 1.0)]
    assert [one.name for one in rule_statuses(None, scores)] == ["before", "gone", "slow"]


def test_a_decision_is_one_by_its_id_and_an_incident_has_versions() -> None:
    assert single_id(decision(1)) == "dec-1-0"
    assert single_id(incident()) == ""
