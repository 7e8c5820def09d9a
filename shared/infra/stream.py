"""The stateful stream: Faust carries the inbox to one function, and keeps that function's state in a table.

Faust is not trusted with exactness, it is held to contiguity. Outputs are acknowledged before `absorb` returns, rows
are written after that, and the offset is committed last (ADR 0002).
"""

import logging
import tempfile
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import faust
from faust.types import TP

from shared.contracts.codec import Record
from shared.contracts.topics import Topic
from shared.infra.contiguity import Contiguity, Following, Table
from shared.infra.crashing import CrashPoint, is_armed, pass_by

_REQUEST_TIMEOUT = timedelta(seconds=10)
"""Faust's own are 90 s, and 20 minutes: an answer that is lost with its connection would hold the stream up so long."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamSettings:
    """Where the broker is, and how Faust is to run; short timeouts, so that a killed worker is missed soon."""

    bootstrap: str
    app: str
    table: str
    inbox: Topic
    instance: str
    session_timeout: timedelta
    commit_every: timedelta = timedelta(milliseconds=500)


class StatefulStream:
    """Let what follows the inbox absorb each record of it, in the order of its partition, once."""

    def __init__(self, settings: StreamSettings, following: Following) -> None:
        self._inbox = settings.inbox
        self._app = _faust_app(settings)
        if is_armed():
            self._app.sensors.add(_CrashPoints())
        # Faust is untyped where it matters here; what it yields becomes a Record at once
        self._table: Any = self._app.Table(
            settings.table,
            key_type=bytes,
            value_type=bytes,
            partitions=settings.inbox.partitions,
        )
        self._table.following = following
        self.rows: Table = _FaustTable(self._table)
        self._contiguity = Contiguity(following, places=_FaustPlaces(self._app, settings.inbox), rows=self.rows)
        self._app.agent(self._topic(settings.inbox), name="inbox")(self._follow)
        self._generation = 0
        self._app.on_partitions_revoked.connect(self._revoked)
        self._app.on_partitions_assigned.connect(self._assigned)

    async def start(self) -> None:
        """Join the group and recover the table; return when Faust runs."""
        await self._app.start()
        # of one request alone: how long a row may wait for its turn is Faust's, and must stay long, or it would be lost
        self._app.producer._producer.client._request_timeout_ms = _REQUEST_TIMEOUT / timedelta(milliseconds=1)  # noqa: SLF001 - Faust has one setting for both

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

    @property
    def generation(self) -> int:
        """Return how often partitions were assigned."""
        return self._generation

    async def realign(self) -> None:
        """Read on after the last offset absorbed, wherever the group's own offset is ahead of it."""
        await self._contiguity.realign(self.partitions)

    def _topic(self, topic: Topic) -> Any:  # noqa: ANN401
        return self._app.topic(
            topic.name,
            key_type=bytes,
            value_type=bytes,
            key_serializer="raw",
            value_serializer="raw",
            partitions=topic.partitions,
        )

    async def _revoked(self, *_: Any, **__: Any) -> None:  # noqa: ANN401
        """Let the recovery that follows be waited for: Faust itself never takes back that one is complete."""
        self._app.tables.recovery.completed.clear()

    async def _assigned(self, *_: Any, **__: Any) -> None:  # noqa: ANN401
        self._generation += 1

    async def _follow(self, stream: Any) -> None:  # noqa: ANN401
        async for event in stream.events():
            rows = await self._contiguity.take(_record_of(event.message))
            for key, row in rows.items():
                self._table[key.encode()] = row
                pass_by(CrashPoint.ROW_SET)
            if rows:
                pass_by(CrashPoint.ROWS_SET)
            for key in self._table.outdone.pop(event.message.partition, ()):
                self._table[key] = self._table[key]  # written again, lest compaction keeps the older row alone


class _FaustPlaces:
    def __init__(self, app: Any, inbox: Topic) -> None:  # noqa: ANN401
        self._app = app
        self._inbox = inbox

    async def earliest(self, partition: int) -> int:
        place = self._at(partition)
        found: Mapping[TP, int] = await self._app.consumer.earliest_offsets(place)
        return found.get(place, 0)

    async def position(self, partition: int) -> int | None:
        return await self._app.consumer.position(self._at(partition))

    async def read_on_from(self, partition: int, offset: int) -> None:
        before = max(offset - 1, 0)  # it reads on after what it is given
        await self._app.consumer.seek_wait({self._at(partition): before})  # in the thread that fetches, unlike `seek`

    def _at(self, partition: int) -> TP:
        return TP(self._inbox.name, partition)


class _NewestRows(faust.Table):  # pyright: ignore[reportMissingTypeArgument] - it is none at run time
    """A table whose rows never go back when they are read from the changelog."""

    following: Following
    outdone: defaultdict[int, set[bytes]]
    """The keys, by partition, whose last row in the changelog is not their newest."""

    def __init__(self, *arguments: Any, **options: Any) -> None:  # noqa: ANN401
        super().__init__(*arguments, **options)  # pyright: ignore[reportUnknownMemberType]
        self.outdone = defaultdict(set)

    def apply_changelog_batch(self, batch: Iterable[Any]) -> None:
        for event in batch:
            key, row, number = event.message.key, event.message.value, event.message.partition
            if self.following.is_newer(row, _known(self, key)):
                super().apply_changelog_batch([event])  # pyright: ignore[reportUnknownMemberType]
                self.outdone[number].discard(key)
            else:
                self.outdone[number].add(key)


class _CrashPoints(faust.Sensor):
    """Pass by the points that lie inside of Faust."""

    def on_send_completed(self, producer: Any, state: Any, metadata: Any) -> None:  # noqa: ANN401, ARG002
        pass_by(CrashPoint.ROW_WRITTEN)

    def on_commit_initiated(self, consumer: Any) -> None:  # noqa: ANN401, ARG002
        pass_by(CrashPoint.BEFORE_COMMIT)

    def on_commit_completed(self, consumer: Any, state: Any) -> None:  # noqa: ANN401, ARG002
        pass_by(CrashPoint.COMMITTED)


class _FaustTable:
    def __init__(self, table: Any) -> None:  # noqa: ANN401
        self._table = table

    def get(self, key: str) -> bytes | None:
        return self._table.get(key.encode())

    def items(self) -> Iterator[tuple[str, bytes]]:
        for key, row in list(self._table.items()):
            yield bytes(key).decode(), row


def _known(rows: Any, key: bytes) -> bytes | None:  # noqa: ANN401
    return rows.data.get(key)


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
        broker_request_timeout=max(_REQUEST_TIMEOUT, settings.session_timeout).total_seconds(),
        broker_session_timeout=settings.session_timeout.total_seconds(),
        broker_heartbeat_interval=settings.session_timeout.total_seconds() / 3,
        broker_rebalance_timeout=settings.session_timeout.total_seconds(),
        broker_commit_interval=settings.commit_every.total_seconds(),
        consumer_auto_offset_reset="earliest",
        stream_wait_empty=False,
        producer_acks=-1,
        Table=_NewestRows,
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
