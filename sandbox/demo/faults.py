"""The three ways in which the demo breaks the bank; each is an ordinary write that anybody could make with kubectl."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

from sandbox.cluster.kubelet import EXIT_CODE, NEEDS_MEMORY
from sandbox.demo.bank import NAMESPACE, deployment_path
from shared.infra.kube import KubeClient, PatchType

if TYPE_CHECKING:
    from shared.contracts.model import JsonObject

_PODS = f"/api/v1/namespaces/{NAMESPACE}/pods"


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault: what it is called, whom it hits, how it is made."""

    name: str
    workload: str
    told: str
    make: Callable[[KubeClient], Awaitable[None]]

    @property
    def key(self) -> str:
        """Return the key of the workload."""
        return f"{NAMESPACE}/Deployment/{self.workload}"


async def _crash_loop(client: KubeClient) -> None:
    """Let one pod crash until it is replaced, as a stale lock in its volume would."""
    pods = await client.list(_PODS, labelSelector="app=userservice")
    name = str(cast("JsonObject", pods.items[0]["metadata"])["name"])
    patch: JsonObject = {"metadata": {"annotations": {EXIT_CODE: "3"}}}
    await client.patch(f"{_PODS}/{name}", patch, kind=PatchType.MERGE)


async def _need_memory(client: KubeClient) -> None:
    """Roll out a release that needs more memory than its limit of 256Mi."""
    patch: JsonObject = {"spec": {"template": {"metadata": {"annotations": {NEEDS_MEMORY: "400Mi"}}}}}
    await client.patch(deployment_path("balancereader"), patch, kind=PatchType.MERGE)


async def _roll_out_missing(client: KubeClient) -> None:
    """Roll out an image that does not exist."""
    containers: JsonObject = {"name": "frontend", "image": "bank/frontend:missing-v2"}
    patch: JsonObject = {"spec": {"template": {"spec": {"containers": [containers]}}}}
    await client.patch(deployment_path("frontend"), patch, kind=PatchType.STRATEGIC)


FAULTS = (
    Fault("crash loop", "userservice", "a container of userservice crashes again and again", _crash_loop),
    Fault(
        "out of memory",
        "balancereader",
        "a release of balancereader needs 400Mi and has a limit of 256Mi",
        _need_memory,
    ),
    Fault("missing image", "frontend", "a rollout of frontend names an image that does not exist", _roll_out_missing),
)
