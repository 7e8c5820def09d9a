"""Who else owns a field of an object: what another actor keeps as it wants it is not to be changed behind its back.

Read from what Kubernetes tells of writers (`metadata.managedFields`) and owners (`metadata.ownerReferences`), from the
labels by which an actor tracks what it applies, and from the autoscalers that name the object. Whatever an object
holds, a writer that cannot be read is none.
"""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Literal, cast

from shared.contracts.model import JsonObject, JsonValue
from shared.contracts.objects import annotations_of, flag, section, sections, text
from shared.contracts.requests import OUR_MANAGER
from shared.contracts.workloads import WorkloadRef

DESPITE_ANNOTATION = "sre-agent.dev/despite-owner"
"""On an object: the owners, separated by commas, that let us change what is theirs. Whoever owns it writes it there."""
TEMPLATE = ("spec", "template")
REPLICAS = ("spec", "replicas")
Step = str | tuple[str, str]
"""A field by its name; or an item of a list by a key of it and the key's value."""
FieldPath = tuple[Step, ...]
Resource = Literal["cpu", "memory"]


class Owner(StrEnum):
    """Who keeps fields of others' objects as it wants them."""

    ARGO_CD = "argo-cd"
    FLUX = "flux"
    KEDA = "keda"
    HPA = "hpa"
    VPA = "vpa"
    OPERATOR = "operator"


@dataclass(frozen=True, slots=True)
class Ownership:
    """Who owns a field, and what tells so."""

    owner: Owner
    by: str

    def __str__(self) -> str:
        """Return both as a person reads them."""
        return f"{self.owner} ({self.by})"


_MANAGERS: Mapping[str, Owner] = {
    "argocd-controller": Owner.ARGO_CD,
    "argocd-application-controller": Owner.ARGO_CD,
    "kustomize-controller": Owner.FLUX,
    "helm-controller": Owner.FLUX,
    "keda-operator": Owner.KEDA,
    "vpa-updater": Owner.VPA,
    "vpa-admission-controller": Owner.VPA,
}
"""By the names under which they write."""
_TRACKING: Mapping[str, Owner] = {
    "argocd.argoproj.io/instance": Owner.ARGO_CD,
    "argocd.argoproj.io/tracking-id": Owner.ARGO_CD,
    "kustomize.toolkit.fluxcd.io/name": Owner.FLUX,
    "helm.toolkit.fluxcd.io/name": Owner.FLUX,
}
"""By the labels and annotations under which they find again what they have applied: all of it is theirs."""
_SCALED_BY = "scaledobject.keda.sh/name"
_SUSPENDED = ("kustomize.toolkit.fluxcd.io/reconcile", "disabled")
_SCALER = "kube-controller-manager"
_IDLE_MODES = frozenset({"Off"})
_SOMEBODY = "somebody"
_QUOTED_CHARS = 63
"""How much of a name is quoted that may be of any length."""


def memory_of(container: str, bound: str) -> FieldPath:
    """Return the path of a container's memory in the template; `bound` is limits or requests."""
    return _resource_of(container, bound, "memory")


def cpu_of(container: str, bound: str) -> FieldPath:
    """Return the path of a container's CPU in the template; `bound` is limits or requests."""
    return _resource_of(container, bound, "cpu")


def owner_of(source: JsonObject, path: FieldPath) -> Ownership | None:
    """Return who owns a field by what its object itself tells, unless it lets us change it all the same."""
    allowed = _allowed_by(source)
    return next((one for one in _owners(source, path) if one.owner not in allowed), None)


def maker_of(source: JsonObject) -> Ownership | None:
    """Return the operator that made an object, and so makes all of it again, unless it lets us change it all the same.

    That is told by an owner of a kind that was installed: only such lie in an API group with a dot. Some operators do
    not say of themselves that they control what they made (`controller`), and do.
    """
    if Owner.OPERATOR in _allowed_by(source):
        return None
    owners = [one for one in sections(source, "metadata", "ownerReferences") if not _is_built_in(one)]
    one = max(owners, key=lambda owner: flag(owner, "controller"), default=None)
    if one is None:
        return None
    group = text(one, "apiVersion").rpartition("/")[0] or "no group"
    kind, name, group = (told[:_QUOTED_CHARS] for told in (text(one, "kind"), text(one, "name"), group))
    return Ownership(Owner.OPERATOR, f"{kind} {name} of {group}")


def scaler_of(workload: WorkloadRef, autoscalers: Iterable[JsonObject]) -> Ownership | None:
    """Return what sets a workload's replicas: the HorizontalPodAutoscaler that names it, KEDA where that is KEDA's."""
    for one in autoscalers:
        if _names(section(one, "spec", "scaleTargetRef"), workload):
            scaled = text(section(one, "metadata", "labels"), _SCALED_BY)
            return Ownership(Owner.KEDA, f"ScaledObject {scaled}") if scaled else Ownership(Owner.HPA, _named(one))
    return None


