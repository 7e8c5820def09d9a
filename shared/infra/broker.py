"""The ports to a broker; Kafka and the in-memory broker implement them and pass one contract suite."""

from collections.abc import AsyncGenerator, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Protocol

from shared.contracts.codec import Record
from shared.contracts.model import Message
from shared.contracts.topics import Topic

MAX_RECORDS = 500
WAIT = timedelta(seconds=1)


@dataclass(frozen=True, slots=True)
class Placement:
    """Where a message was written."""

    partition: int
    offset: int


class Publisher(Protocol):
    """Writes messages; all of them, in the order of the calls per partition."""

    async def publish(
        self, message: Message, *, topic: Topic, traceparent: str | None = None, partition: int | None = None
    ) -> Placement:
        """Write a message and return where, once the broker has acknowledged it.

        Raises:
            UnavailableError: it was not acknowledged in time; it may have been written all the same.
        """
        ...

    async def publish_all(self, messages: Sequence[Message], *, topic: Topic) -> None:
        """Write messages, each acknowledged when it returns; one waits for none of the others.

        Raises:
            UnavailableError: some were not acknowledged in time; any of them may have been written all the same.
        """
        ...

    async def broadcast(self, message: Message, *, topic: Topic) -> None:
        """Write a message once into each partition, under its one id.

        Raises:
            UnavailableError: as `publish`; some partitions may have it.
        """
        ...


class Consumer(Protocol):
    """Reads topics as one of a group; what was not committed comes again after a restart."""

    async def batch(self, *, max_records: int = MAX_RECORDS, within: timedelta = WAIT) -> list[Record]:
        """Return the next records, in order per partition; none when nothing came in time.

        Raises:
            UnavailableError: the broker does not answer.
        """
        ...

    async def commit(self, records: Sequence[Record]) -> None:
        """Go on after these records from now on.

        Raises:
            UnavailableError: the broker does not answer.
        """
        ...

    async def rewind(self, records: Sequence[Record]) -> None:
        """Let the next batch begin at these records again, at the first of each partition."""
        ...


class Archive(Protocol):
    """Reads topics without being one of a group."""

    def read(self, topic: Topic, *, start: Mapping[int, int] | None = None) -> AsyncGenerator[Record]:
        """Yield what a topic holds now, partition by partition, in the order of the offsets; from `start` on.

        Raises:
            UnavailableError: the broker does not answer.
        """
        ...

    async def read_one(self, topic: Topic, *, partition: int, offset: int) -> Record | None:
        """Return the record at an offset; None if there is none any more.

        Raises:
            UnavailableError: the broker does not answer.
        """
        ...

    async def end_offsets(self, topic: Topic) -> dict[int, int]:
        """Return the offset after the last record of each partition.

        Raises:
            UnavailableError: the broker does not answer.
        """
        ...
