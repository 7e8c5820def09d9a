"""The audit trail's chain: the next entry of it, and whether what lies on the topic is one chain.

A leader that was stopped and woken may write one more entry under a token that is over: it claims each command under
the lease, so it writes no second one. Such an entry is *late*: no part of the chain, and told as such. It is known by
its token, which is below that of the chain's last entry, or below that of an entry which continues the chain from
before it. What does not fit otherwise, also a second late entry of one token, is a break.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from pydantic import ValidationError

from shared.contracts.audit import GENESIS, AuditEntry, entry_hash
from shared.contracts.commands import Command
from shared.contracts.inbox import Outcome, Result
from shared.kernel.ids import derive


class Fault(StrEnum):
    """What is wrong at a place of the trail, or between it and the results."""

    UNREADABLE = "unreadable"
    NOT_BELIEVED = "not-believed"
    BEGINNING_MISSING = "beginning-missing"
    BEFORE_DIFFERS = "before-differs"
    SEQUENCE_DIFFERS = "sequence-differs"
    LATE_AGAIN = "late-again"
    HEAD_MISSING = "head-missing"
    RESULT_WITHOUT_ENTRY = "result-without-entry"
    ENTRY_WITHOUT_RESULT = "entry-without-result"
    OUTCOME_DIFFERS = "outcome-differs"


@dataclass(frozen=True, slots=True, kw_only=True)
class Break:
    """One fault: where, what was expected there, and what was found."""

    fault: Fault
    place: str
    expected: str
    found: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Link:
    """What is kept of an entry: enough to go on from it, and to name it."""

    place: str
    hash: str
    before: str
    sequence: int
    token: int
    command: str
    outcome: Outcome
    at: datetime


def next_entry(command: Command, result: Result, *, after: Link | None, token: int) -> AuditEntry:
    """Return the entry of a result that continues the chain after its last one; the same causes, the same bytes."""
    return AuditEntry(
        id=derive("audit", command.id),
        at=result.at,
        sequence=after.sequence + 1 if after else 1,
        before=after.hash if after else GENESIS,
        token=token,
        command=command.id,
        requested_by=command.requested_by,
        approved_by=command.approved_by,
        rule=command.rule,
        playbook=command.playbook,
        incident=command.incident,
        workload=command.workload,
        action=command.action,
        reverts=command.reverts,
        outcome=result.outcome,
        reason=result.reason,
        message=result.message,
        changes=result.changes,
        acted_under=result.token,
        evidence=result.evidence,
        retry_after=result.retry_after,
        prediction=result.prediction,
        inverse=result.inverse,
    )


def result_of(entry: AuditEntry) -> Result:
    """Return the result that an entry was written of, the same bytes."""
    return Result(
        id=derive("result", entry.command),
        at=entry.at,
        workload=entry.workload,
        command=entry.command,
        incident=entry.incident,
        action=entry.action,
        outcome=entry.outcome,
        reason=entry.reason,
        message=entry.message,
        changes=entry.changes,
        token=entry.acted_under,
        evidence=entry.evidence,
        retry_after=entry.retry_after,
        prediction=entry.prediction,
        inverse=entry.inverse,
    )


def entry_of(value: bytes | None) -> AuditEntry | None:
    """Return the entry that a record's value is; None if it is none."""
    try:
        return AuditEntry.model_validate_json(value) if value is not None else None
    except ValidationError:
        return None


def token_of(value: bytes | None) -> int:
    """Return the token that an entry was written under; 0 of what is none."""
    entry = entry_of(value)
    return entry.token if entry is not None else 0


def link_of(entry: AuditEntry, value: bytes, *, place: str = "") -> Link:
    """Return what is kept of an entry whose record has this value."""
    return Link(
        place=place,
        hash=entry_hash(value),
        before=entry.before,
        sequence=entry.sequence,
        token=entry.token,
        command=entry.command,
        outcome=entry.outcome,
        at=entry.at,
    )


