"""May this pod be evicted under its disruption budgets? The judgement of the eviction API, pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from http import HTTPStatus

from sandbox.cluster.documents import (
    Document,
    Json,
    ReadOnly,
    copy_of,
    ensured,
    is_leaving,
    name_of,
    rows,
    stamp,
    text,
    whole,
)
from sandbox.cluster.errors import StatusError
from sandbox.cluster.pods import is_ready
from sandbox.cluster.selectors import selector_of, selects

_VIOLATION = "Cannot evict pod as it would violate the pod's disruption budget."
_SEVERAL = "This pod has more than one PodDisruptionBudget, which the eviction subresource does not support."
_UNBUDGETED_PHASES = frozenset({"Pending", "Succeeded", "Failed"})


@dataclass(frozen=True, slots=True)
class Allowed:
    """The pod may go; `budget` is to be charged for it, if any."""

    budget: Document | None = None


def judge(pod: ReadOnly, budgets: Sequence[Document]) -> Allowed | StatusError:
    """Return whether a pod may be evicted, given the budgets of its namespace."""
    if text(pod, "status", "phase") in _UNBUDGETED_PHASES or is_leaving(pod):
        return Allowed()
    mine = [budget for budget in budgets if _covers(budget, pod)]
    if len(mine) > 1:
        return StatusError(HTTPStatus.INTERNAL_SERVER_ERROR, "", _SEVERAL)
    if not mine:
        return Allowed()
    budget = mine[0]
    if not is_ready(pod) and _lets_unready_go(budget):
        return Allowed()
    return _judge_budget(budget)


def charged(budget: Document, pod_name: str, *, now: datetime) -> Document:
    """Return a budget that one eviction has been taken from."""
    after = copy_of(budget)
    status = ensured(after, "status")
    status["disruptionsAllowed"] = whole(status, "disruptionsAllowed") - 1
    ensured(status, "disruptedPods")[pod_name] = stamp(now)
    return after


def disrupted(pod: Document, *, now: datetime) -> Document:
    """Return a pod that says that it is evicted."""
    marked = copy_of(pod)
    condition: Document = {
        "type": "DisruptionTarget",
        "status": "True",
        "lastProbeTime": None,
        "lastTransitionTime": stamp(now),
        "reason": "EvictionByEvictionAPI",
        "message": "Eviction API: evicting",
    }
    others = [one for one in rows(pod, "status", "conditions") if text(one, "type") != "DisruptionTarget"]
    ensured(marked, "status")["conditions"] = [*others, condition]
    return marked


def _covers(budget: ReadOnly, pod: ReadOnly) -> bool:
    selector = selector_of(budget, "spec", "selector")
    return bool(selector) and selects(selector, pod)


def _lets_unready_go(budget: ReadOnly) -> bool:
    if text(budget, "spec", "unhealthyPodEvictionPolicy") == "AlwaysAllow":
        return True
    healthy, desired = whole(budget, "status", "currentHealthy"), whole(budget, "status", "desiredHealthy")
    return healthy >= desired > 0


def _judge_budget(budget: Document) -> Allowed | StatusError:
    if whole(budget, "status", "observedGeneration") < whole(budget, "metadata", "generation"):
        told = f"The disruption budget {name_of(budget)} is still being processed by the server."
        return _too_many(told, retry_after_seconds=10)
    if whole(budget, "status", "disruptionsAllowed") > 0:
        return Allowed(budget)
    desired, healthy = whole(budget, "status", "desiredHealthy"), whole(budget, "status", "currentHealthy")
    told = f"The disruption budget {name_of(budget)} needs {desired} healthy pods and has {healthy} currently"
    return _too_many(told, retry_after_seconds=0)


def _too_many(cause: str, *, retry_after_seconds: int) -> StatusError:
    causes: list[Json] = [{"reason": "DisruptionBudget", "message": cause}]
    details: Document = {"causes": causes}
    if retry_after_seconds:
        details["retryAfterSeconds"] = retry_after_seconds
    return StatusError(HTTPStatus.TOO_MANY_REQUESTS, "TooManyRequests", _VIOLATION, details=details)
