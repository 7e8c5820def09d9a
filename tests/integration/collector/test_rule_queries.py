"""A rule's own query, from the playbook's file to Prometheus and back to a decision, through real processes."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from aiohttp import web

from sandbox.stack.kafka import KafkaBroker
from shared.contracts.codec import decode
from shared.contracts.incidents import Decision, Reason
from shared.contracts.topics import DECISIONS
from shared.infra.kafka import KafkaArchive, create_topics
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


@dataclass
class Prometheus:
    """Answers every query with one sample of the front end, at the moment that it is asked."""

    asked: list[str] = field(default_factory=list[str])

    async def answer(self, request: web.Request) -> web.Response:
        self.asked.append(request.query["query"])
        metric = {"namespace": "bank", "deployment": "frontend"}
        result = [{"metric": metric, "value": [1_893_456_000 + len(self.asked), "7"]}]
        return web.json_response({"status": "success", "data": {"resultType": "vector", "result": result}})


@asynccontextmanager
async def serving(prometheus: Prometheus) -> AsyncGenerator[str]:
    app = web.Application()
    app.router.add_get("/api/v1/query", prometheus.answer)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


async def escalated(archive: KafkaArchive) -> bool:
    messages = [decode(record).message async for record in archive.read(DECISIONS)]
    return any(
        isinstance(one, Decision) and one.rule == "errors" and one.reason is Reason.ESCALATED for one in messages
    )


async def test_what_a_rule_asks_is_asked_and_decided_on_and_a_new_playbook_asks_anew(tmp_path: Path) -> None:
    playbook, queries, prometheus = tmp_path / "healing-playbook.yaml", tmp_path / "queries.yaml", Prometheus()
    playbook.write_text(PLAYBOOK.replace("OLD", OLD))
    queries.write_text("interval_seconds: 1\nqueries: [{name: load, expr: node_load1}]\n")
    async with (
        KafkaBroker(tmp_path / "kafka") as broker,
        small_cluster(tmp_path),
        serving(prometheus) as url,
        KafkaArchive(broker.bootstrap) as archive,
    ):
        await create_topics(broker.bootstrap)
        env = {
            "SRE_KAFKA_BOOTSTRAP": broker.bootstrap,
            "SRE_PLAYBOOK_FILE": str(playbook),
            "SRE_KUBECONFIG": str(tmp_path / "kubeconfig"),
            "SRE_PROMETHEUS_URL": url,
            "SRE_QUERIES_FILE": str(queries),
        }
        processes = [service(name, env=env, directory=tmp_path) for name in ("decider", "collector")]
        try:
            for process in processes:
                await process.start()
                await process.until_ready()
            await until(lambda: escalated(archive))
            assert set(prometheus.asked) == {"node_load1", OLD}
            playbook.write_text(PLAYBOOK.replace("OLD", NEW))
            await until(lambda: _is_asked(prometheus, NEW))
            begun = len(prometheus.asked)
            await until(lambda: _is_asked(prometheus, NEW, after=begun))
            assert OLD not in prometheus.asked[begun:]
        finally:
            for process in processes:
                await process.stop()


async def _is_asked(prometheus: Prometheus, query: str, *, after: int = 0) -> bool:
    return query in prometheus.asked[after:]
