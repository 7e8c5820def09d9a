"""What a dry run tells is read from a cluster within a bound; what cannot be read is a note, and never a failure."""

import asyncio
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import pytest

from services.remediator.adapters.predicting import Predictor
from shared.contracts.actions.base import Done, Written
from shared.contracts.paths import BUDGETS, EVERY_POD, HORIZONTAL_AUTOSCALERS, NODES, QUOTAS, RANGES, collection_of
from shared.contracts.requests import Patch, PatchType
from shared.contracts.workloads import CLUSTER_SCOPE, WorkloadRef
from shared.infra.kube import KubeError, Listing
from shared.kernel.errors import UnavailableError
from tests.unit.services.remediator.build import command
from tests.unit.services.remediator.core.clusters import node, pod, workload

DEPLOYMENT = f"{collection_of('Deployment', 'bank')}/web"
PODS, SETS = collection_of("Pod", "bank"), collection_of("ReplicaSet", "bank")
PATCHED = Written(Patch(DEPLOYMENT, {}, PatchType.STRATEGIC), workload(memory=128))
RAISED = Done(("memory: 64Mi → 128Mi",), written=(PATCHED,))
OWNED = {"metadata": {"name": "web-v2", "ownerReferences": [{"kind": "Deployment", "name": "web", "controller": True}]}}
ABSENT = KubeError(404, "NotFound", "no such path")
FORBIDDEN = KubeError(403, "Forbidden", "not yours")
ALL = [PODS, SETS, NODES, EVERY_POD, *(one.format("bank") for one in (BUDGETS, QUOTAS, RANGES, HORIZONTAL_AUTOSCALERS))]


@dataclass
class Told:
    """An API server of one workload, that fails as told at some paths, or takes its time there."""

    fails: dict[str, Exception] = field(default_factory=dict[str, Exception])
    slow: str = ""

    async def get(self, path: str) -> Any:
        await self._pass(path)
        return workload(memory=64)

    async def list(self, path: str) -> Listing:
        await self._pass(path)
        pods = [pod("web-1", node="a", memory=64), pod("other-1", owner="other", node="a", memory=64)]
        known: dict[str, Any] = {PODS: pods, EVERY_POD: pods, SETS: [OWNED], NODES: [node("a", memory=256)]}
        return Listing(known.get(path, []), "1")

    async def _pass(self, path: str) -> None:
        if path == self.slow:
            await asyncio.sleep(3600)
        if path in self.fails:
            raise self.fails[path]


async def told(server: Any, **fields: Any) -> tuple[str, ...]:
    asked = command(dry_run=True, **fields)
    return (await Predictor(server, within=timedelta(seconds=1)).foretold(asked, RAISED)).changes


async def test_a_dry_run_tells_change_difference_and_prediction() -> None:
    field_ = "spec.template.spec.containers[server].resources.requests.memory"
    assert await told(Told()) == (
        "memory: 64Mi → 128Mi",
        f"- {field_}: 64Mi",
        f"+ {field_}: 128Mi",
        "predicts: replaces 1, at most 0 away at once, 1 beyond the wanted number: web-1",
        "predicts: available: 1 now, 1 at the lowest",
        "predicts: room for 1 of 1 new pods at once (memory 128Mi): a 1",
    )


@pytest.mark.parametrize("failed", [FORBIDDEN, UnavailableError("away")], ids=["forbidden", "away"])
@pytest.mark.parametrize("path", [DEPLOYMENT, *ALL])
async def test_what_cannot_be_read_is_a_note(path: str, failed: Exception) -> None:
    lines = await told(Told({path: failed}))
    assert lines[0] == "memory: 64Mi → 128Mi"
    (note,) = [line for line in lines if line.startswith("not judged: ")]
    assert str(failed) in note


@pytest.mark.parametrize("path", [DEPLOYMENT, PODS, SETS])
async def test_without_the_workload_and_its_pods_nothing_is_foretold(path: str) -> None:
    assert not any(line.startswith("predicts: ") for line in await told(Told({path: FORBIDDEN})))


async def test_a_kind_that_the_cluster_does_not_have_has_no_objects() -> None:
    absent = dict.fromkeys(ALL[4:], ABSENT)
    assert await told(Told(absent)) == await told(Told())  # pyright: ignore[reportArgumentType] - exceptions of one kind


async def test_what_takes_too_long_is_a_note_and_what_was_read_before_counts() -> None:
    lines = await told(Told(slow=NODES))
    assert "predicts: available: 1 now, 1 at the lowest" in lines
    assert [line for line in lines if line.startswith("not judged")] == [
        "not judged: nodes: not read within 1s, nor what follows"
    ]


async def test_of_what_has_no_namespace_nothing_is_read() -> None:
    ref = WorkloadRef(kind="Node", namespace=CLUSTER_SCOPE, name="a")
    assert await told(Told(dict.fromkeys(ALL, FORBIDDEN)), workload=ref) == ("memory: 64Mi → 128Mi",)
