"""The actions on a cluster: each reads the live object, checks, changes it under its version, and can be told apart."""

from dataclasses import dataclass
from typing import assert_never

from services.remediator.adapters.cluster import Cluster
from services.remediator.adapters.paths import PATHS
from services.remediator.core.changes import (
    Change,
    controller_of,
    is_marked,
    is_protected,
    marks,
    memory_change,
    rollback_change,
    uid_of,
    version_of,
)
from services.remediator.core.refusals import Refusal
from shared.contracts.actions import RestartPod, Rollback, SetMemory
from shared.contracts.commands import Command
from shared.contracts.model import JsonObject
from shared.contracts.workloads import WorkloadRef
from shared.infra.kube import KubeError, PatchType

_PATHS = {**PATHS, "ReplicaSet": "/apis/apps/v1/namespaces/{}/replicasets/{}"}
"""Of the kinds that commands are about, and of those that lie between them and their pods."""
_NOT_FOUND, _CONFLICT, _FORBIDDEN, _TOO_MANY = 404, 409, 403, 429
_REFUSALS = {
    _NOT_FOUND: Refusal.TARGET_GONE,
    _CONFLICT: Refusal.CHANGED_MEANWHILE,
    _FORBIDDEN: Refusal.FORBIDDEN,
    _TOO_MANY: Refusal.DISRUPTION_BUDGET,
}
_READINGS = 5


@dataclass(frozen=True, slots=True)
class Done:
    """What was changed (or, in a dry run, would be), in words."""

    changes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Refused:
    """Why nothing was changed; `message` is the API server's, if it was that."""

    refusal: Refusal
    message: str = ""


