"""A million signals read again from Kafka and matched with 100 rules, against aiokafka alone reading and decoding them.

Both run in this process, in turns, on one core; the broker has the others. "aiokafka alone" is `getmany` and
`json.loads` of each body; the replay is what `sre-agent replay --check` does with signals: read from the archive,
checked against their models, matched, and the findings' bytes kept. CPU time tells the cost where other work disturbs.
"""

import argparse
import asyncio
import json
import os
import sys
import tempfile
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from rich.console import Console
from rich.table import Table

from bench.load import is_bad, playbook_of, signal_of
from bench.machine import machine
from sandbox.stack.kafka import KafkaBroker
from sandbox.stack.progress import to_stderr
from services.decider.adapters.replaying import matched_again
from services.decider.core.matching import RuleIndex, index_rules
from services.decider.core.playbook import load_playbook
from shared.contracts.codec import Outgoing, encode
from shared.contracts.topics import SIGNALS_KUBERNETES
from shared.infra.kafka import KafkaArchive, create_topics

RULES = 100
_BATCH_BYTES = 1 << 20
_PLACES = [TopicPartition(SIGNALS_KUBERNETES.name, number) for number in range(SIGNALS_KUBERNETES.partitions)]


@dataclass(frozen=True, slots=True)
class Turn:
    """What one reading of the topic took."""

    wall_s: float
    cpu_s: float


def main() -> None:
    """Measure and print."""
    options = _options()
    with tempfile.TemporaryDirectory() as directory:
        turns = asyncio.run(_measured(Path(directory), signals=options.signals, turns=options.turns))
    _print(turns, signals=options.signals)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--signals", type=int, default=1_000_000)
    parser.add_argument("--turns", type=int, default=5)
    return parser.parse_args()


async def _measured(directory: Path, *, signals: int, turns: int) -> Mapping[str, Sequence[Turn]]:
    rules = index_rules(load_playbook(playbook_of(RULES), file="bench"))
    async with _broker_beside(directory) as bootstrap:
        await create_topics(bootstrap)
        await _fill(bootstrap, signals)
        sides: Mapping[str, Callable[[], Awaitable[None]]] = {
            "aiokafka alone": lambda: _read_alone(bootstrap, signals),
            "replay": lambda: _replay(bootstrap, signals, rules=rules),
        }
        measured: dict[str, list[Turn]] = {name: [] for name in sides}
        for turn in range(turns):
            for name, read in sides.items():
                to_stderr(f"turn {turn + 1} of {turns}: {name}")
                measured[name].append(await _timed(read))
    return measured


@asynccontextmanager
async def _broker_beside(directory: Path) -> AsyncGenerator[str]:
    """Run a broker on all cores but the last, and this process on the last."""
    cores = sorted(os.sched_getaffinity(0))
    os.sched_setaffinity(0, cores[:-1] or cores)  # which the broker inherits
    async with KafkaBroker(directory, report=to_stderr) as broker:
        os.sched_setaffinity(0, cores[-1:])
        yield broker.bootstrap


async def _fill(bootstrap: str, signals: int) -> None:
    to_stderr(f"writing {signals:,} signals")
    producer: Any = AIOKafkaProducer(bootstrap_servers=bootstrap, max_batch_size=_BATCH_BYTES)
    await producer.start()
    try:
        number = 0
        while number < signals:
            batch, written = producer.create_batch(), number
            while number < signals and _is_taken(batch, _record(number)):
                number += 1
            batch.close()
            await producer.send_batch(batch, _PLACES[0].topic, partition=written % len(_PLACES))
        await producer.flush()
    finally:
        await producer.stop()


def _record(number: int) -> Outgoing:
    return encode(signal_of(number, workloads=RULES), topic=SIGNALS_KUBERNETES, source="bench")


def _is_taken(batch: Any, out: Outgoing) -> bool:  # noqa: ANN401
    """Tell whether a record still found room in a batch."""
    headers = list(out.headers)
    return batch.append(key=out.key, value=out.value, timestamp=None, headers=headers) is not None


async def _timed(read: Callable[[], Awaitable[None]]) -> Turn:
    wall, cpu = time.perf_counter(), time.process_time()
    await read()
    return Turn(time.perf_counter() - wall, time.process_time() - cpu)


async def _read_alone(bootstrap: str, signals: int) -> None:
    consumer: Any = AIOKafkaConsumer(
        bootstrap_servers=bootstrap, enable_auto_commit=False, auto_offset_reset="earliest"
    )
    await consumer.start()
    consumer.assign(_PLACES)
    left = signals
    while left:
        for batch in (await consumer.getmany(timeout_ms=1000)).values():
            for record in batch:
                json.loads(record.value)
            left -= len(batch)
    await consumer.stop()


async def _replay(bootstrap: str, signals: int, *, rules: RuleIndex) -> None:
    async with KafkaArchive(bootstrap) as archive:
        found = await matched_again(archive, [rules])
    expected = sum(map(is_bad, range(signals)))
    if (len(found.signals), len(found.found)) != (signals, expected):
        sys.exit(f"{len(found.signals)} signals and {len(found.found)} findings; expected {signals} and {expected}")


def _print(turns: Mapping[str, Sequence[Turn]], *, signals: int) -> None:
    table = Table("", "signals/s: median (least to most)", "microseconds of CPU a signal: median (least to most)")
    for name, measured in turns.items():
        rates = [signals / turn.wall_s for turn in measured]
        costs = [turn.cpu_s / signals * 1e6 for turn in measured]
        rate = f"{median(rates):,.0f} ({min(rates):,.0f} to {max(rates):,.0f})"
        table.add_row(name, rate, f"{median(costs):.1f} ({min(costs):.1f} to {max(costs):.1f})")
    alone, ours = turns.values()
    wall = median(turn.wall_s for turn in alone) / median(turn.wall_s for turn in ours)
    cpu = median(turn.cpu_s for turn in alone) / median(turn.cpu_s for turn in ours)
    console = Console(width=140)
    console.print(table)
    console.print(f"the replay's rate is {wall:.0%} of that of aiokafka alone; by CPU time {cpu:.0%}")
    console.print(f"{signals:,} signals, {RULES} rules, {len(alone)} turns; {machine()}")


if __name__ == "__main__":
    main()
