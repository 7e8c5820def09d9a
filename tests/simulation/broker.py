"""The broker ports of the simulation: `MemoryBroker`'s logs behind rough weather, read by groups that rebalance."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Self

from shared.contracts.codec import Record
from shared.contracts.model import Message
from shared.contracts.signatures import Seal, unsealed
from shared.contracts.topics import INBOX, Topic
from shared.infra.broker import MAX_RECORDS, WAIT, Placement
from shared.infra.memory import MemoryArchive, MemoryBroker, MemoryPublisher
from shared.kernel.clock import Clock
from shared.kernel.errors import UnavailableError
from tests.simulation.groups import Group, Member
from tests.simulation.weather import Weather

_BROKER = "Kafka"
_BATCHES = (1, 2, 3, 5, 20, MAX_RECORDS)


class ListeningBroker(MemoryBroker):
    """Logs that tell what is appended to them, as it happens."""

    def __init__(self, clock: Clock, *, on_append: Callable[[Record], None] = lambda _: None) -> None:
        super().__init__(clock)
        self._on_append = on_append

    def append(self, record: Record) -> Placement:
        """Write a record as it is, and tell of it."""
        placed = super().append(record)
        self._on_append(self.log(record.topic, record.partition)[placed.offset])
        return placed


class SimulatedPublisher:
    """Writes messages that may come twice: an answer that is lost makes the writer try again."""

    def __init__(self, broker: MemoryBroker, source: str, *, weather: Weather, seal: Seal = unsealed) -> None:
        self._inner: MemoryPublisher = broker.publisher(source, seal=seal)
        self._weather = weather

    async def publish(
        self, message: Message, *, topic: Topic, traceparent: str | None = None, partition: int | None = None
    ) -> Placement:
        """Write a message and return where.

        Raises:
            UnavailableError: it was not acknowledged; it may have been written all the same.
        """
        await self._weather.request(_BROKER)
        placed = await self._inner.publish(message, topic=topic, traceparent=traceparent, partition=partition)
        await self._weather.answer(_BROKER)
        return placed

    async def publish_all(self, messages: Sequence[Message], *, topic: Topic) -> None:
        """Write messages in their order.

        Raises:
            UnavailableError: some were not acknowledged; any of them may have been written all the same.
        """
        for message in messages:
            await self.publish(message, topic=topic)

    async def broadcast(self, message: Message, *, topic: Topic) -> None:
        """Write a message once into each partition, in any order.

        Raises:
            UnavailableError: some partitions may have it.
        """
        try:
            async with asyncio.TaskGroup() as group:
                for partition in self._weather.chance.sample(range(topic.partitions), topic.partitions):
                    group.create_task(self.publish(message, topic=topic, partition=partition))
        except* UnavailableError as failed:
            raise failed.exceptions[0] from failed

    async def __aenter__(self) -> Self:
        """Nothing is to be opened."""
        return self

    async def __aexit__(self, *_: object) -> None:
        """Nothing is to be closed."""


@dataclass(slots=True)
class _Positions:
    broker: MemoryBroker
    places: dict[tuple[str, int], int] = field(default_factory=dict[tuple[str, int], int])

    def take(self, most: int) -> list[Record]:
        taken: list[Record] = []
        for place, position in self.places.items():
            some = self.broker.log(*place)[position : position + most - len(taken)]
            self.places[place] = position + len(some)
            taken += some
        return taken

    def rewind(self, records: Sequence[Record]) -> None:
        for record in records:
            place = (record.topic, record.partition)
            if place in self.places:
                self.places[place] = min(self.places[place], record.offset)


class SimulatedConsumer:
    """Reads topics as one of a group, or all partitions alone; batches are of any size."""

    def __init__(
        self,
        broker: MemoryBroker,
        topics: Sequence[Topic],
        *,
        group: Group,
        weather: Weather,
        alone: bool = False,
        start: Mapping[tuple[str, int], int] | None = None,
    ) -> None:
        self._broker = broker
        self._topics = topics
        self._group = group
        self._weather = weather
        self._alone = alone
        self._start = start
        self._positions = _Positions(broker)
        self._member: Member | None = None
        self._beating: asyncio.Task[None] | None = None

    async def batch(self, *, max_records: int = MAX_RECORDS, within: timedelta = WAIT) -> list[Record]:
        """Return the next records, in order per partition; none when nothing came in time.

        Raises:
            UnavailableError: the broker does not answer.
        """
        await self._weather.request(_BROKER)
        if self._member is not None and await self._member.joined():
            self._begin(self._member.partitions, self._group.committed)
        most = min(max_records, self._weather.chance.choice(_BATCHES))
        records = self._positions.take(most)
        if not records:
            await self._broker.written(within)
            records = self._positions.take(most)
        return records

    async def commit(self, records: Sequence[Record]) -> None:
        """Go on after these records from now on.

        Raises:
            UnavailableError: the broker does not answer; it may have been kept all the same.
        """
        offsets: dict[tuple[str, int], int] = {}
        for record in records:
            place = (record.topic, record.partition)
            offsets[place] = max(offsets.get(place, 0), record.offset + 1)
        await self._weather.request(_BROKER)
        if self._member is not None:
            self._group.commit(self._member, offsets)
        else:
            self._group.committed |= offsets
        await self._weather.answer(_BROKER)

    async def rewind(self, records: Sequence[Record]) -> None:
        """Let the next batch begin at these records again."""
        self._positions.rewind(records)

    async def __aenter__(self) -> Self:
        """Join, or take all partitions."""
        if self._alone:
            known = self._group.committed if self._start is None else self._start
            self._begin(tuple(range(max(topic.partitions for topic in self._topics))), known)
        else:
            self._member = self._group.enter()
            self._beating = asyncio.create_task(self._member.beat())
        return self

    async def __aexit__(self, *_: object) -> None:
        """Leave."""
        if self._beating is not None:
            self._beating.cancel()
            with suppress(asyncio.CancelledError):
                await self._beating
        if self._member is not None:
            self._group.leave(self._member)

    def _begin(self, partitions: tuple[int, ...], known: Mapping[tuple[str, int], int]) -> None:
        places = [(topic.name, number) for topic in self._topics for number in partitions if number < topic.partitions]
        self._positions.places = {place: known.get(place, 0) for place in places}


class SimulatedArchive(MemoryArchive):
    """Reads logs without a group."""

    def __init__(self, broker: MemoryBroker, *, weather: Weather) -> None:
        super().__init__(broker)
        self._weather = weather

    async def end_offsets(self, topic: Topic) -> dict[int, int]:
        """Return the offset after the last record of each partition.

        Raises:
            UnavailableError: the broker does not answer.
        """
        await self._weather.request(_BROKER)
        return await super().end_offsets(topic)


def inbox_group() -> Group:
    """Return a group of readers of the inbox, or of what has as many partitions."""
    return Group(INBOX.partitions)
