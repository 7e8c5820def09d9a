"""Evidence of a cluster: a workload's own pods, their logs, and what happened to all that stands in between."""

from collections.abc import AsyncGenerator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from services.remediator.adapters.capturing import Capture
from shared.contracts.actions import Action, RestartPod, Rollback
from shared.contracts.commands import Command
from shared.contracts.workloads import WorkloadRef
from shared.infra.kube import KubeClient
from tests.integration.small_cluster import small_cluster

pytestmark = pytest.mark.integration
NOW = datetime(2030, 1, 1, tzinfo=UTC)


def deployment(name: str) -> Any:
    labels = {"app": name}
    return {
        "metadata": {"name": name},
        "spec": {
            "selector": {"matchLabels": labels},
            "template": {
                "metadata": {"labels": labels},
                "spec": {"containers": [{"name": "server", "image": "web:v1"}]},
            },
        },
    }


@pytest.fixture
async def client(tmp_path: Path) -> AsyncGenerator[KubeClient]:
    """Yield a client of a cluster with two Deployments, the name of one of which begins the other's."""
    async with small_cluster(tmp_path) as cluster:
        for name in ("web", "web-api"):
            await cluster.client.create("/apis/apps/v1/namespaces/bank/deployments", deployment(name))
        cluster.simulation.advance(timedelta(seconds=10))
        yield cluster.client


def command(action: Action, *, workload: WorkloadRef | None = None) -> Command:
    return Command(
        id="cmd-1",
        at=NOW,
        workload=workload or WorkloadRef(kind="Deployment", namespace="bank", name="web"),
        incident="inc-1",
        rule="rule",
        playbook="hash",
        step=0,
        attempt=1,
        action=action,
        dry_run=False,
        expires_at=NOW,
        requested_by="test",
    )


async def test_a_deployments_evidence_is_of_its_own_pods_and_replica_sets(client: KubeClient) -> None:
    evidence = await Capture(client).evidence(command(Rollback()), now=NOW)
    (pod,) = {log.pod for log in evidence.logs}
    assert pod.startswith("web-")
    assert not pod.startswith("web-api-")
    assert not any(one.object.startswith("web-api") for one in evidence.events)
    assert any(one.object == pod.rpartition("-")[0] for one in evidence.events)
    assert evidence.notes == ()


async def test_a_restarts_evidence_is_of_the_pod_and_what_made_it(client: KubeClient) -> None:
    pod: Any = (await client.list("/api/v1/namespaces/bank/pods")).items[0]["metadata"]
    action = RestartPod(pod=pod["name"], uid=pod["uid"])
    evidence = await Capture(client).evidence(command(action), now=NOW)
    assert {log.pod for log in evidence.logs} == {pod["name"]}
    assert {one.object for one in evidence.events} >= {pod["name"], pod["name"].rpartition("-")[0]}


async def test_a_nodes_evidence_asks_for_nothing_in_a_namespace(client: KubeClient) -> None:
    node = WorkloadRef(kind="Node", name="node-1")
    evidence = await Capture(client).evidence(command(Rollback(), workload=node), now=NOW)
    assert (evidence.logs, evidence.events, evidence.notes) == ((), (), ())


async def test_what_cannot_be_captured_is_a_note(client: KubeClient) -> None:
    gone = RestartPod(pod="gone", uid="u")
    evidence = await Capture(client).evidence(command(gone), now=NOW)
    assert [note.partition(":")[0] for note in evidence.notes] == ["pods"]
