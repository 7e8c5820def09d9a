"""Contiguity: each record of the inbox is absorbed once, in the order of its partition, whatever an engine delivers.

An engine carries records and keeps rows; it is not trusted with exactness (ADR 0002). The state says which offset it
has absorbed, and the engine is held to it: an offset that was absorbed is passed by, a gap is sought back.
"""

from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Protocol

from shared.contracts.codec import Record

Rows = Mapping[str, bytes]
"""Rows of the table that an input changed, in the order in which they are to be written."""


class Table(Protocol):
    """The state as it stands: what was written, and what was recovered from the changelog."""

    def get(self, key: str) -> bytes | None:
        """Return a row; None if it is not there."""
        ...

    def items(self) -> Iterator[tuple[str, bytes]]:
        """Return all rows of the partitions that this process has."""
        ...


@dataclass(frozen=True, slots=True)
class Step:
    """What one record led to; a record that is skipped changes no row."""

    rows: Rows


class Places(Protocol):
    """Where an engine reads in the inbox."""

    async def earliest(self, partition: int) -> int:
        """Return the first offset that the broker still has."""
        ...

    async def position(self, partition: int) -> int | None:
        """Return the offset that is read next; None while that is not known."""
        ...

    async def read_on_from(self, partition: int, offset: int) -> None:
        """Read on from an offset; what was read before it may come as well."""
        ...


class Stream(Protocol):
    """An engine that carries the inbox to `absorb`, and keeps its rows in a table that a changelog restores."""

    @property
    def rows(self) -> Table:
        """Return the table."""
        ...

    @property
    def is_recovered(self) -> bool:
        """Tell whether the table holds all that the changelog has."""
        ...

    @property
    def partitions(self) -> frozenset[int]:
        """Return the partitions of the inbox that this process has."""
        ...

    @property
    def generation(self) -> int:
        """Return a number that is another one each time that partitions were assigned, the same ones or others."""
        ...

    async def start(self) -> None:
        """Join the group and recover the table; return when the engine runs."""
        ...

    async def stop(self) -> None:
        """Commit and leave the group."""
        ...

    async def wait_until_stopped(self) -> None:
        """Return when the engine has ended.

        Raises:
            BaseException: what made it crash.
        """
        ...

    async def realign(self) -> None:
        """Read on after the last offset absorbed, wherever the engine's own place is ahead of it."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Following:
    """What follows the inbox: `absorb` decides a record, `position` tells the last offset absorbed, -1 before any.

    `offset_of` tells at which offset a row was written; it is the same row, byte for byte, whoever wrote it there.
    """

    absorb: Callable[[Record, Table], Awaitable[Step]]
    position: Callable[[int, Table], int]
    on_gap: Callable[[int, int, int], None]
    offset_of: Callable[[bytes], int]

    def is_newer(self, row: bytes, known: bytes | None) -> bool:
        """Tell whether a row of the changelog is to take the place of the one that is known.

        The last one need not be the newest: a process that stood still while it lost a partition writes what it had in
        its hands when it goes on, after what the next one wrote.
        """
        return known is None or self.offset_of(row) >= self.offset_of(known)


class Contiguity:
    """Hold an engine to the offsets that were absorbed."""

    def __init__(self, following: Following, *, places: Places, rows: Table) -> None:
        self._following = following
        self._places = places
        self._rows = rows

    async def take(self, record: Record) -> Rows:
        """Return the rows to be written for a record; none for one that is not the next, which is sought instead."""
        absorbed = self._following.position(record.partition, self._rows)
        if record.offset <= absorbed or (record.offset > absorbed + 1 and await self._is_gap(record, absorbed)):
            return {}
        return (await self._following.absorb(record, self._rows)).rows

    async def realign(self, partitions: Iterable[int]) -> None:
        """Read on after the last offset absorbed, wherever the engine's own place is ahead of it.

        A process that died between its commit and its changelog would else skip inputs until the next one arrives.
        """
        for partition in partitions:
            absorbed = self._following.position(partition, self._rows)
            position = await self._places.position(partition)
            if position is not None and position > absorbed + 1:
                await self._places.read_on_from(partition, absorbed + 1)

    async def _is_gap(self, record: Record, absorbed: int) -> bool:
        """Tell whether inputs were skipped, and seek back to them; what retention has removed is no gap."""
        expected = max(absorbed + 1, await self._places.earliest(record.partition))
        if record.offset <= expected:
            return False
        self._following.on_gap(record.partition, expected, record.offset)
        await self._places.read_on_from(record.partition, expected)
        return True
