"""Which pods a change replaces, how many at once, and how few are available meanwhile: by the rules of controllers."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from services.remediator.core.evidence import controller_name, name_of
from shared.contracts.actions.disruption import QUARTER, share_of
from shared.contracts.model import JsonObject
from shared.contracts.objects import condition, number, section, text
from shared.contracts.workloads import WorkloadRef
from shared.kernel.quantities import parse_whole

_TEMPLATE_HASH = "pod-template-hash"


@dataclass(frozen=True, slots=True, kw_only=True)
class Rollout:
    """The pods that are replaced, in their order where `is_ordered`; how many go before, and come above, the others.

    `away` is the most that may be away at once, `surge` the most that are there beyond the wanted number.
    """

    pods: Sequence[JsonObject]
    wanted: int
    away: int
    surge: int = 0
    is_ordered: bool = False
    is_pinned: bool = False
    note: str = ""

    @property
    def wave(self) -> int:
        """Return how many new pods are made at once, before any of them is ready."""
        if self.is_pinned:
            return len(self.pods)
        return min(self.surge or self.away, len(self.pods))

    @property
    def freed(self) -> Sequence[JsonObject]:
        """Return the pods that are known to be gone before the first new ones are made."""
        if self.is_pinned:
            return self.pods
        is_all = self.away >= len(self.pods)
        return self.pods[: self.away] if not self.surge and (self.is_ordered or is_all) else ()


def eviction(pod: JsonObject) -> Rollout:
    """Return what becomes of one pod that is evicted."""
    return Rollout(pods=[pod], wanted=1, away=1, is_ordered=True, is_pinned=is_of(pod, "DaemonSet"))


def rollout(
    ref: WorkloadRef, after: JsonObject, *, pods: Sequence[JsonObject], sets: Iterable[JsonObject]
) -> Rollout | None:
    """Return what a new template does to the pods of a workload; None of a kind whose controller is not known."""
    known = _BY_KIND.get(ref.kind)
    if known is None:
        return None
    kept = {("ReplicaSet", name_of(one)) for one in sets if _template(one) == _template(after)}
    return known(after, [pod for pod in pods if controller_name(pod) not in kept])


def lowest_available(change: Rollout, pods: Sequence[JsonObject]) -> int:
    """Return a number below which the available pods do not fall by the change."""
    available = sum(is_ready(pod) for pod in pods)
    replaced = sum(is_ready(pod) for pod in change.pods)
    if change.is_ordered:  # goes on whichever other pods are not ready
        return max(available - min(change.away, replaced), 0)
    return max(min(available, change.wanted - change.away), available - replaced, 0)


def is_ready(pod: JsonObject) -> bool:
    """Tell whether a pod is ready, and not about to go."""
    is_leaving = bool(section(pod, "metadata").get("deletionTimestamp"))
    return not is_leaving and text(condition(pod, "Ready"), "status") == "True"


def is_of(pod: JsonObject, kind: str) -> bool:
    """Tell whether a pod's controller is of a kind."""
    return (controller_name(pod) or ("", ""))[0] == kind


def _deployment(after: JsonObject, pods: Sequence[JsonObject]) -> Rollout:
    wanted, strategy = number(section(after, "spec"), "replicas", 1), section(after, "spec", "strategy")
    if section(after, "spec").get("paused") is True:
        return Rollout(pods=(), wanted=wanted, away=0, note="paused: nothing is replaced before it goes on")
    if text(strategy, "type") == "Recreate":
        return Rollout(pods=pods, wanted=wanted, away=max(len(pods), wanted))
    told = section(strategy, "rollingUpdate")
    surge = share_of(told.get("maxSurge", QUARTER), wanted, is_rounded_up=True)
    away = share_of(told.get("maxUnavailable", QUARTER), wanted, is_rounded_up=False)
    return Rollout(pods=pods, wanted=wanted, away=away if surge or away else 1, surge=surge)


def _stateful_set(after: JsonObject, pods: Sequence[JsonObject]) -> Rollout:
    wanted, strategy = number(section(after, "spec"), "replicas", 1), section(after, "spec", "updateStrategy")
    if text(strategy, "type") == "OnDelete":
        return Rollout(pods=(), wanted=wanted, away=0, note="OnDelete: a pod is replaced when somebody deletes it")
    told = section(strategy, "rollingUpdate")
    ordered = sorted(pods, key=_ordinal, reverse=True)
    replaced = [pod for pod in ordered if _ordinal(pod) >= number(told, "partition")]
    away = max(share_of(told.get("maxUnavailable", 1), wanted, is_rounded_up=False), 1)
    return Rollout(pods=replaced, wanted=wanted, away=away, is_ordered=True)


def _daemon_set(after: JsonObject, pods: Sequence[JsonObject]) -> Rollout:
    wanted = number(section(after, "status"), "desiredNumberScheduled", len(pods))
    strategy = section(after, "spec", "updateStrategy")
    if text(strategy, "type") == "OnDelete":
        return Rollout(pods=(), wanted=wanted, away=0, note="OnDelete: a pod is replaced when somebody deletes it")
    told = section(strategy, "rollingUpdate")
    surge = share_of(told.get("maxSurge", 0), wanted, is_rounded_up=True)
    away = share_of(told.get("maxUnavailable", 1), wanted, is_rounded_up=True)
    return Rollout(pods=pods, wanted=wanted, away=away if surge or away else 1, surge=surge, is_pinned=True)


_BY_KIND: Mapping[str, Callable[[JsonObject, Sequence[JsonObject]], Rollout]] = {
    "Deployment": _deployment,
    "StatefulSet": _stateful_set,
    "DaemonSet": _daemon_set,
}


def _ordinal(pod: JsonObject) -> int:
    told = name_of(pod).rpartition("-")[2]
    return parse_whole(told) or 0


def _template(source: JsonObject) -> tuple[JsonObject, JsonObject]:
    """Return the labels and the specification of the pods that an object makes."""
    template = section(source, "spec", "template")
    labels = section(template, "metadata", "labels")
    return {name: one for name, one in labels.items() if name != _TEMPLATE_HASH}, section(template, "spec")
