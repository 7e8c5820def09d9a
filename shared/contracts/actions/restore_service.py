"""restore-service: the selector and the ports that a Service was declared with, where they were changed in the cluster.

Which state was the last good one the object cannot tell, but which one its owner declared: `kubectl apply` keeps that
on the object. `managedFields` tells who wrote which field, not what stood there before.
"""

import json
from collections.abc import Iterator, Sequence
from typing import ClassVar, Literal, cast

from shared.contracts.actions.base import ActionBase, Course, Done, Order, RefusedError
from shared.contracts.actions.former import FORMER_ANNOTATION, Direction, Former, former_of, noting
from shared.contracts.actions.marks import operations_of
from shared.contracts.actions.ownership import in_words
from shared.contracts.actions.preconditions import check_not_undone, check_unowned, path_to, read_unprotected
from shared.contracts.actions.rung import ActionRungBase
from shared.contracts.model import JsonObject, JsonValue
from shared.contracts.objects import annotations_of, section, sections, text, version_of
from shared.contracts.paths import collection_of
from shared.contracts.reasons import Reason
from shared.contracts.refusals import Refusal
from shared.contracts.requests import Patch, PatchType
from shared.contracts.rights import WORKLOADS, Right, rights_on
from shared.contracts.signals import AlertSignal, SampleSignal, Signal
from shared.contracts.workloads import WorkloadRef

_KIND = "Service"
_LABEL = "service"
_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"
_ROUTING = ("spec",)
"""Where selector and ports lie."""


class RestoreService(ActionBase):
    """Give a Service of the workload the selector and ports again that it was declared with (`kubectl apply`)."""

    HEALS: ClassVar[str] = "a Service that finds no pod, or the wrong port, because somebody changed it in the cluster"
    KINDS: ClassVar[frozenset[str]] = frozenset({"Deployment", "StatefulSet", "DaemonSet"})
    RIGHTS: ClassVar[frozenset[Right]] = rights_on(WORKLOADS, verbs=["get"], group="apps") | rights_on(
        ["services"], verbs=["get", "patch"]
    )
    QUIET: ClassVar[bool] = True

    kind: Literal["restore-service"] = "restore-service"
    service: str
    direction: Direction = "forth"

    def course(self, order: Order) -> Course:
        """Put what was declared in place of what is there, where it differs and leads to the pods of the workload."""
        path = path_to(order.workload, kinds=self.KINDS)
        workload = yield from read_unprotected(path, order)
        at = f"{collection_of(_KIND, order.workload.namespace)}/{self.service}"
        service = yield from read_unprotected(at, order)
        _check_unmade(service)
        wanted = self._declared(service, workload) if self.direction == "forth" else _found(service, order)
        yield Patch(at, _operations(service, wanted, self._kept(service, wanted, order)), PatchType.JSON)
        return Done(tuple(_lines(self.service, section(service, "spec"), wanted)))

    def inverse(self) -> "RestoreService | None":
        """Set back the selector and the ports that it found, as the object says."""
        return self.model_copy(update={"direction": "back"}) if self.direction == "forth" else None

    def target(self, workload: WorkloadRef) -> WorkloadRef:
        """Return the Service."""
        return WorkloadRef(kind=_KIND, namespace=workload.namespace, name=self.service)

    def in_words(self) -> str:
        """Name the Service."""
        if self.direction == "back":
            return f"set selector and ports of service {self.service} back"
        return f"give service {self.service} the selector and ports that it was declared with"

    def _declared(self, service: JsonObject, workload: JsonObject) -> JsonObject:
        check_not_undone(service, _ROUTING, present=_in_words(section(service, "spec")))
        declared = section(_applied(service), "spec")
        selector, ports = section(declared, "selector"), list(sections(declared, "ports"))
        if not selector or not ports or _is_as(section(service, "spec"), declared):
            raise RefusedError(Refusal.NO_EARLIER_STATE)
        labels = section(workload, "spec", "template", "metadata", "labels")
        if not selector.items() <= labels.items():
            raise RefusedError(Refusal.NOT_OF_WORKLOAD)
        known = list(sections(service, "spec", "ports"))
        return {"selector": selector, "ports": [_with_node_port(one, known) for one in ports]}

    def _kept(self, service: JsonObject, wanted: JsonObject, order: Order) -> JsonObject:
        """Return the annotations of the change."""
        before = _routing(section(service, "spec"))
        marks = order.marks_with(in_words(_ROUTING), before=_in_words(before), after=_in_words(wanted))
        former = Former(before, wanted)
        noted = noting(order.metadata_for(service, marks), former, order, direction=self.direction)
        return section(noted, "annotations")


