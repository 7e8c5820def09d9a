"""The stream, made to seek on a real broker while it fetches: aiokafka is no more thread-safe than asyncio is."""

import asyncio
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from aiokafka import AIOKafkaConsumer
from aiokafka.consumer.fetcher import Fetcher

from sandbox.stack.kafka import KafkaBroker
from shared.contracts.codec import Record
from shared.contracts.inbox import WakeUp
from shared.contracts.topics import INBOX
from shared.infra.contiguity import Following, Step, Table
from shared.infra.kafka import KafkaPublisher, create_topics
from shared.infra.stream import StatefulStream, StreamSettings
from tests.unit.services.decider.core.build import FRONTEND

pytestmark = pytest.mark.integration


class Forgetful:
    """Absorbs each record, and may say of the last of each partition that it did not."""

    def __init__(self) -> None:
        self.absorbed: dict[int, int] = {}
        self.times = 0

    async def absorb(self, record: Record, _: Table) -> Step:
        self.absorbed[record.partition] = record.offset
        self.times += 1
        return Step({})

    def position(self, partition: int, _: Table) -> int:
        return self.absorbed.get(partition, -1)

    def forget_the_last(self) -> None:
        self.absorbed = {partition: offset - 1 for partition, offset in self.absorbed.items()}

    async def until_absorbed(self, times: int) -> None:
        async with asyncio.timeout(60):
            while self.times < times:  # noqa: ASYNC110 - Faust calls back
                await asyncio.sleep(0.01)


async def test_it_seeks_in_the_thread_that_fetches(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fetching = _threads(monkeypatch, Fetcher, "fetched_records")
    seeking = _threads(monkeypatch, AIOKafkaConsumer, "seek")
    async with KafkaBroker(tmp_path / "kafka") as broker:
        await create_topics(broker.bootstrap)
        await _publish_one(broker.bootstrap)
        inbox = Forgetful()
        following = Following(absorb=inbox.absorb, position=inbox.position, on_gap=_ignore, offset_of=lambda _: 0)
        stream = StatefulStream(_settings(broker.bootstrap), following)
        await stream.start()
        await inbox.until_absorbed(1)
        seeking.clear()
        inbox.forget_the_last()
        await stream.realign()
        await inbox.until_absorbed(2)
        await stream.stop()
    assert seeking
    assert seeking <= fetching, "sought while another thread fetches, aiokafka ends with a KeyError sooner or later"


def _threads(monkeypatch: pytest.MonkeyPatch, owner: type, name: str) -> set[str]:
    """Return the names of the threads in which a method is called from now on."""
    threads: set[str] = set()
    method = getattr(owner, name)

    def noted(*arguments: object, **options: object) -> object:
        threads.add(threading.current_thread().name)
        return method(*arguments, **options)

    monkeypatch.setattr(owner, name, noted)
    return threads


def _ignore(*_: int) -> None:
    """Hear of a gap; there is none."""


def _settings(bootstrap: str) -> StreamSettings:
    return StreamSettings(
        bootstrap=bootstrap,
        app="seeking",
        table="nothing",
        inbox=INBOX,
        instance="one",
        session_timeout=timedelta(seconds=3),
    )


async def _publish_one(bootstrap: str) -> None:
    now = datetime.now(UTC)
    async with KafkaPublisher(bootstrap, source="test") as publisher:
        await publisher.publish(WakeUp(id="wakeup-1", at=now, workload=FRONTEND, due=now), topic=INBOX)
