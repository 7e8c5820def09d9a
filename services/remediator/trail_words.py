"""The audit trail in words and as a document: how long, from when to when, and what is wrong with it."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass

from pydantic import ValidationError

from services.remediator.core.trail import Break, Link, Trail
from shared.contracts.audit import AuditEntry
from shared.contracts.model import JsonObject

_MOST_SHOWN = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """Which entries are asked for; what is empty is met by any."""

    workload: str
    incident: str

    def holds(self, entry: AuditEntry) -> bool:
        """Tell whether an entry is asked for."""
        return self.workload in {"", entry.workload.key} and self.incident in {"", entry.incident}


def entries_of(values: Iterable[bytes], selection: Selection) -> Iterator[AuditEntry]:
    """Return the entries that are asked for, each once, in the order of the topic; what is none is left out."""
    for value in dict.fromkeys(values):
        try:
            entry = AuditEntry.model_validate_json(value)
        except ValidationError:
            continue
        if selection.holds(entry):
            yield entry


def verdict_lines(trail: Trail, breaks: Sequence[Break]) -> Iterator[str]:
    """Return what `verify` says to people."""
    for one in breaks[:_MOST_SHOWN]:
        yield f"{one.place}: {one.fault}: expected {one.expected}; found {one.found}"
    if len(breaks) > _MOST_SHOWN:
        yield f"and {len(breaks) - _MOST_SHOWN} more"
    for link in trail.late[:_MOST_SHOWN]:
        yield f"{link.place}: late: a leader whose token {link.token} was over wrote of {link.command}: {link.outcome}"
    for link in trail.repeated[:_MOST_SHOWN]:
        yield f"{link.place}: repeated: entry {link.sequence} once more, byte for byte"
    for command in twice_told(trail):
        yield f"{command}: has more than one entry in the chain"
    if trail.unsigned:
        yield f"{trail.unsigned} entries are from before the first that is signed"
    yield from _span(trail)
    yield f"broken: {len(breaks)} faults" if breaks else "whole: one chain, nothing changed, left out or put in"


def document_of(trail: Trail, breaks: Sequence[Break]) -> JsonObject:
    """Return what `verify` says to programs."""
    head = trail.head
    return {
        "whole": not breaks,
        "entries": len(trail.chain),
        "first": _link(trail.chain[0]) if trail.chain else None,
        "last": _link(head) if head else None,
        "head": head.hash if head else None,
        "breaks": [{name: str(value) for name, value in asdict(one).items()} for one in breaks],
        "late": [_link(link) for link in trail.late],
        "repeated": [_link(link) for link in trail.repeated],
        "twice": list(twice_told(trail)),
        "unsigned": trail.unsigned,
    }


def twice_told(trail: Trail) -> Iterator[str]:
    """Return the commands that have more than one entry in the chain."""
    seen: set[str] = set()
    for link in trail.chain:
        if link.command in seen:
            yield link.command
        seen.add(link.command)


def _span(trail: Trail) -> Iterator[str]:
    head = trail.head
    if head is None:
        yield "no entries"
        return
    first = trail.chain[0]
    if first.sequence > 1:
        yield f"begins with entry {first.sequence}: what came before has left the topic"
    yield f"{len(trail.chain)} entries, {first.sequence} to {head.sequence}, from {first.at} to {head.at}"
    yield f"head {head.hash}, of {head.place}; note it elsewhere, and hold the trail against it by --head"


def _link(link: Link) -> JsonObject:
    return {
        "place": link.place,
        "hash": link.hash,
        "sequence": link.sequence,
        "token": link.token,
        "command": link.command,
        "outcome": link.outcome.value,
        "at": link.at.isoformat(),
    }
