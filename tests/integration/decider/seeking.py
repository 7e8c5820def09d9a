"""A process of its own in which Faust seeks: `python -m tests.integration.decider.seeking BOOTSTRAP`.

It tells in which threads aiokafka fetched, and in which it was made to seek.
"""

import asyncio
import json
import sys
import threading
from datetime import timedelta

from aiokafka import AIOKafkaConsumer
from aiokafka.consumer.fetcher import Fetcher

from shared.contracts.codec import Record
from shared.contracts.topics import INBOX
from shared.infra.contiguity import Following, Step, Table
from shared.infra.stream import StatefulStream, StreamSettings


class Forgetful:
    """Absorbs each record, and may say of the last of each partition that it did not."""

    def __init__(self) -> None:
        self.absorbed: dict[int, int] = {}
        self.times = 0

    async def absorb(self, record: Record, _: Table) -> Step:
        """Take a record up."""
        self.absorbed[record.partition] = record.offset
        self.times += 1
        return Step({})

    def position(self, partition: int, _: Table) -> int:
        """Return the last offset that was taken up."""
        return self.absorbed.get(partition, -1)

    def forget_the_last(self) -> None:
        """Be one record behind in each partition."""
        self.absorbed = {partition: offset - 1 for partition, offset in self.absorbed.items()}

    async def until_absorbed(self, times: int) -> None:
        """Return when so many records were taken up."""
        async with asyncio.timeout(60):
            while self.times < times:  # noqa: ASYNC110 - Faust calls back
                await asyncio.sleep(0.01)


async def seek(bootstrap: str) -> dict[str, list[str]]:
    """Let the stream take the inbox up, and seek back once; return the threads by what was done in them."""
    fetching, seeking = _threads(Fetcher, "fetched_records"), _threads(AIOKafkaConsumer, "seek")
    inbox = Forgetful()
    following = Following(absorb=inbox.absorb, position=inbox.position, on_gap=_ignore, offset_of=lambda _: 0)
    stream = StatefulStream(_settings(bootstrap), following)
    await stream.start()
    await inbox.until_absorbed(1)
    seeking.clear()
    inbox.forget_the_last()
    await stream.realign()
    await inbox.until_absorbed(2)
    await stream.stop()
    return {"fetching": sorted(fetching), "seeking": sorted(seeking)}


def _threads(owner: type, name: str) -> set[str]:
    """Return the names of the threads in which a method is called from now on."""
    threads: set[str] = set()
    method = getattr(owner, name)

    def noted(*arguments: object, **options: object) -> object:
        threads.add(threading.current_thread().name)
        return method(*arguments, **options)

    setattr(owner, name, noted)
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


if __name__ == "__main__":
    sys.stdout.write(json.dumps(asyncio.run(seek(sys.argv[1]))))
