"""The broker ports on Apache Kafka, by aiokafka: an idempotent producer, manual commits, bounded waits.

aiokafka is untyped in part; what it yields becomes a `Record` here, and its errors become ours.
"""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Generator, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from datetime import timedelta
from time import monotonic
from typing import Any, Self

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition, conn
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.errors import CommitFailedError, IllegalGenerationError, KafkaError, UnknownMemberIdError, for_code
from aiokafka.protocol.metadata import MetadataRequest
from aiokafka.structs import OffsetAndMetadata

from shared.contracts.codec import Record, encode
from shared.contracts.model import Message
from shared.contracts.signatures import Seal, unsealed
from shared.contracts.topics import TOPICS, Topic
from shared.infra.broker import MAX_RECORDS, WAIT, Placement
from shared.infra.crashing import CrashPoint, pass_by
from shared.kernel.backoff import Backoff
from shared.kernel.errors import ConfigError, UnavailableError

ACKNOWLEDGED_WITHIN = timedelta(seconds=20)
CONNECTED_WITHIN = timedelta(seconds=60)
_ANSWER_WITHIN_S = 5.0
_ASKED_WITHIN_S = 3.0
_REQUEST_TIMEOUT_MS = 10_000
SESSION_TIMEOUT = timedelta(seconds=6)
_TOPIC_EXISTS = 36
_USUAL_REPLICAS = 3
_CONNECTIONS: Any = conn
_ARCHIVE_FETCH_BYTES = 4 << 20
"""One partition is read at a time, and nothing is asked for while its records are handled: a wait has to bring much."""
_LOST_PARTITIONS = (CommitFailedError, IllegalGenerationError, UnknownMemberIdError)
"""Another member has the partitions by now, and will read again what was not committed."""


class KafkaPublisher:
    """Write messages under the name of a service, and its seal."""

    def __init__(self, bootstrap: str, *, source: str, seal: Seal = unsealed) -> None:
        self._bootstrap = bootstrap
        self._seal = seal
        self._source = source
        self._producer: Any = None

    async def publish(
        self, message: Message, *, topic: Topic, traceparent: str | None = None, partition: int | None = None
    ) -> Placement:
        """Write a message and return where, once all replicas have it.

        Raises:
            UnavailableError: it was not acknowledged in time; it may have been written all the same.
        """
        out = self._seal(
            encode(message, topic=topic, source=self._source, traceparent=traceparent, partition=partition)
        )
        with _translated(f"writing to {topic.name}"):
            async with asyncio.timeout(ACKNOWLEDGED_WITHIN.total_seconds()):
                written = await self._producer.send_and_wait(
                    out.topic, out.value, key=out.key, headers=list(out.headers), partition=out.partition
                )
        return Placement(written.partition, written.offset)

    async def publish_all(self, messages: Sequence[Message], *, topic: Topic) -> None:
        """Write messages, each acknowledged when it returns; one waits for none of the others.

        Raises:
            UnavailableError: some were not acknowledged in time; any of them may have been written all the same.
        """
        with _translated(f"writing to {topic.name}"):
            async with asyncio.timeout(ACKNOWLEDGED_WITHIN.total_seconds()):
                await asyncio.gather(*[await self._sent(message, topic) for message in messages])

    async def broadcast(self, message: Message, *, topic: Topic) -> None:
        """Write a message once into each partition, under its one id.

        Raises:
            UnavailableError: as `publish`; some partitions may have it.
        """
        try:
            async with asyncio.TaskGroup() as group:
                for partition in range(topic.partitions):
                    group.create_task(self._broadcast_to(partition, message, topic=topic))
        except* UnavailableError as failed:
            raise failed.exceptions[0] from failed

    async def _broadcast_to(self, partition: int, message: Message, *, topic: Topic) -> None:
        await self.publish(message, topic=topic, partition=partition)
        pass_by(CrashPoint.BROADCAST_TO_ONE)

    async def _sent(self, message: Message, topic: Topic) -> Awaitable[object]:
        """Put a message into its partition's line; return what is to be awaited for its acknowledgement."""
        out = self._seal(encode(message, topic=topic, source=self._source))
        return await self._producer.send(out.topic, out.value, key=out.key, headers=list(out.headers))

    async def __aenter__(self) -> Self:
        """Connect."""

        def producer() -> Any:  # noqa: ANN401
            return AIOKafkaProducer(
                bootstrap_servers=self._bootstrap,
                enable_idempotence=True,
                acks="all",
                request_timeout_ms=_REQUEST_TIMEOUT_MS,
            )

        self._producer = await _connected(producer)
        return self

    async def __aexit__(self, *_: object) -> None:
        """Send what is left and disconnect."""
        await self._producer.stop()


