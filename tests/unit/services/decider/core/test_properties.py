"""What holds for every history: hypothesis writes them, an obedient world answers the commands."""

from datetime import timedelta

from hypothesis import given, settings
from hypothesis import strategies as st

from services.decider.core.state import partition_bytes, partition_of, workload_bytes, workload_of
from shared.contracts.inbox import InboxEntry, Outcome
from shared.contracts.incidents import Incident, Mode
from tests.unit.services.decider.core.build import (
    PLAYBOOK,
    START,
    History,
    approval,
    finding,
    health,
    history,
    manual,
    pause,
    result,
    resume,
)

COOLDOWN = timedelta(minutes=5)
STEPS = st.lists(
    st.tuples(
        st.sampled_from(
            [
                "crash",
                "memory",
                "healthy",
                "unhealthy",
                "result",
                "approve",
                "reject",
                "wake",
                "pause",
                "resume",
                "person",
            ]
        ),
        st.integers(0, 90),
        st.sampled_from(list(Outcome)),
    ),
    max_size=40,
)


def told(steps: list[tuple[str, int, Outcome]], text: str = PLAYBOOK) -> History:
    story = history(text)
    now = 0
    for kind, wait, outcome in steps:
        now += wait
        due = story.workload.wake_at
        if kind == "wake" and due is not None:
            now = max(now, int((due - START).total_seconds()) + 1)
            story.wake()
        elif (entry := entry_of(story, kind, now, outcome)) is not None:
            story.take(entry, seconds=now)
    return story


def entry_of(story: History, kind: str, now: int, outcome: Outcome) -> InboxEntry | None:
    if kind == "crash":
        return finding(seconds=now, pod=f"frontend-{now}")
    if kind == "memory":
        return finding("memory", seconds=now, reason="OOMKilled", last_reason="OOMKilled", restarts=1)
    if kind in {"healthy", "unhealthy"}:
        return health(healthy=kind == "healthy", seconds=now)
    if kind in {"pause", "resume"}:
        return pause(now) if kind == "pause" else resume(now)
    if kind == "person":
        return manual(seconds=now)
    if kind == "result":
        return result(story.commands[-1], seconds=now, outcome=outcome) if story.commands else None
    incident = story.workload.incident
    return approval(incident, seconds=now, approved=kind == "approve") if incident else None


@given(STEPS)
def test_no_command_is_ordered_twice(steps: list[tuple[str, int, Outcome]]) -> None:
    ids = [command.id for command in told(steps).commands]
    assert len(ids) == len(set(ids))


@given(STEPS, st.data())
def test_a_delivery_again_changes_nothing(steps: list[tuple[str, int, Outcome]], data: st.DataObject) -> None:
    story = told(steps)
    state, written = workload_bytes(story.workload), partition_bytes(story.partition)
    again = data.draw(st.integers(0, len(story.inbox) - 1))
    assert story.deliver(again) == []
    assert (workload_bytes(story.workload), partition_bytes(story.partition)) == (state, written)


@given(STEPS, st.integers(0, 40))
def test_a_restart_at_any_offset_gives_the_same_bytes(steps: list[tuple[str, int, Outcome]], stop: int) -> None:
    whole = told(steps)
    again = History(inbox=whole.inbox)
    for offset in range(len(whole.inbox)):
        if offset == stop:
            again.workload = workload_of(workload_bytes(again.workload))
            again.partition = partition_of(partition_bytes(again.partition), PLAYBOOK)
        again.deliver(offset)
    assert [output.model_dump_json() for output in again.outputs] == [
        output.model_dump_json() for output in whole.outputs
    ]
    assert workload_bytes(again.workload) == workload_bytes(whole.workload)


@given(STEPS, st.sampled_from([Mode.APPROVAL, Mode.DRY_RUN, Mode.OFF]))
def test_a_stricter_playbook_never_lets_a_rule_act_by_itself(steps: list[tuple[str, int, Outcome]], mode: Mode) -> None:
    unattended = [step for step in steps if step[0] not in {"approve", "person"}]
    story = told(unattended, PLAYBOOK.replace("spec:", f"spec:\n  mode: {mode.value}"))
    assert all(command.dry_run for command in story.commands)


@given(STEPS)
def test_no_rule_acts_within_its_cooldown(steps: list[tuple[str, int, Outcome]]) -> None:
    story = told(steps)
    ends = [one for one in story.outputs if isinstance(one, Incident) and one.closed_at is not None]
    for command in story.commands:
        for ended in ends:
            assert ended.closed_at is not None
            is_next = command.rule == ended.rule and command.incident != ended.id and command.at > ended.closed_at
            assert not is_next or ended.rule == "manual" or command.at >= ended.closed_at + COOLDOWN


@given(STEPS)
def test_the_ladder_is_climbed_in_order(steps: list[tuple[str, int, Outcome]]) -> None:
    taken: dict[str, list[tuple[int, int]]] = {}
    for command in told(steps).commands:
        taken.setdefault(command.incident, []).append((command.step, command.attempt))
    for steps_taken in taken.values():
        assert steps_taken == sorted(steps_taken)


@settings(max_examples=50)
@given(STEPS)
def test_left_alone_every_incident_ends(steps: list[tuple[str, int, Outcome]]) -> None:
    story = told([*steps, ("resume", 1, Outcome.APPLIED)])
    for _ in range(30):
        if story.workload.open_incident is None:
            break
        due = story.workload.wake_at
        assert due is not None, "an open incident always has a next moment"
        story.wake()
    assert story.workload.open_incident is None
    assert story.workload.wake_at is None
