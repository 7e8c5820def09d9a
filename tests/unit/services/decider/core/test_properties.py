"""What holds for every history: hypothesis writes them (`histories.py`), and `absorb` decides them."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from fnmatch import fnmatchcase

from hypothesis import given
from hypothesis import strategies as st

from services.decider.core.deciding import moment_of
from services.decider.core.ladder import as_reverted, is_met
from services.decider.core.playbook import Playbook
from services.decider.core.state import WorkloadState, partition_bytes, workload_bytes
from services.decider.core.tallies import Hit, rule_of_key
from services.decider.core.turn import Output
from shared.contracts.actions import RestartPod, SetMemory
from shared.contracts.codec import body_of
from shared.contracts.commands import Command
from shared.contracts.inbox import Approval, Finding, InboxEntry, Observation, Outcome, Silence, SilenceEnded, WakeUp
from shared.contracts.incidents import Decision, Incident, Mode, Phase, Reason
from shared.contracts.signals import ContainerSignal, EventSignal
from tests.unit.services.decider.core.build import (
    History,
    approval,
    at,
    finding,
    health,
    history,
    result,
)
from tests.unit.services.decider.core.histories import (
    LABELLED,
    MAINTAINED,
    PEOPLE,
    PLAYBOOKS,
    Kind,
    Move,
    decided,
    ended,
    in_mode,
    moves,
    records_of,
    told,
)

LIFE = timedelta(seconds=60)
CAP = 512 << 20
STRICTEST_FIRST = (Mode.OFF, Mode.SHADOW, Mode.DRY_RUN, Mode.APPROVAL, Mode.LIVE)
LADDER_OVER = timedelta(hours=2)
"""Longer than any ladder of these playbooks takes, every result missing and every approval waited for."""
PASSED = {
    Reason.MODE_OFF,
    Reason.CAP_REACHED,
    Reason.TARGET_UNSUITABLE,
    Reason.STEP_NOT_MET,
    Reason.NOTIFIED,
    Reason.WAIT_OVER,
}
FAILED = {
    Reason.ACTION_FAILED,
    Reason.ACTION_REFUSED,
    Reason.NOT_VERIFIED,
    Reason.PREVIEW_REFUSED,
    Reason.REVERTED,
}


@dataclass(frozen=True, slots=True)
class Seen:
    """One entry and what followed from it; `before` is the workload's state that it met."""

    entry: InboxEntry
    now: datetime
    playbook: Playbook | None
    before: WorkloadState
    after: WorkloadState
    outputs: list[Output]

    @property
    def decisions(self) -> list[Decision]:
        return [one for one in self.outputs if isinstance(one, Decision)]

    @property
    def commands(self) -> list[Command]:
        return [one for one in self.outputs if isinstance(one, Command)]

    @property
    def moment(self) -> datetime:
        return moment_of(self.entry, now=self.now)  # type: ignore[arg-type] - a broadcast has its own


def walked(story: History) -> Iterator[Seen]:
    again = History(inbox=story.inbox)
    for offset, (entry, now) in enumerate(story.inbox):
        before = again.workload
        outputs = again.deliver(offset)
        yield Seen(entry, now, again.partition.playbook, before, again.workload, outputs)


def live(story: History) -> list[Command]:
    return [command for command in story.commands if not command.dry_run]


def incidents_ended(story: History) -> list[Incident]:
    return [one for one in story.outputs if isinstance(one, Incident) and one.closed_at is not None]


def written(story: History) -> tuple[bytes, bytes]:
    return workload_bytes(story.workload), partition_bytes(story.partition)


@given(moves())
def test_no_two_outputs_have_one_id_but_versions_of_an_incident(steps: list[Move]) -> None:
    ids = [one.id for one in told(steps).outputs if not isinstance(one, Incident)]
    assert len(ids) == len(set(ids))


@given(moves())
def test_what_has_ended_stays_ended(steps: list[Move]) -> None:
    over: set[str] = set()
    for one in told(steps).outputs:
        if isinstance(one, Incident):
            assert one.id not in over
            over |= {one.id} if one.phase.is_final else set()


