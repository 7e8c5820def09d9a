"""What a new template or fewer replicas may take: neither is an eviction, so that Kubernetes asks no budget for it."""

from collections.abc import Generator, Iterable, Mapping, Sequence

from shared.contracts.actions.base import Order, RefusedError, read_all
from shared.contracts.model import JsonObject, JsonValue
from shared.contracts.objects import condition, number, section, sections, text
from shared.contracts.refusals import Refusal
from shared.contracts.requests import Answer, ListAll
from shared.contracts.rights import Right
from shared.kernel.quantities import parse_whole

READS_BUDGETS = frozenset({Right("policy", "poddisruptionbudgets", "list")})
QUARTER = "25%"
"""What a Deployment takes for maxUnavailable and maxSurge where it does not say."""


def check_budgets_of_rollout(workload: JsonObject, order: Order) -> Generator[ListAll, Answer, None]:
    """Hold a rollout of a new template against the budgets of the workload's namespace.

    Raises:
        RefusedError: it could take more pods than one of them allows.
    """
    yield from _check_budgets(workload, order, lowest=lowest_in_rollout(workload), by="a rollout")


def check_budgets_of_scaling(workload: JsonObject, order: Order, *, to: int) -> Generator[ListAll, Answer, None]:
    """Hold fewer replicas against the budgets of the workload's namespace, as they count it before.

    Raises:
        RefusedError: more pods would go than one of them allows.
    """
    yield from _check_budgets(workload, order, lowest=lowest_in_scaling(workload, to=to), by="scaling")


def budget_broken(workload: JsonObject, budgets: Iterable[JsonObject], *, lowest: int, by: str) -> str:
    """Return which budget is broken where so few pods are left available, in words; empty where none is.

    What is not available before cannot be taken: of who has no pod that works any number may go.
    """
    if not _available(workload):
        return ""
    labels = section(workload, "spec", "template", "metadata", "labels")
    for budget in budgets:
        wanted = number(section(budget, "status"), "desiredHealthy", default=_replicas(workload))
        if lowest < wanted and selects(section(budget, "spec"), labels):
            name = text(section(budget, "metadata"), "name")
            return f"{by} may leave {lowest} pods available, and {name} asks for {wanted}"
    return ""


def first_held(pods: Iterable[JsonObject], budgets: Sequence[JsonObject]) -> tuple[int, str] | None:
    """Return the number of the first pod, of those evicted one after the other, that a budget has nothing left for.

    With it why, in words; None where all may go. As the API server counts it, no pod becoming healthy meanwhile.
    """
    taken = [0] * len(budgets)
    for nth, pod in enumerate(pods):
        for place, budget in enumerate(budgets):
            taken[place] += _is_charged(budget, pod, taken=taken[place])
            allowed = number(section(budget, "status"), "disruptionsAllowed")
            if taken[place] > allowed:
                name = text(section(budget, "metadata"), "name")
                return nth, f"budget {name} lets {allowed} go now"
    return None


def lowest_in_rollout(workload: JsonObject) -> int:
    """Return how many pods a rollout may leave available, by the workload's own strategy.

    A Deployment and a DaemonSet count the pods that are down already among those that they take; a StatefulSet goes
    from its highest number down, and takes as many beside them.
    """
    replicas = _replicas(workload)
    match text(workload, "kind"):
        case "StatefulSet":
            taken = _taken_in_update(workload, is_rounded_up=False, least=1)  # where it rounds to none one is taken
            return max(0, min(_available(workload), replicas) - taken) if taken else replicas
        case "DaemonSet":
            return max(0, replicas - _taken_in_update(workload, is_rounded_up=True, least=0))
        case _:
            return max(0, replicas - _taken_at_once(workload))


def lowest_in_scaling(workload: JsonObject, *, to: int) -> int:
    """Return how many pods fewer replicas may leave available.

    A Deployment loses those first that are not ready. A StatefulSet loses its highest numbers, whichever is down.
    """
    if text(workload, "kind") == "StatefulSet":
        return max(0, _available(workload) - (_replicas(workload) - to))
    return to


