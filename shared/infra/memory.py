"""The broker ports in memory, for tests and simulations: the same order, offsets and groups, without a process."""

import asyncio
import zlib
from collections import defaultdict
from collections.abc import AsyncGenerator, Mapping, Sequence
from datetime import timedelta
from typing import Self

from shared.contracts.codec import Record, encode
from shared.contracts.model import Message
from shared.contracts.signatures import Seal, unsealed
from shared.contracts.topics import Topic
from shared.infra.broker import MAX_RECORDS, WAIT, Placement
from shared.kernel.clock import Clock, to_millis
from shared.kernel.errors import UnavailableError

_Place = tuple[str, int]


class MemoryBroker:
    """Logs by topic and partition; `away` makes it refuse everything, as a broker that is down does."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._logs: defaultdict[_Place, list[Record]] = defaultdict(list)
        self._committed: defaultdict[str, dict[_Place, int]] = defaultdict(dict)
        self._written = asyncio.Event()
        self.away = False

    def publisher(self, source: str, *, seal: Seal = unsealed) -> "MemoryPublisher":
        """Return a publisher under a service's name, and its seal."""
        return MemoryPublisher(self, source, seal=seal)

    def consumer(
        self, topics: Sequence[Topic], group: str, *, start: Mapping[_Place, int] | None = None
    ) -> "MemoryConsumer":
        """Return a reader of all partitions, that goes on where its group committed or at `start`."""
        return MemoryConsumer(self, topics, group=group, start=start)

    def archive(self) -> "MemoryArchive":
        """Return a reader without a group."""
        return MemoryArchive(self)

    def check(self) -> None:
        """Refuse while the broker is away.

        Raises:
            UnavailableError: it is away.
        """
        if self.away:
            raise UnavailableError("the broker is away")

    def append(self, record: Record) -> Placement:
        """Write a record as it is; its offset and, without one, its timestamp are the log's."""
        log = self._logs[record.topic, record.partition]
        stamp = record.timestamp_ms or to_millis(self._clock.now())
        log.append(Record(record.topic, record.partition, len(log), stamp, record.key, record.value, record.headers))
        self._written.set()
        self._written = asyncio.Event()
        return Placement(record.partition, len(log) - 1)

    def log(self, topic: str, partition: int) -> list[Record]:
        """Return the log of a partition."""
        return self._logs[topic, partition]

    def committed(self, group: str) -> dict[_Place, int]:
        """Return the offsets that a group goes on from."""
        return self._committed[group]

    async def written(self, within: timedelta) -> None:
        """Return when something is written, at the latest after `within`."""
        try:
            async with asyncio.timeout(within.total_seconds()):
                await self._written.wait()
        except TimeoutError:
            return


class MemoryPublisher:
    """Writes messages into memory."""

    def __init__(self, broker: MemoryBroker, source: str, *, seal: Seal = unsealed) -> None:
        self._broker = broker
        self._source = source
        self._seal = seal

    async def publish(
        self, message: Message, *, topic: Topic, traceparent: str | None = None, partition: int | None = None
    ) -> Placement:
        """Write a message and return where.

        Raises:
            UnavailableError: the broker is away.
        """
        self._broker.check()
        out = self._seal(
            encode(message, topic=topic, source=self._source, traceparent=traceparent, partition=partition)
        )
        number = zlib.crc32(out.key) % topic.partitions if partition is None else partition
        return self._broker.append(Record(topic.name, number, -1, 0, out.key, out.value, out.headers))

    async def publish_all(self, messages: Sequence[Message], *, topic: Topic) -> None:
        """Write messages.

        Raises:
            UnavailableError: the broker is away.
        """
        for message in messages:
            await self.publish(message, topic=topic)

    async def broadcast(self, message: Message, *, topic: Topic) -> None:
        """Write a message once into each partition.

        Raises:
            UnavailableError: the broker is away.
        """
        for partition in range(topic.partitions):
            await self.publish(message, topic=topic, partition=partition)

    async def __aenter__(self) -> Self:
        """Nothing is to be opened."""
        return self

    async def __aexit__(self, *_: object) -> None:
        """Nothing is to be closed."""


class MemoryConsumer:
    """Reads all partitions of its topics."""

    def __init__(
        self, broker: MemoryBroker, topics: Sequence[Topic], *, group: str, start: Mapping[_Place, int] | None
    ) -> None:
        self._broker = broker
        self._group = group
        places = [(topic.name, number) for topic in topics for number in range(topic.partitions)]
        known = broker.committed(group) if start is None else start
        self._positions = {place: known.get(place, 0) for place in places}

    async def batch(self, *, max_records: int = MAX_RECORDS, within: timedelta = WAIT) -> list[Record]:
        """Return the next records, in order per partition; none when nothing came in time.

        Raises:
            UnavailableError: the broker is away.
        """
        self._broker.check()
        records = self._take(max_records)
        if not records:
            await self._broker.written(within)
            records = self._take(max_records)
        return records

    async def commit(self, records: Sequence[Record]) -> None:
        """Go on after these records from now on.

        Raises:
            UnavailableError: the broker is away.
        """
        self._broker.check()
        committed = self._broker.committed(self._group)
        for record in records:
            place = (record.topic, record.partition)
            committed[place] = max(committed.get(place, 0), record.offset + 1)

    async def rewind(self, records: Sequence[Record]) -> None:
        """Let the next batch begin at these records again."""
        for record in records:
            place = (record.topic, record.partition)
            self._positions[place] = min(self._positions[place], record.offset)

    async def __aenter__(self) -> Self:
        """Nothing is to be opened."""
        return self

    async def __aexit__(self, *_: object) -> None:
        """Nothing is to be closed."""

    def _take(self, max_records: int) -> list[Record]:
        taken: list[Record] = []
        for place, position in self._positions.items():
            some = self._broker.log(*place)[position : position + max_records - len(taken)]
            self._positions[place] = position + len(some)
            taken += some
        return taken


class MemoryArchive:
    """Reads logs without a group."""

    def __init__(self, broker: MemoryBroker) -> None:
        self._broker = broker

    async def read(self, topic: Topic, *, start: Mapping[int, int] | None = None) -> AsyncGenerator[Record]:
        """Yield what a topic holds now, partition by partition.

        Raises:
            UnavailableError: the broker is away.
        """
        self._broker.check()
        for number in range(topic.partitions):
            for record in list(self._broker.log(topic.name, number))[(start or {}).get(number, 0) :]:
                yield record

    async def read_one(self, topic: Topic, *, partition: int, offset: int) -> Record | None:
        """Return the record at an offset; None if there is none.

        Raises:
            UnavailableError: the broker is away.
        """
        self._broker.check()
        log = self._broker.log(topic.name, partition)
        return log[offset] if 0 <= offset < len(log) else None

    async def end_offsets(self, topic: Topic) -> dict[int, int]:
        """Return the offset after the last record of each partition.

        Raises:
            UnavailableError: the broker is away.
        """
        self._broker.check()
        return {number: len(self._broker.log(topic.name, number)) for number in range(topic.partitions)}