class _Reading:
    """What every consumer does once it knows its partitions."""

    def __init__(self, bootstrap: str) -> None:
        self._bootstrap = bootstrap
        self._consumer: Any = None
        self._answered_at = monotonic()

    async def batch(self, *, max_records: int = MAX_RECORDS, within: timedelta = WAIT) -> list[Record]:
        """Return the next records, in order per partition; none when nothing came in time.

        Raises:
            UnavailableError: the broker does not answer.
        """
        with _translated("reading"):
            timeout_ms = within // timedelta(milliseconds=1)
            batches = await self._consumer.getmany(timeout_ms=timeout_ms, max_records=max_records)
            records = [_record(raw) for batch in batches.values() for raw in batch]
            if records:
                self._answered_at = monotonic()
            elif monotonic() - self._answered_at > _ANSWER_WITHIN_S:
                await self._ask()  # aiokafka waits for a broker that is away without a word
        return records

    async def commit(self, records: Sequence[Record]) -> None:
        """Go on after these records from now on.

        Raises:
            UnavailableError: the broker does not answer.
        """
        offsets = {place: OffsetAndMetadata(offset + 1, "") for place, offset in _last(records).items()}
        if not offsets:
            return
        try:
            with _translated("committing"):
                async with asyncio.timeout(ACKNOWLEDGED_WITHIN.total_seconds()):  # aiokafka tries for ever
                    await self._consumer.commit(offsets)
        except UnavailableError as failed:
            if not isinstance(failed.__cause__, _LOST_PARTITIONS):
                raise

    async def rewind(self, records: Sequence[Record]) -> None:
        """Let the next batch begin at these records again, at the first of each partition."""
        assigned = self._consumer.assignment()
        for place, offset in _first(records).items():
            if place in assigned:
                self._consumer.seek(place, offset)

    async def __aexit__(self, *_: object) -> None:
        """Leave."""
        await self._consumer.stop()

    async def _ask(self) -> None:
        async with asyncio.timeout(_ANSWER_WITHIN_S):
            await self._consumer.topics()
        self._answered_at = monotonic()


class KafkaConsumer(_Reading):
    """Read topics as one of a group, which shares the partitions among its members."""

    def __init__(
        self, bootstrap: str, *, topics: Sequence[Topic], group: str, session_timeout: timedelta = SESSION_TIMEOUT
    ) -> None:
        super().__init__(bootstrap)
        self._topics = [topic.name for topic in topics]
        self._group = group
        self._session_ms = session_timeout // timedelta(milliseconds=1)

    async def __aenter__(self) -> Self:
        """Join."""

        def consumer() -> Any:  # noqa: ANN401
            return AIOKafkaConsumer(
                *self._topics,
                bootstrap_servers=self._bootstrap,
                group_id=self._group,
                enable_auto_commit=False,
                auto_offset_reset="earliest",
                session_timeout_ms=self._session_ms,
                heartbeat_interval_ms=self._session_ms // 3,
                request_timeout_ms=_REQUEST_TIMEOUT_MS,
            )

        self._consumer = await _connected(consumer)
        return self


class AssignedConsumer(_Reading):
    """Read all partitions of topics alone; offsets are kept under a group's name, or given by the caller as `start`."""

    def __init__(
        self,
        bootstrap: str,
        *,
        topics: Sequence[Topic],
        group: str,
        start: Mapping[tuple[str, int], int] | None = None,
    ) -> None:
        super().__init__(bootstrap)
        self._topics = topics
        self._group = group
        self._start = start

    async def __aenter__(self) -> Self:
        """Take the partitions."""

        def consumer() -> Any:  # noqa: ANN401
            return AIOKafkaConsumer(
                bootstrap_servers=self._bootstrap,
                group_id=self._group,
                enable_auto_commit=False,
                auto_offset_reset="earliest",
                request_timeout_ms=_REQUEST_TIMEOUT_MS,
            )

        self._consumer = await _connected(consumer)
        places = [place for topic in self._topics for place in _places(topic)]
        self._consumer.assign(places)
        if self._start is not None:
            for place in places:
                self._consumer.seek(place, self._start.get((place.topic, place.partition), 0))
        return self


