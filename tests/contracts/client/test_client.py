"""One suite for what the remediator asks of a cluster: over HTTP, and of the simulated one within the process."""

from collections.abc import AsyncGenerator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from sandbox.cluster.simulation import Simulation
from services.remediator.adapters.cluster import Cluster
from shared.infra.kube import KubeError, PatchType, WriteFailedError
from tests.integration.small_cluster import small_cluster
from tests.simulation.cluster import Effect, SimulatedCluster
from tests.simulation.weather import Weather

pytestmark = pytest.mark.contract
DEPLOYMENTS = "/apis/apps/v1/namespaces/bank/deployments"
PODS = "/api/v1/namespaces/bank/pods"
BUDGETS = "/apis/policy/v1/namespaces/bank/poddisruptionbudgets"


@dataclass(frozen=True)
class Stage:
    """A cluster with one Deployment, whose time the test moves on."""

    client: Cluster
    simulation: Simulation

    async def pod(self) -> Any:
        return (await self.client.list(PODS)).items[0]


@pytest.fixture(params=["http", "simulated"])
async def stage(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncGenerator[Stage]:
    async with small_cluster(tmp_path) as served:
        simulated = SimulatedCluster(served.simulation, weather=Weather())
        made = Stage(served.client if request.param == "http" else simulated, served.simulation)
        await made.client.create(DEPLOYMENTS, web())
        served.simulation.advance(timedelta(seconds=2))
        yield made


def web() -> Any:
    labels = {"app": "web"}
    template = {"metadata": {"labels": labels}, "spec": {"containers": [{"name": "server", "image": "web:v1"}]}}
    return {
        "metadata": {"name": "web"},
        "spec": {"replicas": 1, "selector": {"matchLabels": labels}, "template": template},
    }


def eviction(pod: Any, uid: str = "") -> Any:
    metadata = {"name": pod["metadata"]["name"], "namespace": "bank"}
    options = {"preconditions": {"uid": uid or pod["metadata"]["uid"]}}
    return {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": metadata, "deleteOptions": options}


async def refusal(asked: Any) -> tuple[int, str]:
    with pytest.raises(KubeError) as refused:
        await asked
    return refused.value.status, refused.value.reason


async def test_what_is_not_there_is_refused_by_its_code(stage: Stage) -> None:
    assert await refusal(stage.client.get(f"{DEPLOYMENTS}/other")) == (404, "NotFound")


async def test_a_list_of_a_kind_that_nobody_installed_is_refused_as_not_found(stage: Stage) -> None:
    assert await refusal(stage.client.list("/apis/autoscaling.k8s.io/v1/namespaces/bank/verticalpodautoscalers")) == (
        404,
        "NotFound",
    )


async def test_a_list_has_all_objects_and_its_version(stage: Stage) -> None:
    listing = await stage.client.list(DEPLOYMENTS)
    assert [one["metadata"]["name"] for one in listing.items] == ["web"]  # type: ignore[index, call-overload] - raw JSON
    assert int(listing.resource_version) > 0


async def test_a_patch_of_another_version_is_a_conflict_and_changes_nothing(stage: Stage) -> None:
    body: Any = {"metadata": {"resourceVersion": "1", "annotations": {"seen": "yes"}}}
    refused = await refusal(stage.client.patch(f"{DEPLOYMENTS}/web", body, kind=PatchType.MERGE))
    found: Any = await stage.client.get(f"{DEPLOYMENTS}/web")
    assert refused == (409, "Conflict")
    assert "seen" not in found["metadata"].get("annotations", {})


async def test_a_dry_run_answers_what_would_be_and_keeps_nothing(stage: Stage) -> None:
    body: Any = {"spec": {"replicas": 3}}
    told: Any = await stage.client.patch(f"{DEPLOYMENTS}/web", body, kind=PatchType.MERGE, dry_run=True)
    found: Any = await stage.client.get(f"{DEPLOYMENTS}/web")
    assert (told["spec"]["replicas"], found["spec"]["replicas"]) == (3, 1)


async def test_an_eviction_removes_the_pod_of_that_uid_alone(stage: Stage) -> None:
    pod = await stage.pod()
    path = f"{PODS}/{pod['metadata']['name']}/eviction"
    assert await refusal(stage.client.create(path, eviction(pod, "another"))) == (409, "Conflict")
    await stage.client.create(path, eviction(pod), dry_run=True)
    assert not (await stage.pod())["metadata"].get("deletionTimestamp")
    await stage.client.create(path, eviction(pod))
    stage.simulation.advance(timedelta(seconds=2))
    assert (await stage.pod())["metadata"]["uid"] != pod["metadata"]["uid"]


async def test_a_disruption_budget_refuses_an_eviction(stage: Stage) -> None:
    spec: Any = {"minAvailable": 1, "selector": {"matchLabels": {"app": "web"}}}
    await stage.client.create(BUDGETS, {"metadata": {"name": "web"}, "spec": spec})
    pod = await stage.pod()
    path = f"{PODS}/{pod['metadata']['name']}/eviction"
    assert await refusal(stage.client.create(path, eviction(pod))) == (429, "TooManyRequests")


async def test_an_eviction_under_two_budgets_is_a_failure_of_that_write_alone(stage: Stage) -> None:
    spec: Any = {"minAvailable": 0, "selector": {"matchLabels": {"app": "web"}}}
    for name in ("web", "web-again"):
        await stage.client.create(BUDGETS, {"metadata": {"name": name}, "spec": spec})
    pod = await stage.pod()
    with pytest.raises(WriteFailedError) as failed:
        await stage.client.create(f"{PODS}/{pod['metadata']['name']}/eviction", eviction(pod))
    assert failed.value.message.startswith("This pod has more than one PodDisruptionBudget")
    assert (await stage.pod())["metadata"] == pod["metadata"]


async def test_a_deletion_removes_the_object_of_that_uid_and_version_alone_and_what_it_owns(stage: Stage) -> None:
    found: Any = await stage.client.get(f"{DEPLOYMENTS}/web")
    uid, version = found["metadata"]["uid"], found["metadata"]["resourceVersion"]
    assert await refusal(stage.client.delete(f"{DEPLOYMENTS}/web", uid="another")) == (409, "Conflict")
    assert await refusal(stage.client.delete(f"{DEPLOYMENTS}/web", uid=uid, resource_version="1")) == (409, "Conflict")
    await stage.client.delete(f"{DEPLOYMENTS}/web", uid=uid, resource_version=version, dry_run=True)
    assert (await stage.client.get(f"{DEPLOYMENTS}/web"))["metadata"] == found["metadata"]
    await stage.client.delete(f"{DEPLOYMENTS}/web", uid=uid, resource_version=version)
    stage.simulation.advance(timedelta(seconds=60))
    assert await refusal(stage.client.get(f"{DEPLOYMENTS}/web")) == (404, "NotFound")
    assert (await stage.client.list(PODS)).items == []


async def test_a_log_is_its_end_and_one_that_is_not_there_is_refused(stage: Stage) -> None:
    path = f"{PODS}/{(await stage.pod())['metadata']['name']}/log"
    assert await stage.client.logs(path, container="server", tailLines="1") == "serving\n"
    assert await refusal(stage.client.logs(path, container="server", previous="true")) == (400, "BadRequest")


async def test_the_simulated_cluster_tells_each_effect_with_the_command_that_it_is_of(tmp_path: Path) -> None:
    effects: list[Effect] = []
    async with small_cluster(tmp_path) as served:
        cluster = SimulatedCluster(served.simulation, weather=Weather(), on_effect=effects.append)
        await cluster.create(DEPLOYMENTS, web())
        marks = {"annotations": {"sre-agent.dev/command": "cmd-1", "sre-agent.dev/token": "7"}}
        marked: Any = {"metadata": marks, "spec": {"replicas": 2}}
        await cluster.patch(f"{DEPLOYMENTS}/web", marked, kind=PatchType.MERGE, dry_run=True)
        assert effects == []
        await cluster.patch(f"{DEPLOYMENTS}/web", marked, kind=PatchType.MERGE)
    assert effects == [Effect("cmd-1", 7, "Deployment web")]
