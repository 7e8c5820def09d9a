"""Histories that hypothesis writes: anything that may reach an inbox, in any order, early, late, twice or wrong."""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum, auto

from hypothesis import strategies as st

from services.decider.adapters.rows import States
from services.decider.core.absorbing import absorb
from services.decider.core.matching import index_rules, match
from services.decider.core.playbook import Playbook, load_playbook
from shared.contracts.codec import Record, body_of, decode, encode
from shared.contracts.commands import Command
from shared.contracts.inbox import InboxEntry, Outcome
from shared.contracts.incidents import Incident, Mode
from shared.contracts.predictions import Prediction
from shared.contracts.signals import Signal
from shared.contracts.topics import INBOX
from shared.contracts.workloads import ObjectRef
from shared.kernel.clock import to_millis
from shared.kernel.errors import PoisonError
from tests.unit.services.decider.core.build import (
    PLAYBOOK,
    START,
    History,
    activated,
    approval,
    at,
    braked,
    container,
    event,
    finding,
    gone,
    health,
    history,
    manual,
    pause,
    result,
    resume,
    sample,
    silence,
    silence_ended,
    wake_up,
)

RULES = (
    PLAYBOOK
    + """\
    - name: leak
      signal: container
      where: {reason: Leak}
      ladder:
        - {action: set-memory, cap: 512Mi, attempts: 2, verify: {healthy_for: 30s, within: 1m}}
        - {action: set-memory, cap: 512Mi, factor: 4, verify: {healthy_for: 30s, within: 1m}}
        - {action: escalate}
    - name: errors
      signal: container
      where: {reason: Errors}
      ladder:
        - action: restart-pod
          attempts: 2
          verify: {query: error-rate, when: value < 0.5, healthy_for: 30s, within: 2m}
        - {action: escalate}
    - name: hung
      signal: container
      where: {reason: Hung}
      for: 60s
      ladder: [{action: restart-pod, verify: {healthy_for: 30s, within: 2m}}, {action: escalate}]
    - name: unanswered
      signal: event
      where: {reason: Killing}
      without: {signal: event, where: {reason: Started}, within: 60s}
      ladder: [{action: restart-pod, verify: {healthy_for: 30s, within: 2m}}, {action: escalate}]
    - name: after-scaling
      signal: event
      where: {reason: Failed}
      after: {signal: event, where: {reason: Scaled}, within: 60s}
      window: {count: 2, distinct: object, within: 2m}
      ladder: [{action: escalate}]
"""
)
"""The tests' playbook, and rules whose cures are undone, or that ask for what lasts, stays away or came before."""
INDEX = index_rules(load_playbook(RULES, file="test"))


def in_mode(mode: Mode) -> str:
    """Return these rules in a mode."""
    return RULES.replace("spec:", f"spec:\n  mode: {mode.value}")


BROKEN = RULES.replace("signal: container", "signal: tea leaves")
PROTECTING = RULES.replace("spec:", "spec:\n  protected: {namespaces: [bank]}")
LABELLED = RULES.replace("spec:", "spec:\n  protected: {labels: {tier: [cache, database]}}")
"""These rules, with what they must leave alone: some of the pods that crash carry that label."""
MAINTAINED = RULES.replace(
    "spec:",
    "spec:\n  maintenance: [{name: often, schedule: '*/10 * * * *', duration: 3m, namespaces: [b*], rules: [crash]}]",
)
"""These rules, of which one is in maintenance for the first three minutes of each ten."""
TEXTS = (
    RULES,
    BROKEN,
    PROTECTING,
    RULES.replace("cooldown: 5m", "cooldown: 1m"),
    RULES.replace("name: crash", "name: other"),
    RULES.replace("attempts: 2", "attempts: 3").replace(
        "        - action: rollback\n", "        - action: rollback\n          mode: off\n"
    ),
    RULES.replace("{action: wait, for: 1m, healthy_for: 30s}", "{action: restart-pod, when: restarts < 1}"),
    RULES.replace("{action: notify, message: It is slow}", "{action: wait, for: 10m}"),
    MAINTAINED,
    LABELLED,
    *(in_mode(mode) for mode in Mode),
)
SILENCED: Sequence[Mapping[str, str]] = (
    {"namespace": "b?nk"},
    {"workload": "front*", "rule": "crash"},
    {"workload_kind": "Deployment", "rule": "*e*"},
    {"namespace": "shop"},
    {"namespace": "bank", "workload": "backend"},
)
"""What silences are about; the last two are about nothing that these histories tell of."""
PLAYBOOKS: Mapping[str, Playbook] = {
    known.hash: known for known in (load_playbook(text, file="test") for text in TEXTS if text != BROKEN)
}