class Actor:
    """Carry actions out under a leader's token."""

    def __init__(self, client: Cluster) -> None:
        self._client = client

    async def act(self, command: Command, *, token: int, dry_run: bool) -> Done | Refused:
        """Do what a command says, or ask the API server what it would do.

        Where the object was written between reading and changing, a controller's status mostly, all is read and judged
        again, a bounded number of times.

        Raises:
            UnavailableError: the API server does not answer; it may have happened, `has_happened` tells.
        """
        answer = await self._act_once(command, token=token, dry_run=dry_run)
        for _ in range(_READINGS - 1):
            if not _is_conflict(answer):
                break
            answer = await self._act_once(command, token=token, dry_run=dry_run)
        return answer

    async def has_happened(self, command: Command) -> bool:
        """Tell from the object itself whether a command was carried out.

        Raises:
            UnavailableError: the API server does not answer.
        """
        if not isinstance(command.action, RestartPod):
            workload = await self._find(command.workload)
            return workload is not None and is_marked(workload, command.id)
        pod = await self._find(_pod_of(command, command.action))
        if pod is None or uid_of(pod) != command.action.uid:
            return True
        metadata = pod["metadata"]
        return isinstance(metadata, dict) and bool(metadata.get("deletionTimestamp"))

    async def _act_once(self, command: Command, *, token: int, dry_run: bool) -> Done | Refused:
        try:
            match command.action:
                case RestartPod():
                    return await self._restart(command, command.action, token=token, dry_run=dry_run)
                case SetMemory() | Rollback():
                    return await self._change(command, token=token, dry_run=dry_run)
                case _:
                    assert_never(command.action)
        except KubeError as refused:
            return Refused(_REFUSALS.get(refused.status, Refusal.REJECTED), refused.message)

    async def _restart(self, command: Command, action: RestartPod, *, token: int, dry_run: bool) -> Done | Refused:
        ref = _pod_of(command, action)
        pod = await self._client.get(_path(ref))
        if uid_of(pod) != action.uid:
            return Refused(Refusal.TARGET_REPLACED)
        refusal = await self._standing(pod, command)
        if refusal is not None:
            return Refused(refusal)
        if not dry_run:
            await self._mark(ref, pod, command=command.id, token=token)
        await self._client.create(f"{_path(ref)}/eviction", _eviction(ref, action.uid), dry_run=dry_run)
        return Done((f"pod {action.pod}: evicted, its controller replaces it",))

    async def _change(self, command: Command, *, token: int, dry_run: bool) -> Done | Refused:
        action = command.action
        if command.workload.kind not in {"Deployment", "StatefulSet", "DaemonSet"}:
            return Refused(Refusal.KIND_NOT_SUPPORTED)
        workload = await self._client.get(_path(command.workload))
        if is_protected(workload, command.protected_labels):
            return Refused(Refusal.PROTECTED_OBJECT)
        if isinstance(action, SetMemory):
            change = memory_change(workload, action, command=command.id, token=token)
            return await self._patched(command.workload, change, PatchType.STRATEGIC, dry_run=dry_run)
        if command.workload.kind != "Deployment" or not isinstance(action, Rollback):
            return Refused(Refusal.KIND_NOT_SUPPORTED)
        owned = await self._client.list(f"/apis/apps/v1/namespaces/{command.workload.namespace}/replicasets")
        change = rollback_change(workload, owned.items, action, command=command.id, token=token)
        return await self._patched(command.workload, change, PatchType.JSON, dry_run=dry_run)

    async def _patched(
        self, ref: WorkloadRef, change: Change | Refusal, kind: PatchType, *, dry_run: bool
    ) -> Done | Refused:
        if isinstance(change, Refusal):
            return Refused(change)
        await self._client.patch(_path(ref), change.patch, kind=kind, dry_run=dry_run)
        return Done(change.lines)

    async def _mark(self, ref: WorkloadRef, source: JsonObject, *, command: str, token: int) -> None:
        """Write command and token on a pod before it is evicted: the audit log then tells by whom."""
        metadata: JsonObject = {"resourceVersion": version_of(source), "annotations": marks(command, token)}
        await self._client.patch(_path(ref), {"metadata": metadata}, kind=PatchType.MERGE)

    async def _standing(self, pod: JsonObject, command: Command) -> Refusal | None:
        """Return why a pod must not be evicted: it or what owns it is protected, or no owner of it is the workload."""
        at, workload = pod, command.workload
        for _ in _PATHS:  # an owner that owns itself must not hold us up
            if is_protected(at, command.protected_labels):
                return Refusal.PROTECTED_OBJECT
            owner = _owner_of(at, workload.namespace)
            if owner is None:
                return Refusal.NO_CONTROLLER if at is pod else Refusal.NOT_OF_WORKLOAD
            if owner.kind not in _PATHS:  # whether it is protected cannot be told
                return Refusal.KIND_NOT_SUPPORTED if owner == workload else Refusal.NOT_OF_WORKLOAD
            at = await self._client.get(_path(owner))
            if owner == workload:
                return Refusal.PROTECTED_OBJECT if is_protected(at, command.protected_labels) else None
        return Refusal.NOT_OF_WORKLOAD

    async def _find(self, ref: WorkloadRef) -> JsonObject | None:
        if ref.kind not in _PATHS:
            return None  # nothing is done to other kinds, so nothing has happened to one
        try:
            return await self._client.get(_path(ref))
        except KubeError as refused:
            if refused.status == _NOT_FOUND:
                return None
            raise


def _is_conflict(answer: Done | Refused) -> bool:
    """Tell whether the API server, and not our own reading, found that an object had changed."""
    return isinstance(answer, Refused) and answer.refusal is Refusal.CHANGED_MEANWHILE and bool(answer.message)


def _pod_of(command: Command, action: RestartPod) -> WorkloadRef:
    return WorkloadRef(kind="Pod", namespace=command.workload.namespace, name=action.pod)


def _owner_of(source: JsonObject, namespace: str) -> WorkloadRef | None:
    owner = controller_of(source)
    if owner is None:
        return None
    return WorkloadRef(kind=str(owner.get("kind")), namespace=namespace, name=str(owner.get("name")))


def _path(ref: WorkloadRef) -> str:
    return _PATHS[ref.kind].format(ref.namespace, ref.name)


def _eviction(ref: WorkloadRef, uid: str) -> JsonObject:
    return {
        "apiVersion": "policy/v1",
        "kind": "Eviction",
        "metadata": {"name": ref.name, "namespace": ref.namespace},
        "deleteOptions": {"preconditions": {"uid": uid}},
    }
