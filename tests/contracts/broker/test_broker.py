"""One suite for the broker ports: what holds for Kafka holds for the broker in memory, and for the simulated one."""

import asyncio
from collections import defaultdict
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, replace
from datetime import timedelta
from itertools import count

import pytest

from shared.contracts.codec import Record, decode
from shared.contracts.signals import WorkloadSignal
from shared.contracts.topics import SIGNALS_KUBERNETES, Topic
from shared.infra.broker import Archive, Consumer, Publisher
from shared.infra.kafka import (
    AssignedConsumer,
    Copies,
    KafkaArchive,
    KafkaConsumer,
    KafkaPublisher,
    create_topics,
)
from shared.infra.memory import MemoryBroker
from shared.kernel.errors import ConfigError
from tests.fakes.clock import FakeClock
from tests.simulation.broker import SimulatedArchive, SimulatedConsumer, SimulatedPublisher
from tests.simulation.groups import Group
from tests.simulation.weather import Weather
from tests.unit.services.decider.core.build import health

pytestmark = [pytest.mark.contract, pytest.mark.integration]
_NUMBERS = count()


@dataclass(frozen=True)
class Backend:
    """What all backends offer."""

    topic: Topic
    publisher: Callable[[], AbstractAsyncContextManager[Publisher]]
    consumer: Callable[[str], AbstractAsyncContextManager[Consumer]]
    assigned: Callable[[str, Mapping[tuple[str, int], int] | None], AbstractAsyncContextManager[Consumer]]
    archive: Archive


@pytest.fixture(params=["kafka", "memory", "simulated"])
async def backend(
    request: pytest.FixtureRequest, kafka_bootstrap: str, monkeypatch: pytest.MonkeyPatch
) -> AsyncGenerator[Backend]:
    topic = replace(SIGNALS_KUBERNETES, name=f"test.signals.{next(_NUMBERS)}", partitions=3)
    monkeypatch.setattr("shared.contracts.codec.TOPICS", (topic,))
    if request.param == "memory":
        broker = MemoryBroker(FakeClock())
        yield Backend(
            topic,
            lambda: broker.publisher("test"),
            lambda group: broker.consumer([topic], group),
            lambda group, start: broker.consumer([topic], group, start=start),
            broker.archive(),
        )
        return
    if request.param == "simulated":
        yield _simulated(topic)
        return
    bootstrap = kafka_bootstrap
    await create_topics(bootstrap, [topic])
    yield Backend(
        topic,
        lambda: KafkaPublisher(bootstrap, source="test"),
        lambda group: KafkaConsumer(bootstrap, topics=[topic], group=f"{group}-{topic.name}"),
        lambda group, start: AssignedConsumer(bootstrap, topics=[topic], group=f"{group}-{topic.name}", start=start),
        KafkaArchive(bootstrap),
    )


def _simulated(topic: Topic) -> Backend:
    broker, weather = MemoryBroker(FakeClock()), Weather()
    groups: defaultdict[str, Group] = defaultdict(lambda: Group(topic.partitions))
    return Backend(
        topic,
        lambda: SimulatedPublisher(broker, "test", weather=weather),
        lambda group: SimulatedConsumer(broker, [topic], group=groups[group], weather=weather),
        lambda group, start: SimulatedConsumer(
            broker, [topic], group=groups[group], weather=weather, alone=True, start=start
        ),
        SimulatedArchive(broker, weather=weather),
    )


async def write(backend: Backend, numbers: Sequence[int]) -> list[WorkloadSignal]:
    signals = [health(healthy=True, seconds=number) for number in numbers]
    async with backend.publisher() as publisher:
        for signal in signals:
            await publisher.publish(signal, topic=backend.topic)
    return signals


async def read(consumer: Consumer, wanted: int) -> list[Record]:
    records: list[Record] = []
    for _ in range(30):
        records += await consumer.batch(within=timedelta(milliseconds=500))
        if len(records) >= wanted:
            break
    return records


def ids(records: Sequence[Record]) -> list[str]:
    return [decode(record).message.id for record in records]


async def test_what_is_written_is_read_in_order(backend: Backend) -> None:
    signals = await write(backend, range(20))
    async with backend.consumer("a") as consumer:
        records = await read(consumer, 20)
    assert ids(records) == [signal.id for signal in signals]
    assert [record.offset for record in records] == list(range(20))


