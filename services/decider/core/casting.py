"""The words of a case as what the runtime would read: signals by their facts, on workloads by their keys."""

from collections.abc import Iterator, Mapping
from datetime import datetime

from pydantic import TypeAdapter

from services.decider.core.clauses import TYPE_WORDS, unknown_fact
from services.decider.core.faults import Fault, did_you_mean
from services.decider.core.language import Scalar
from services.decider.core.source import Path, Source
from shared.contracts.model import JsonValue
from shared.contracts.signals import SIGNALS, FactType, Signal, fact_types, values_of
from shared.contracts.workloads import WorkloadRef
from shared.kernel.ids import derive

FactWord = Scalar | dict[str, str]
CLUSTER = "test"
_WORKLOAD, _NODE = "default/Deployment/app", "-/Node/node-1"
_SIGNAL: TypeAdapter[Signal] = TypeAdapter(Signal)
_MODELS = {str(model.model_fields["kind"].default): model for model in SIGNALS}
_NAMED = frozenset({"namespace", "workload", "workload_kind"})
_ASSUMED: Mapping[str, Mapping[str, JsonValue]] = {
    "event": {"event_type": "Warning"},
    "container": {"container": "app", "state": "waiting"},
    "pod": {"phase": "Pending"},
    "alert": {"status": "firing"},
}
"""What a signal must say and a case need not."""
_CAST = frozenset({"id", "at", "cluster", "workload", "object", "kind", "fingerprint", "starts_at"})
_TYPE_WORDS = {**TYPE_WORDS, dict[str, str]: "labels"}


def workload_named(key: str) -> WorkloadRef | None:
    """Return the workload of a key; None where it is no key."""
    try:
        return WorkloadRef.parse(key)
    except ValueError:
        return None


def workload_of(key: str, *, kind: str = "") -> WorkloadRef:
    """Return the workload that is meant; one is at hand where none is named."""
    return WorkloadRef.parse(key or (_NODE if kind == "node" else _WORKLOAD))


def signal_of(facts: Mapping[str, FactWord], *, kind: str, workload: WorkloadRef, seen: datetime, name: str) -> Signal:
    """Return the signal with these facts, seen at a moment; `name` tells it from another, the same name is the same."""
    fields: dict[str, JsonValue] = {**_ASSUMED.get(kind, {}), **{fact: _plain(value) for fact, value in facts.items()}}
    model = _MODELS[kind].model_fields
    if kind == "node":
        fields.setdefault("healthy", fields.get("ready"))
    if "object" in model:
        fields["object"] = _object_of(fields, kind=kind, workload=workload)
    if kind == "alert":
        fields.setdefault("fingerprint", derive("alert", workload.key, str(fields["alertname"])))
        fields["starts_at"] = seen.isoformat()
    about = {"id": derive("signal", workload.key, kind, name), "at": seen.isoformat(), "kind": kind}
    fields = {"cluster": CLUSTER, **fields, **about, "workload": workload.model_dump(mode="json")}
    return _SIGNAL.validate_python(fields)


def fact_faults(source: Source, facts: Mapping[str, FactWord], *, kind: str, path: Path) -> Iterator[Fault]:
    """Yield what is wrong with the facts of a signal: a name, a type, or what every such signal says is missing."""
    types = fact_types(kind)
    for name, value in facts.items():
        place = (*path, name)
        if name not in types:
            yield unknown_fact(source, place, kind=kind, name=name)
        elif name in _NAMED:
            yield source.fault(place, "said by `workload: namespace/Kind/name`", mark=source.key_of(place))
        elif not _is_of(types[name], value):
            yield source.fault(place, f"expected {_TYPE_WORDS[types[name]]}, found {value!r}")
    missing = [name for name in _asked_for(kind) if name not in facts]
    if missing:
        yield source.fault(path, f"expected what such a signal says: {', '.join(missing)}")
    else:
        yield from _refused(source, facts, kind=kind, path=path)


def _asked_for(kind: str) -> Iterator[str]:
    for name, model_field in _MODELS[kind].model_fields.items():
        is_cast = name in _CAST or name in _ASSUMED.get(kind, {}) or (kind, name) == ("node", "healthy")
        if model_field.is_required() and not is_cast:
            yield name


def _refused(source: Source, facts: Mapping[str, FactWord], *, kind: str, path: Path) -> Iterator[Fault]:
    """Yield the facts whose values no such signal has, such as the state `dead` of a container."""
    for name, value in facts.items():
        choices = sorted(values_of(kind, name))
        if choices and value not in choices:
            hint = did_you_mean(str(value), choices)
            yield source.fault((*path, name), f"expected one of: {', '.join(choices)}; found {value!r}", hint=hint)


def _is_of(wanted: FactType, value: FactWord) -> bool:
    if wanted is float:
        return type(value) in {int, float}
    return isinstance(value, dict) if wanted == dict[str, str] else type(value) is wanted


def _object_of(fields: dict[str, JsonValue], *, kind: str, workload: WorkloadRef) -> dict[str, JsonValue]:
    is_itself = kind in {"workload", "node"}
    object_kind = str(fields.pop("object_kind", workload.kind if is_itself else "Pod"))
    name = str(fields.pop("object", workload.name if object_kind == workload.kind else f"{workload.name}-1"))
    return {"kind": object_kind, "namespace": workload.namespace, "name": name, "uid": f"uid-{name}"}


def _plain(value: FactWord) -> JsonValue:
    return {**value} if isinstance(value, dict) else value
