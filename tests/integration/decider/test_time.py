"""Questions of time on a real broker: what was counted before a crash opens its incident after it."""

from pathlib import Path

import pytest

from sandbox.stack.kafka import KafkaBroker
from services.decider.adapters.replaying import differences, replay_inbox
from shared.contracts.codec import decode
from shared.contracts.incidents import Decision, Reason
from shared.contracts.topics import DECISIONS, SIGNALS_KUBERNETES
from shared.infra.kafka import KafkaArchive, KafkaPublisher, create_topics
from tests.integration.service_process import service, until
from tests.unit.services.decider.core.build import FRONTEND, container, event

pytestmark = pytest.mark.integration

PLAYBOOK = """\
apiVersion: sre-agent.dev/v1alpha1
kind: HealingPlaybook
metadata: {name: time}
spec:
  rules:
    - name: hung
      signal: container
      where: {reason: Hung}
      for: 5s
      ladder: [{action: escalate}]
    - name: unanswered
      signal: event
      where: {reason: Killing}
      without: {signal: event, where: {reason: Started}, within: 5s}
      ladder: [{action: escalate}]
    - name: crowded
      signal: container
      where: {reason: Evicted}
      window: {count: 2, distinct: workload, within: 10m}
      by: node
      ladder: [{action: escalate}]
"""
OTHER = FRONTEND.model_copy(update={"name": "ledger"})
EARLIER = [
    container(reason="Hung", pod="hung"),
    container(reason="Hung", pod="over"),
    container(reason="Running", pod="over", seconds=1),
    event(id="sig-killing", reason="Killing").model_copy(update={"workload": OTHER}),
    container(reason="Evicted", node="node-7"),
]
LATER = container(reason="Evicted", node="node-7", seconds=1).model_copy(update={"workload": OTHER})
OPENED = {
    ("hung", FRONTEND.key),
    ("unanswered", OTHER.key),
    ("crowded", "-/Node/node-7"),
}


async def test_what_was_counted_before_a_crash_opens_its_incident_after_it(tmp_path: Path) -> None:
    playbook = tmp_path / "healing-playbook.yaml"
    playbook.write_text(PLAYBOOK)
    async with KafkaBroker(tmp_path / "kafka") as broker:
        await create_topics(broker.bootstrap)
        env = {"SRE_KAFKA_BOOTSTRAP": broker.bootstrap, "SRE_PLAYBOOK_FILE": str(playbook)}
        decider = service("decider", env=env, directory=tmp_path)
        async with KafkaPublisher(broker.bootstrap, source="test") as publisher, KafkaArchive(broker.bootstrap) as log:
            for signal in EARLIER:
                await publisher.publish(signal, topic=SIGNALS_KUBERNETES)
            await decider.start()
            await until(lambda: _has_decided(log, Reason.HELD_TOO_SHORT, Reason.STILL_AWAITED))
            await until(lambda: _has_decided(log, Reason.WINDOW_NOT_REACHED))
            await decider.kill()
            await publisher.publish(LATER, topic=SIGNALS_KUBERNETES)
            await decider.start()
            await until(lambda: _has_opened(log, OPENED))
            replayed = await replay_inbox(log)
            assert await differences(log, replayed) == []
            await decider.stop()
            made = [one for one in await _decisions(log) if one.reason is Reason.INCIDENT_OPENED]
    assert len(made) == len(OPENED)


async def _has_decided(log: KafkaArchive, *reasons: Reason) -> bool:
    return {one.reason for one in await _decisions(log)} >= set(reasons)


async def _has_opened(log: KafkaArchive, wanted: set[tuple[str, str]]) -> bool:
    opened = {(one.rule, one.workload.key) for one in await _decisions(log) if one.reason is Reason.INCIDENT_OPENED}
    return opened >= wanted


async def _decisions(log: KafkaArchive) -> list[Decision]:
    messages = [decode(record).message async for record in log.read(DECISIONS)]
    return [message for message in messages if isinstance(message, Decision)]
