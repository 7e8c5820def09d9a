"""The stream engine of the simulation, at least as bad as Faust was measured to be (ADR 0002).

After a restart it reads on from the committed offset, or from before it, or skips some records; a commit may run ahead
of the changelog; what a process had in its hands when it lost a partition it still handles, and writes.
"""

import asyncio
from collections import deque
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import timedelta

from shared.contracts.codec import Record
from shared.contracts.topics import INBOX, WORKLOADS_CHANGELOG
from shared.infra.contiguity import Contiguity, Following
from shared.infra.memory import MemoryBroker
from shared.kernel.errors import UnavailableError
from tests.simulation.groups import Group, Member
from tests.simulation.weather import Weather

_COMMIT_EVERY_S = 0.5
_MOST_SKIPPED, _MOST_AHEAD = 9, 12
_BROKER = "Kafka"
_WAIT = timedelta(seconds=1)


@dataclass(slots=True)
class SimulatedTable:
    """Rows in memory; those of partitions that are another's by now stay where they are."""

    rows: dict[str, bytes] = field(default_factory=dict[str, bytes])

    def get(self, key: str) -> bytes | None:
        """Return a row; None if it is not there."""
        return self.rows.get(key)

    def items(self) -> Iterator[tuple[str, bytes]]:
        """Return all rows."""
        yield from list(self.rows.items())


class SimulatedStream:
    """Carry the inbox to what follows it, badly."""

    def __init__(self, broker: MemoryBroker, following: Following, *, group: Group, weather: Weather) -> None:
        self.table = SimulatedTable()
        self.is_recovered = False
        self.generation = 0
        self.broker = broker
        self.following = following
        self.weather = weather
        self.contiguity = Contiguity(following, places=self, rows=self.table)
        self.group = group
        self._member: Member | None = None
        self._running: asyncio.Task[None] | None = None
        self._positions: dict[int, int] = {}
        self._fetched: deque[Record] = deque()
        self._done: dict[int, int] = {}
        self._unwritten: deque[tuple[int, str, bytes]] = deque()
        self._changed = asyncio.Event()

    @property
    def rows(self) -> SimulatedTable:
        """Return the table."""
        return self.table

    @property
    def partitions(self) -> frozenset[int]:
        """Return the partitions of the inbox that this process believes to have."""
        return frozenset(self._member.partitions if self._member else ())

    async def start(self) -> None:
        """Join the group, and begin."""
        self._member = self.group.enter()
        self._running = asyncio.create_task(self._run(self._member))

    async def stop(self) -> None:
        """Write and commit what is done, and leave the group."""
        if self._running is not None and self._member is not None:
            self._running.cancel()
            with suppress(asyncio.CancelledError):
                await self._running
            await self._write_all()
            self.group.commit(self._member, self._committable())
            self.group.leave(self._member)

    async def wait_until_stopped(self) -> None:
        """Return when the engine has ended.

        Raises:
            BaseException: what made it crash.
        """
        if self._running is not None:
            with suppress(asyncio.CancelledError):
                await asyncio.shield(self._running)

    async def realign(self) -> None:
        """Read on after the last offset absorbed, wherever the group's own offset is ahead of it."""
        await self.contiguity.realign(sorted(self.partitions))

    async def earliest(self, partition: int) -> int:
        """Return the first offset that the broker still has."""
        await asyncio.sleep(0)
        return 0

    async def position(self, partition: int) -> int | None:
        """Return the offset that is read next."""
        await asyncio.sleep(0)
        return self._positions.get(partition)

    async def read_on_from(self, partition: int, offset: int) -> None:
        """Read on from an offset, or from the one before; what was fetched comes first."""
        self._positions[partition] = max(0, offset - self.weather.chance.randrange(2))

    async def handle(self, record: Record) -> None:
        """Let a record be absorbed, and set its rows."""
        rows = await self.contiguity.take(record)
        for key, row in rows.items():
            self.set_row(record.partition, key, row)

    def set_row(self, partition: int, key: str, row: bytes) -> None:
        """Write a row here at once, and into the changelog a little later."""
        self.table.rows[key] = row
        self._unwritten.append((partition, key, row))
        self._changed.set()

    def recover(self, partitions: tuple[int, ...]) -> None:
        """Read the rows of some partitions."""
        for number in partitions:
            for key, row in self.changelog(number):
                if self.following.is_newer(row, self.table.get(key)):
                    self.table.rows[key] = row

    def changelog(self, partition: int) -> Iterator[tuple[str, bytes]]:
        """Return all rows of a partition that were ever written."""
        for record in self.broker.log(WORKLOADS_CHANGELOG.name, partition):
            yield (record.key or b"").decode(), record.value or b""

    async def _run(self, member: Member) -> None:
        async with asyncio.TaskGroup() as group:
            for work in (member.beat(), self._follow(member), self._write(), self._commit(member)):
                group.create_task(work)

    async def _follow(self, member: Member) -> None:
        while True:
            if await self._is_moved(member):
                await self._recover(member)
            elif self._fetched or self._fetch(member):
                record = self._fetched.popleft()
                await self.handle(record)
                self._done[record.partition] = record.offset + 1
            else:
                await self.broker.written(_WAIT)

    async def _is_moved(self, member: Member) -> bool:
        if member.is_current and not self.group.is_joining:
            return False
        await self._write_all()
        self.group.commit(member, self._committable())
        return await member.joined()

    async def _recover(self, member: Member) -> None:
        self.is_recovered = False
        self._fetched.clear()
        self._done.clear()
        await asyncio.sleep(self.weather.chance.random() / 2)
        self.recover(member.partitions)
        self._positions = {number: self._start_of(number) for number in member.partitions}
        self.generation += 1
        self.is_recovered = True

    def _start_of(self, partition: int) -> int:
        """Return the committed offset; some before it are read again, or some after it are skipped."""
        committed = self.group.committed.get((INBOX.name, partition), 0)
        chance, end = self.weather.chance, len(self.broker.log(INBOX.name, partition))
        luck = chance.random()
        if luck < 0.4 and self.weather.roughness:
            return min(committed + chance.randint(1, _MOST_SKIPPED), max(end, committed))
        return max(0, committed - chance.randint(0, _MOST_SKIPPED)) if luck > 0.8 else committed

    def _fetch(self, member: Member) -> bool:
        numbers = self.weather.chance.sample(member.partitions, len(member.partitions))
        for number in numbers:
            position = self._positions[number]
            end = position + self.weather.chance.randint(1, _MOST_AHEAD)
            ahead = self.broker.log(INBOX.name, number)[position:end]
            self._fetched.extend(ahead)
            self._positions[number] = position + len(ahead)
        return bool(self._fetched)

    async def _write(self) -> None:
        while True:
            await self._changed.wait()
            self._changed.clear()
            await self._write_all()

    async def _write_all(self) -> None:
        while self._unwritten:
            with suppress(UnavailableError):
                await self.weather.request(_BROKER)
                if self._unwritten:
                    self._append(*self._unwritten.popleft())

    def _append(self, partition: int, key: str, row: bytes) -> None:
        self.broker.append(Record(WORKLOADS_CHANGELOG.name, partition, -1, 0, key.encode(), row))

    async def _commit(self, member: Member) -> None:
        while True:
            await asyncio.sleep(_COMMIT_EVERY_S)
            offsets = self._committable()
            with suppress(UnavailableError):
                await self.weather.request(_BROKER)
                self.group.commit(member, offsets)

    def _committable(self) -> dict[tuple[str, int], int]:
        return {(INBOX.name, number): offset for number, offset in self._done.items()}