@given(moves(), st.data())
def test_what_is_delivered_again_changes_nothing(steps: list[Move], data: st.DataObject) -> None:
    story = told(steps)
    known = written(story)
    for offset in data.draw(st.lists(st.integers(0, len(story.inbox) - 1), min_size=1, max_size=10)):
        assert story.deliver(offset) == []
        assert written(story) == known


@given(moves())
def test_a_restart_before_every_entry_gives_the_same_bytes(steps: list[Move]) -> None:
    story = told(steps)
    records = records_of(story)
    assert decided(records, restarts=range(len(records))) == [body_of(one) for one in story.outputs]


OFFSETS = st.sets(st.integers(0, 25))


@given(moves(), OFFSETS, OFFSETS, OFFSETS)
def test_any_batches_and_any_writes_that_are_lost_give_the_same_bytes(
    steps: list[Move], restarts: set[int], lost: set[int], unwritten: set[int]
) -> None:
    story = told(steps)
    again = decided(records_of(story), restarts=restarts, lost=lost, unwritten=unwritten)
    assert again == [body_of(one) for one in story.outputs]


@given(moves())
def test_every_decision_names_a_reason_and_the_playbook_in_force(steps: list[Move]) -> None:
    for seen in walked(told(steps)):
        for decision in seen.decisions:
            assert decision.playbook == (seen.playbook.hash if seen.playbook else "")
            assert decision.cause == seen.entry.id
            assert decision.at == seen.moment


@given(moves())
def test_every_change_of_an_incident_has_a_decision_or_is_a_count_or_health(steps: list[Move]) -> None:
    for seen in walked(told(steps)):
        before, after = seen.before.incident, seen.after.incident
        if after is not None and (before is None or before.phase is not after.phase):
            assert seen.decisions or after.phase is Phase.WAITING
        if after is not None and after != before:
            assert after in seen.outputs


@given(moves())
def test_every_finding_result_and_answer_is_answered_by_a_decision(steps: list[Move]) -> None:
    for seen in walked(told(steps)):
        if isinstance(seen.entry, Finding | Approval) or seen.entry.TYPE in {"result", "control.action"}:
            assert seen.decisions


@given(moves())
def test_all_that_is_counted_is_counted_by_the_words_in_force(steps: list[Move]) -> None:
    for seen in walked(told(steps)):
        if seen.playbook is not None and hasattr(seen.entry, "workload"):
            for key, tally in seen.after.tallies.items():
                assert tally.counting == seen.playbook.rules[rule_of_key(key)].counting


def holding(state: WorkloadState) -> set[str]:
    return (
        {one.object for one in state.tallies["hung"].held if one.since is not None}
        if "hung" in state.tallies
        else set()
    )


@given(moves(without={Kind.PLAYBOOK, Kind.GONE}))
def test_what_holds_is_followed_until_it_is_over_or_was_acted_on(steps: list[Move]) -> None:
    acted: set[str] = set()
    for seen in walked(told(steps)):
        acted |= {one.action.pod for one in seen.commands if one.rule == "hung" and isinstance(one.action, RestartPod)}
        lost = {name.partition("/")[0] for name in holding(seen.before) - holding(seen.after)}
        ended = seen.after.incident is not None and seen.after.incident.rule == "hung" and bool(incidents_closed(seen))
        over = isinstance(seen.entry, Observation) and not seen.entry.holds
        opened = any(one.reason is Reason.INCIDENT_OPENED for one in seen.decisions)
        about = seen.after.finding if opened else seen.before.finding  # one may end, and another open and end, at once
        pod = about.signal.object.name if about is not None and isinstance(about.signal, ContainerSignal) else ""
        assert not lost or over or (ended and lost <= {*acted, pod})


def incidents_closed(seen: Seen) -> list[Incident]:
    return [one for one in seen.outputs if isinstance(one, Incident) and one.closed_at is not None]


@given(moves())
def test_no_rule_acts_within_the_cooldown_after_its_incident(steps: list[Move]) -> None:
    rests: dict[str, datetime] = {}
    for seen in walked(told(steps)):
        opened = [one for one in seen.decisions if one.reason is Reason.INCIDENT_OPENED]
        assert all(one.at >= rests.get(one.rule, one.at) for one in opened)
        over = seen.after.incident
        rule = seen.playbook.rules.get(over.rule) if over and over.closed_at and seen.playbook else None
        if rule is not None and over is not None and over in seen.outputs:
            rests[over.rule] = seen.moment + rule.words.cooldown


