"""Signals: single observations of a cluster, as the collector publishes them, and the API those of Alertmanager.

`labels` are those of the signal's own object: a container has its pod's. What was told before there were any has none.
"""

from collections.abc import Callable, ItemsView, Iterator, Mapping, Sequence
from enum import StrEnum
from functools import cache
from operator import attrgetter
from typing import Annotated, ClassVar, Literal, get_origin

from pydantic import AliasChoices, Field

from shared.contracts.model import JsonObject, JsonValue, Message, Moment
from shared.contracts.workloads import ObjectRef, WorkloadRef


class _Signal(Message):
    cluster: str
    workload: WorkloadRef

    @property
    def key(self) -> str:
        """Return the key of the workload, so that signals and incidents agree on their partition."""
        return self.workload.key


class EventSignal(_Signal):
    """A Kubernetes event about an object (core/v1 Event, or its series).

    `event_type` is Normal or Warning. Version 1 called it `type`, a name that no condition can ask for: CEL has it for
    itself. Findings hold signals, so the old name is read wherever it stands.
    """

    TYPE: ClassVar[str] = "signal.event"
    VERSION: ClassVar[int] = 2

    kind: Literal["event"] = "event"
    object: ObjectRef
    reason: str
    event_type: str = Field(validation_alias=AliasChoices("event_type", "type"))
    message: str = ""
    count: int = 1
    component: str = ""


class ContainerState(StrEnum):
    """The three states of a container (core/v1 ContainerState)."""

    WAITING = "waiting"
    RUNNING = "running"
    TERMINATED = "terminated"


class ContainerSignal(_Signal):
    """A change of one container's health; `object` is its pod."""

    TYPE: ClassVar[str] = "signal.container"

    kind: Literal["container"] = "container"
    object: ObjectRef
    container: str
    image: str = ""
    state: ContainerState
    reason: str = ""
    message: str = ""
    exit_code: int = 0
    ready: bool = False
    restarts: int = 0
    last_reason: str = ""
    last_exit_code: int = 0
    memory_limit_bytes: int = 0
    node: str = ""
    template_hash: str = ""
    labels: dict[str, str] = Field(default_factory=dict)


class PodSignal(_Signal):
    """A change of a pod as a whole: phase, conditions, that it is about to go (`terminating`), or is gone (`deleted`).

    What was told of the containers of a pod that is gone is over with it; those of one about to go are told no more.
    """

    TYPE: ClassVar[str] = "signal.pod"

    kind: Literal["pod"] = "pod"
    object: ObjectRef
    phase: str
    reason: str = ""
    message: str = ""
    scheduled: bool = False
    ready: bool = False
    terminating: bool = False
    deleted: bool = False
    node: str = ""
    labels: dict[str, str] = Field(default_factory=dict)


class WorkloadSignal(_Signal):
    """A change of a workload's own status. `healthy` is what a cure is judged by: all that is wanted is there, and new.

    Counts are replicas; `revision` is the rollout's number (0 where the kind has none).
    """

    TYPE: ClassVar[str] = "signal.workload"

    kind: Literal["workload"] = "workload"
    object: ObjectRef
    healthy: bool
    desired: int = 0
    ready: int = 0
    updated: int = 0
    available: int = 0
    unavailable: int = 0
    revision: int = 0
    reason: str = ""
    message: str = ""
    paused: bool = False
    deleted: bool = False
    labels: dict[str, str] = Field(default_factory=dict)


class NodeSignal(_Signal):
    """A change of a node's conditions, or that it is gone."""

    TYPE: ClassVar[str] = "signal.node"

    kind: Literal["node"] = "node"
    object: ObjectRef
    healthy: bool
    ready: bool
    reason: str = ""
    message: str = ""
    unschedulable: bool = False
    memory_pressure: bool = False
    disk_pressure: bool = False
    pid_pressure: bool = False
    deleted: bool = False
    labels: dict[str, str] = Field(default_factory=dict)


class SampleSignal(_Signal):
    """One sample of a Prometheus instant query."""

    TYPE: ClassVar[str] = "signal.sample"

    kind: Literal["sample"] = "sample"
    query: str
    value: float
    labels: dict[str, str] = Field(default_factory=dict)


class AlertStatus(StrEnum):
    """Whether an alert fires, or is over."""

    FIRING = "firing"
    RESOLVED = "resolved"


class AlertSignal(_Signal):
    """One alert of Prometheus, as Alertmanager tells it.

    One firing is one signal, however often it is told; its end is another. `fingerprint` names the alert's labels.
    """

    TYPE: ClassVar[str] = "signal.alert"

    kind: Literal["alert"] = "alert"
    alertname: str
    status: AlertStatus
    severity: str = ""
    summary: str = ""
    labels: dict[str, str] = Field(default_factory=dict)
    fingerprint: str
    starts_at: Moment


Signal = Annotated[
    EventSignal | ContainerSignal | PodSignal | WorkloadSignal | NodeSignal | SampleSignal | AlertSignal,
    Field(discriminator="kind"),
]
HealthSignal = WorkloadSignal | NodeSignal
SIGNALS: tuple[type[_Signal], ...] = (
    EventSignal,
    ContainerSignal,
    PodSignal,
    WorkloadSignal,
    NodeSignal,
    SampleSignal,
    AlertSignal,
)

