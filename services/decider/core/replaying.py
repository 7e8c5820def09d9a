"""Replay: records of the inbox decided again, one by one, with what each met and what it led to."""

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import cast

from pydantic_core import from_json

from services.decider.core.absorbing import Absorbed, absorb
from services.decider.core.playbook import Playbook, load_playbook
from services.decider.core.state import PartitionState, WorkloadState
from services.decider.core.turn import Output
from shared.contracts.codec import Record, decode
from shared.contracts.inbox import Finding, InboxEntry, Observation
from shared.contracts.incidents import Decision
from shared.contracts.model import JsonObject, JsonValue, body_of
from shared.contracts.playbooks import PlaybookInForce
from shared.contracts.signals import SIGNALS, Signal
from shared.kernel.clock import from_millis
from shared.kernel.errors import PoisonError


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """Which part of the log is meant, by the entries' times (`begin` ≤ t < `end`) or by offsets of partitions.

    What comes before it is decided all the same: the state at its beginning follows from it. Where offsets are named,
    partitions without one are not meant.
    """

    begin: datetime | None = None
    end: datetime | None = None
    first: Mapping[int, int] = field(default_factory=dict[int, int])
    last: Mapping[int, int] = field(default_factory=dict[int, int])

    def holds(self, partition: int, *, offset: int, moment: datetime) -> bool:
        """Tell whether a place in the log is meant."""
        in_time = (self.begin is None or moment >= self.begin) and (self.end is None or moment < self.end)
        named = self.first or self.last
        if not named:
            return in_time
        is_named = partition in self.first or partition in self.last
        return in_time and is_named and self.first.get(partition, 0) <= offset <= self.last.get(partition, offset)


@dataclass(frozen=True, slots=True, kw_only=True)
class Taken:
    """One entry, decided again: where it lay, what was known before it, and what became of it."""

    partition: int
    offset: int
    moment: datetime
    entry: InboxEntry
    world: PartitionState
    before: WorkloadState
    absorbed: Absorbed

    @property
    def after(self) -> WorkloadState:
        """Return the workload's state as the entry left it."""
        return self.absorbed.workload or self.before


@dataclass(frozen=True, slots=True)
class Placed:
    """A decision and the place of the entry that it is about."""

    partition: int
    offset: int
    moment: datetime
    decision: Decision


@dataclass(slots=True)
class Replay:
    """The inbox decided again, partition by partition; nothing is published.

    `in_force` is what is known of the playbook beside the log: where retention took a partition's beginning, the log
    itself may not say.
    """

    in_force: PlaybookInForce | None = None
    outputs: dict[int, list[Output]] = field(default_factory=lambda: defaultdict(list))
    made: list[Placed] = field(default_factory=list[Placed])
    playbooks: dict[str, Playbook] = field(default_factory=dict[str, Playbook])
    findings: dict[str, bytes] = field(default_factory=dict[str, bytes])
    observations: dict[str, bytes] = field(default_factory=dict[str, bytes])
    begins: dict[int, int] = field(default_factory=dict[int, int])
    ends: dict[int, int] = field(default_factory=dict[int, int])
    _partitions: dict[int, PartitionState] = field(default_factory=dict[int, PartitionState])
    _workloads: dict[str, WorkloadState] = field(default_factory=dict[str, WorkloadState])

    def take(self, record: Record) -> list[Output]:
        """Decide one record of the inbox and return its outputs; poison is passed by, as it was live."""
        taken = self.step(record)
        return list(taken.absorbed.outputs) if taken is not None else []

    def step(self, record: Record) -> Taken | None:
        """Decide one record of the inbox and return all about it; None for poison, which is passed by."""
        self.begins.setdefault(record.partition, record.offset)
        self.ends[record.partition] = record.offset + 1
        world = self._partitions.get(record.partition)
        if world is None:
            world = beginning_of(self.in_force, offset=record.offset, moment=from_millis(record.timestamp_ms))
        try:
            taken = self._taken(record, world)
        except PoisonError:
            self._partitions[record.partition] = replace(world, offset=max(record.offset, world.offset))
            return None
        self._note(taken)
        return taken

    def decisions(self) -> Iterator[tuple[int, Decision]]:
        """Return all decisions with their partition, partition by partition."""
        for partition in sorted(self.outputs):
            yield from ((partition, output) for output in self.outputs[partition] if isinstance(output, Decision))

    def within(self, span: Span) -> list[Placed]:
        """Return the decisions about the entries of a part of the log, partition by partition."""
        meant = [one for one in self.made if span.holds(one.partition, offset=one.offset, moment=one.moment)]
        return sorted(meant, key=lambda one: one.partition)

    def _taken(self, record: Record, world: PartitionState) -> Taken:
        entry = cast("InboxEntry", decode(record).message)  # the inbox declares no other messages
        before, moment = self._workloads.get(entry.key, WorkloadState()), from_millis(record.timestamp_ms)
        return Taken(
            partition=record.partition,
            offset=record.offset,
            moment=moment,
            entry=entry,
            world=world,
            before=before,
            absorbed=absorb(world, before, entry, offset=record.offset, now=moment),
        )

    def _note(self, taken: Taken) -> None:
        entry, absorbed = taken.entry, taken.absorbed
        if isinstance(entry, Finding):
            self.findings[entry.id] = body_of(entry)
        if isinstance(entry, Observation):
            self.observations[entry.id] = body_of(entry)
        self._partitions[taken.partition] = absorbed.partition
        if absorbed.workload is not None:
            self._workloads[entry.key] = absorbed.workload
        if absorbed.partition.playbook is not None:
            self.playbooks.setdefault(absorbed.partition.playbook.hash, absorbed.partition.playbook)
        self.outputs[taken.partition].extend(absorbed.outputs)
        decisions = (output for output in absorbed.outputs if isinstance(output, Decision))
        self.made.extend(Placed(taken.partition, taken.offset, taken.moment, decision) for decision in decisions)


def beginning_of(told: PlaybookInForce | None, *, offset: int, moment: datetime) -> PartitionState:
    """Return what is in force where a partition's log begins: the playbook that was put in force before, if one was."""
    if told is None or offset == 0 or told.at > moment:
        return PartitionState()
    return PartitionState(playbook=load_playbook(told.text, file=f"playbook {told.hash}"))


def body_in(record: Record) -> JsonObject | None:
    """Return the body of a record, not checked against any model; None where it is no JSON object."""
    try:
        body: JsonValue = from_json(record.value or b"", cache_strings="keys")
    except ValueError:
        return None
    return body if isinstance(body, dict) else None


def signal_in(record: Record) -> Signal | None:
    """Return the signal of a record; None for poison, and for what is no signal."""
    try:
        found = decode(record).message
    except PoisonError:
        return None
    return cast("Signal", found) if isinstance(found, SIGNALS) else None
