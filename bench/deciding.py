"""What `decide` takes on the real broker: findings a second through Faust with its table, and a finding to its command.

The decider is a process of its own, held to one core; the broker and this process have the others. Findings are written
ahead of it for the rate, which is taken from its first to its last decision, and one by one for the latency, which is
the difference of two records' timestamps: the broker's on the inbox, the decider's own on its command.
"""

import asyncio
import os
import sys
import tempfile
import time
from collections.abc import AsyncGenerator, Callable, Collection, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from statistics import median, quantiles

from rich.console import Console
from rich.table import Table

from bench.load import playbook_of, signal_of
from bench.machine import machine
from sandbox.stack.kafka import KafkaBroker
from sandbox.stack.process import ChildProcess
from sandbox.stack.progress import to_stderr
from services.decider.core.matching import RuleIndex, index_rules, match
from services.decider.core.playbook import load_playbook
from shared.contracts.codec import decode
from shared.contracts.commands import Command
from shared.contracts.inbox import Finding
from shared.contracts.incidents import Decision
from shared.contracts.topics import COMMANDS, DECISIONS, INBOX, Topic
from shared.infra.kafka import AssignedConsumer, KafkaArchive, KafkaPublisher, create_topics
from tests.integration.service_process import service, until

FINDINGS = 3_000
TURNS = 3
PACED = 300
WARM_UP = 20
EVERY_S = 0.05
WITHIN = timedelta(minutes=2)
_BATCH = 500


@dataclass(frozen=True, slots=True)
class Decider:
    """A decider that can be stopped and started, and the topics that it works on."""

    process: ChildProcess
    publisher: KafkaPublisher
    archive: KafkaArchive
    rules: RuleIndex
    bootstrap: str
    core: int


def main() -> None:
    """Measure and print."""
    with tempfile.TemporaryDirectory() as directory:
        rates, waits = asyncio.run(_measured(Path(directory)))
    _print(rates, waits)


async def _measured(directory: Path) -> tuple[Mapping[str, Sequence[float]], Sequence[float]]:
    async with _decider(directory) as decider:
        waits = await _paced(decider)
        rates: dict[str, list[float]] = {"each on a workload of its own": [], "all on 50 workloads": []}
        for turn in range(TURNS):
            for (name, measured), workloads in zip(rates.items(), (FINDINGS, 50), strict=True):
                to_stderr(f"turn {turn + 1} of {TURNS}: {FINDINGS} findings, {name}")
                measured.append(await _rate(decider, prefix=f"{turn}-{workloads}", workloads=workloads))
    return rates, waits


@asynccontextmanager
async def _decider(directory: Path) -> AsyncGenerator[Decider]:
    text = playbook_of(1)
    playbook = directory / "playbook.yaml"
    playbook.write_text(text, encoding="utf-8")
    cores = sorted(os.sched_getaffinity(0))
    os.sched_setaffinity(0, cores[:-1] or cores)
    async with KafkaBroker(directory / "kafka", report=to_stderr) as broker:
        await create_topics(broker.bootstrap)
        env = {"SRE_KAFKA_BOOTSTRAP": broker.bootstrap, "SRE_PLAYBOOK_FILE": str(playbook)}
        process = service("decider", env=env, directory=directory)
        async with (
            KafkaPublisher(broker.bootstrap, source="bench") as publisher,
            KafkaArchive(broker.bootstrap) as archive,
        ):
            rules = index_rules(load_playbook(text, file="bench"))
            decider = Decider(process, publisher, archive, rules, broker.bootstrap, cores[-1])
            await _start(decider)
            yield decider
            await process.stop()


async def _start(decider: Decider) -> None:
    others = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {decider.core})  # which the decider inherits
    await decider.process.start()
    os.sched_setaffinity(0, others)
    await decider.process.until_ready()


def _findings(decider: Decider, count: int, *, prefix: str, workloads: int) -> list[Finding]:
    found: list[Finding] = []
    for number in range(count):
        signal = signal_of(0, workloads=1)  # one that is bad
        workload = signal.workload.model_copy(update={"namespace": f"{prefix}-{number % workloads}"})
        told = signal.model_copy(update={"id": f"{prefix}-{number}", "workload": workload})
        found += [entry for entry in match(decider.rules, told) if isinstance(entry, Finding)]
    return found


async def _paced(decider: Decider) -> list[float]:
    """Return how many milliseconds each finding took to its command, the first ones left out."""
    for finding in _findings(decider, PACED, prefix="paced", workloads=PACED):
        await decider.publisher.publish(finding, topic=INBOX)
        await asyncio.sleep(EVERY_S)
    ordered: dict[str, int] = {}

    async def are_all_ordered() -> bool:
        ordered.update(await _moments(decider, COMMANDS, lambda message: isinstance(message, Command)))
        return len(ordered) == PACED

    await until(are_all_ordered)
    written = await _moments(decider, INBOX, lambda message: isinstance(message, Finding))
    return [float(ordered[key] - moment) for key, moment in sorted(written.items(), key=lambda one: one[1])][WARM_UP:]


async def _rate(decider: Decider, *, prefix: str, workloads: int) -> float:
    """Return findings a second, written while the decider was stopped."""
    await decider.process.stop()
    findings = _findings(decider, FINDINGS, prefix=prefix, workloads=workloads)
    for begin in range(0, FINDINGS, _BATCH):
        await decider.publisher.publish_all(findings[begin : begin + _BATCH], topic=INBOX)
    ends = await decider.archive.end_offsets(DECISIONS)
    start = {(DECISIONS.name, partition): offset for partition, offset in ends.items()}
    async with AssignedConsumer(decider.bootstrap, topics=[DECISIONS], group="bench", start=start) as decisions:
        await _start(decider)
        moments = await _decided(decisions, {finding.id for finding in findings})
    took = (max(moments.values()) - min(moments.values())) / 1000
    return (FINDINGS - 1) / took if took else sys.float_info.max


async def _decided(decisions: AssignedConsumer, causes: Collection[str]) -> dict[str, int]:
    """Return the timestamp of the last decision about each finding, once there is one about all."""
    moments: dict[str, int] = {}
    async with asyncio.timeout(WITHIN.total_seconds()):
        while len(moments) < len(causes):
            moments |= {
                decision.cause: record.timestamp_ms
                for record in await decisions.batch()
                if isinstance(decision := decode(record).message, Decision) and decision.cause in causes
            }
    return moments


async def _moments(decider: Decider, topic: Topic, counts: Callable[[object], bool]) -> dict[str, int]:
    """Return the timestamp of each workload's message of a topic."""
    found: dict[str, int] = {}
    async for record in decider.archive.read(topic):
        message = decode(record).message
        if counts(message):
            found[message.key] = record.timestamp_ms
    return found


def _print(rates: Mapping[str, Sequence[float]], waits: Sequence[float]) -> None:
    console = Console(width=120)
    table = Table("findings", "decided a second: median (least to most)", title=f"{FINDINGS} findings, {TURNS} turns")
    for name, measured in rates.items():
        table.add_row(name, f"{median(measured):,.0f} ({min(measured):,.0f} to {max(measured):,.0f})")
    console.print(table)
    p99 = quantiles(waits, n=100, method="inclusive")[98]
    console.print(f"a finding on the inbox to its command: median {median(waits):.0f} ms, p99 {p99:.0f} ms, ", end="")
    console.print(f"worst {max(waits):.0f} ms of {len(waits)}, one each {EVERY_S * 1000:.0f} ms")
    console.print(f"{machine()}; {time.strftime('%Y-%m-%d')}")


if __name__ == "__main__":
    main()