async def test_what_is_written_all_at_once_is_read_in_order(backend: Backend) -> None:
    signals = [health(healthy=True, seconds=number) for number in range(2_000)]
    async with backend.publisher() as publisher:
        await publisher.publish_all([], topic=backend.topic)
        await publisher.publish_all(signals, topic=backend.topic)
    records = [record async for record in backend.archive.read(backend.topic)]
    assert ids(records) == [signal.id for signal in signals]


async def test_what_was_not_committed_comes_again(backend: Backend) -> None:
    await write(backend, range(10))
    async with backend.consumer("b") as consumer:
        records = await read(consumer, 10)
        await consumer.commit(records[:4])
    async with backend.consumer("b") as consumer:
        again = await read(consumer, 6)
    assert ids(again) == ids(records[4:])


async def test_rewinding_reads_again_from_there(backend: Backend) -> None:
    await write(backend, range(10))
    async with backend.consumer("c") as consumer:
        records = await read(consumer, 10)
        await consumer.rewind(records[7:])
        assert ids(await read(consumer, 3)) == ids(records[7:])


async def test_a_reader_of_all_partitions_goes_on_where_it_is_told(backend: Backend) -> None:
    await write(backend, range(10))
    async with backend.assigned("d", None) as consumer:
        records = await read(consumer, 10)
        await consumer.commit(records[:5])
    async with backend.assigned("d", None) as consumer:
        assert ids(await read(consumer, 5)) == ids(records[5:])
    place = (backend.topic.name, records[0].partition)
    async with backend.assigned("d", {place: 8}) as consumer:
        assert ids(await read(consumer, 2)) == ids(records[8:])


async def test_two_of_a_group_share_the_partitions_and_what_one_leaves_comes_to_the_other(backend: Backend) -> None:
    await write(backend, range(5))
    async with backend.consumer("e") as stays:
        async with backend.consumer("e") as leaves:
            both = await asyncio.gather(read(stays, 1), read(leaves, 1))
        await write(backend, range(5, 10))
        rest = await read(stays, 10)
    assert {record.offset for records in (*both, rest) for record in records} == set(range(10))


async def test_a_broadcast_is_once_in_each_partition(backend: Backend) -> None:
    async with backend.publisher() as publisher:
        await publisher.broadcast(health(healthy=True, seconds=1), topic=backend.topic)
    records = [record async for record in backend.archive.read(backend.topic)]
    assert [record.partition for record in records] == [0, 1, 2]
    assert len(set(ids(records))) == 1


async def test_an_archive_reads_what_is_there_and_ends(backend: Backend) -> None:
    signals = await write(backend, range(30))
    records = [record async for record in backend.archive.read(backend.topic)]
    assert ids(records) == [signal.id for signal in signals]
    one = records[17]
    assert await backend.archive.read_one(backend.topic, partition=one.partition, offset=17) == one
    assert await backend.archive.read_one(backend.topic, partition=one.partition, offset=999) is None
    assert (await backend.archive.end_offsets(backend.topic))[one.partition] == 30


async def test_topics_with_another_number_of_partitions_are_refused(kafka_bootstrap: str) -> None:
    topic = replace(SIGNALS_KUBERNETES, name=f"test.partitions.{next(_NUMBERS)}", partitions=2)
    first = await create_topics(kafka_bootstrap, [topic])
    again = await create_topics(kafka_bootstrap, [topic])
    assert (first.made, again.made, first.copies) == ([topic.name], [], Copies(replicas=1, in_sync=1))
    with pytest.raises(ConfigError, match="has 2 partitions; expected 5"):
        await create_topics(kafka_bootstrap, [replace(topic, partitions=5)])


async def test_more_replicas_than_there_are_brokers_are_refused_before_anything_is_made(kafka_bootstrap: str) -> None:
    topic = replace(SIGNALS_KUBERNETES, name=f"test.replicas.{next(_NUMBERS)}", partitions=1)
    with pytest.raises(ConfigError, match="3 replicas are asked for; expected at most 1"):
        await create_topics(kafka_bootstrap, [topic], replicas=3)
    assert (await create_topics(kafka_bootstrap, [topic])).made == [topic.name]
