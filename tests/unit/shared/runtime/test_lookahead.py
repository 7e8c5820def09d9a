"""The most urgent of what was fetched is handled first; committed is only what nothing unhandled stands before."""

import asyncio
from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from shared.contracts.codec import Envelope, Record
from shared.contracts.inbox import WakeUp
from shared.contracts.topics import INBOX
from shared.contracts.workloads import WorkloadRef
from shared.infra.memory import MemoryBroker
from shared.kernel.errors import UnavailableError
from shared.runtime.consuming import consume_most_urgent_first
from shared.runtime.health import Health
from shared.runtime.lifecycle import Runtime
from shared.runtime.lookahead import Lookahead
from tests.fakes.clock import FakeClock


def record(offset: int, urgency: int, *, partition: int = 0, key: str = "") -> Record:
    return Record("t", partition, offset, 0, (key or f"{partition}-{offset}").encode(), str(urgency).encode(), ())


def urgency(one: Record) -> int:
    return int(one.value or b"0")


def order_of(line: Lookahead) -> list[tuple[int, int]]:
    taken: list[tuple[int, int]] = []
    while (found := line.first()) is not None:
        taken.append((found.partition, found.offset))
        line.done(found)
    return taken


def test_the_most_urgent_is_first_and_of_the_same_urgency_the_earliest() -> None:
    line = Lookahead(urgency)
    line.add([record(0, 0), record(1, 2), record(2, 1), record(3, 2)])
    assert order_of(line) == [(0, 1), (0, 3), (0, 2), (0, 0)]


def test_records_of_one_key_keep_their_order() -> None:
    line = Lookahead(urgency)
    line.add([record(0, 0, key="web"), record(1, 1), record(2, 2, key="web")])
    assert order_of(line) == [(0, 0), (0, 2), (0, 1)]


def test_what_is_done_out_of_order_is_not_committed_before_what_it_overtook() -> None:
    line = Lookahead(urgency)
    line.add([record(0, 0), record(1, 2), record(0, 1, partition=1)])
    line.done(record(1, 2))
    line.done(record(0, 1, partition=1))
    assert [(one.partition, one.offset) for one in line.committable] == [(1, 0)]
    line.committed()
    assert line.committable == []
    line.done(record(0, 0))
    assert [(one.partition, one.offset) for one in line.committable] == [(0, 1)]


def test_what_overtakes_takes_room_so_that_nothing_waits_for_ever() -> None:
    line = Lookahead(urgency, most=3)
    line.add([record(0, 0), record(1, 2), record(2, 2)])
    line.done(record(1, 2))
    line.done(record(2, 2))
    assert line.room == 0
    assert line.first() == record(0, 0)
    line.done(record(0, 0))
    assert line.room == 3
    assert line.is_idle


@given(st.lists(st.tuples(st.integers(0, 2), st.integers(0, 3)), max_size=30), st.integers(1, 8))
def test_whenever_it_ends_all_before_what_was_committed_was_done(arriving: list[tuple[int, int]], most: int) -> None:
    line, done, offsets = Lookahead(urgency, most=most), set[tuple[int, int]](), Counter[int]()
    coming = list(reversed(arriving))
    while coming or not line.is_idle:
        while coming and line.room > 0:
            partition, how = coming.pop()
            line.add([record(offsets[partition], how, partition=partition)])
            offsets[partition] += 1
        found = line.first()
        assert found is not None
        line.done(found)
        done.add((found.partition, found.offset))
        for last in line.committable:
            assert all((last.partition, offset) in done for offset in range(last.offset + 1))
        line.committed()
    assert len(done) == len(arriving)


async def test_a_loop_handles_the_most_urgent_first_tries_again_and_commits_what_is_done() -> None:
    clock = FakeClock()
    broker, stopping, seen = MemoryBroker(clock), asyncio.Event(), list[str]()
    publisher = broker.publisher("test")
    for name in ("0", "2", "1"):
        workload = WorkloadRef(kind="Deployment", namespace="bank", name=f"w{name}")
        told = WakeUp(id=name, at=clock.now(), workload=workload, due=clock.now())
        await publisher.publish(told, topic=INBOX, partition=0)

    async def handle(envelope: Envelope) -> None:
        seen.append(envelope.message.id)
        if seen.count(envelope.message.id) == 1 and envelope.message.id == "1":
            assert broker.committed("g") == {}
            raise UnavailableError("away")
        if envelope.message.id == "0":
            stopping.set()

    await consume_most_urgent_first(
        broker.consumer([INBOX], "g"),
        handle,
        urgency=lambda one: int(dict(one.headers)["ce_id"] or b"0"),
        publisher=publisher,
        runtime=Runtime("test", clock, Health("test", "one"), stopping),
        name="test",
    )
    assert seen == ["2", "1", "1", "0"]
    assert broker.committed("g") == {(INBOX.name, 0): 3}