class KafkaArchive:
    """Read topics, or single records, without a group."""

    def __init__(self, bootstrap: str) -> None:
        self._bootstrap = bootstrap

    async def read(self, topic: Topic, *, start: Mapping[int, int] | None = None) -> AsyncGenerator[Record]:
        """Yield what a topic holds now, partition by partition, in the order of the offsets; from `start` on.

        Raises:
            UnavailableError: the broker does not answer.
        """
        starts = {place: (start or {}).get(place.partition, 0) for place in _places(topic)}
        async with self._consumer() as consumer:
            async for record in _to_end(consumer, starts):
                yield record

    async def read_one(self, topic: Topic, *, partition: int, offset: int) -> Record | None:
        """Return the record at an offset; None if there is none any more.

        Raises:
            UnavailableError: the broker does not answer.
        """
        async with self._consumer() as consumer:
            async for record in _to_end(consumer, {TopicPartition(topic.name, partition): offset}):
                return record if record.offset == offset else None
        return None

    async def end_offsets(self, topic: Topic) -> dict[int, int]:
        """Return the offset after the last record of each partition.

        Raises:
            UnavailableError: the broker does not answer.
        """
        async with self._consumer() as consumer:
            _, ends = await _bounds(consumer, _places(topic))
        return {place.partition: end for place, end in ends.items()}

    async def __aenter__(self) -> Self:
        """Nothing is held between reads."""
        return self

    async def __aexit__(self, *_: object) -> None:
        """Nothing is held between reads."""

    @asynccontextmanager
    async def _consumer(self) -> AsyncGenerator[Any]:
        def consumer() -> Any:  # noqa: ANN401
            return AIOKafkaConsumer(
                bootstrap_servers=self._bootstrap,
                enable_auto_commit=False,
                auto_offset_reset="earliest",
                request_timeout_ms=_REQUEST_TIMEOUT_MS,
                max_partition_fetch_bytes=_ARCHIVE_FETCH_BYTES,
            )

        opened = await _connected(consumer)
        try:
            yield opened
        finally:
            await opened.stop()


async def ask_broker(bootstrap: str) -> None:
    """Ask for the brokers, over a connection of its own; those of the work may be broken, or waiting.

    Raises:
        UnavailableError: none of the addresses answers as a broker does.
    """
    failures: list[str] = []
    for host, port, _ in _CONNECTIONS.collect_hosts(bootstrap):
        try:
            await _ask_one(host, port)
        except UnavailableError as failed:
            failures.append(str(failed))
        else:
            return
    raise UnavailableError("; ".join(failures))


async def _ask_one(host: str, port: int) -> None:
    with _translated(f"asking {host}:{port} for the brokers"):
        async with asyncio.timeout(_ASKED_WITHIN_S):
            connection = await _CONNECTIONS.create_conn(host, port, request_timeout_ms=_REQUEST_TIMEOUT_MS)
            try:
                await connection.send(MetadataRequest([]))
            finally:
                connection.close()


@dataclass(frozen=True, slots=True)
class Copies:
    """How many brokers keep each partition, and how many of them must have a message before it counts as written."""

    replicas: int
    in_sync: int


def copies_on(brokers: int, *, replicas: int | None = None) -> Copies:
    """Return how many copies a number of brokers keeps, three at the most unless told; one of them may be away.

    Raises:
        ConfigError: more are asked for than there are brokers.
    """
    if replicas is not None and replicas > brokers:
        raise ConfigError(
            f"{replicas} replicas are asked for; expected at most {brokers}, as many as there are brokers"
        )
    kept = replicas or min(_USUAL_REPLICAS, brokers)
    return Copies(replicas=kept, in_sync=max(1, kept - 1))


@dataclass(frozen=True, slots=True)
class TopicsThere:
    """Which topics were made, with how many copies, and which were there with fewer."""

    made: list[str]
    copies: Copies
    fewer: list[str]


async def create_topics(
    bootstrap: str, topics: Sequence[Topic] = TOPICS, *, replicas: int | None = None
) -> TopicsThere:
    """Create the topics that are not there; check the partitions of those that are, and leave their copies as they are.

    Raises:
        ConfigError: a topic is there with another number of partitions than declared, or there are not enough brokers.
        UnavailableError: the broker does not answer, or refuses.
    """
    admin: Any = await _connected(lambda: AIOKafkaAdminClient(bootstrap_servers=bootstrap))
    try:
        with _translated("creating topics"):
            copies = copies_on(len((await admin.describe_cluster())["brokers"]), replicas=replicas)
            there = {found["topic"]: found["partitions"] for found in await admin.describe_topics()}
            _check_partitions({name: len(partitions) for name, partitions in there.items()}, topics)
            missing = [topic for topic in topics if topic.name not in there]
            if missing:
                await _create(admin, missing, copies)
    finally:
        await admin.close()
    kept = [topic.name for topic in topics if topic.name in there]
    fewer = [name for name in kept if _copies_of(there[name]) < copies.replicas]
    return TopicsThere(made=[topic.name for topic in missing], copies=copies, fewer=fewer)