class Trail:
    """Follow a trail record by record: the chain so far, and all that is not of it.

    After a break the chain is taken to go on from what was found, so that one fault is told once.
    """

    def __init__(self) -> None:
        self.chain: list[Link] = []
        self.late: list[Link] = []
        self.repeated: list[Link] = []
        self.breaks: list[Break] = []
        self.unsigned = 0
        self._seen: set[str] = set()
        self._places: dict[str, int] = {}

    @property
    def head(self) -> Link | None:
        """Return the chain's last entry."""
        return self.chain[-1] if self.chain else None

    @property
    def highest_token(self) -> int:
        """Return the highest token that an entry of the chain carries; 0 of an empty one."""
        return max((link.token for link in self.chain), default=0)

    @property
    def farthest(self) -> Link | None:
        """Return the chain's entry that was written last, also where a copy of an older one lies behind it."""
        return max(self.chain, key=lambda link: (link.token, link.sequence), default=None)

    def has(self, noted: str) -> bool:
        """Tell whether a hash that was noted once is one of an entry's, or of what came before the chain's first."""
        return noted in self._seen or (bool(self.chain) and noted == self.chain[0].before)

    def follow(self, value: bytes | None, place: str, *, is_first_ever: bool = False) -> Link | None:
        """Take the next record; `is_first_ever` says that nothing can have left the topic before it."""
        entry = entry_of(value)
        if entry is None or value is None:
            self._tell(Fault.UNREADABLE, place, expected="an entry", found=_shortened(value))
            return None
        link = link_of(entry, value, place=place)
        self._place(link, is_first_ever=is_first_ever)
        self._seen.add(link.hash)
        return link

    def doubt(self, place: str, why: str) -> None:
        """Note a record that is not believed: it is no part of the chain, whatever it says."""
        self._tell(Fault.NOT_BELIEVED, place, expected="an entry that a remediator of this cluster signed", found=why)

    def _place(self, link: Link, *, is_first_ever: bool) -> None:
        head = self.head
        if link.hash in self._seen:
            self.repeated.append(link)
        elif head is None:
            self._begin(link, is_first_ever=is_first_ever)
        elif link.token < head.token:
            self._leave(link)
        else:
            self._leave_what_was_overtaken(link)
            self._continue(link)

    def _begin(self, link: Link, *, is_first_ever: bool) -> None:
        if is_first_ever and link.sequence != 1:
            self._tell(Fault.BEGINNING_MISSING, link.place, expected="entry 1", found=f"entry {link.sequence}")
        if (link.sequence == 1) != (link.before == GENESIS):
            expected = f"{GENESIS} before entry 1 alone"
            self._tell(Fault.BEFORE_DIFFERS, link.place, expected=expected, found=link.before)
        self._append(link)

    def _leave_what_was_overtaken(self, link: Link) -> None:
        """Take out of the chain what a leader of a lower token wrote after the new one had read where to go on."""
        last = -1 if link.before == GENESIS else self._places.get(link.before)
        overtaken = self.chain[last + 1 :] if last is not None else []
        tokens = {one.token for one in overtaken}
        if len(tokens) < len(overtaken) or max(tokens, default=-1) >= link.token:
            return
        for one in overtaken:
            del self._places[one.hash]
            self.chain.pop()
            self._leave(one)

    def _leave(self, link: Link) -> None:
        if any(one.token == link.token for one in self.late):
            expected = f"at most one entry under token {link.token} after a higher one"
            self._tell(Fault.LATE_AGAIN, link.place, expected=expected, found=f"entry {link.sequence} under it")
        self.late.append(link)

    def _continue(self, link: Link) -> None:
        head = self.head
        if head is None:
            self._begin(link, is_first_ever=True)
            return
        if link.before != head.hash:
            self._tell(Fault.BEFORE_DIFFERS, link.place, expected=f"{head.hash}, of {head.place}", found=link.before)
        elif link.sequence != head.sequence + 1:
            expected = f"entry {head.sequence + 1}"
            self._tell(Fault.SEQUENCE_DIFFERS, link.place, expected=expected, found=f"entry {link.sequence}")
        self._append(link)

    def _append(self, link: Link) -> None:
        self._places[link.hash] = len(self.chain)
        self.chain.append(link)

    def _tell(self, fault: Fault, place: str, *, expected: str, found: str) -> None:
        self.breaks.append(Break(fault=fault, place=place, expected=expected, found=found))


def head_break(trail: Trail, noted: str) -> Break | None:
    """Return that a hash that was noted is not in the trail: its end was cut off, or rewritten from some entry on."""
    if trail.has(noted):
        return None
    head = trail.head
    found = f"a chain that ends with {head.hash}" if head else "no entry"
    return Break(fault=Fault.HEAD_MISSING, place=head.place if head else "", expected=noted, found=found)


def compared(trail: Trail, results: Mapping[str, Iterable[Outcome]], *, since: datetime | None) -> list[Break]:
    """Return where trail and results differ; `results` are the outcomes told of each command.

    Entries from before `since` have no result any more where the inbox has lost it; None says that it has lost none.
    """
    entries = {link.command: link for link in trail.chain}
    missing = [_missing_entry(command) for command in sorted(results) if command not in entries]
    comparable = [link for link in entries.values() if since is None or link.at >= since]
    differing = (_difference(link, set(results.get(link.command, ()))) for link in comparable)
    return [*missing, *(one for one in differing if one is not None)]


def _missing_entry(command: str) -> Break:
    return Break(fault=Fault.RESULT_WITHOUT_ENTRY, place=command, expected="an entry of it", found="a result alone")


def _difference(link: Link, outcomes: set[Outcome]) -> Break | None:
    if not outcomes:
        expected, found = f"a result of {link.command}", "an entry alone"
        return Break(fault=Fault.ENTRY_WITHOUT_RESULT, place=link.place, expected=expected, found=found)
    if link.outcome not in outcomes:
        expected = " or ".join(sorted(outcomes))
        return Break(fault=Fault.OUTCOME_DIFFERS, place=link.place, expected=expected, found=link.outcome)
    return None


def _shortened(value: bytes | None) -> str:
    return repr(value[:80]) if value is not None else "nothing"