@given(moves())
def test_the_ladder_is_climbed_rung_by_rung_and_each_passed_one_is_named(steps: list[Move]) -> None:
    stands: dict[str, Decision] = {}
    for decision in (one for one in told(steps).outputs if isinstance(one, Decision) and one.incident):
        assert decision.incident is not None
        known = stands.get(decision.incident)
        assert is_next(known, decision), (known, decision)
        stands[decision.incident] = decision


def is_next(known: Decision | None, decision: Decision) -> bool:
    place = (decision.step, decision.attempt)
    if known is None:
        return place == (0, 1) and decision.reason in {Reason.INCIDENT_OPENED, Reason.MANUAL_ACTION}
    assert known.step is not None
    assert known.attempt is not None
    if place == (known.step, known.attempt):
        return True
    if place == (known.step + 1, 1):
        return known.reason in PASSED | FAILED
    return place == (known.step, known.attempt + 1) and known.reason in FAILED


@given(moves(without={Kind.PLAYBOOK}))
def test_no_step_is_tried_more_often_than_its_rung_says(steps: list[Move]) -> None:
    most = {("crash", 0): 2, ("crash", 1): 1, ("slow", 2): 2, ("leak", 0): 2, ("errors", 0): 2}
    for command in told(steps).commands:
        assert command.attempt <= most.get((command.rule, command.step), 1)


@given(moves())
def test_after_a_step_that_failed_its_back_off_is_waited_for(steps: list[Move]) -> None:
    for seen in walked(told(steps)):
        incident = seen.after.open_incident
        if incident is None or incident.phase is not Phase.WAITING or incident.reason not in FAILED:
            continue
        if seen.decisions and seen.decisions[-1].reason in FAILED:
            assert incident.deadline == seen.moment + timedelta(seconds=10) * 2 ** (incident.attempt - 2)


@given(moves(without={Kind.PERSON, Kind.PLAYBOOK}), st.sampled_from([Mode.DRY_RUN, Mode.SHADOW, Mode.OFF]))
def test_in_a_mode_below_approval_nothing_is_ever_acted_on(steps: list[Move], mode: Mode) -> None:
    story = told(steps, in_mode(mode))
    assert not live(story)
    assert mode is Mode.DRY_RUN or all(command.rule == "manual" for command in story.commands)


@given(moves(without={Kind.PERSON, Kind.REHEARSAL, Kind.PLAYBOOK}))
def test_in_shadow_no_command_is_sent_at_all_and_what_would_be_is_told(steps: list[Move]) -> None:
    for seen in walked(told(steps, in_mode(Mode.SHADOW))):
        assert not seen.commands
        reasons = [one.reason for one in seen.decisions]
        assert (Reason.SHADOWED in reasons) == (Reason.SHADOW_DONE in reasons)
        assert all(one.detail for one in seen.decisions if one.reason is Reason.SHADOWED)


@given(moves(without={Kind.PERSON, Kind.PLAYBOOK}))
def test_in_the_mode_approval_each_action_is_one_that_a_person_saw_and_allowed(steps: list[Move]) -> None:
    for seen in walked(told(steps, in_mode(Mode.APPROVAL))):
        for command in (one for one in seen.commands if not one.dry_run and not one.reverts):
            assert isinstance(seen.entry, Approval)
            assert seen.entry.approved
            assert (seen.entry.incident, seen.entry.step) == (command.incident, command.step)
            assert Reason.APPROVAL_GRANTED in {one.reason for one in seen.decisions}


@given(moves(without=PEOPLE | {Kind.AGAIN, Kind.PLAYBOOK}))
def test_a_stricter_mode_never_acts_more_while_nobody_looks(steps: list[Move]) -> None:
    acts = [
        len(live(told(steps, in_mode(mode))))
        for mode in (Mode.OFF, Mode.SHADOW, Mode.DRY_RUN, Mode.APPROVAL, Mode.LIVE)
    ]
    assert acts == sorted(acts)
    assert acts[:4] == [0, 0, 0, 0]


