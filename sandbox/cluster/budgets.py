"""The controller of disruption budgets: what one covers, how much of that is healthy, how much may go."""

from sandbox.cluster.documents import (
    Document,
    Json,
    ReadOnly,
    at,
    controller_of,
    namespace_of,
    rows,
    text,
    uid_of,
    whole,
)
from sandbox.cluster.plane import Plane, condition, settled
from sandbox.cluster.pods import is_active, is_ready
from sandbox.cluster.resources import BUDGETS, PODS, resource_of_kind
from sandbox.cluster.selectors import selector_of, selects


def reconcile_budget(plane: Plane, budget: Document) -> None:
    """Count what a PodDisruptionBudget covers, and how much of it may go."""
    selector = selector_of(budget, "spec", "selector")
    pods = [one for one in plane.select(PODS, namespace_of(budget)) if selector and selects(selector, one)]
    active = [pod for pod in pods if is_active(pod)]
    expected, healthy = _expected(plane, budget, active), sum(map(is_ready, active))
    desired = _desired(budget, expected)
    allowed = max(0, healthy - desired) if expected else 0
    told = condition(
        "DisruptionAllowed",
        holds=bool(allowed),
        reason="SufficientPods" if allowed else "InsufficientPods",
        message="",
        now=plane.clock.now(),
    )
    status: Document = {
        "currentHealthy": healthy,
        "desiredHealthy": desired,
        "expectedPods": expected,
        "disruptionsAllowed": allowed,
        "observedGeneration": whole(budget, "metadata", "generation"),
        "conditions": [*settled([{**told, "message": ""}], rows(budget, "status", "conditions"))],
    }
    plane.set_status(BUDGETS, budget, status)


def _expected(plane: Plane, budget: ReadOnly, pods: list[Document]) -> int:
    """Return how many pods there should be: in shares only those count of which a controller says how many."""
    if isinstance(at(budget, "spec", "minAvailable"), int):
        return len(pods)
    owners = [owner for pod in pods if (owner := _scaled_owner(plane, pod)) is not None]
    return sum({uid_of(owner): whole(owner, "spec", "replicas") for owner in owners}.values())


def _scaled_owner(plane: Plane, pod: ReadOnly) -> Document | None:
    """Return the object on top of a pod that says how many of it there should be."""
    owner: Document | None = None
    reference = controller_of(pod)
    while reference:
        resource = resource_of_kind(text(reference, "apiVersion"), text(reference, "kind"))
        found = plane.find(resource, namespace_of(pod), name=text(reference, "name")) if resource else None
        if found is None:
            return owner
        owner, reference = found, controller_of(found)
    return owner


def _desired(budget: ReadOnly, expected: int) -> int:
    least = at(budget, "spec", "minAvailable")
    if least is not None:
        return _share(least, expected)
    return max(0, expected - _share(at(budget, "spec", "maxUnavailable"), expected))


def _share(told: Json, expected: int) -> int:
    if isinstance(told, int):
        return told
    return -(-expected * int(str(told or "0%").removesuffix("%")) // 100)
