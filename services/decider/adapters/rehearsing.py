"""The topics rehearsed with another playbook: what it would have done, held against what was done."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import cast

from services.decider.adapters.replaying import in_force_in
from services.decider.core.divergence import Parting, parting_of
from services.decider.core.matching import index_rules
from services.decider.core.placing import Logged, Told, slots_of
from services.decider.core.playbook import Playbook
from services.decider.core.rehearsal import rehearse
from services.decider.core.replaying import beginning_of, signal_in
from shared.contracts.codec import Record, decode
from shared.contracts.inbox import InboxEntry
from shared.contracts.playbooks import PlaybookInForce
from shared.contracts.topics import INBOX, SIGNAL_TOPICS
from shared.infra.broker import Archive
from shared.kernel.clock import EPOCH, from_millis
from shared.kernel.errors import PoisonError


@dataclass(frozen=True, slots=True)
class Rehearsed:
    """How the playbook's course parts from the log's; before `signals_from` only signals are known that met a rule."""

    parting: Parting
    begins: dict[int, int]
    signals_from: datetime | None


async def rehearse_topics(archive: Archive, playbook: Playbook) -> Rehearsed:
    """Return what a playbook would have done about all that the topics hold.

    Raises:
        UnavailableError: the broker does not answer.
    """
    log, told = await _log(archive), await _told(archive)
    slots = slots_of(log, told, rules=index_rules(playbook), playbook=playbook)
    moments = [entries[-1].moment for entries in log.values()] + [one.moment for one in told]
    until, told_in_force = max(moments, default=EPOCH), await in_force_in(archive)
    begins = {number: _beginning(entries, told_in_force, playbook) for number, entries in log.items()}
    return Rehearsed(
        parting=parting_of(rehearse(places, until=until, begin=begins.get(number)) for number, places in slots.items()),
        begins={number: entries[0].offset for number, entries in log.items()},
        signals_from=min((one.moment for one in told), default=None),
    )


def _beginning(
    entries: Sequence[Logged], told: PlaybookInForce | None, playbook: Playbook
) -> tuple[Playbook, Playbook] | None:
    first = entries[0]
    known = beginning_of(told, offset=first.offset, moment=first.moment).playbook
    return (known, playbook) if known is not None else None


async def _log(archive: Archive) -> dict[int, Sequence[Logged]]:
    log: defaultdict[int, list[Logged]] = defaultdict(list)
    async for record in archive.read(INBOX):
        entry = _entry_in(record)
        if entry is not None:
            log[record.partition].append(Logged(record.offset, from_millis(record.timestamp_ms), entry))
    return dict(log)


async def _told(archive: Archive) -> list[Told]:
    told: list[Told] = []
    for topic in SIGNAL_TOPICS:
        async for record in archive.read(topic):
            signal = signal_in(record)
            if signal is not None:
                told.append(Told(record.partition, from_millis(record.timestamp_ms), signal))
    return told


def _entry_in(record: Record) -> InboxEntry | None:
    try:
        return cast("InboxEntry", decode(record).message)  # the inbox declares no other messages
    except PoisonError:
        return None