FATES = st.lists(st.tuples(st.sampled_from(list(Outcome)), st.booleans(), st.booleans()), min_size=4, max_size=4)


@given(FATES)
def test_a_stricter_mode_takes_no_step_that_a_laxer_one_would_not(fates: list[tuple[Outcome, bool, bool]]) -> None:
    taken = [acted(mode, fates) for mode in STRICTEST_FIRST]
    assert taken[0] == taken[1] == taken[2] == set()
    assert taken[3] <= taken[4]


def acted(mode: Mode, fates: list[tuple[Outcome, bool, bool]]) -> set[tuple[int, int]]:
    """Return the steps that act where the world answers each of them alike, whatever the mode."""
    story, now = history(in_mode(mode)), 1.0
    story.take(finding(seconds=now), seconds=now)
    while (incident := story.workload.open_incident) is not None:
        outcome, allowed, cures = fates[incident.step * 2 + incident.attempt - 1]
        now += 1
        if incident.phase is Phase.PREVIEWING:
            story.take(result(story.commands[-1], seconds=now, outcome=Outcome.DRY_RUN), seconds=now)
        elif incident.phase is Phase.AWAITING_APPROVAL:
            story.take(approval(incident, seconds=now, approved=allowed), seconds=now)
        elif incident.phase is Phase.ACTING:
            story.take(result(story.commands[-1], seconds=now, outcome=outcome), seconds=now)
            story.take(health(healthy=cures, seconds=now), seconds=now)
        else:
            assert story.workload.wake_at is not None
            now = max(now, (story.workload.wake_at - at(0)).total_seconds())
            story.wake()
    return {(command.step, command.attempt) for command in live(story)}


@given(moves())
def test_a_protected_namespace_never_gets_a_command(steps: list[Move]) -> None:
    for seen in walked(told(steps)):
        if seen.playbook is None or "bank" in seen.playbook.words.spec.protected.namespaces:
            assert not seen.commands


@given(moves())
def test_what_shows_a_protected_label_never_gets_a_command(steps: list[Move]) -> None:
    for seen in walked(told(steps, LABELLED)):
        told_now = seen.entry if isinstance(seen.entry, Finding) else None
        for command in seen.commands:
            assert seen.playbook is not None
            labels = seen.playbook.words.spec.protected.labels
            assert command.protected_labels == {key: tuple(sorted(values)) for key, values in labels.items()}
            for shown in (told_now, seen.after.finding):
                assert (
                    shown is None
                    or not isinstance(shown.signal, ContainerSignal)
                    or (shown.signal.labels.get("tier") not in labels.get("tier", ()))
                )


@given(moves())
def test_while_paused_nothing_is_ordered(steps: list[Move]) -> None:
    paused = False
    for seen in walked(told(steps)):
        paused = (paused or seen.entry.TYPE == "control.pause") and seen.entry.TYPE != "control.resume"
        assert not (paused and seen.commands)


def is_about(silence: Silence, rule: str) -> bool:
    names = {"namespace": "bank", "workload": "frontend", "workload_kind": "Deployment", "rule": rule}
    return all(fnmatchcase(names[name], glob) for name, glob in silence.matchers.said.items())


def silenced(story: History) -> Iterator[tuple[Seen, dict[str, Silence]]]:
    """Yield each entry with the silences that its log says are in force."""
    held: dict[str, Silence] = {}
    for seen in walked(story):
        if isinstance(seen.entry, Silence):
            held[seen.entry.id] = seen.entry
        if isinstance(seen.entry, SilenceEnded):
            held.pop(seen.entry.silence, None)
        yield seen, {name: one for name, one in held.items() if seen.moment < one.expires_at}


@given(moves())
def test_what_is_silenced_neither_opens_nor_acts_but_for_what_a_person_asked_for_or_is_undone(
    steps: list[Move],
) -> None:
    for seen, held in silenced(told(steps)):
        begun = [one.rule for one in seen.commands if one.rule != "manual" and not one.reverts]
        begun += [one.rule for one in seen.decisions if one.reason is Reason.INCIDENT_OPENED]
        assert not any(is_about(one, rule) for one in held.values() for rule in begun)


