"""Load on a decider: signals without end, commands that are answered, cures that are told; and what must come of it."""

import asyncio
from collections import defaultdict
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from services.decider.adapters.replaying import differences, replay_inbox
from services.decider.core.matching import index_rules, match
from services.decider.core.replaying import Replay
from shared.contracts.codec import body_of, decode
from shared.contracts.commands import Command
from shared.contracts.inbox import Finding, Outcome, Result
from shared.contracts.incidents import Decision
from shared.contracts.model import Message
from shared.contracts.signals import SIGNALS
from shared.contracts.topics import COMMANDS, DECISIONS, INBOX, SIGNALS_KUBERNETES, Topic
from shared.infra.kafka import KafkaArchive, KafkaConsumer, KafkaPublisher
from shared.kernel.errors import PoisonError
from shared.kernel.ids import derive
from tests.unit.services.decider.core.build import FRONTEND, container, health

WORKLOADS = 24
_EVERY_S = 0.05
PLAYBOOK = """\
apiVersion: sre-agent.dev/v1alpha1
kind: HealingPlaybook
metadata: {name: load}
spec:
  rules:
    - name: crash
      signal: container
      where: {reason: CrashLoopBackOff}
      cooldown: 1s
      ladder:
        - {action: restart-pod, attempts: 2, backoff: 1s, verify: {healthy_for: 1s, within: 3s}}
        - {action: escalate}
    - name: crashes
      signal: container
      where: {reason: CrashLoopBackOff}
      window: {count: 3, within: 1m}
      cooldown: 1s
      ladder: [{action: escalate}]
"""


@dataclass
class Load:
    """A stream of signals, and a remediator that always succeeds; every third cure is never told."""

    publisher: KafkaPublisher
    bootstrap: str
    signals: int = 0
    _stopped: asyncio.Event = field(default_factory=asyncio.Event)

    async def signal(self) -> None:
        """Publish signals until stopped."""
        while not self._stopped.is_set():
            name, moment = f"service-{self.signals % WORKLOADS}", datetime.now(UTC)
            told = container().model_copy(
                update={
                    "id": derive("signal", self.signals),
                    "at": moment,
                    "workload": FRONTEND.model_copy(update={"name": name}),
                }
            )
            await self.publisher.publish(told, topic=SIGNALS_KUBERNETES)
            self.signals += 1
            await asyncio.sleep(_EVERY_S)

    async def answer(self) -> None:
        """Answer commands until stopped."""
        async with KafkaConsumer(self.bootstrap, topics=[COMMANDS], group="load") as consumer:
            while not self._stopped.is_set():
                for record in await consumer.batch():
                    command = decode(record).message
                    assert isinstance(command, Command)
                    await self._carry_out(command)

    def stop(self) -> None:
        """Let the load end."""
        self._stopped.set()

    async def _carry_out(self, command: Command) -> None:
        now = datetime.now(UTC)
        await self.publisher.publish(
            Result(
                id=derive("result", command.id),
                at=now,
                workload=command.workload,
                command=command.id,
                incident=command.incident,
                action=command.action,
                outcome=Outcome.APPLIED,
                reason="applied",
            ),
            topic=INBOX,
        )
        if int(command.workload.name.rpartition("-")[2]) % 3:
            cured = health(healthy=True, seconds=0).model_copy(
                update={"id": derive("health", command.id), "at": now, "workload": command.workload}
            )
            await self.publisher.publish(cured, topic=SIGNALS_KUBERNETES)


def decider_env(bootstrap: str, playbook: Path) -> dict[str, str]:
    """Return the environment of a decider that is missed soon when it is gone."""
    return {
        "SRE_KAFKA_BOOTSTRAP": bootstrap,
        "SRE_PLAYBOOK_FILE": str(playbook),
        "SRE_SESSION_TIMEOUT_SECONDS": "3",
    }


@asynccontextmanager
async def loaded(bootstrap: str) -> AsyncGenerator[Load]:
    """Put load on a broker while the context lasts."""
    async with KafkaPublisher(bootstrap, source="test") as publisher:
        load = Load(publisher, bootstrap)
        async with asyncio.TaskGroup() as group:
            group.create_task(load.signal())
            group.create_task(load.answer())
            try:
                yield load
            finally:
                load.stop()


async def until_all_is_answered(bootstrap: str, *, within: timedelta = timedelta(seconds=90)) -> None:
    """Return when every signal has its findings and every finding a decision; fail with what is lost."""
    lost: list[str] = ["nothing was looked at"]
    try:
        async with asyncio.timeout(within.total_seconds()):
            while lost := await _unanswered(bootstrap):  # noqa: ASYNC110 - it is another process' doing
                await asyncio.sleep(1)
    except TimeoutError:
        pytest.fail(f"{len(lost)} are lost: " + "; ".join(lost[:10]))


async def _unanswered(bootstrap: str) -> list[str]:
    async with KafkaArchive(bootstrap) as archive:
        replay = await replay_inbox(archive)
        decided = {one.cause for one in await published(archive, DECISIONS) if isinstance(one, Decision)}
        lost = [f"{one}: no decision" for one in replay.findings if one not in decided]
        return lost + await _unmatched(archive, replay)


async def _unmatched(archive: KafkaArchive, replay: Replay) -> list[str]:
    """Return the signals of which no playbook's findings are all there."""
    indexes = {name: index_rules(playbook) for name, playbook in replay.playbooks.items()}
    found: defaultdict[str, set[str]] = defaultdict(set)
    for finding in map(Finding.model_validate_json, replay.findings.values()):
        found[finding.signal.id].add(finding.playbook)
    lost: list[str] = []
    for signal in await published(archive, SIGNALS_KUBERNETES):
        assert isinstance(signal, SIGNALS)
        tried = found[signal.id] or set(indexes)
        met = ([one for one in match(indexes[name], signal) if isinstance(one, Finding)] for name in tried)  # type: ignore[arg-type]
        if not any(all(finding.id in replay.findings for finding in findings) for findings in met):
            lost.append(f"{signal.id}: no finding")
    return lost


async def assert_exact(bootstrap: str) -> None:
    """Demand that what was published is what the inbox' replay gives, byte for byte, and nothing else."""
    async with KafkaArchive(bootstrap) as archive:
        replay = await replay_inbox(archive)
        assert await differences(archive, replay) == []
        for topic, model in ((DECISIONS, Decision), (COMMANDS, Command)):
            bodies = await _bodies(archive, topic)
            assert {name: len(found) for name, found in bodies.items() if len(found) > 1} == {}
            again = {
                one.id: body_of(one) for outputs in replay.outputs.values() for one in outputs if isinstance(one, model)
            }
            assert {name: found.pop() for name, found in bodies.items()} == again


async def _bodies(archive: KafkaArchive, topic: Topic) -> Mapping[str, set[bytes]]:
    bodies: defaultdict[str, set[bytes]] = defaultdict(set)
    async for record in archive.read(topic):
        assert record.value is not None
        bodies[decode(record).message.id].add(record.value)
    return bodies


async def published(archive: KafkaArchive, topic: Topic) -> list[Message]:
    """Return the messages of a topic that can be read."""
    messages: list[Message] = []
    async for record in archive.read(topic):
        try:
            messages.append(decode(record).message)
        except PoisonError:
            continue
    return messages
