"""Evidence of a cluster: a workload's own pods, their logs, and what happened to all that stands in between."""

import asyncio
from collections.abc import AsyncGenerator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from services.remediator.adapters.capturing import EVENTS_KEPT_FOR, FEW_EVENTS, Capture
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
    listed: Any = (await client.list("/api/v1/nodes")).items[0]
    node = WorkloadRef(kind="Node", name=listed["metadata"]["name"])
    evidence = await Capture(client).evidence(command(Rollback(), workload=node), now=NOW)
    assert (evidence.logs, evidence.events, evidence.notes) == ((), (), ())
    assert [one["kind"] for one in evidence.objects] == ["Node"]


async def test_the_owners_and_the_node_of_a_pod_are_told_with_it(client: KubeClient) -> None:
    evidence = await Capture(client).evidence(command(Rollback()), now=NOW)
    objects: Any = {one["kind"]: one for one in evidence.objects}
    assert list(objects) == ["Pod", "Deployment", "ReplicaSet", "Node"]
    assert objects["Deployment"]["metadata"]["name"] == "web"
    assert objects["ReplicaSet"]["metadata"]["ownerReferences"][0]["name"] == "web"
    assert objects["Pod"]["spec"]["nodeName"] == objects["Node"]["metadata"]["name"]
    assert any(one["type"] == "Ready" for one in objects["Node"]["status"]["conditions"])


async def test_secrets_are_taken_out_of_all_that_is_published(client: KubeClient) -> None:
    leaking = deployment("leaking")
    leaking["spec"]["template"]["spec"]["containers"][0] |= {
        "args": ["--password", "hunter2", "--url=postgres://anna:hunter2@db/x"],
        "env": [{"name": "ANY", "value": "hunter2"}],
        "readinessProbe": {
            "httpGet": {"path": "/", "port": 80, "httpHeaders": [{"name": "X-Api-Key", "value": "hunter2"}]}
        },
    }
    await client.create("/apis/apps/v1/namespaces/bank/deployments", leaking)
    event: Any = {
        "metadata": {"name": "told", "namespace": "bank"},
        "involvedObject": {"kind": "Deployment", "namespace": "bank", "name": "leaking"},
        "reason": "Failed",
        "message": "cannot log in with password=hunter2",
    }
    await client.create("/api/v1/namespaces/bank/events", event)
    workload = WorkloadRef(kind="Deployment", namespace="bank", name="leaking")
    evidence = await Capture(client).evidence(command(Rollback(), workload=workload), now=NOW)
    assert any(one.reason == "Failed" for one in evidence.events)
    assert "hunter2" not in evidence.model_dump_json()
    assert evidence.redactions >= 4


class Noted:
    """A cluster that notes by which labels it was asked for lists."""

    def __init__(self, client: KubeClient) -> None:
        self._client = client
        self.selectors: dict[str, str] = {}

    def __getattr__(self, name: str) -> Any:
        return getattr(self._client, name)

    async def list(self, path: str, **query: str) -> Any:
        self.selectors[path.rpartition("/")[2]] = query.get("labelSelector", "")
        return await self._client.list(path, **query)


async def test_of_a_namespaces_pods_and_replica_sets_only_the_workloads_own_are_asked_for(client: KubeClient) -> None:
    noted: Any = Noted(client)
    await Capture(noted).evidence(command(Rollback()), now=NOW)
    assert noted.selectors == {"replicasets": "app=web", "pods": "app=web", "events": ""}


async def test_where_events_are_many_they_are_read_once_for_the_commands_of_some_seconds(client: KubeClient) -> None:
    path = "/api/v1/namespaces/bank/events"
    for number in range(FEW_EVENTS):
        await client.create(path, event(f"other-{number}", about="other"))
    capture = Capture(client)
    assert not await told_by(capture, now=NOW)
    await client.create(path, event("late", about="web"))
    just_before = NOW + EVENTS_KEPT_FOR - timedelta(seconds=1)
    evidence = await capture.evidence(command(Rollback()), now=just_before)
    assert not any(one.reason == "Told" for one in evidence.events)
    assert [note.partition(",")[0] for note in evidence.notes] == ["events: as they were 9s before"]
    assert await told_by(capture, now=NOW + EVENTS_KEPT_FOR)


async def test_few_events_are_read_anew_for_each_command(client: KubeClient) -> None:
    capture = Capture(client)
    assert not await told_by(capture, now=NOW)
    await client.create("/api/v1/namespaces/bank/events", event("late", about="web"))
    assert await told_by(capture, now=NOW)


async def told_by(capture: Capture, *, now: datetime) -> bool:
    """Tell whether evidence tells the event that a test has made."""
    evidence = await capture.evidence(command(Rollback()), now=now)
    assert evidence.notes == ()
    return any(one.reason == "Told" for one in evidence.events)


def event(name: str, *, about: str) -> Any:
    return {
        "metadata": {"name": name, "namespace": "bank"},
        "involvedObject": {"kind": "Deployment", "namespace": "bank", "name": about},
        "reason": "Told",
    }


class Slow:
    """A cluster that takes for ever over one kind of question."""

    def __init__(self, client: KubeClient, part: str) -> None:
        self._client, self._part = client, part

    def __getattr__(self, name: str) -> Any:
        async def asked(path: str, *arguments: Any, **options: Any) -> Any:
            if self._part in path:
                await asyncio.Event().wait()
            return await getattr(self._client, name)(path, *arguments, **options)

        return asked


@pytest.mark.parametrize(
    ("part", "note", "has_logs"),
    [("/log", "log of web-", False), ("/events", "events", True), ("/nodes/", "node ", True), ("/pods", "pods", False)],
)
async def test_capturing_ends_in_time_with_what_it_has_and_says_what_is_missing(
    client: KubeClient, part: str, note: str, has_logs: bool
) -> None:
    slow: Any = Slow(client, part)
    evidence = await Capture(slow, within=timedelta(seconds=0.3)).evidence(command(Rollback()), now=NOW)
    (told,) = evidence.notes
    assert told.startswith(note)
    assert "nor what was to be captured after it" in told
    assert bool(evidence.logs) is has_logs


async def test_what_cannot_be_captured_is_a_note(client: KubeClient) -> None:
    gone = RestartPod(pod="gone", uid="u")
    evidence = await Capture(client).evidence(command(gone), now=NOW)
    assert [note.partition(":")[0] for note in evidence.notes] == ["pods"]