def counted(state: WorkloadState, *, without: str) -> dict[str, tuple[Hit, ...]]:
    tallies = {key: tally for key, tally in state.tallies.items() if rule_of_key(key) != without}
    return {key: tally.hits for key, tally in tallies.items() if tally.hits}


def ended_rule(seen: Seen) -> str:
    """Return the rule whose incident an entry ends, which counts from nothing then; empty where it ends none."""
    before, after = seen.before.open_incident, seen.after.open_incident
    is_over = before is not None and (after is None or after.id != before.id)
    return before.rule if before is not None and is_over else ""


@given(moves())
def test_what_a_silence_suppresses_names_it_and_counts_nothing(steps: list[Move]) -> None:
    for seen, held in silenced(told(steps)):
        for decision in seen.decisions:
            assert (decision.reason in {Reason.SILENCED, Reason.MAINTENANCE}) == bool(decision.suppressed_by)
            if decision.reason is Reason.SILENCED:
                assert is_about(held[decision.suppressed_by], decision.rule)
                ended = ended_rule(seen)  # a wake-up may end one rule's incident and find another one's silenced
                assert counted(seen.after, without=ended) == counted(seen.before, without=ended)


@given(moves(without={Kind.PLAYBOOK}))
def test_in_a_maintenance_window_nothing_is_begun_but_what_a_person_asked_for(steps: list[Move]) -> None:
    for seen in walked(told(steps, MAINTAINED)):
        begun = [one.rule for one in seen.commands if one.rule == "crash"]
        begun += [one.rule for one in seen.decisions if one.reason is Reason.INCIDENT_OPENED and one.rule == "crash"]
        assert not (begun and seen.moment.minute % 10 < 3)
        named = {one.suppressed_by for one in seen.decisions if one.reason is Reason.MAINTENANCE}
        assert named <= {"often"}
        assert not named or seen.moment.minute % 10 < 3


@given(moves(without={Kind.PAUSE, Kind.SILENCE_ENDED}), st.sampled_from([3, 4]))
def test_a_silence_about_something_else_changes_nothing(steps: list[Move], elsewhere: int) -> None:
    silences = [replace(one, pick=elsewhere) if one.kind is Kind.SILENCE else one for one in steps]
    resumes = [replace(one, kind=Kind.RESUME) if one.kind is Kind.SILENCE else one for one in steps]
    assert told(silences).outputs == told(resumes).outputs  # a resume of what is not paused does nothing either


@given(moves())
def test_a_command_lives_a_minute_from_the_moment_of_its_cause(steps: list[Move]) -> None:
    for seen in walked(told(steps)):
        for command in seen.commands:
            assert (command.at, command.expires_at) == (seen.moment, seen.moment + LIFE)


@given(moves())
def test_a_command_is_about_what_the_latest_finding_saw_or_what_was_previewed(steps: list[Move]) -> None:
    latest: Finding | None = None
    previews: dict[tuple[str, int], Command] = {}
    for seen in walked(told(steps)):
        latest = latest_of(latest, seen)
        for command in seen.commands:
            if isinstance(seen.entry, Approval) and not command.dry_run:
                assert command.action == previews[command.incident, command.step].action
            elif command.rule != "manual" and not command.reverts:
                assert latest is not None
                assert seen.after.incident is not None
                assert_follows(command, as_reverted(latest, seen.after.incident.steps))
            if command.dry_run:
                previews[command.incident, command.step] = command


TIMED = {"hung", "unanswered"}
"""Rules of which time says what is acted on; of all others it is the latest that was found."""


def latest_of(latest: Finding | None, seen: Seen) -> Finding | None:
    reasons = {one.reason for one in seen.decisions}
    if Reason.INCIDENT_OPENED in reasons:
        return seen.after.finding
    if not isinstance(seen.entry, Finding):
        return seen.after.finding if latest is not None and latest.rule in TIMED else latest
    entry = seen.entry.model_copy(update={"at": min(seen.entry.at, seen.now)}) if is_ahead(seen) else seen.entry
    if latest is None:
        return entry
    if entry.rule in TIMED and Reason.REPEATED_FINDING in reasons:
        return seen.after.finding
    return entry if Reason.REPEATED_FINDING in reasons and entry.at >= latest.at else latest


