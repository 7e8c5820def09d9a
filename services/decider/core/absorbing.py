"""`absorb`: one inbox record into the state of its partition and workload. What live, replay and tests all run."""

from dataclasses import dataclass, replace
from datetime import datetime

from services.decider.core.deciding import decide
from services.decider.core.faults import PlaybookError
from services.decider.core.pausing import with_pause, without_pauses
from services.decider.core.playbook import load_playbook
from services.decider.core.silencing import with_silence, without_silence
from services.decider.core.state import PartitionState, WorkloadState
from services.decider.core.turn import Output, World
from shared.contracts.commands import Command
from shared.contracts.inbox import Broadcast, InboxEntry, Pause, PlaybookActivated, Resume, Silence, SilenceEnded
from shared.contracts.incidents import Decision, Incident
from shared.contracts.reports import RcaRequest
from shared.contracts.topics import COMMANDS, DECISIONS, INCIDENTS, RCA_REQUESTS, Topic
from shared.kernel.errors import PoisonError

_TOPICS: dict[type[Output], Topic] = {
    Decision: DECISIONS,
    Command: COMMANDS,
    RcaRequest: RCA_REQUESTS,
    Incident: INCIDENTS,
}


@dataclass(frozen=True, slots=True)
class Absorbed:
    """What became of one entry; without `workload` none was concerned, or it had been absorbed before."""

    partition: PartitionState
    workload: WorkloadState | None = None
    outputs: tuple[Output, ...] = ()


def absorb(
    partition: PartitionState, workload: WorkloadState, entry: InboxEntry, *, offset: int, now: datetime
) -> Absorbed:
    """Return what follows from the entry at an offset; one that was absorbed before changes nothing.

    Raises:
        PoisonError: the entry brings a playbook that cannot be used; the one in force stays.
    """
    after = replace(partition, offset=max(offset, partition.offset))
    if isinstance(entry, Broadcast):
        return Absorbed(_in_force(after, entry, now=now) if offset > partition.offset else after)
    if offset <= workload.offset:
        return Absorbed(after)
    world = World(playbook=partition.playbook, paused=partition.paused, silences=partition.silences)
    state, outputs = decide(workload, entry, world=world, offset=offset, now=now)
    return Absorbed(after, state, outputs)


def topic_of(output: Output) -> Topic:
    """Return the topic that an output belongs on."""
    return _TOPICS[type(output)]


def _in_force(partition: PartitionState, entry: Broadcast, *, now: datetime) -> PartitionState:
    match entry:
        case Pause():
            return replace(partition, pauses=with_pause(partition.pauses, entry))
        case Resume():
            return replace(partition, pauses=without_pauses(partition.pauses, entry))
        case Silence():
            return replace(partition, silences=with_silence(partition.silences, entry, now=now))
        case SilenceEnded():
            return replace(partition, silences=without_silence(partition.silences, entry.silence))
        case PlaybookActivated():
            return _with_playbook(partition, entry)


def _with_playbook(partition: PartitionState, entry: PlaybookActivated) -> PartitionState:
    if partition.playbook is not None and partition.playbook.hash == entry.hash:
        return partition
    try:
        playbook = load_playbook(entry.text, file=f"playbook {entry.hash}")
    except PlaybookError as unusable:
        raise PoisonError(str(unusable)) from unusable
    return replace(partition, playbook=playbook, refused=None)
