"""A rule's own query, from the playbook's file to Prometheus and back to a decision, through real processes."""

from pathlib import Path

import pytest

from sandbox.stack.kafka import KafkaBroker
from services.collector.adapters.prometheus import ALIVE
from shared.contracts.codec import decode
from shared.contracts.incidents import Decision, Reason
from shared.contracts.topics import DECISIONS
from shared.infra.kafka import KafkaArchive, create_topics
from tests.fakes.prometheus import FakePrometheus, prometheus
from tests.integration.service_process import service, until
from tests.integration.small_cluster import small_cluster

pytestmark = pytest.mark.integration
OLD, NEW = "sum by (namespace, deployment) (old_errors) > 0", "sum by (namespace, deployment) (new_errors) > 0"
PLAYBOOK = """\
apiVersion: sre-agent.dev/v1alpha1
kind: HealingPlaybook
metadata: {name: test}
spec:
  rules:
    - name: errors
      signal: sample
      promql: OLD
      cooldown: 1h
      ladder: [{action: escalate, message: "{workload} fails"}]
"""


async def escalated(archive: KafkaArchive) -> bool:
    messages = [decode(record).message async for record in archive.read(DECISIONS)]
    return any(
        isinstance(one, Decision) and one.rule == "errors" and one.reason is Reason.ESCALATED for one in messages
    )


async def test_what_a_rule_asks_is_asked_and_decided_on_and_a_new_playbook_asks_anew(tmp_path: Path) -> None:
    playbook, queries = tmp_path / "healing-playbook.yaml", tmp_path / "queries.yaml"
    playbook.write_text(PLAYBOOK.replace("OLD", OLD))
    queries.write_text("interval_seconds: 1\nqueries: [{name: load, expr: node_load1}]\n")
    async with (
        KafkaBroker(tmp_path / "kafka") as broker,
        small_cluster(tmp_path),
        prometheus() as served,
        KafkaArchive(broker.bootstrap) as archive,
    ):
        await create_topics(broker.bootstrap)
        env = {
            "SRE_KAFKA_BOOTSTRAP": broker.bootstrap,
            "SRE_PLAYBOOK_FILE": str(playbook),
            "SRE_KUBECONFIG": str(tmp_path / "kubeconfig"),
            "SRE_PROMETHEUS_URL": served.url,
            "SRE_QUERIES_FILE": str(queries),
        }
        processes = [service(name, env=env, directory=tmp_path) for name in ("decider", "collector")]
        try:
            for process in processes:
                await process.start()
                await process.until_ready()
            await until(lambda: escalated(archive))
            assert set(served.asked) - {ALIVE.expr} == {"node_load1", OLD}
            playbook.write_text(PLAYBOOK.replace("OLD", NEW))
            await until(lambda: _is_asked(served, NEW))
            begun = len(served.asked)
            await until(lambda: _is_asked(served, NEW, after=begun))
            assert OLD not in served.asked[begun:]
        finally:
            for process in processes:
                await process.stop()


async def _is_asked(served: FakePrometheus, query: str, *, after: int = 0) -> bool:
    return query in served.asked[after:]