def is_ahead(seen: Seen) -> bool:
    return seen.entry.at > seen.now + timedelta(minutes=5)


@given(moves(without={Kind.PLAYBOOK}))
def test_what_time_decides_is_about_an_object_of_which_it_is_so(steps: list[Move]) -> None:
    told_of: dict[tuple[str, str], list[tuple[datetime, datetime]]] = {}
    for seen in walked(told(steps)):
        if isinstance(seen.entry, Finding) and isinstance(seen.entry.signal, ContainerSignal | EventSignal):
            known = told_of.setdefault((seen.entry.rule, seen.entry.signal.object.name), [])
            known.append((seen.now, min(seen.entry.at, seen.now + timedelta(minutes=5))))
        for opened in (one for one in seen.decisions if one.reason is Reason.INCIDENT_OPENED and one.rule in TIMED):
            about = seen.after.finding
            assert about is not None
            assert isinstance(about.signal, ContainerSignal | EventSignal)
            told_at, moments = zip(*told_of[opened.rule, about.signal.object.name], strict=True)
            assert max(seen.moment - min(told_at), max(moments) - min(moments)) >= timedelta(seconds=60)


def assert_follows(command: Command, latest: Finding) -> None:
    signal = latest.signal
    assert command.rule == latest.rule
    match command.action:
        case RestartPod() as restart:
            assert isinstance(signal, ContainerSignal | EventSignal)
            assert (restart.pod, restart.uid) == (signal.object.name, signal.object.uid)
        case SetMemory() as more:
            assert isinstance(signal, ContainerSignal)
            assert more.container == signal.container
            assert more.from_bytes == signal.memory_limit_bytes < more.to_bytes <= CAP
        case _:
            pass


@given(moves())
def test_a_step_is_taken_only_where_its_condition_holds_on_the_latest_finding(steps: list[Move]) -> None:
    latest: Finding | None = None
    for seen in walked(told(steps)):
        latest = latest_of(latest, seen)
        rule = seen.playbook.rules.get(latest.rule) if seen.playbook and latest else None
        for command in (one for one in seen.commands if rule and one.rule == rule.name and not one.reverts):
            assert isinstance(seen.entry, Approval) or (rule and latest and is_met(rule, command.step, latest))


@given(moves())
def test_what_the_ladder_told_people_stays_in_the_incident(steps: list[Move]) -> None:
    said: dict[str | None, list[tuple[datetime, int | None, str]]] = {}
    for seen in walked(told(steps)):
        for one in (one for one in seen.decisions if one.reason is Reason.NOTIFIED):
            said.setdefault(one.incident, []).append((one.at, one.step, one.detail))
        if (incident := seen.after.incident) is not None:
            assert [(note.at, note.step, note.message) for note in incident.notes] == said.get(incident.id, [])


@given(moves())
def test_each_revert_undoes_once_what_was_done_and_not_proven(steps: list[Move]) -> None:
    sent: dict[str, Command] = {}
    undone: set[str] = set()
    for seen in walked(told(steps)):
        for command in seen.commands:
            assert command.id not in sent
            sent[command.id] = command
            if command.reverts:
                assert command.reverts not in undone
                undone.add(command.reverts)
                done = sent[command.reverts]
                assert not done.dry_run
                assert not command.dry_run
                assert command.action == done.action.inverse()
                assert (command.incident, command.step, command.attempt) == (done.incident, done.step, done.attempt)


UNDONE_OR_TOLD = {
    Reason.REVERT_ORDERED,
    Reason.PAUSED,
    Reason.PROTECTED,
    Reason.RULE_UNKNOWN,
    Reason.MODE_OFF,
}