def _copies_of(partitions: Sequence[Mapping[str, Any]]) -> int:
    return min(len(one["replicas"]) for one in partitions)


async def _create(admin: Any, topics: Sequence[Topic], copies: Copies) -> None:  # noqa: ANN401
    in_sync = {"min.insync.replicas": str(copies.in_sync)}
    wanted = [
        NewTopic(topic.name, topic.partitions, copies.replicas, topic_configs={**topic.config, **in_sync})
        for topic in topics
    ]
    answer = await admin.create_topics(wanted)
    for name, code, *_ in answer.topic_errors:
        if code not in {0, _TOPIC_EXISTS}:
            raise for_code(code)(name)


def _check_partitions(there: Mapping[str, int], topics: Iterable[Topic]) -> None:
    for topic in topics:
        found = there.get(topic.name, topic.partitions)
        if found != topic.partitions:
            raise ConfigError(
                f"topic {topic.name} has {found} partitions; expected {topic.partitions}, as shared/contracts declares"
            )


async def _connected(client: Any) -> Any:  # noqa: ANN401
    """Return a started client; a broker that is not there yet is waited for, up to a deadline.

    Raises:
        UnavailableError: it did not answer in time.
    """
    backoff, deadline = Backoff(), monotonic() + CONNECTED_WITHIN.total_seconds()
    attempt = 0
    while True:
        made = client()
        try:
            await made.start()
        except KafkaError as failed:
            await _closed(made)
            attempt += 1
            if monotonic() > deadline:
                raise UnavailableError(f"Kafka does not answer: {failed}") from failed
            await asyncio.sleep(backoff.delay(attempt).total_seconds())
        except BaseException:
            await _closed(made)
            raise
        else:
            return made


async def _closed(client: Any) -> None:  # noqa: ANN401
    await (client.close() if isinstance(client, AIOKafkaAdminClient) else client.stop())


async def _to_end(consumer: Any, starts: Mapping[TopicPartition, int]) -> AsyncIterator[Record]:  # noqa: ANN401
    # asked before anything is assigned: aiokafka 0.14 was seen to wait for ever for the end of one partition
    # while it still fetched another
    first, ends = await _bounds(consumer, list(starts))
    for place, start in starts.items():
        position = max(start, first[place])
        if position < ends[place]:
            consumer.assign([place])
            consumer.seek(place, position)
        end = ends[place]
        while position < end:
            batch, position = await _some(consumer, place)
            for raw in (one for one in batch if one.offset < end):
                yield _record(raw)


async def _bounds(
    consumer: Any,  # noqa: ANN401
    places: Sequence[TopicPartition],
) -> tuple[Mapping[TopicPartition, int], Mapping[TopicPartition, int]]:
    with _translated("asking for the bounds of a topic"):
        async with asyncio.timeout(ACKNOWLEDGED_WITHIN.total_seconds()):
            return await consumer.beginning_offsets(places), await consumer.end_offsets(places)


async def _some(consumer: Any, place: TopicPartition) -> tuple[Sequence[Any], int]:  # noqa: ANN401
    with _translated(f"reading {place.topic}/{place.partition}"):
        async with asyncio.timeout(ACKNOWLEDGED_WITHIN.total_seconds()):
            batches = await consumer.getmany(place, timeout_ms=1000)
            return batches.get(place, ()), await consumer.position(place)


def _places(topic: Topic) -> list[TopicPartition]:
    return [TopicPartition(topic.name, number) for number in range(topic.partitions)]


def _last(records: Iterable[Record]) -> dict[TopicPartition, int]:
    offsets: dict[TopicPartition, int] = {}
    for record in records:
        place = TopicPartition(record.topic, record.partition)
        offsets[place] = max(record.offset, offsets.get(place, -1))
    return offsets


def _first(records: Iterable[Record]) -> dict[TopicPartition, int]:
    offsets: dict[TopicPartition, int] = {}
    for record in records:
        place = TopicPartition(record.topic, record.partition)
        offsets[place] = min(record.offset, offsets.get(place, record.offset))
    return offsets


def _record(raw: Any) -> Record:  # noqa: ANN401
    return Record(raw.topic, raw.partition, raw.offset, raw.timestamp, raw.key, raw.value, raw.headers)


@contextmanager
def _translated(doing: str) -> Generator[None]:
    try:
        yield
    except (KafkaError, TimeoutError, OSError) as failed:
        raise UnavailableError(f"Kafka: {doing}: {str(failed) or type(failed).__name__}") from failed
