"""Evidence of a cluster: a workload's own pods, their logs, and what happened to all that stands in between."""

from collections.abc import AsyncGenerator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from sandbox.cluster.__main__ import write_kubeconfig
from sandbox.cluster.clock import manual_clock
from sandbox.cluster.http import ClusterHttp
from sandbox.cluster.resources import NAMESPACES
from sandbox.cluster.simulation import Simulation
from sandbox.cluster.writes import Target
from services.remediator.adapters.capturing import Capture
from shared.contracts.actions import Action, RestartPod, Rollback
from shared.contracts.commands import Command
from shared.contracts.workloads import WorkloadRef
from shared.infra.kube import KubeClient

pytestmark = pytest.mark.integration
NOW = datetime(2030, 1, 1, tzinfo=UTC)


@dataclass
class Stage:
    """A cluster served in this process, with one Deployment whose name begins another's."""

    simulation: Simulation
    client: KubeClient

    async def pods(self) -> list[Any]:
        return list((await self.client.list("/api/v1/namespaces/bank/pods")).items)


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
async def stage(tmp_path: Path) -> AsyncGenerator[Stage]:
    simulation = Simulation(manual_clock())
    simulation.api.create(Target(NAMESPACES), {"metadata": {"name": "bank"}})
    runner = web.AppRunner(ClusterHttp(simulation, tmp_path / "audit.jsonl").app(), shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    write_kubeconfig(tmp_path / "kubeconfig", f"http://127.0.0.1:{runner.addresses[0][1]}")
    async with KubeClient(tmp_path / "kubeconfig") as client:
        for name in ("web", "web-api"):
            await client.create("/apis/apps/v1/namespaces/bank/deployments", deployment(name))
        simulation.advance(timedelta(seconds=10))
        yield Stage(simulation, client)
    await runner.cleanup()


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


async def test_a_deployments_evidence_is_of_its_own_pods_and_replica_sets(stage: Stage) -> None:
    evidence = await Capture(stage.client).evidence(command(Rollback()), now=NOW)
    (pod,) = {log.pod for log in evidence.logs}
    assert pod.startswith("web-")
    assert not pod.startswith("web-api-")
    assert not any(one.object.startswith("web-api") for one in evidence.events)
    assert any(one.object == pod.rpartition("-")[0] for one in evidence.events)
    assert evidence.notes == ()


async def test_a_restarts_evidence_is_of_the_pod_and_what_made_it(stage: Stage) -> None:
    pod = (await stage.pods())[0]["metadata"]
    action = RestartPod(pod=pod["name"], uid=pod["uid"])
    evidence = await Capture(stage.client).evidence(command(action), now=NOW)
    assert {log.pod for log in evidence.logs} == {pod["name"]}
    assert {one.object for one in evidence.events} >= {pod["name"], pod["name"].rpartition("-")[0]}


async def test_a_nodes_evidence_asks_for_nothing_in_a_namespace(stage: Stage) -> None:
    node = WorkloadRef(kind="Node", name="node-1")
    evidence = await Capture(stage.client).evidence(command(Rollback(), workload=node), now=NOW)
    assert (evidence.logs, evidence.events, evidence.notes) == ((), (), ())


async def test_what_cannot_be_captured_is_a_note(stage: Stage) -> None:
    gone = RestartPod(pod="gone", uid="u")
    evidence = await Capture(stage.client).evidence(command(gone), now=NOW)
    assert [note.partition(":")[0] for note in evidence.notes] == ["pods"]
