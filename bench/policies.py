"""What the admission policies cost everybody else: an administrator's change without them, with them, with all of them.

Also how long an API server that has just started denies it, until it knows the policies' parameters. etcd and the API
server are real; there is no node. The change is a dry run of a patch of a Deployment in a namespace with many
ReplicaSets, each of which is a parameter of a policy.
"""

import asyncio
import tempfile
import time
from collections.abc import Mapping, Sequence
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
CHANGES = 100
TURNS = 3
STARTS = 5
_NAMESPACE = "bank"
_APPS = f"/apis/apps/v1/namespaces/{_NAMESPACE}"
_PATH = f"{_APPS}/deployments/target"
_ADMISSION = "/apis/admissionregistration.k8s.io/v1"
_POLICIES, _BINDINGS = f"{_ADMISSION}/validatingadmissionpolicies", f"{_ADMISSION}/validatingadmissionpolicybindings"
_MARK: JsonObject = {"metadata": {"annotations": {"bench": "1"}}}
_MANIFESTS = Path(__file__).resolve().parents[1] / "deploy" / "kubernetes"
_SHIPPED, _OPTION = _MANIFESTS / "admission.yaml", _MANIFESTS / "optional" / "revisions.yaml"
_SETTINGS: Mapping[str, Sequence[Path]] = {
    "none": (),
    "as shipped": (_SHIPPED,),
    "with optional/revisions.yaml": (_SHIPPED, _OPTION),
}
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
        changes, starts = asyncio.run(_measured(Path(directory)))
    _print(changes, starts)


async def _measured(directory: Path) -> tuple[Mapping[str, Sequence[float]], Sequence[Start]]:
    async with KubernetesCluster(ClusterOptions(directory=directory), report=to_stderr) as cluster:
        async with KubeClient(cluster.plane.kubeconfig) as admin:
            await _furnish(admin)
            turns = [await _turn(admin, number) for number in range(TURNS)]
        changes = {name: [turn[name] for turn in turns] for name in _SETTINGS}
        return changes, [await _started(cluster) for _ in range(STARTS)]


async def _turn(admin: KubeClient, number: int) -> Mapping[str, float]:
    to_stderr(f"turn {number + 1} of {TURNS}: {CHANGES} changes under each setting")
    found: dict[str, float] = {}
    for name, manifests in _SETTINGS.items():
        await _bind(admin, manifests)
        found[name] = await _milliseconds(admin)
    return found


async def _furnish(admin: KubeClient) -> None:
    option = next(one for one in documents(_OPTION) if one["kind"] == "ValidatingAdmissionPolicy")
    await admin.create(_POLICIES, option)
    await admin.create(f"{_APPS}/deployments", workload("target"))
    for number in range(REPLICA_SETS):
        document = workload(f"past-{number}")
        spec = {name: value for name, value in document["spec"].items() if name in {"selector", "template", "replicas"}}
        await admin.create(f"{_APPS}/replicasets", {**document, "kind": "ReplicaSet", "spec": spec})


async def _bind(admin: KubeClient, manifests: Sequence[Path]) -> None:
    """Let the policies of these manifests be in force, and no others.

    What the API server knows of the parameters it keeps from then on (docs/adr/0017): all were there before.
    """
    for binding in (await admin.list(_BINDINGS)).items:
        metadata = section(binding, "metadata")
        await admin.delete(f"{_BINDINGS}/{text(metadata, 'name')}", uid=text(metadata, "uid"))
    for document in documents(*manifests):
        if document["kind"] == "ValidatingAdmissionPolicyBinding":
            await admin.create(_BINDINGS, document)
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
    denied: list[str] = []
    denied_from: float | None = None
    while True:
        try:
            with suppress(UnavailableError):
                await admin.patch(_PATH, _MARK, kind=PatchType.MERGE, dry_run=True)
                return Start(time.perf_counter() - denied_from if denied_from else 0.0, denied)
        except KubeError as refused:
            denied.append(f"{refused.status} {refused.message}")
            denied_from = denied_from or time.perf_counter()
        await asyncio.sleep(0.02)


def _print(changes: Mapping[str, Sequence[float]], starts: Sequence[Start]) -> None:
    console = Console()
    console.print(f"[dim]{machine()}[/dim]")
    table = Table(title=f"An administrator's change of a Deployment beside {REPLICA_SETS} ReplicaSets, dry run")
    for name in ("policies", "median of medians", "least", "most", "as long as without"):
        table.add_column(name)
    for name, told in changes.items():
        ratio = median(one / other for one, other in zip(told, changes["none"], strict=True))
        cells = (f"{value:.2f} ms" for value in (median(told), min(told), max(told)))
        table.add_row(name, *cells, f"{ratio:.2f} times")
    console.print(table)
    starts_table = Table(title="After a kill of the API server, from its first answer to the first change that passes")
    for name in ("seconds", "denied meanwhile", "the last of them"):
        starts_table.add_column(name)
    for start in starts:
        starts_table.add_row(f"{start.until_s:.2f}", str(len(start.denied)), start.denied[-1] if start.denied else "")
    console.print(starts_table)


if __name__ == "__main__":
    main()