def sizer_of(
    workload: JsonObject, ref: WorkloadRef, autoscalers: Iterable[JsonObject], *, container: str, resource: Resource
) -> Ownership | None:
    """Return the VerticalPodAutoscaler that sizes a container as pods are made, unless we may all the same."""
    if Owner.VPA in _allowed_by(workload):
        return None
    theirs = (one for one in autoscalers if _names(section(one, "spec", "targetRef"), ref))
    found = (one for one in theirs if _sizes(one, container, resource))
    return next((Ownership(Owner.VPA, _named(one)) for one in found), None)


def last_writer_of(source: JsonObject, path: FieldPath) -> str:
    """Return the name under which a field was written last; `somebody` where the object does not tell."""
    writers = [one for one in sections(source, "metadata", "managedFields") if _holds(section(one, "fieldsV1"), path)]
    return max(((text(one, "time"), text(one, "manager")) for one in writers), default=("", ""))[1] or _SOMEBODY


def other_writer_of(source: JsonObject, path: FieldPath) -> str:
    """Return who but us wrote a field last; empty where that was us, or where the object does not tell."""
    writer = last_writer_of(source, path)
    return "" if writer in {OUR_MANAGER, _SOMEBODY} else writer


def in_words(path: FieldPath) -> str:
    """Return a path as a person writes it: `spec.template.spec.containers[web].resources.limits.memory`."""
    return "".join(f"[{step[1]}]" if isinstance(step, tuple) else f".{step}" for step in path).removeprefix(".")


def _resource_of(container: str, bound: str, resource: Resource) -> FieldPath:
    return (*TEMPLATE, "spec", "containers", ("name", container), "resources", bound, resource)


def _is_built_in(owner: JsonObject) -> bool:
    version = text(owner, "apiVersion")
    return bool(version) and "." not in version.rpartition("/")[0]


def _owners(source: JsonObject, path: FieldPath) -> Iterator[Ownership]:
    maker = maker_of(source)
    if maker is not None:
        yield maker
    yield from _trackers(source)
    for entry in sections(source, "metadata", "managedFields"):
        owner = _manager_of(entry)
        is_idle = owner is Owner.FLUX and _is_suspended(source)
        if owner is not None and not is_idle and _holds(section(entry, "fieldsV1"), path):
            yield Ownership(owner, f"manager {text(entry, 'manager')}")


def _trackers(source: JsonObject) -> Iterator[Ownership]:
    for carried in (section(source, "metadata", "labels"), annotations_of(source)):
        for name, owner in _TRACKING.items():
            if carried.get(name) and not (owner is Owner.FLUX and _is_suspended(source)):
                yield Ownership(owner, f"{name}: {carried[name]}")


def _is_suspended(source: JsonObject) -> bool:
    name, value = _SUSPENDED
    return value in (text(annotations_of(source), name), text(section(source, "metadata", "labels"), name))


def _manager_of(entry: JsonObject) -> Owner | None:
    manager = text(entry, "manager")
    if manager == _SCALER and text(entry, "subresource") == "scale":
        return Owner.HPA
    return _MANAGERS.get(manager)


def _allowed_by(source: JsonObject) -> frozenset[str]:
    return frozenset(one.strip() for one in text(annotations_of(source), DESPITE_ANNOTATION).split(","))


def _holds(fields: JsonObject, path: Sequence[Step]) -> bool:
    """Tell whether fields in the form fieldsV1 hold a path, something beneath it, or all of what it lies in."""
    if not path or not fields:
        return not path
    inner = _beneath(fields, path[0])
    return inner is not None and (not inner or _holds(inner, path[1:]))


def _beneath(fields: JsonObject, step: Step) -> JsonObject | None:
    if isinstance(step, str):
        found = fields.get(f"f:{step}")
        return found if isinstance(found, dict) else None
    return next((inner for key, inner in fields.items() if isinstance(inner, dict) and _is_item(key, step)), None)


def _is_item(key: str, step: tuple[str, str]) -> bool:
    try:
        told: JsonValue = json.loads(key.removeprefix("k:")) if key.startswith("k:") else None
    except (ValueError, RecursionError):
        return False
    return isinstance(told, dict) and told.get(step[0]) == step[1]


def _names(target: JsonObject, workload: WorkloadRef) -> bool:
    return (text(target, "kind"), text(target, "name")) == (workload.kind, workload.name)


def _named(source: JsonObject) -> str:
    return text(section(source, "metadata"), "name")


def _sizes(autoscaler: JsonObject, container: str, resource: Resource) -> bool:
    """Tell whether a VerticalPodAutoscaler sets a resource of a container: where nothing is said it does."""
    if text(section(autoscaler, "spec", "updatePolicy"), "updateMode") in _IDLE_MODES:
        return False
    policies = {text(one, "containerName"): one for one in _policies(autoscaler)}
    policy = policies.get(container, policies.get("*", cast("JsonObject", {})))
    resources = policy.get("controlledResources")
    return text(policy, "mode") not in _IDLE_MODES and (not isinstance(resources, list) or resource in resources)


def _policies(autoscaler: JsonObject) -> Iterator[JsonObject]:
    yield from sections(autoscaler, "spec", "resourcePolicy", "containerPolicies")
