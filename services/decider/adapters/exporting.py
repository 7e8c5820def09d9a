"""An incident gathered from the topics: all that concerns its workload, until the decisions about it are there."""

import asyncio
from collections.abc import Callable, Sequence

from services.decider.adapters.export_file import ExportArchive
from services.decider.adapters.replaying import LOOK_S, LOOKS, differences, replay_inbox
from services.decider.core.exports import Export, export_of, redacted
from shared.contracts.codec import Record, decode
from shared.contracts.inbox import EVERYBODY, Finding, Observation
from shared.contracts.incidents import Decision, Incident
from shared.contracts.topics import (
    COMMANDS,
    DECISIONS,
    EVIDENCE,
    INBOX,
    INCIDENTS,
    PLAYBOOKS,
    RCA_REPORTS,
    RCA_REQUESTS,
    SIGNAL_TOPICS,
    Topic,
)
from shared.contracts.workloads import WorkloadRef
from shared.infra.broker import Archive
from shared.kernel.errors import PoisonError, SreAgentError

_OF_WORKLOADS = (COMMANDS, EVIDENCE)
_OF_INCIDENTS = (INCIDENTS, RCA_REQUESTS, RCA_REPORTS)


class IncidentUnknownError(SreAgentError):
    """Signal that no topic knows an incident."""


async def export_incident(archive: Archive, incident: str) -> Export:
    """Return all that the topics hold about an incident's workload.

    The system may go on meanwhile: it is gathered again until the decisions fit the inputs, or waiting is no use.

    Raises:
        IncidentUnknownError: there is no such incident.
        UnavailableError: the broker does not answer.
    """
    workload = await _workload_of(archive, incident)
    signals = await _signals_of(archive, workload)
    gathered = await _gathered(archive, incident, workload=workload, signals=signals)
    for _ in range(LOOKS):
        again = ExportArchive(gathered)
        if not await differences(again, await replay_inbox(again), looks=0):
            break
        await asyncio.sleep(LOOK_S)
        gathered = await _gathered(archive, incident, workload=workload, signals=signals)
    return gathered


async def _workload_of(archive: Archive, incident: str) -> WorkloadRef:
    async for record in archive.read(INCIDENTS):
        if record.key == incident.encode():
            found = decode(record).message
            if isinstance(found, Incident):
                return found.workload
    raise IncidentUnknownError(f"no incident {incident!r} is on {INCIDENTS.name}; `sre-agent incidents` lists them")


async def _signals_of(archive: Archive, workload: WorkloadRef) -> list[Record]:
    """Return the signals of a workload; of a group or a node, those by which rules found something about it."""
    _, inbox = await _inbox_of(archive, workload)
    entries = (decode(record).message for record in inbox)
    names = {one.signal.id.encode() for one in entries if isinstance(one, Finding | Observation)}

    def is_wanted(record: Record) -> bool:
        return record.key == workload.key.encode() or dict(record.headers).get("ce_id") in names

    return [record for topic in SIGNAL_TOPICS for record in await _kept(archive, topic, is_wanted)]


async def _gathered(archive: Archive, incident: str, *, workload: WorkloadRef, signals: Sequence[Record]) -> Export:
    begins, inbox = await _inbox_of(archive, workload)
    decisions = await _of(archive, DECISIONS, workload)
    others = [record for topic in _OF_WORKLOADS for record in await _of(archive, topic, workload)]
    names = {name.encode() for name in (incident, *_incidents_in(decisions))}
    others += [
        record for topic in _OF_INCIDENTS for record in await _kept(archive, topic, lambda one: one.key in names)
    ]
    others += await _kept(archive, PLAYBOOKS, lambda one: begins > 0 and one.key == b"in-force")
    cleaned = [redacted(record) if record.topic == EVIDENCE.name else (record, 0) for record in others]
    return export_of(
        [*signals, *inbox, *decisions, *(record for record, _ in cleaned)],
        incident=incident,
        workload=workload,
        begins=begins,
        redactions=sum(count for _, count in cleaned),
    )


async def _inbox_of(archive: Archive, workload: WorkloadRef) -> tuple[int, list[Record]]:
    """Return where a workload's partition begins, and of it the workload's entries and what was said to everybody."""
    begins: dict[int, int] = {}
    key, everybody = workload.key.encode(), EVERYBODY.encode()
    records: list[Record] = []
    async for record in archive.read(INBOX):
        begins.setdefault(record.partition, record.offset)
        if _holds(record, lambda one: one.key in {key, everybody}):
            records.append(record)
    partition = next((record.partition for record in records if record.key == key), 0)
    return begins.get(partition, 0), [record for record in records if record.partition == partition]


async def _of(archive: Archive, topic: Topic, workload: WorkloadRef) -> list[Record]:
    key = workload.key.encode()
    return await _kept(archive, topic, lambda one: one.key == key)


async def _kept(archive: Archive, topic: Topic, is_wanted: Callable[[Record], bool]) -> list[Record]:
    """Return the records of a topic that are wanted and can be read: poison changed nothing when it came."""
    return [record async for record in archive.read(topic) if _holds(record, is_wanted)]


def _holds(record: Record, is_wanted: Callable[[Record], bool]) -> bool:
    if not is_wanted(record):
        return False
    try:
        decode(record)
    except PoisonError:
        return False
    return True


def _incidents_in(decisions: Sequence[Record]) -> set[str]:
    messages = (decode(record).message for record in decisions)
    return {one.incident for one in messages if isinstance(one, Decision) and one.incident is not None}
