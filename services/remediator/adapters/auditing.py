"""Writes the audit trail: one entry a command, each after the one before it, whoever wrote that.

It remembers as well: what became of a command stands there, also where the store has forgotten it.
"""

from collections.abc import AsyncIterator

from services.remediator.core.trail import Link, Trail, link_of, next_entry, result_of, token_of
from services.remediator.trust import OwnTrust
from shared.contracts.audit import AuditEntry
from shared.contracts.codec import Record, body_of
from shared.contracts.commands import Command
from shared.contracts.inbox import Result
from shared.contracts.topics import AUDIT
from shared.infra.broker import Archive, Publisher
from shared.kernel.errors import UnavailableError

_TAIL = 2_000
"""More entries than commands can be delivered again: those of a few batches of which none was committed."""


class AuditTrail:
    """Continue the trail under one leader's token."""

    def __init__(self, publisher: Publisher, archive: Archive, *, trust: OwnTrust, token: int) -> None:
        self._publisher = publisher
        self._archive = archive
        self._trust = trust
        self._token = token
        self._head: Link | None = None
        self._known: dict[str, bytes] | None = None
        self._pending: AuditEntry | None = None

    async def note(self, command: Command, result: Result, *, traceparent: str | None = None) -> None:
        """Write the entry of a result, unless the trail has one of its command.

        An entry that was not acknowledged may have been written: the same bytes are written again before anything else.

        Raises:
            UnavailableError: the broker does not answer, or the trail was continued under a higher token than ours.
        """
        known = await self._opened()
        if self._pending is not None:
            await self._write(self._pending, known, traceparent=traceparent)
        if command.id in known:
            return
        self._pending = next_entry(command, result, after=self._head, token=self._token)
        await self._write(self._pending, known, traceparent=traceparent)

    async def recall(self, command: Command) -> Result | None:
        """Return the result that the trail has of a command; None if it has none.

        Raises:
            UnavailableError: the broker does not answer, or the trail was continued under a higher token than ours.
        """
        value = (await self._opened()).get(command.id)
        return result_of(AuditEntry.model_validate_json(value)) if value is not None else None

    async def _opened(self) -> dict[str, bytes]:
        if self._known is None:
            self._known = await self._read_end()
        return self._known

    async def _read_end(self) -> dict[str, bytes]:
        """Read the trail's end: where to go on, and which commands have their entries."""
        tail = max(0, (await self._archive.end_offsets(AUDIT))[0] - _TAIL)
        trail, values = await _followed(self._trust.believed(self._archive.read(AUDIT, start={0: tail})))
        if trail.head is None and tail > 0:  # somebody has written more than any leader would
            trail, values = await _followed(self._trust.believed(self._archive.read(AUDIT)))
        if trail.highest_token > self._token:
            raise UnavailableError(
                f"{AUDIT.name} was continued under token {trail.highest_token}, above ours, which is {self._token}"
            )
        self._head = trail.farthest or await self._before_signatures()
        return {link.command: values[link.hash] for link in trail.chain}

    async def _before_signatures(self) -> Link | None:
        """Return the last entry where none is believed yet; the chain goes on from it, and nothing else is taken.

        One under a token above ours was made up: all tokens but ours are below it.
        """
        end = (await self._archive.end_offsets(AUDIT))[0]
        records = self._archive.read(AUDIT, start={0: max(0, end - _TAIL)})
        trail, _ = await _followed(one async for one in records if token_of(one.value) < self._token)
        return trail.farthest

    async def _write(self, entry: AuditEntry, known: dict[str, bytes], *, traceparent: str | None) -> None:
        await self._publisher.publish(entry, topic=AUDIT, traceparent=traceparent, partition=0)
        self._head = link_of(entry, body_of(entry))
        self._pending = None
        known[entry.command] = body_of(entry)
        if len(known) > _TAIL:
            del known[next(iter(known))]


async def _followed(records: AsyncIterator[Record]) -> tuple[Trail, dict[str, bytes]]:
    """Return the trail that records make, and their values by the hashes of the entries."""
    trail, values = Trail(), dict[str, bytes]()
    async for record in records:
        link = trail.follow(record.value, record.place)
        if link is not None:
            values[link.hash] = record.value or b""
    return trail, values