FactValue = str | int | float | bool | dict[str, str]
FactType = type[str] | type[int] | type[float] | type[bool] | type[dict[str, str]]

_IDENTITY: Mapping[str, FactType] = {
    "cluster": str,
    "namespace": str,
    "workload": str,
    "workload_kind": str,
}
_OBJECT: Mapping[str, FactType] = {"object": str, "object_kind": str}
_PATHS: Mapping[str, str] = {
    "namespace": "workload.namespace",
    "workload": "workload.name",
    "workload_kind": "workload.kind",
    "object": "object.name",
    "object_kind": "object.kind",
}
_HIDDEN = frozenset({"id", "at", "cluster", "kind", "workload", "object", "starts_at"})


def fact_types(kind: str) -> Mapping[str, FactType]:
    """Return the facts that a playbook may ask of a kind of signal, with their types.

    Raises:
        KeyError: there is no such kind.
    """
    return _fact_types()[kind]


def values_of(kind: str, fact: str) -> frozenset[str]:
    """Return all values that a fact of a kind of signal can have; empty where they are not listed anywhere."""
    model = next(model for model in SIGNALS if model.model_fields["kind"].default == kind)
    field = model.model_fields.get(fact)
    annotation = field.annotation if field is not None else None
    if not (isinstance(annotation, type) and issubclass(annotation, StrEnum)):
        return frozenset()
    return frozenset(str(one.value) for one in annotation)


def facts_of(signal: Signal) -> Mapping[str, FactValue]:
    """Return a signal's facts: its own fields, and the names of its workload and object, flat."""
    return _Facts(signal)


class _Facts(Mapping[str, FactValue]):
    """A signal's facts by name, each read when it is asked for: most signals are asked for one or two."""

    __slots__ = ("_readers", "_signal")

    def __init__(self, signal: Signal) -> None:
        self._signal = signal
        self._readers = _readers()[signal.kind]

    def __getitem__(self, name: str) -> FactValue:
        return self._readers[name](self._signal)

    def __iter__(self) -> Iterator[str]:
        return iter(self._readers)

    def __len__(self) -> int:
        return len(self._readers)

    def items(self) -> ItemsView[str, FactValue]:
        """Return all facts at once, which is quicker than one by one."""
        return {name: read(self._signal) for name, read in self._readers.items()}.items()


class InDoubt(Exception):  # noqa: N818 - an answer, not a failure
    """A body does not say a fact by its name and type: only the model can tell what it means, or that it is broken."""


class ToldFacts(Mapping[str, FactValue]):
    """A signal's facts as its body says them, not checked: enough to tell that no rule can be met.

    Raises:
        InDoubt: where the kind, or a fact that is asked for, is not said as this version writes it.
    """

    __slots__ = ("_body", "_places", "kind")

    def __init__(self, body: JsonObject) -> None:
        kind = body.get("kind")
        if not isinstance(kind, str) or (places := _places().get(kind)) is None:
            raise InDoubt
        self.kind, self._body, self._places = kind, body, places

    def __getitem__(self, name: str) -> FactValue:
        wanted, path = self._places[name]
        value: JsonValue = self._body
        for part in path:
            value = value.get(part) if isinstance(value, dict) else None
        if type(value) is not wanted or (wanted is dict and not _are_texts(value)):
            raise InDoubt
        return value  # type: ignore[return-value] - of the fact's own type by now, which no cast needs to tell each time

    def __iter__(self) -> Iterator[str]:
        return iter(self._places)

    def __len__(self) -> int:
        return len(self._places)


def _are_texts(value: JsonValue) -> bool:
    return isinstance(value, dict) and all(isinstance(one, str) for one in value.values())


@cache
def _places() -> Mapping[str, Mapping[str, tuple[type, Sequence[str]]]]:
    return {
        kind: {name: (get_origin(fact) or fact, _PATHS.get(name, name).split(".")) for name, fact in types.items()}
        for kind, types in _fact_types().items()
    }


@cache
def _readers() -> Mapping[str, Mapping[str, Callable[[Signal], FactValue]]]:
    return {kind: {name: attrgetter(_PATHS.get(name, name)) for name in types} for kind, types in _fact_types().items()}


@cache
def _fact_types() -> Mapping[str, Mapping[str, FactType]]:
    return {str(model.model_fields["kind"].default): _types_of(model) for model in SIGNALS}


def _types_of(model: type[_Signal]) -> Mapping[str, FactType]:
    own = {name: _fact_type(field.annotation) for name, field in model.model_fields.items() if name not in _HIDDEN}
    named = {**_IDENTITY, **_OBJECT} if "object" in model.model_fields else _IDENTITY
    return {**own, **named}


def _fact_type(annotation: object) -> FactType:
    if annotation == dict[str, str]:
        return dict[str, str]
    for plain in (bool, int, float, str):
        if isinstance(annotation, type) and issubclass(annotation, plain):
            return plain
    raise TypeError(f"a signal's field has the type {annotation!r}, which no condition can ask for")
