"""What a namespace and its budgets allow: disruption budgets, quotas and ranges, held against a change."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal

from services.remediator.core.evidence import name_of
from services.remediator.core.fitting import PODS, Amounts, amounts_of, needs_of, told
from services.remediator.core.rollouts import Rollout
from shared.contracts.actions.disruption import selects
from shared.contracts.model import JsonObject
from shared.contracts.objects import number, section, sections, text
from shared.contracts.predictions import BudgetLeft, QuotaLeft

_SCOPES = ("scopes", "scopeSelector")


@dataclass(frozen=True, slots=True)
class Size:
    """What one pod needs, before a change and after it, by the words of quotas."""

    before: Amounts
    after: Amounts


def budgets_left(
    budgets: Iterable[JsonObject], pods: Sequence[JsonObject], *, fewer: int, asked: bool
) -> Iterator[BudgetLeft]:
    """Yield each budget that some of the pods are in, where `fewer` of them are available for a time."""
    for budget in budgets:
        if any(selects(section(budget, "spec"), section(pod, "metadata", "labels")) for pod in pods):
            healthy = number(section(budget, "status"), "currentHealthy")
            yield BudgetLeft(
                name=name_of(budget),
                wanted=number(section(budget, "status"), "desiredHealthy"),
                healthy=healthy,
                lowest=max(healthy - fewer, 0),
                asked=asked,
            )


def words_of_quota(spec: JsonObject, *, defaults: Amounts, limits: Amounts) -> dict[str, Decimal]:
    """Return what one pod counts for in a quota, by the quota's words."""
    requested, limited = needs_of(spec, defaults=defaults), needs_of(spec, bound="limits", defaults=limits)
    plain = {name: amount for name, amount in requested.items() if name in {"cpu", "memory"}}
    return {
        PODS: Decimal(1),
        "count/pods": Decimal(1),
        **plain,
        **{f"requests.{name}": amount for name, amount in requested.items()},
        **{f"limits.{name}": amount for name, amount in limited.items()},
    }


def quotas_left(quotas: Iterable[JsonObject], change: Rollout, size: Size) -> Iterator[QuotaLeft]:
    """Yield what each quota has left of what the change needs more of; those with scopes are not judged."""
    for quota in quotas:
        if is_scoped(quota):
            continue
        hard, used = (amounts_of(section(quota, "status", part)) for part in ("hard", "used"))
        for resource, most in hard.items():
            needed = _most_needed(change, resource, size)
            if needed > 0:
                left = most - used.get(resource, Decimal())
                yield QuotaLeft(
                    name=name_of(quota),
                    resource=resource,
                    left=told(resource, left),
                    needed=told(resource, needed),
                    suffices=needed <= left,
                )


def is_scoped(quota: JsonObject) -> bool:
    """Tell whether a quota is about some pods alone."""
    return any(section(quota, "spec").get(name) for name in _SCOPES)


def defaults_of(ranges: Iterable[JsonObject], part: str) -> dict[str, Decimal]:
    """Return what a container gets where it says nothing; `part` is default (of limits) or defaultRequest."""
    found: dict[str, Decimal] = {}
    for one in ranges:
        for limit in sections(one, "spec", "limits"):
            if text(limit, "type") == "Container":
                found = amounts_of(section(limit, part)) | found
    return found


def barred_by(ranges: Iterable[JsonObject], spec: JsonObject) -> Iterator[str]:
    """Yield the ranges that new pods of a specification would be refused by."""
    for one in ranges:
        for limit in sections(one, "spec", "limits"):
            yield from (f"range {name_of(one)}: {excess}" for excess in _beyond(limit, spec))


def _most_needed(change: Rollout, resource: str, size: Size) -> Decimal:
    """Return how much more the pods need at most at one time, old and new together."""
    before, after = size.before.get(resource, Decimal()), size.after.get(resource, Decimal())
    count = len(change.pods)
    if not count:
        return Decimal()
    surge = min(change.surge, count)
    return max(surge * after, count * (after - before) + surge * before, Decimal())


def _beyond(limit: JsonObject, spec: JsonObject) -> Iterator[str]:
    """Yield what of new pods is above a limit of a range."""
    most = amounts_of(section(limit, "max"))
    for who, amounts in _sized(spec, text(limit, "type")):
        for resource in sorted(most.keys() & amounts.keys()):
            if amounts[resource] > most[resource]:
                bound = told(resource, most[resource])
                yield f"{who}: {resource} {told(resource, amounts[resource])} is above {bound}, new pods are refused"


def _sized(spec: JsonObject, kind: str) -> Iterator[tuple[str, Amounts]]:
    if kind == "Pod":
        yield "pod", needs_of(spec, bound="limits")
    if kind == "Container":
        for one in sections(spec, "containers"):
            yield f"container {text(one, 'name')}", amounts_of(section(one, "resources", "limits"))
