"""Replay: the topics read again through `match` and `absorb`, and what comes out held against what was published."""

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from services.decider.core.absorbing import absorb
from services.decider.core.matching import RuleIndex, index_rules, match
from services.decider.core.playbook import Playbook
from services.decider.core.state import PartitionState, WorkloadState
from services.decider.core.turn import Output
from shared.contracts.codec import Record, body_of, decode
from shared.contracts.inbox import Finding
from shared.contracts.incidents import Decision
from shared.contracts.signals import SIGNALS
from shared.contracts.topics import DECISIONS, INBOX, SIGNALS_KUBERNETES, SIGNALS_PROMETHEUS
from shared.infra.broker import Archive
from shared.kernel.clock import from_millis
from shared.kernel.errors import PoisonError

_LOOKS, _LOOK_S = 20, 0.5


@dataclass(slots=True)
class Replay:
    """The inbox decided again, partition by partition; nothing is published."""

    outputs: dict[int, list[Output]] = field(default_factory=lambda: defaultdict(list))
    playbooks: dict[str, Playbook] = field(default_factory=dict[str, Playbook])
    findings: dict[str, bytes] = field(default_factory=dict[str, bytes])
    ends: dict[int, int] = field(default_factory=dict[int, int])
    _partitions: dict[int, PartitionState] = field(default_factory=dict[int, PartitionState])
    _workloads: dict[str, WorkloadState] = field(default_factory=dict[str, WorkloadState])

    def take(self, record: Record) -> list[Output]:
        """Decide one record of the inbox; poison is passed by, as it was live."""
        self.ends[record.partition] = record.offset + 1
        partition = self._partitions.get(record.partition, PartitionState())
        try:
            entry = decode(record).message
            absorbed = absorb(
                partition,
                self._workloads.get(entry.key, WorkloadState()),
                entry,  # type: ignore[arg-type]
                offset=record.offset,
                now=from_millis(record.timestamp_ms),
            )
        except PoisonError:
            return []
        if isinstance(entry, Finding):
            self.findings[entry.id] = body_of(entry)
        self._partitions[record.partition] = absorbed.partition
        if absorbed.workload is not None:
            self._workloads[entry.key] = absorbed.workload
        if absorbed.partition.playbook is not None:
            self.playbooks.setdefault(absorbed.partition.playbook.hash, absorbed.partition.playbook)
        self.outputs[record.partition].extend(absorbed.outputs)
        return list(absorbed.outputs)

    def decisions(self) -> Iterator[tuple[int, Decision]]:
        """Return all decisions with their partition, partition by partition."""
        for partition in sorted(self.outputs):
            yield from ((partition, output) for output in self.outputs[partition] if isinstance(output, Decision))


async def replay_inbox(archive: Archive) -> Replay:
    """Return the inbox, decided again from its beginning."""
    replay = Replay()
    async for record in archive.read(INBOX):
        replay.take(record)
    return replay


async def differences(archive: Archive, replay: Replay) -> list[str]:
    """Return where the replay and the topics differ: decisions byte for byte, findings by id and body.

    The system may go on meanwhile: decisions about the last inputs are waited for, and those about what came after the
    replay are left out.
    """
    replayed: defaultdict[int, list[bytes]] = defaultdict(list)
    for partition, decision in replay.decisions():
        replayed[partition].append(body_of(decision))
    published = await _published_at_least(archive, {partition: len(bodies) for partition, bodies in replayed.items()})
    ends = await archive.end_offsets(INBOX)
    found: list[str] = []
    for partition in sorted({*published, *replayed}):
        live, again = published[partition], replayed[partition]
        is_whole = ends.get(partition) == replay.ends.get(partition, 0)
        found += _compared(partition, live if is_whole else live[: len(again)], again)
    return [*found, *await _unmatched(archive, replay)]


async def _published_at_least(archive: Archive, counts: Mapping[int, int]) -> defaultdict[int, list[bytes]]:
    """Return the published decisions once there are as many as were replayed, or when waiting for them is no use."""
    published = await _published(archive.read(DECISIONS))
    for _ in range(_LOOKS):
        if all(len(published[partition]) >= count for partition, count in counts.items()):
            break
        await asyncio.sleep(_LOOK_S)
        published = await _published(archive.read(DECISIONS))
    return published


async def _published(records: AsyncIterator[Record]) -> defaultdict[int, list[bytes]]:
    """Return the bodies of each partition; what came twice under one id, after a crash, is one decision."""
    bodies: defaultdict[int, list[bytes]] = defaultdict(list)
    seen: set[str] = set()
    async for record in records:
        decision = decode(record).message
        if decision.id not in seen and record.value is not None:
            seen.add(decision.id)
            bodies[record.partition].append(record.value)
    return bodies


def _compared(partition: int, published: Iterable[bytes], replayed: Iterable[bytes]) -> Iterator[str]:
    live, again = list(published), list(replayed)
    if len(live) != len(again):
        yield f"partition {partition}: {len(live)} decisions were published, {len(again)} were replayed"
    for place, (one, other) in enumerate(zip(live, again, strict=False)):
        if one != other:
            yield f"partition {partition}, decision {place}:\n  live   {one.decode()}\n  replay {other.decode()}"


async def _unmatched(archive: Archive, replay: Replay) -> list[str]:
    """Return the findings of the inbox that its signals, matched again, do not give."""
    indexes = [index_rules(playbook) for playbook in replay.playbooks.values()]
    matched: dict[str, bytes] = {}
    for topic in (SIGNALS_KUBERNETES, SIGNALS_PROMETHEUS):
        async for record in archive.read(topic):
            matched.update(_findings_of(record, indexes))
    return [
        f"finding {name}: the signals, matched again, do not give it"
        for name, body in replay.findings.items()
        if matched.get(name) != body
    ]


def _findings_of(record: Record, indexes: Iterable[RuleIndex]) -> Iterator[tuple[str, bytes]]:
    try:
        signal = decode(record).message
    except PoisonError:
        return
    if not isinstance(signal, SIGNALS):
        return
    for index in indexes:
        for entry in match(index, signal):  # type: ignore[arg-type]
            if isinstance(entry, Finding):
                yield entry.id, body_of(entry)
