"""Writes the audit trail: one entry a command, each after the one before it, whoever wrote that."""

from collections import deque

from services.remediator.core.trail import Link, Trail, link_of, next_entry
from shared.contracts.audit import AuditEntry
from shared.contracts.codec import body_of
from shared.contracts.commands import Command
from shared.contracts.inbox import Result
from shared.contracts.topics import AUDIT
from shared.infra.broker import Archive, Publisher
from shared.kernel.errors import UnavailableError

_TAIL = 2_000
"""More entries than commands can be delivered again: those of a few batches of which none was committed."""


class AuditTrail:
    """Continue the trail under one leader's token."""

    def __init__(self, publisher: Publisher, archive: Archive, *, token: int) -> None:
        self._publisher = publisher
        self._archive = archive
        self._token = token
        self._head: Link | None = None
        self._known: deque[str] | None = None
        self._pending: AuditEntry | None = None

    async def note(self, command: Command, result: Result, *, traceparent: str | None = None) -> None:
        """Write the entry of a result, unless the trail has one of its command.

        An entry that was not acknowledged may have been written: the same bytes are written again before anything else.

        Raises:
            UnavailableError: the broker does not answer, or the trail was continued under a higher token than ours.
        """
        known = self._known = self._known if self._known is not None else await self._open()
        if self._pending is not None:
            await self._write(self._pending, known, traceparent=traceparent)
        if command.id in known:
            return
        self._pending = next_entry(command, result, after=self._head, token=self._token)
        await self._write(self._pending, known, traceparent=traceparent)

    async def _open(self) -> deque[str]:
        """Read the trail's end: where to go on, and which commands have their entries."""
        trail = Trail()
        end = (await self._archive.end_offsets(AUDIT))[0]
        async for record in self._archive.read(AUDIT, start={0: max(0, end - _TAIL)}):
            trail.follow(record.value, f"{record.topic}/{record.partition}/{record.offset}")
        if trail.highest_token > self._token:
            raise UnavailableError(
                f"{AUDIT.name} was continued under token {trail.highest_token}, above ours, which is {self._token}"
            )
        self._head = trail.head
        return deque((link.command for link in trail.chain), maxlen=_TAIL)

    async def _write(self, entry: AuditEntry, known: deque[str], *, traceparent: str | None) -> None:
        await self._publisher.publish(entry, topic=AUDIT, traceparent=traceparent, partition=0)
        self._head = link_of(entry, body_of(entry))
        self._pending = None
        known.append(entry.command)