PREDICTED = Prediction(replaces=("frontend-1",), replaced=1, away=1, available=2, lowest=1)
"""What each preview predicts."""


class Kind(StrEnum):
    """What may come next."""

    CRASH = auto()
    MEMORY = auto()
    ERROR = auto()
    HUNG = auto()
    HUNG_NO_MORE = auto()
    KILLING = auto()
    STARTED = auto()
    SCALED = auto()
    FAILED = auto()
    SLOW = auto()
    ERRORS = auto()
    SAMPLE = auto()
    LEAK = auto()
    HEALTHY = auto()
    UNHEALTHY = auto()
    GONE = auto()
    RESULT = auto()
    BRAKED = auto()
    OLD_RESULT = auto()
    STRAY_RESULT = auto()
    APPROVE = auto()
    REJECT = auto()
    APPROVE_OTHER = auto()
    PERSON = auto()
    REHEARSAL = auto()
    PAUSE = auto()
    RESUME = auto()
    SILENCE = auto()
    SILENCE_ENDED = auto()
    PLAYBOOK = auto()
    WAKE = auto()
    WAKE_EARLY = auto()
    WAKE_LATE = auto()
    AGAIN = auto()


PEOPLE = frozenset({Kind.APPROVE, Kind.PERSON})


@dataclass(frozen=True, slots=True)
class Move:
    """One thing that comes, `wait` seconds after the one before; `skew` sets a signal's clock, `pick` chooses."""

    kind: Kind
    wait: int
    outcome: Outcome
    skew: int
    pick: int


def moves(*, without: Collection[Kind] = ()) -> st.SearchStrategy[list[Move]]:
    """Return histories to be; what leads on comes more often, so that incidents get far."""
    usual = (
        Kind.CRASH,
        Kind.RESULT,
        Kind.RESULT,
        Kind.WAKE,
        Kind.WAKE,
        Kind.HEALTHY,
        Kind.MEMORY,
        Kind.APPROVE,
        Kind.SLOW,
        Kind.LEAK,
        Kind.ERRORS,
        Kind.SAMPLE,
    )
    kinds = [kind for kind in (*Kind, *usual, *usual) if kind not in without]
    move = st.builds(
        Move,
        kind=st.sampled_from(kinds),
        wait=st.sampled_from((0, 1, 5, 29, 30, 31, 60, 90, 120, 301)),
        outcome=st.sampled_from(list(Outcome)),
        skew=st.sampled_from((0, 0, 0, -1, -60, -600, 30, 4_000)),
        pick=st.integers(0, 20),
    )
    return st.lists(move, min_size=8, max_size=24)


def told(steps: Sequence[Move], text: str = RULES) -> History:
    """Return the history of some moves; what cannot come (a result without a command) does not come."""
    story, now = history(text), 0
    for move in steps:
        now += move.wait
        now = max(now, _moment_of(story, move))
        entry = _ENTRIES[move.kind](story, move, now)
        if entry is not None:
            story.take(entry, seconds=now)
    return story


def ended(story: History, *, within: int = 120) -> History:
    """Return the history with what holds it over, and every wake-up delivered that is asked for."""
    now = _seconds(max(moment for _, moment in story.inbox)) + 1
    story.take(resume(now), seconds=now)
    for one in story.partition.silences:
        story.take(silence_ended(one.id, seconds=now), seconds=now)
    for _ in range(within):
        if story.workload.wake_at is None:
            break
        now = max(story.inbox[-1][1], story.workload.wake_at)
        story.take(wake_up(story.workload.wake_at), seconds=_seconds(now))
    return story


@dataclass(slots=True)
class Stored:
    """Rows that outlive a process."""

    rows: dict[str, bytes] = field(default_factory=dict[str, bytes])

    def get(self, key: str) -> bytes | None:
        """Return a row; None if it is not there."""
        return self.rows.get(key)

    def items(self) -> Iterator[tuple[str, bytes]]:
        """Return all rows."""
        yield from self.rows.items()


def records_of(story: History) -> list[Record]:
    """Return a history's inbox as it lies on its topic."""
    return [_record(entry, offset=offset, moment=moment) for offset, (entry, moment) in enumerate(story.inbox)]


