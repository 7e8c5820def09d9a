"""The Deployment controller: revisions as ReplicaSets, and a rollout that keeps within its bounds."""

from dataclasses import dataclass
from datetime import timedelta

from sandbox.cluster.claims import claim
from sandbox.cluster.documents import (
    Document,
    Json,
    ReadOnly,
    annotations_of,
    at,
    copied,
    copy_of,
    ensured,
    is_leaving,
    moment_of,
    name_of,
    namespace_of,
    rows,
    section,
    text,
    truth,
    whole,
)
from sandbox.cluster.names import template_hash
from sandbox.cluster.plane import Plane, condition, controlled_by, settled
from sandbox.cluster.resources import DEPLOYMENTS, REPLICA_SETS
from sandbox.cluster.writes import Target

HISTORY = "deployment.kubernetes.io/revision-history"
REVISION = "deployment.kubernetes.io/revision"
HASH = "pod-template-hash"
_COPIED_NOT = frozenset({REVISION, HISTORY, "kubectl.kubernetes.io/last-applied-configuration"})
_SOURCE = "deployment-controller"


@dataclass(frozen=True, slots=True)
class Bounds:
    """How many pods a rollout may have above, and lack below, what is wanted."""

    replicas: int
    surge: int
    unavailable: int


def reconcile_deployment(plane: Plane, deployment: Document) -> None:
    """Bring a Deployment's ReplicaSets, and its status, closer to its spec."""
    if is_leaving(deployment):
        return
    claim(plane, REPLICA_SETS, by=(DEPLOYMENTS, deployment))
    sets = plane.owned(REPLICA_SETS, deployment)
    current = _current(deployment, sets)
    if current is None and not truth(deployment, "spec", "paused"):
        _create_set(plane, deployment, sets)
        return
    if current is not None:
        _number(plane, deployment, current, sets=sets)
        _scale(plane, deployment, current, sets=sets)
    _tell_status(plane, deployment, current)


def planned(bounds: Bounds, current: ReadOnly, old: list[Document], *, recreate: bool) -> dict[str, int]:
    """Return how many replicas each ReplicaSet should have next, by name. Pure."""
    if recreate:
        return _recreated(bounds, current, old)
    wanted = whole(current, "spec", "replicas")
    total = wanted + sum(whole(one, "spec", "replicas") for one in old)
    room = max(0, bounds.replicas + bounds.surge - total)
    plan = {name_of(current): min(bounds.replicas, wanted + room)}
    may_go = total - (bounds.replicas - bounds.unavailable) - (wanted - _available(current))
    return plan | _shrunk(old, may_go, available=_available(current), least=bounds.replicas - bounds.unavailable)


def _recreated(bounds: Bounds, current: ReadOnly, old: list[Document]) -> dict[str, int]:
    plan = {name_of(one): 0 for one in old}
    is_empty = not any(whole(one, "status", "replicas") for one in old)
    return plan | {name_of(current): bounds.replicas if is_empty else whole(current, "spec", "replicas")}


def _shrunk(old: list[Document], may_go: int, *, available: int, least: int) -> dict[str, int]:
    """Take away first what does not work anyway, then what the bound of availability lets go."""
    plan: dict[str, int] = {}
    for one in old:
        size = whole(one, "spec", "replicas")
        broken = min(max(0, may_go), size - min(size, _available(one)))
        plan[name_of(one)] = size - broken
        may_go -= broken
    spare = min(may_go, available + sum(_available(one) for one in old) - least)
    for one in old:
        gone = min(max(0, spare), plan[name_of(one)])
        plan[name_of(one)] -= gone
        spare -= gone
    return plan


def bounds_of(deployment: ReadOnly) -> Bounds:
    """Return a rollout's bounds in whole pods, as apps/v1 rounds them."""
    replicas = whole(deployment, "spec", "replicas", default=1)
    surge = _share(at(deployment, "spec", "strategy", "rollingUpdate", "maxSurge"), replicas, up=True)
    unavailable = _share(at(deployment, "spec", "strategy", "rollingUpdate", "maxUnavailable"), replicas, up=False)
    return Bounds(replicas, surge, unavailable if surge or unavailable else 1)


