"""Where new pods have room: what they request, held against what nodes can give and have given already.

As the scheduler judges resources, taints, node selectors and whether a node takes pods at all; what else it weighs
(affinity, spreading, volumes, ports) is not judged, and said so.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from decimal import Decimal
from itertools import accumulate

from services.remediator.core.evidence import name_of
from shared.contracts.model import JsonObject
from shared.contracts.objects import flag, section, sections, text
from shared.kernel.quantities import format_bytes, parse_quantity

Amounts = Mapping[str, Decimal]
"""By the name of a resource."""
PODS = "pods"
_BARRING = frozenset({"NoSchedule", "NoExecute"})
_ENDED = frozenset({"Succeeded", "Failed"})
_WEIGHED_APART = ("affinity", "topologySpreadConstraints", "schedulingGates", "resourceClaims")
_SIZES = frozenset({"memory", "ephemeral-storage", "storage"})
_THOUSAND = Decimal(1000)


def amounts_of(source: JsonObject) -> dict[str, Decimal]:
    """Return the amounts of an object of quantities; what is no quantity is none."""
    found: dict[str, Decimal] = {}
    for name, told in source.items():
        try:
            found[name] = parse_quantity(str(told))
        except ValueError:
            continue
    return found


def needs_of(spec: JsonObject, *, bound: str = "requests", defaults: Amounts | None = None) -> dict[str, Decimal]:
    """Return what a pod needs of each resource: of its containers together, or of one that begins it, if that is more.

    `bound` is requests or limits. What is not requested is what is limited, or else a namespace's default.
    """
    running = [_of_container(one, bound, defaults or {}) for one in sections(spec, "containers")]
    initial = [(one, _of_container(one, bound, defaults or {})) for one in sections(spec, "initContainers")]
    beside = [amounts if text(one, "restartPolicy") == "Always" else {} for one, amounts in initial]
    before = [{}, *accumulate(beside, _sum)]
    beginning = [_sum(before[number], amounts) for number, (_, amounts) in enumerate(initial)]
    peak = _sum(*running, *beside)
    for one in beginning:
        peak = {name: max(peak.get(name, Decimal()), one.get(name, Decimal())) for name in peak.keys() | one.keys()}
    return _sum(peak, amounts_of(section(spec, "overhead")))


def room_on(node: JsonObject, spec: JsonObject, *, needs: Amounts, held: Iterable[JsonObject]) -> int:
    """Return how many pods of a specification a node has room for, beside those that it holds."""
    if not _takes(node, spec):
        return 0
    given = _sum(*(needs_of(section(one, "spec")) | {PODS: Decimal(1)} for one in held if not _has_ended(one)))
    can = amounts_of(section(node, "status", "allocatable"))
    wanted = {name: amount for name, amount in {**needs, PODS: Decimal(1)}.items() if amount > 0}
    free = (max(can.get(name, Decimal()) - given.get(name, Decimal()), Decimal()) for name in wanted)
    return min(int(left // amount) for left, amount in zip(free, wanted.values(), strict=True))


def held_by(pods: Iterable[JsonObject], *, without: Sequence[JsonObject]) -> dict[str, list[JsonObject]]:
    """Return which pods each node holds, but for those that are gone before."""
    gone = {_identity(pod) for pod in without}
    found: dict[str, list[JsonObject]] = {}
    for pod in pods:
        if _identity(pod) not in gone:
            found.setdefault(text(section(pod, "spec"), "nodeName"), []).append(pod)
    return found


def not_judged(spec: JsonObject) -> Iterator[str]:
    """Yield what of a specification bears on where a pod may lie and is not judged here."""
    yield from (name for name in _WEIGHED_APART if spec.get(name))
    if any("persistentVolumeClaim" in one or "ephemeral" in one for one in sections(spec, "volumes")):
        yield "volumes"
    if any(port.get("hostPort") for one in sections(spec, "containers") for port in sections(one, "ports")):
        yield "hostPort"


def told(resource: str, amount: Decimal) -> str:
    """Return an amount of a resource as people write it."""
    if resource.rpartition(".")[2] in _SIZES:
        return format_bytes(int(amount)) if amount >= 0 else f"-{format_bytes(int(-amount))}"
    is_whole = amount == amount.to_integral_value()
    return f"{int(amount)}" if is_whole else f"{(amount * _THOUSAND).to_integral_value():f}m"


def _of_container(container: JsonObject, bound: str, defaults: Amounts) -> dict[str, Decimal]:
    limits = amounts_of(section(container, "resources", "limits"))
    asked = amounts_of(section(container, "resources", bound))
    return {**defaults, **(limits if bound == "requests" else {}), **asked}


def _sum(*parts: Amounts) -> dict[str, Decimal]:
    names = {name for part in parts for name in part}
    return {name: sum((part.get(name, Decimal()) for part in parts), Decimal()) for name in sorted(names)}


def _takes(node: JsonObject, spec: JsonObject) -> bool:
    """Tell whether a node takes pods of a specification, room or not."""
    if flag(section(node, "spec"), "unschedulable"):
        return False
    labels = section(node, "metadata", "labels")
    if any(labels.get(name) != value for name, value in section(spec, "nodeSelector").items()):
        return False
    tolerations = list(sections(spec, "tolerations"))
    taints = (one for one in sections(node, "spec", "taints") if text(one, "effect") in _BARRING)
    return all(any(_tolerates(toleration, taint) for toleration in tolerations) for taint in taints)


def _tolerates(toleration: JsonObject, taint: JsonObject) -> bool:
    if text(toleration, "effect") not in {"", text(taint, "effect")}:
        return False
    if text(toleration, "operator") == "Exists":
        return text(toleration, "key") in {"", text(taint, "key")}
    return (text(toleration, "key"), text(toleration, "value")) == (text(taint, "key"), text(taint, "value"))


def _has_ended(pod: JsonObject) -> bool:
    return text(section(pod, "status"), "phase") in _ENDED


def _identity(pod: JsonObject) -> tuple[str, str]:
    return text(section(pod, "metadata"), "namespace"), name_of(pod)
