"""What the admission policies cost everybody else: an administrator's change, without them and with them.

Also how long an API server that has just started denies it, until it knows the policies' parameters. etcd and the API
server are real; there is no node. The change is a dry run of a patch of a Deployment in a namespace with many
ReplicaSets, each of which is a parameter of a policy.
"""

import asyncio
import tempfile
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from rich.console import Console
from rich.table import Table

from bench.machine import machine
from sandbox.kubernetes.cluster import ClusterOptions, KubernetesCluster
from sandbox.manifests import documents
from sandbox.stack.progress import to_stderr
from shared.contracts.model import JsonObject
from shared.contracts.objects import section, text
from shared.infra.kube import KubeClient, KubeError, PatchType
from shared.kernel.errors import UnavailableError
from tests.cluster.objects import workload

REPLICA_SETS = 500
CHANGES = 400
TURNS = 5
STARTS = 5
_NAMESPACE = "bank"
_APPS = f"/apis/apps/v1/namespaces/{_NAMESPACE}"
_PATH = f"{_APPS}/deployments/target"
_POLICIES = "/apis/admissionregistration.k8s.io/v1/validatingadmissionpolicybindings"
_MARK: JsonObject = {"metadata": {"annotations": {"bench": "1"}}}
_SHIPPED = Path(__file__).resolve().parents[1] / "deploy" / "kubernetes" / "admission.yaml"
_TAKEN_UP_S = 5.0
"""The API server takes policies up by a watch and says nothing of it."""


@dataclass(frozen=True, slots=True)
class Start:
    """What an administrator met after a start of the API server, from its first answer on."""

    until_s: float
    denied: Sequence[str]


def main() -> None:
    """Measure and print."""
    with tempfile.TemporaryDirectory() as directory:
        without, beneath, starts = asyncio.run(_measured(Path(directory)))
    _print(without, beneath, starts)


async def _measured(directory: Path) -> tuple[Sequence[float], Sequence[float], Sequence[Start]]:
    async with KubernetesCluster(ClusterOptions(directory=directory), report=to_stderr) as cluster:
        async with KubeClient(cluster.plane.kubeconfig) as admin:
            await _furnish(admin)
            without: list[float] = []
            beneath: list[float] = []
            for turn in range(TURNS):
                to_stderr(f"turn {turn + 1} of {TURNS}: {CHANGES} changes each, with and without policies")
                beneath.append(await _milliseconds(admin))
                await _unbind(admin)
                without.append(await _milliseconds(admin))
                await _bind(admin)
        return without, beneath, [await _started(cluster) for _ in range(STARTS)]


async def _furnish(admin: KubeClient) -> None:
    await admin.create(f"{_APPS}/deployments", workload("target"))
    for number in range(REPLICA_SETS):
        document = workload(f"past-{number}")
        spec = {name: value for name, value in document["spec"].items() if name in {"selector", "template", "replicas"}}
        await admin.create(f"{_APPS}/replicasets", {**document, "kind": "ReplicaSet", "spec": spec})


async def _unbind(admin: KubeClient) -> None:
    for binding in (await admin.list(_POLICIES)).items:
        metadata = section(binding, "metadata")
        await admin.delete(f"{_POLICIES}/{text(metadata, 'name')}", uid=text(metadata, "uid"))
    await asyncio.sleep(_TAKEN_UP_S)


async def _bind(admin: KubeClient) -> None:
    for document in documents(_SHIPPED):
        if document["kind"] == "ValidatingAdmissionPolicyBinding":
            await admin.create(_POLICIES, document)
    await asyncio.sleep(_TAKEN_UP_S)


async def _milliseconds(admin: KubeClient) -> float:
    """Return the median of one change."""
    taken: list[float] = []
    for _ in range(CHANGES):
        began = time.perf_counter()
        await admin.patch(_PATH, _MARK, kind=PatchType.MERGE, dry_run=True)
        taken.append((time.perf_counter() - began) * 1000)
    return median(taken)


async def _started(cluster: KubernetesCluster) -> Start:
    """Kill the API server and change something from the moment on in which it answers again."""
    await cluster.halt("kube-apiserver")
    resuming = asyncio.create_task(cluster.resume("kube-apiserver"))
    async with KubeClient(cluster.plane.kubeconfig) as admin:
        start = await _until_it_passes(admin)
    await resuming
    return start


async def _until_it_passes(admin: KubeClient) -> Start:
    answered_at: float | None = None
    denied: list[str] = []
    while True:
        try:
            with suppress(UnavailableError):
                await admin.patch(_PATH, _MARK, kind=PatchType.MERGE, dry_run=True)
                return Start(time.perf_counter() - (answered_at or time.perf_counter()), denied)
        except KubeError as refused:
            denied.append(f"{refused.status} {refused.message}")
            answered_at = answered_at or time.perf_counter()
        await asyncio.sleep(0.02)


def _print(without: Sequence[float], beneath: Sequence[float], starts: Sequence[Start]) -> None:
    console = Console()
    console.print(f"[dim]{machine()}[/dim]")
    table = Table(title=f"An administrator's change of a Deployment beside {REPLICA_SETS} ReplicaSets, dry run")
    for name in ("policies", "median of medians", "least", "most"):
        table.add_column(name)
    for name, told in (("none", without), ("as shipped", beneath)):
        table.add_row(name, *(f"{value:.2f} ms" for value in (median(told), min(told), max(told))))
    console.print(table)
    ratio = median(one / other for one, other in zip(beneath, without, strict=True))
    console.print(f"with the policies it takes {ratio:.2f} times as long")
    starts_table = Table(title="After a kill of the API server, from its first answer to the first change that passes")
    for name in ("seconds", "denied meanwhile", "the last of them"):
        starts_table.add_column(name)
    for start in starts:
        starts_table.add_row(f"{start.until_s:.2f}", str(len(start.denied)), start.denied[-1] if start.denied else "")
    console.print(starts_table)


if __name__ == "__main__":
    main()