def _share(told: Json, replicas: int, *, up: bool) -> int:
    if isinstance(told, int):
        return told
    percent = int(str(told or "25%").removesuffix("%"))
    return -(-replicas * percent // 100) if up else replicas * percent // 100


def _current(deployment: ReadOnly, sets: list[Document]) -> Document | None:
    wanted = _hash(deployment)
    return next((one for one in sets if text(one, "metadata", "labels", HASH) == wanted), None)


def _hash(deployment: ReadOnly) -> str:
    return template_hash(section(deployment, "spec", "template"), whole(deployment, "status", "collisionCount"))


def _create_set(plane: Plane, deployment: Document, sets: list[Document]) -> None:
    key = _hash(deployment)
    template = section(deployment, "spec", "template")
    made: Document = {
        "metadata": {
            "name": f"{name_of(deployment)}-{key}",
            "labels": section(template, "metadata", "labels") | {HASH: key},
            "annotations": _notes(deployment) | {REVISION: str(_newest(sets) + 1)},
            "ownerReferences": [controlled_by(DEPLOYMENTS, deployment)],
        },
        "spec": {
            "replicas": 0,
            "template": copied(template),
            "selector": copied(section(deployment, "spec", "selector")),
        },
    }
    ensured(made, "spec", "template", "metadata", "labels")[HASH] = key
    ensured(made, "spec", "selector", "matchLabels")[HASH] = key
    plane.api.create(Target(REPLICA_SETS, namespace_of(deployment)), made)


def _notes(deployment: ReadOnly) -> Document:
    return {name: value for name, value in annotations_of(deployment).items() if name not in _COPIED_NOT}


def _number(plane: Plane, deployment: Document, current: Document, *, sets: list[Document]) -> None:
    """Give the current ReplicaSet the newest revision, also when it is an old one that was rolled back to."""
    revision, newest = revision_of(current), _newest(sets)
    if revision < newest:
        changed = copy_of(current)
        notes = ensured(changed, "metadata", "annotations")
        before = [*str(notes.get(HISTORY, "")).split(","), str(revision)]
        notes[HISTORY] = ",".join(one for one in before if one and one != "0")
        notes[REVISION] = revision_text = str(newest + 1)
        plane.update(REPLICA_SETS, changed)
    else:
        revision_text = str(revision)
    if annotations_of(deployment).get(REVISION) != revision_text:
        numbered = copy_of(deployment)
        ensured(numbered, "metadata", "annotations")[REVISION] = revision_text
        plane.update(DEPLOYMENTS, numbered)


def _scale(plane: Plane, deployment: Document, current: Document, *, sets: list[Document]) -> None:
    old = [one for one in sets if name_of(one) != name_of(current)]
    recreate = text(deployment, "spec", "strategy", "type") == "Recreate"
    plan = planned(bounds_of(deployment), current, old, recreate=recreate)
    if truth(deployment, "spec", "paused"):
        plan = _scaled_alone(deployment, sets)
    for one in sets:
        size = plan.get(name_of(one), whole(one, "spec", "replicas"))
        fresh = plane.find(REPLICA_SETS, namespace_of(one), name=name_of(one))
        if fresh is None or whole(fresh, "spec", "replicas") == size:
            continue
        changed = copy_of(fresh)
        ensured(changed, "spec")["replicas"] = size
        plane.update(REPLICA_SETS, changed)
        way = "up" if size > whole(fresh, "spec", "replicas") else "down"
        message = f"Scaled {way} replica set {name_of(one)} from {whole(fresh, 'spec', 'replicas')} to {size}"
        plane.note(deployment, "ScalingReplicaSet", message, source=_SOURCE)
    _forget_old(plane, deployment, old)


def _scaled_alone(deployment: ReadOnly, sets: list[Document]) -> dict[str, int]:
    """Return the plan of a pause: where one ReplicaSet has all pods it follows the scale, else all stay as they are."""
    filled = [one for one in sets if whole(one, "spec", "replicas")]
    return {name_of(filled[0]): whole(deployment, "spec", "replicas")} if len(filled) == 1 else {}


def _forget_old(plane: Plane, deployment: ReadOnly, old: list[Document]) -> None:
    empty = sorted((one for one in old if not whole(one, "spec", "replicas")), key=revision_of)
    keep = whole(deployment, "spec", "revisionHistoryLimit", default=10)
    for one in empty[: max(0, len(empty) - keep)]:
        plane.delete(REPLICA_SETS, one)


def _tell_status(plane: Plane, deployment: Document, current: Document | None) -> None:
    fresh = plane.find(DEPLOYMENTS, namespace_of(deployment), name=name_of(deployment))
    if fresh is None:
        return
    sets = plane.owned(REPLICA_SETS, deployment)
    updated = next((one for one in sets if current is not None and name_of(one) == name_of(current)), None)
    total, ready, available = (sum(whole(one, "status", name) for one in sets) for name in _COUNTS)
    wanted = whole(fresh, "spec", "replicas", default=1)
    is_updated = whole(updated, "status", "replicas") if updated else 0
    counts = {
        "replicas": total,
        "updatedReplicas": is_updated,
        "readyReplicas": ready,
        "availableReplicas": available,
        "unavailableReplicas": max(0, total - available),
    }
    status: Document = {"observedGeneration": whole(fresh, "metadata", "generation")}
    status |= {name: count for name, count in counts.items() if count}
    is_complete = wanted == is_updated == available == total
    known = [one for one in rows(fresh, "status", "conditions") if not _has_moved(fresh, counts, one)]
    status["conditions"] = [
        *settled(_conditions(plane, fresh, available, complete=is_complete, updated=updated), known)
    ]
    plane.set_status(DEPLOYMENTS, fresh, status)


def _has_moved(deployment: ReadOnly, counts: dict[str, int], told: ReadOnly) -> bool:
    """Tell whether a rollout has got on since its progress was told last, so that its deadline begins anew."""
    if text(told, "type") != "Progressing" or text(told, "reason") != "ReplicaSetUpdated":
        return False
    return any(counts[name] > whole(deployment, "status", name) for name in _STEPS)


_STEPS = ("updatedReplicas", "readyReplicas", "availableReplicas")
_CALM = frozenset({"NewReplicaSetAvailable", "DeploymentPaused"})
_COUNTS = ("replicas", "readyReplicas", "availableReplicas")


def _conditions(
    plane: Plane, deployment: ReadOnly, available: int, *, complete: bool, updated: ReadOnly | None
) -> list[Document]:
    now, bounds = plane.clock.now(), bounds_of(deployment)
    has_enough = available >= bounds.replicas - bounds.unavailable
    reason = "MinimumReplicasAvailable" if has_enough else "MinimumReplicasUnavailable"
    words = "has" if has_enough else "does not have"
    is_available = condition(
        "Available", holds=has_enough, reason=reason, message=f"Deployment {words} minimum availability.", now=now
    )
    name = name_of(updated) if updated else ""
    if truth(deployment, "spec", "paused"):
        paused = condition(
            "Progressing", holds=False, reason="DeploymentPaused", message="Deployment is paused", now=now
        )
        return [is_available, {**paused, "status": "Unknown"}]
    if complete:
        told = ("NewReplicaSetAvailable", f'ReplicaSet "{name}" has successfully progressed.', True)
    elif _is_overdue(plane, deployment):
        told = ("ProgressDeadlineExceeded", f'ReplicaSet "{name}" has timed out progressing.', False)
    else:
        told = ("ReplicaSetUpdated", f'ReplicaSet "{name}" is progressing.', True)
    return [is_available, condition("Progressing", holds=told[2], reason=told[0], message=told[1], now=now)]


def _is_overdue(plane: Plane, deployment: ReadOnly) -> bool:
    conditions = rows(deployment, "status", "conditions")
    since = next((text(one, "lastUpdateTime") for one in conditions if text(one, "type") == "Progressing"), "")
    reason = next((text(one, "reason") for one in conditions if text(one, "type") == "Progressing"), "")
    moment = moment_of(since)
    if moment is None or reason in _CALM:
        return False
    return reason == "ProgressDeadlineExceeded" or plane.clock.since(moment) >= deadline_of(deployment)


def deadline_of(deployment: ReadOnly) -> timedelta:
    """Return how long a rollout may go without progress."""
    return timedelta(seconds=whole(deployment, "spec", "progressDeadlineSeconds", default=600))


def _available(replica_set: ReadOnly) -> int:
    return whole(replica_set, "status", "availableReplicas")


def revision_of(replica_set: ReadOnly) -> int:
    """Return a ReplicaSet's revision; 0 if it has none."""
    told = annotations_of(replica_set).get(REVISION, "")
    return int(told) if told.isdecimal() else 0


def _newest(sets: list[Document]) -> int:
    return max(map(revision_of, sets), default=0)