class RestoreServiceRung(ActionRungBase):
    """Give the Service the selector and ports again that it was declared with.

    If the cure is not proven, those that it had are set back, unless `revert` is false.
    """

    action: Literal["restore-service"]
    """Give a Service what it was declared with by `kubectl apply`; refused where nothing tells, or nothing differs."""
    service: str = ""
    """The Service by its name; where it is not said, a sample or an alert names it by its label `service`."""
    revert: bool = True
    """Whether what the Service had is set back where the cure is not proven."""

    def aimed(self, signal: Signal) -> RestoreService | Reason:
        """Take the Service that the step names, or the signal."""
        told = signal.labels.get(_LABEL, "") if isinstance(signal, SampleSignal | AlertSignal) else ""
        service = self.service or told
        return RestoreService(service=service) if service and "/" not in service else Reason.TARGET_UNSUITABLE

    def in_words(self) -> str:
        """Name the Service, where it is known."""
        return f"give {self.service or 'the service'} the selector and ports that it was declared with"

    @property
    def is_undone(self) -> bool:
        """Tell what the playbook says."""
        return self.revert

    def if_unproven(self) -> str:
        """Say whether they are set back."""
        return "selector and ports are set back" if self.revert else "selector and ports stay"

    def senseless(self) -> Iterator[tuple[str, str]]:
        """Yield a name that no Service can have."""
        if "/" in self.service:
            yield "service", "no Service has such a name; expected its name alone"


def _check_unmade(service: JsonObject) -> None:
    """Hold it against who else makes it.

    Raises:
        RefusedError: another controller does, or keeps selector or ports as it wants them.
    """
    made = next((text(one, "kind") for one in sections(service, "metadata", "ownerReferences")), "")
    if made:
        raise RefusedError(Refusal.OWNED_BY_OTHER, f"the Service is made by {made}")
    for field in ("selector", "ports"):
        check_unowned(service, ("spec", field))


def _applied(service: JsonObject) -> JsonObject:
    try:
        told: object = json.loads(text(annotations_of(service), _APPLIED) or "{}")
    except (ValueError, RecursionError):
        return {}
    return cast("JsonObject", told) if isinstance(told, dict) else {}


def _routing(spec: JsonObject) -> JsonObject:
    return {"selector": section(spec, "selector"), "ports": list(sections(spec, "ports"))}


def _found(service: JsonObject, order: Order) -> JsonObject:
    former = former_of(service, order)
    if not _is_as(section(service, "spec"), former.made):
        raise RefusedError(Refusal.CHANGED_MEANWHILE)
    return _routing(former.found)


def _is_as(spec: JsonObject, wanted: JsonObject) -> bool:
    """Tell whether a Service is what is wanted, in all that is said of it; the API server fills in the rest."""
    have, want = list(sections(spec, "ports")), list(sections(wanted, "ports"))
    is_equal = section(spec, "selector") == section(wanted, "selector") and len(have) == len(want)
    return is_equal and all(
        _filled(there).items() >= _filled(one).items() for there, one in zip(have, want, strict=True)
    )


def _filled(port: JsonObject) -> JsonObject:
    return {"protocol": "TCP", "targetPort": port.get("port"), **port}


def _with_node_port(port: JsonObject, known: Sequence[JsonObject]) -> JsonObject:
    """Return a port with the node's port that it has now: a declaration that names none lets it stay."""
    same = (one for one in known if (one.get("port"), _filled(one)["protocol"]) == (port.get("port"), _protocol(port)))
    held = next((one["nodePort"] for one in same if "nodePort" in one), None)
    return port if held is None else {"nodePort": held, **port}


def _protocol(port: JsonObject) -> JsonValue:
    return _filled(port)["protocol"]


def _operations(service: JsonObject, wanted: JsonObject, annotations: JsonObject) -> list[JsonValue]:
    said: JsonObject = {name: value for name, value in annotations.items() if value is not None}
    gone: list[JsonValue] = []
    if FORMER_ANNOTATION not in said:
        gone = [{"op": "remove", "path": f"/metadata/annotations/{FORMER_ANNOTATION.replace('/', '~1')}"}]
    return [
        {"op": "replace", "path": "/metadata/resourceVersion", "value": version_of(service)},  # another: 409
        {"op": "add", "path": "/spec/selector", "value": wanted["selector"]},
        {"op": "add", "path": "/spec/ports", "value": wanted["ports"]},
        *operations_of(said),
        *gone,
    ]


def _lines(name: str, before: JsonObject, after: JsonObject) -> Iterator[str]:
    if section(before, "selector") != section(after, "selector"):
        yield f"service {name}: selector: {_pairs(before)} → {_pairs(after)}"
    if _ports(before) != _ports(after):
        yield f"service {name}: ports: {_ports(before)} → {_ports(after)}"


def _in_words(spec: JsonObject) -> str:
    return f"{_pairs(spec)} {_ports(spec)}"


def _pairs(spec: JsonObject) -> str:
    return ",".join(f"{key}={value}" for key, value in sorted(section(spec, "selector").items())) or "none"


def _ports(spec: JsonObject) -> str:
    filled = [_filled(one) for one in sections(spec, "ports")]
    return ",".join(f"{one.get('port')}>{one['targetPort']}/{one['protocol']}" for one in filled) or "none"
