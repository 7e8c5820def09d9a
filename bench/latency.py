"""From a signal on Kafka to its action applied in the cluster: the whole local stack, one signal after the other.

Each workload's signal is written by this process; its moment of effect is the broker's own timestamp of the result,
which the remediator writes once the API server has answered. Evidence is captured in between, as always.
"""

import asyncio
import tempfile
import time
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from statistics import median, quantiles
from typing import Any

from rich.console import Console
from rich.table import Table

from bench.machine import machine
from sandbox.stack.brake import UNBRAKED
from sandbox.stack.local import LocalStack, StackOptions
from sandbox.stack.progress import to_stderr
from shared.contracts.codec import Record, decode
from shared.contracts.inbox import Finding, Outcome, Result
from shared.contracts.signals import ContainerSignal, ContainerState
from shared.contracts.topics import INBOX, SIGNALS_KUBERNETES
from shared.contracts.workloads import ObjectRef, WorkloadRef
from shared.infra.kafka import AssignedConsumer, KafkaPublisher
from shared.infra.kube import KubeClient
from shared.kernel.clock import to_millis

WORKLOADS = 220
WARM_UP = 20
"""Signals at the start that are not counted: the broker and the services meet each partition for the first time."""
EVERY_S = 0.15
WITHIN = timedelta(minutes=2)
LIMIT = 128 << 20
_PLAYBOOK = """\
apiVersion: sre-agent.dev/v1alpha1
kind: HealingPlaybook
metadata: {name: bench}
spec:
  rules:
    - name: memory
      signal: container
      where: {last_reason: OOMKilled}
      ladder: [{action: set-memory, cap: 1Gi}]
"""
Times = dict[str, float]


def main() -> None:
    """Measure and print."""
    with tempfile.TemporaryDirectory() as directory:
        sent, found, acted = asyncio.run(_measured(Path(directory)))
    counted = list(sent)[WARM_UP:]
    _print([found[key] - sent[key] for key in counted], [acted[key] - sent[key] for key in counted])


async def _measured(directory: Path) -> tuple[Times, Times, Times]:
    playbook = directory / "playbook.yaml"
    playbook.write_text(_PLAYBOOK)
    async with LocalStack(
        StackOptions(directory=directory, playbook=playbook, settings=UNBRAKED), report=to_stderr
    ) as stack:
        async with KubeClient(stack.kubeconfig) as client:
            await _deploy(client)
        async with (
            AssignedConsumer(stack.bootstrap, topics=[INBOX], group="bench", start={}) as inbox,
            KafkaPublisher(stack.bootstrap, source="bench") as publisher,
        ):
            sending = asyncio.create_task(_send(publisher))
            found, acted = await _received(inbox)
            return await sending, found, acted


async def _deploy(client: KubeClient) -> None:
    await client.create("/api/v1/namespaces", {"metadata": {"name": "bench"}})
    for number in range(WORKLOADS):
        labels: dict[str, Any] = {"app": f"web-{number}"}
        container: dict[str, Any] = {"name": "server", "image": "web:v1", "resources": {"limits": {"memory": "128Mi"}}}
        await client.create(
            "/apis/apps/v1/namespaces/bench/deployments",
            {
                "metadata": {"name": f"web-{number}"},
                "spec": {
                    "replicas": 0,
                    "selector": {"matchLabels": {**labels}},
                    "template": {"metadata": {"labels": {**labels}}, "spec": {"containers": [{**container}]}},
                },
            },
        )


async def _send(publisher: KafkaPublisher) -> Times:
    sent: Times = {}
    for number in range(WORKLOADS):
        signal = _signal(number)
        sent[signal.key] = time.time() * 1000
        await publisher.publish(signal, topic=SIGNALS_KUBERNETES)
        await asyncio.sleep(EVERY_S)
    return sent


async def _received(inbox: AssignedConsumer) -> tuple[Times, Times]:
    found: Times = {}
    acted: Times = {}
    async with asyncio.timeout(WITHIN.total_seconds()):
        while len(acted) < WORKLOADS:
            _note(await inbox.batch(), found, acted)
    return found, acted


def _note(records: Sequence[Record], found: Times, acted: Times) -> None:
    for record in records:
        entry = decode(record).message
        if isinstance(entry, Finding):
            found[entry.key] = record.timestamp_ms
        elif isinstance(entry, Result):
            assert entry.outcome is Outcome.APPLIED, entry
            acted[entry.key] = to_millis(entry.at)


def _signal(number: int) -> ContainerSignal:
    return ContainerSignal(
        id=f"signal-{number}",
        at=datetime.now(UTC),
        cluster="bench",
        workload=WorkloadRef(kind="Deployment", namespace="bench", name=f"web-{number}"),
        object=ObjectRef(kind="Pod", namespace="bench", name=f"web-{number}-1", uid=f"u{number}"),
        container="server",
        state=ContainerState.WAITING,
        reason="CrashLoopBackOff",
        last_reason="OOMKilled",
        memory_limit_bytes=LIMIT,
    )


def _print(found: list[float], acted: list[float]) -> None:
    table = Table(
        "from a signal on Kafka", "median ms", "p99 ms", "worst ms", title=f"{len(acted)} signals; {machine()}"
    )
    for name, values in (("to its finding in the inbox", found), ("to its action applied", acted)):
        p99 = quantiles(values, n=100)[98]
        table.add_row(name, f"{median(values):.1f}", f"{p99:.1f}", f"{max(values):.1f}")
    Console().print(table)


if __name__ == "__main__":
    main()