def share_of(told: JsonValue, total: int, *, is_rounded_up: bool) -> int:
    """Return what a strategy says of so many pods, as a number or in percent; all of them where it is neither."""
    if isinstance(told, int) and not isinstance(told, bool):
        return max(0, told)
    percent = parse_whole(told.removesuffix("%")) if isinstance(told, str) else None
    if percent is None:
        return total
    return -(-total * percent // 100) if is_rounded_up else total * percent // 100


def selects(spec: JsonObject, labels: Mapping[str, JsonValue]) -> bool:
    """Tell whether a budget is about pods with these labels; one without a selector is about none."""
    if not isinstance(spec.get("selector"), dict):
        return False
    selector = section(spec, "selector")
    exact = section(selector, "matchLabels").items()
    return all(labels.get(name) == value for name, value in exact) and all(
        _is_met(one, labels) for one in sections(selector, "matchExpressions")
    )


def _check_budgets(workload: JsonObject, order: Order, *, lowest: int, by: str) -> Generator[ListAll, Answer, None]:
    if order.reverts:  # what undoes a harm waits for no budget
        return
    budgets = yield from read_all(f"/apis/policy/v1/namespaces/{order.workload.namespace}/poddisruptionbudgets")
    broken = budget_broken(workload, budgets, lowest=lowest, by=by)
    if broken:
        raise RefusedError(Refusal.DISRUPTION_BUDGET, broken)


def _is_charged(budget: JsonObject, pod: JsonObject, *, taken: int) -> bool:
    """Tell whether a budget, of which so much is taken, is charged for the eviction of a pod."""
    spec, status, metadata = section(budget, "spec"), section(budget, "status"), section(pod, "metadata")
    if text(section(budget, "metadata"), "namespace") != text(metadata, "namespace"):
        return False
    if text(section(pod, "status"), "phase") == "Pending" or not selects(spec, section(metadata, "labels")):
        return False
    if text(condition(pod, "Ready"), "status") == "True":
        return True
    healthy, wanted = number(status, "currentHealthy") - taken, number(status, "desiredHealthy")
    return text(spec, "unhealthyPodEvictionPolicy") != "AlwaysAllow" and not healthy >= wanted > 0


def _is_met(expression: JsonObject, labels: Mapping[str, JsonValue]) -> bool:
    name, told = text(expression, "key"), expression.get("values")
    values: list[JsonValue] = told if isinstance(told, list) else []
    match text(expression, "operator"):
        case "In":
            return name in labels and labels[name] in values
        case "NotIn":
            return name not in labels or labels[name] not in values
        case "DoesNotExist":
            return name not in labels
        case "Exists":
            return name in labels
        case _:
            return True  # of what nobody knows yet the stricter is taken


def _taken_at_once(workload: JsonObject) -> int:
    strategy, replicas = section(workload, "spec", "strategy"), _replicas(workload)
    if text(strategy, "type") == "Recreate":
        return replicas
    rolling = section(strategy, "rollingUpdate")
    taken = share_of(rolling.get("maxUnavailable", QUARTER), replicas, is_rounded_up=False)
    surge = share_of(rolling.get("maxSurge", QUARTER), replicas, is_rounded_up=True)
    return taken if taken or surge else 1  # neither would never end: Kubernetes takes one


def _taken_in_update(workload: JsonObject, *, is_rounded_up: bool, least: int) -> int:
    """Return how many pods a rolling update takes at once; none where only their deletion brings new ones."""
    strategy = section(workload, "spec", "updateStrategy")
    if text(strategy, "type") == "OnDelete":
        return 0
    told = section(strategy, "rollingUpdate").get("maxUnavailable", 1)
    return max(least, share_of(told, _replicas(workload), is_rounded_up=is_rounded_up))


def _replicas(workload: JsonObject) -> int:
    if text(workload, "kind") == "DaemonSet":
        return number(section(workload, "status"), "desiredNumberScheduled")
    return number(section(workload, "spec"), "replicas", default=1)


def _available(workload: JsonObject) -> int:
    status = section(workload, "status")
    return number(status, "numberAvailable" if text(workload, "kind") == "DaemonSet" else "availableReplicas")
