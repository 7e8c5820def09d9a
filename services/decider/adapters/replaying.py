"""Replay: the topics read again through `match` and `absorb`, and what comes out held against what was published."""

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from services.decider.core.absorbing import topic_of
from services.decider.core.matching import RuleIndex, index_rules, match, may_meet
from services.decider.core.replaying import Replay, body_in, signal_in
from shared.contracts.codec import Record, decode
from shared.contracts.inbox import Finding, Observation
from shared.contracts.model import body_of
from shared.contracts.playbooks import PlaybookInForce
from shared.contracts.signals import Signal
from shared.contracts.topics import (
    COMMANDS,
    DECISIONS,
    INBOX,
    INCIDENTS,
    PLAYBOOKS,
    RCA_REQUESTS,
    SIGNAL_TOPICS,
    Topic,
)
from shared.infra.broker import Archive

LOOKS, LOOK_S = 20, 0.5
"""How often, and how many seconds apart, it is looked whether what is still under way has come."""


@dataclass(frozen=True, slots=True)
class MatchedAgain:
    """What the signals of the topics give, findings and observations, by id; and the ids of all that is there.

    A signal that was told again, by a collector that began anew, has the same id and a later moment: each way in which
    it was told gives a body of its own.
    """

    found: defaultdict[str, set[bytes]]
    signals: set[str]

    def add(self, record: Record, rules: Sequence[RuleIndex]) -> None:
        """Take up what the signal of a record means to rules; nothing where there are none, or it is no signal."""
        signal = signal_in(record) if rules else None
        if signal is not None:
            self.match(signal, rules)

    def match(self, signal: Signal, rules: Sequence[RuleIndex]) -> None:
        """Take up what a signal means to rules."""
        for entry in (entry for index in rules for entry in match(index, signal)):
            if isinstance(entry, Finding | Observation):
                self.found[entry.id].add(body_of(entry))


async def replay_inbox(archive: Archive) -> Replay:
    """Return the inbox, decided again from its beginning."""
    replay = Replay(await in_force_in(archive))
    async for record in archive.read(INBOX):
        replay.take(record)
    return replay


async def in_force_in(archive: Archive) -> PlaybookInForce | None:
    """Return the playbook in force as the topics tell it beside the inbox."""
    found: PlaybookInForce | None = None
    async for record in archive.read(PLAYBOOKS):
        message = decode(record).message
        if isinstance(message, PlaybookInForce):
            found = message
    return found


async def differences(archive: Archive, replay: Replay, *, looks: int = LOOKS) -> list[str]:
    """Return where the replay and the topics differ: decisions byte for byte, findings and other outputs by their ids.

    The system may go on meanwhile: decisions about the last inputs are waited for, and those about what came after the
    replay are left out.
    """
    replayed: defaultdict[int, list[bytes]] = defaultdict(list)
    for partition, decision in replay.decisions():
        replayed[partition].append(body_of(decision))
    counts = {partition: len(bodies) for partition, bodies in replayed.items()}
    published = await _published_at_least(archive, counts, looks=looks)
    ends = await archive.end_offsets(INBOX)
    found: list[str] = []
    for partition in sorted({*published, *replayed}):
        live, again = published[partition], replayed[partition]
        is_whole = ends.get(partition) == replay.ends.get(partition, 0)
        found += _compared(partition, live if is_whole else live[: len(again)], again)
    return [*found, *await _otherwise(archive, replay), *await _unmatched(archive, replay)]


async def matched_again(archive: Archive, rules: Sequence[RuleIndex]) -> MatchedAgain:
    """Return what the signals of the topics mean to rules; those that none can be met by are not read in full."""
    again = MatchedAgain(defaultdict(set), set())
    for topic in SIGNAL_TOPICS:
        async for record in archive.read(topic):
            body = body_in(record)
            if body is not None:
                again.signals.add(str(body.get("id")))
                again.add(record, [index for index in rules if may_meet(index, body)])
    return again


async def _published_at_least(
    archive: Archive, counts: Mapping[int, int], *, looks: int
) -> defaultdict[int, list[bytes]]:
    """Return the published decisions once there are as many as were replayed, or when waiting for them is no use."""
    published = await _published(archive.read(DECISIONS))
    for _ in range(looks):
        if all(len(published[partition]) >= count for partition, count in counts.items()):
            break
        await asyncio.sleep(LOOK_S)
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


async def _otherwise(archive: Archive, replay: Replay) -> list[str]:
    """Return what is still on the other topics under an id that the replay knows, with a body that it does not."""
    known: defaultdict[tuple[str, str], set[bytes]] = defaultdict(set)
    for output in (output for outputs in replay.outputs.values() for output in outputs):
        known[topic_of(output).name, output.id].add(body_of(output))
    return [
        f"{topic.name}: {name} was published with another body than it has again"
        for topic in (COMMANDS, RCA_REQUESTS, INCIDENTS)
        async for name, body in _bodies(archive, topic)
        if (topic.name, name) in known and body not in known[topic.name, name]
    ]


async def _bodies(archive: Archive, topic: Topic) -> AsyncIterator[tuple[str, bytes]]:
    async for record in archive.read(topic):
        if record.value is not None:
            yield decode(record).message.id, record.value


async def _unmatched(archive: Archive, replay: Replay) -> list[str]:
    """Return what signals, matched again, do not give of the inbox; a signal that is gone is in its finding."""
    indexes = {name: index_rules(playbook) for name, playbook in replay.playbooks.items()}
    again = await matched_again(archive, [*indexes.values()])
    for entry in [*_not_in(again.found, replay)]:
        if entry.signal.id not in again.signals and entry.playbook in indexes:
            again.match(entry.signal, [indexes[entry.playbook]])
    return [
        f"{kind} {name}: the signals, matched again, do not give it"
        for kind, entries in (("finding", replay.findings), ("observation", replay.observations))
        for name, body in entries.items()
        if body not in again.found.get(name, ())
    ]


def _not_in(matched: Mapping[str, set[bytes]], replay: Replay) -> Iterator[Finding | Observation]:
    yield from (Finding.model_validate_json(body) for name, body in replay.findings.items() if name not in matched)
    yield from (
        Observation.model_validate_json(body) for name, body in replay.observations.items() if name not in matched
    )