@given(moves())
def test_what_can_be_undone_is_undone_where_it_is_not_proven_before_anything_else(steps: list[Move]) -> None:
    for seen in walked(told(steps)):
        before, reasons = seen.before.open_incident, [one.reason for one in seen.decisions]
        if before is not None and Reason.NOT_VERIFIED in reasons and before.steps[-1].inverse is not None:
            assert reasons[reasons.index(Reason.NOT_VERIFIED) + 1] in UNDONE_OR_TOLD
        if before is not None and before.phase is Phase.REVERTING and Reason.REVERTED not in reasons:
            assert all(one.reverts for one in seen.commands)
        if Reason.REVERT_FAILED in reasons:
            assert seen.after.incident is not None
            assert seen.after.incident.phase is Phase.ESCALATED


@given(moves())
def test_a_cure_that_a_query_shows_is_proven_by_its_samples_alone_each_of_which_holds(steps: list[Move]) -> None:
    since: datetime | None = None
    for seen in walked(told(steps)):
        if any(not one.dry_run for one in seen.commands) or isinstance(seen.entry, Finding):
            since = None
        if isinstance(seen.entry, Observation) and seen.entry.part == "verify/0":
            since = (since or min(seen.entry.at, seen.now)) if seen.entry.holds else None
        if any(one.reason is Reason.VERIFIED and one.rule == "errors" for one in seen.decisions):
            assert since is not None
            assert seen.moment - since >= timedelta(seconds=30)


@given(moves())
def test_nothing_is_decided_by_time_before_its_time_has_come_by_the_log(steps: list[Move]) -> None:
    for seen in walked(told(steps)):
        if isinstance(seen.entry, WakeUp) and seen.entry.due > seen.now + timedelta(seconds=1):
            due = seen.before.wake_at
            assert due is None or due <= seen.now or not seen.decisions
            assert all(one.at == seen.now for one in seen.decisions)


@given(moves())
def test_a_wait_lasts_as_long_as_it_says(steps: list[Move]) -> None:
    until: dict[tuple[str | None, int | None], datetime | None] = {}
    for seen in walked(told(steps)):
        for one in seen.decisions:
            if one.reason is Reason.WAITING:
                assert seen.after.incident is not None
                until[one.incident, one.step] = seen.after.incident.deadline
            elif one.reason is Reason.WAIT_OVER:
                deadline = until.pop((one.incident, one.step))
                assert deadline is not None
                assert one.at >= deadline


@given(moves())
def test_a_cure_is_proven_by_health_that_held_long_enough(steps: list[Move]) -> None:
    since: datetime | None = None
    for seen in walked(told(steps)):
        if seen.entry.TYPE == "signal.workload":
            is_healthy = seen.after.health is not None and seen.after.health.healthy
            since = (since or seen.now) if is_healthy else None
        healed = {one.rule for one in seen.decisions if one.reason in {Reason.VERIFIED, Reason.RECOVERED}}
        if healed - {"errors"}:
            assert since is not None
            assert seen.moment - since >= timedelta(seconds=30)
            found = seen.before.found_at
            assert found is None or seen.moment - found >= timedelta(seconds=30)


@given(moves())
def test_left_alone_every_incident_ends_in_time(steps: list[Move]) -> None:
    story = told(steps)
    begun = max(now for _, now in story.inbox)
    ended(story)
    assert story.workload.open_incident is None
    assert story.workload.wake_at is None or is_barred(story.workload)
    last = story.workload.incident
    assert last is None or last.closed_at is None or last.closed_at <= begun + LADDER_OVER


def is_barred(state: WorkloadState) -> bool:
    """Tell whether an incident is due that a playbook bars; it is asked for again until that is over."""
    return any(tally.barred is not None for tally in state.tallies.values())


@given(moves())
def test_an_open_incident_always_asks_for_its_next_moment(steps: list[Move]) -> None:
    for seen in walked(told(steps)):
        if (incident := seen.after.open_incident) is not None:
            assert incident.deadline is not None
            assert seen.after.wake_at is not None
            assert seen.after.wake_at <= incident.deadline
        else:
            assert seen.after.wake_at is None or seen.after.tallies or seen.after.forgone


@given(moves())
def test_the_playbooks_of_these_histories_are_known(steps: list[Move]) -> None:
    assert {one.playbook for one in told(steps).outputs if isinstance(one, Decision)} <= {"", *PLAYBOOKS}