def decided(
    records: Sequence[Record],
    *,
    restarts: Collection[int] = (),
    lost: Collection[int] = (),
    unwritten: Collection[int] = (),
) -> list[bytes]:
    """Return the bytes of all outputs, with the states as rows.

    Before an offset of `restarts` the process is another one, that knows the rows alone. At an offset of `lost` it dies
    before the partition's position is written, so that the record comes again. At one of `unwritten` no row is written
    and the record comes again to the same process: its outputs are the same.
    """
    stored, states, outputs = Stored(), States(), list[bytes]()
    for record in records:
        states = States() if record.offset in restarts else states
        found, rows = _absorbed(record, states, stored)
        outputs += found
        if record.offset in unwritten:
            again, rows = _absorbed(record, states, stored)
            assert again == found
        if record.offset in lost:
            stored.rows |= {key: row for key, row in rows.items() if not key.startswith("@partition/")}
            states = States()
            again, rows = _absorbed(record, states, stored)
            outputs += again
        stored.rows |= rows
    return outputs


def _absorbed(record: Record, states: States, stored: Stored) -> tuple[list[bytes], dict[str, bytes]]:
    entry = decode(record).message
    partition = states.partition(record.partition, stored)
    workload = states.workload(entry.key, stored)
    moment = datetime.fromtimestamp(record.timestamp_ms / 1000, tz=START.tzinfo)
    try:
        absorbed = absorb(partition, workload, entry, offset=record.offset, now=moment)  # type: ignore[arg-type]
    except PoisonError:
        return [], states.passed(record.partition, record.offset, stored)
    rows = states.changed(record.partition, entry.key, absorbed, before=partition.playbook)
    return list(map(body_of, absorbed.outputs)), rows


def _record(entry: InboxEntry, *, offset: int, moment: datetime) -> Record:
    out = encode(entry, topic=INBOX, source="test")
    return Record(INBOX.name, 0, offset, to_millis(moment), out.key, out.value, out.headers)


def _seconds(moment: datetime) -> int:
    return int((moment - START).total_seconds())


def _moment_of(story: History, move: Move) -> int:
    due = story.workload.wake_at
    if due is None or move.kind not in {Kind.WAKE, Kind.WAKE_LATE}:
        return 0
    return _seconds(due) + (move.wait if move.kind is Kind.WAKE_LATE else 0)


_Maker = Callable[[History, Move, int], InboxEntry | None]


def _crash(_: History, move: Move, now: int) -> InboxEntry:
    labels = {"tier": "database" if move.pick % 4 == 1 else "web"}
    return finding(seconds=now + move.skew, pod=f"frontend-{move.pick}", labels=labels)


def _memory(_: History, move: Move, now: int) -> InboxEntry:
    limit = (64 + 32 * move.pick) << 20
    return finding(
        "memory",
        seconds=now + move.skew,
        reason="OOMKilled",
        last_reason="OOMKilled",
        restarts=1,
        memory_limit_bytes=limit,
    )


def _leak(_: History, move: Move, now: int) -> InboxEntry:
    limit = (64 + 32 * move.pick) << 20
    return finding("leak", seconds=now + move.skew, reason="Leak", memory_limit_bytes=limit)


def _sample(_: History, move: Move, now: int) -> InboxEntry | None:
    series = "a" if move.pick % 4 else "b"
    return _matched(sample(value=0.1 if move.pick % 3 else 0.9, seconds=now + move.skew, series=series))


def _error(_: History, move: Move, now: int) -> InboxEntry:
    return finding("twice", seconds=now + move.skew, reason="Error")


def _matched(signal: Signal) -> InboxEntry | None:
    """Return what the rules have to say of a signal, as the matcher would write it."""
    return next(iter(match(INDEX, signal)), None)


def _hung(_: History, move: Move, now: int) -> InboxEntry | None:
    return _matched(container(reason="Hung", seconds=now + move.skew, pod=f"frontend-{move.pick % 2}"))


def _hung_no_more(_: History, move: Move, now: int) -> InboxEntry | None:
    return _matched(container(reason="Running", seconds=now + move.skew, pod=f"frontend-{move.pick % 2}"))


def _event(reason: str) -> _Maker:
    def made(_: History, move: Move, now: int) -> InboxEntry | None:
        moment = now + move.skew
        named = ObjectRef(kind="Pod", namespace="bank", name=f"frontend-{move.pick % 2}", uid=f"uid-{move.pick % 2}")
        return _matched(event(id=f"sig-{reason}-{moment}-{move.pick}", at=at(moment), reason=reason, object=named))

    return made


def _result(story: History, move: Move, now: int) -> InboxEntry | None:
    return _told_of(story.commands[-1:], move, now)


