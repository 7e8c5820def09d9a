"""The stateful stream: Faust carries the inbox to one function, and keeps that function's state in a table.

Faust is not trusted with exactness. The function's state says which offset it has absorbed; `position` reads it, and
the stream holds Faust to it: an offset that was absorbed is passed by, a gap is sought back. Outputs are acknowledged
before `absorb` returns, rows are written after that, and the offset is committed last (ADR 0002).
"""

import logging
import tempfile
from collections.abc import Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any, Protocol

import faust
from faust.types import TP

from shared.contracts.codec import Record
from shared.contracts.topics import Topic

Rows = Mapping[str, bytes]
"""Rows of the table that an input changed, in the order in which they are to be written."""


class Table(Protocol):
    """The state as it stands: what was written, and what Faust recovered from the changelog."""

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


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamSettings:
    """Where the broker is, and how Faust is to run; short timeouts, so that a killed worker is missed soon."""

    bootstrap: str
    app: str
    table: str
    inbox: Topic
    instance: str
    session_timeout: timedelta = timedelta(seconds=6)
    heartbeat: timedelta = timedelta(seconds=2)
    commit_every: timedelta = timedelta(milliseconds=500)


class StatefulStream:
    """Run `absorb` on each record of the inbox, in the order of its partition, once."""

    def __init__(
        self,
        settings: StreamSettings,
        *,
        absorb: Callable[[Record, Table], Awaitable[Step]],
        position: Callable[[int, Table], int],
        on_gap: Callable[[int, int, int], None],
    ) -> None:
        self._absorb = absorb
        self._position = position
        self._on_gap = on_gap
        self._inbox = settings.inbox
        self._app = _faust_app(settings)
        # Faust is untyped where it matters here; what it yields becomes a Record at once
        self._table: Any = self._app.Table(
            settings.table,
            key_type=bytes,
            value_type=bytes,
            partitions=settings.inbox.partitions,
        )
        self.rows: Table = _FaustTable(self._table)
        self._app.agent(self._topic(settings.inbox), name="inbox")(self._follow)

    async def start(self) -> None:
        """Join the group and recover the table; return when Faust runs."""
        await self._app.start()

    async def stop(self) -> None:
        """Commit and leave the group."""
        await self._app.stop()

    async def wait_until_stopped(self) -> None:
        """Return when Faust has ended.

        Raises:
            BaseException: what made it crash.
        """
        await self._app.wait_until_stopped()
        reason = self._app.crash_reason
        if reason is not None:
            raise reason

    @property
    def is_recovered(self) -> bool:
        """Tell whether the table holds all that the changelog has."""
        return bool(self._app.tables.recovery.completed.is_set())

    @property
    def partitions(self) -> frozenset[int]:
        """Return the partitions of the inbox that this process has."""
        assigned: Any = self._app.consumer.assignment()
        return frozenset(tp.partition for tp in assigned if tp.topic == self._inbox.name)

    async def realign(self) -> None:
        """Seek to what follows the last offset absorbed, wherever the group's own offset is ahead of it.

        A worker that died between its commit and its changelog would else skip inputs until the next one arrives.
        """
        consumer: Any = self._app.consumer
        for partition in self.partitions:
            place = TP(self._inbox.name, partition)
            absorbed = self._position(partition, self.rows)
            position = await consumer.position(place)
            if position is not None and position > absorbed + 1:
                await consumer.seek(place, max(absorbed, 0))

    def _topic(self, topic: Topic) -> Any:  # noqa: ANN401
        return self._app.topic(
            topic.name,
            key_type=bytes,
            value_type=bytes,
            key_serializer="raw",
            value_serializer="raw",
            partitions=topic.partitions,
        )

    async def _follow(self, stream: Any) -> None:  # noqa: ANN401
        async for event in stream.events():
            await self._take(_record_of(event.message))

    async def _take(self, record: Record) -> None:
        absorbed = self._position(record.partition, self.rows)
        if record.offset <= absorbed:
            return
        if record.offset > absorbed + 1 and await self._is_gap(record, absorbed):
            return
        step = await self._absorb(record, self.rows)
        for key, row in step.rows.items():
            self._table[key.encode()] = row

    async def _is_gap(self, record: Record, absorbed: int) -> bool:
        """Tell whether inputs were skipped, and seek back to them; what retention has removed is no gap."""
        consumer: Any = self._app.consumer
        tp = TP(record.topic, record.partition)
        earliest: Mapping[TP, int] = await consumer.earliest_offsets(tp)
        expected = max(absorbed + 1, earliest.get(tp, 0))
        if record.offset <= expected:
            return False
        self._on_gap(record.partition, expected, record.offset)
        await consumer.seek(tp, max(expected - 1, 0))  # Faust reads on after the offset that it is given
        return True


class _FaustTable:
    def __init__(self, table: Any) -> None:  # noqa: ANN401
        self._table = table

    def get(self, key: str) -> bytes | None:
        return self._table.get(key.encode())

    def items(self) -> Iterator[tuple[str, bytes]]:
        for key, row in list(self._table.items()):
            yield bytes(key).decode(), row


def _faust_app(settings: StreamSettings) -> Any:  # noqa: ANN401
    logging.getLogger("faust").setLevel(logging.WARNING)
    return faust.App(
        settings.app,
        broker=f"kafka://{settings.bootstrap}",
        store="memory://",
        datadir=Path(tempfile.gettempdir()) / f"{settings.app}-{settings.instance}",  # stays empty, but Faust makes it
        web_enabled=False,
        topic_disable_leader=True,
        topic_partitions=settings.inbox.partitions,
        broker_session_timeout=settings.session_timeout.total_seconds(),
        broker_heartbeat_interval=settings.heartbeat.total_seconds(),
        broker_rebalance_timeout=settings.session_timeout.total_seconds(),
        broker_commit_interval=settings.commit_every.total_seconds(),
        consumer_auto_offset_reset="earliest",
        stream_wait_empty=False,
        producer_acks=-1,
    )


def _record_of(message: Any) -> Record:  # noqa: ANN401
    headers: Any = message.headers or ()
    pairs: Any = headers.items() if hasattr(headers, "items") else headers
    return Record(
        topic=message.topic,
        partition=message.partition,
        offset=message.offset,
        timestamp_ms=round(message.timestamp * 1000),
        key=message.key,
        value=message.value,
        headers=tuple(pairs),
    )