def _braked(story: History, move: Move, now: int) -> InboxEntry | None:
    live = [one for one in story.commands[-1:] if not one.dry_run and not one.reverts]
    return braked(live[0], seconds=now, retry_after=move.wait * 10) if live else None


def _old_result(story: History, move: Move, now: int) -> InboxEntry | None:
    return _told_of(story.commands[move.pick :], move, now)


def _stray_result(story: History, move: Move, now: int) -> InboxEntry | None:
    return _told_of([one.model_copy(update={"id": "cmd-of-nobody"}) for one in story.commands[-1:]], move, now)


def _told_of(commands: Sequence[Command], move: Move, now: int) -> InboxEntry | None:
    if not commands:
        return None
    command = commands[0]
    outcome = move.outcome
    if command.dry_run and move.pick % 4:  # previews mostly go well, or nothing would ever be approved
        outcome = Outcome.DRY_RUN
    told_of = result(command, seconds=now, outcome=outcome)
    return told_of if outcome is not Outcome.DRY_RUN else told_of.model_copy(update={"prediction": PREDICTED})


def _answer(story: History, now: int, *, approved: bool, aside: int = 0) -> InboxEntry | None:
    incident = story.workload.incident
    if incident is None:
        return None
    asked: Incident = incident.model_copy(update={"step": incident.step + aside})
    return approval(asked, seconds=now, approved=approved)


def _silence(_: History, move: Move, now: int) -> InboxEntry:
    matchers = SILENCED[move.pick % len(SILENCED)]
    return silence(now, lasts=30 * (1 + move.wait), name=f"silence-{now}-{move.pick}", **matchers)


def _silence_ended(story: History, move: Move, now: int) -> InboxEntry | None:
    held = story.partition.silences
    return silence_ended(held[move.pick % len(held)].id, seconds=now) if held else None


def _playbook(_: History, move: Move, __: int) -> InboxEntry:
    return activated(TEXTS[move.pick % len(TEXTS)])


def _wake(story: History, move: Move, now: int) -> InboxEntry | None:
    due = story.workload.wake_at
    return wake_up(due) if due is not None else wake_up(at(now - move.wait))


def _again(story: History, move: Move, _: int) -> InboxEntry:
    return story.inbox[move.pick % len(story.inbox)][0]


_ENTRIES: Mapping[Kind, _Maker] = {
    Kind.CRASH: _crash,
    Kind.MEMORY: _memory,
    Kind.ERROR: _error,
    Kind.HUNG: _hung,
    Kind.HUNG_NO_MORE: _hung_no_more,
    Kind.KILLING: _event("Killing"),
    Kind.STARTED: _event("Started"),
    Kind.SCALED: _event("Scaled"),
    Kind.FAILED: _event("Failed"),
    Kind.LEAK: _leak,
    Kind.ERRORS: lambda _, move, now: finding(
        "errors", seconds=now + move.skew, reason="Errors", pod=f"frontend-{move.pick}"
    ),
    Kind.SAMPLE: _sample,
    Kind.SLOW: lambda _, move, now: finding("slow", seconds=now + move.skew, reason="Slow", restarts=move.pick % 3),
    Kind.HEALTHY: lambda _, __, now: health(healthy=True, seconds=now),
    Kind.UNHEALTHY: lambda _, __, now: health(healthy=False, seconds=now),
    Kind.GONE: lambda _, __, now: gone(seconds=now),
    Kind.RESULT: _result,
    Kind.BRAKED: _braked,
    Kind.OLD_RESULT: _old_result,
    Kind.STRAY_RESULT: _stray_result,
    Kind.APPROVE: lambda story, _, now: _answer(story, now, approved=True),
    Kind.REJECT: lambda story, _, now: _answer(story, now, approved=False),
    Kind.APPROVE_OTHER: lambda story, _, now: _answer(story, now, approved=True, aside=1),
    Kind.PERSON: lambda _, __, now: manual(seconds=now),
    Kind.REHEARSAL: lambda _, __, now: manual(seconds=now, dry_run=True),
    Kind.PAUSE: lambda _, __, now: pause(now),
    Kind.RESUME: lambda _, __, now: resume(now),
    Kind.SILENCE: _silence,
    Kind.SILENCE_ENDED: _silence_ended,
    Kind.PLAYBOOK: _playbook,
    Kind.WAKE: _wake,
    Kind.WAKE_EARLY: _wake,
    Kind.WAKE_LATE: _wake,
    Kind.AGAIN: _again,
}
