"""What a rule's findings are about and counted by: a workload, a node, a namespace, or a group of any of them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from services.decider.core.clauses import fact_of
from services.decider.core.language import WORKLOAD
from shared.contracts.signals import AlertSignal, ContainerSignal, FactValue, SampleSignal, Signal
from shared.contracts.workloads import CLUSTER_SCOPE, WorkloadRef
from shared.kernel.ids import derive

_NAMESPACE, _NODE = "namespace", "node"


@dataclass(frozen=True, slots=True)
class Subject:
    """What an incident would be about; `group` tells apart what is counted apart within it."""

    workload: WorkloadRef
    group: str = ""


def subject_of(by: Sequence[str], signal: Signal, facts: Mapping[str, FactValue]) -> Subject | None:
    """Return what a rule that groups by these facts means with a signal; None where the signal lacks one of them."""
    if tuple(by) == (WORKLOAD,):
        return Subject(signal.workload)
    values = {name: fact_of(facts, name) for name in by if name != WORKLOAD}
    if any(value is None or value == "" for value in values.values()):
        return None
    told = {name: str(value) for name, value in values.items()}
    group = ",".join(f"{name}={value}" for name, value in told.items())
    return Subject(signal.workload, group) if WORKLOAD in by else Subject(_beyond_workloads(told, group))


def object_of(signal: Signal) -> str:
    """Return what a signal is about within its workload, as it is told again under the same name."""
    match signal:
        case ContainerSignal():
            return f"{signal.object.name}/{signal.container}"
        case SampleSignal():
            return derive("series", signal.query, *(f"{name}={value}" for name, value in sorted(signal.labels.items())))
        case AlertSignal():
            return signal.fingerprint
        case _:
            return signal.object.name


def _beyond_workloads(told: Mapping[str, str], group: str) -> WorkloadRef:
    namespace = told.get(_NAMESPACE, CLUSTER_SCOPE)
    match [*told]:
        case ["node"]:
            found = WorkloadRef.named("Node", told[_NODE], namespace=CLUSTER_SCOPE)
        case ["namespace"]:
            found = WorkloadRef.named("Namespace", namespace, namespace=namespace)
        case _:
            found = WorkloadRef.named("Group", group, namespace=namespace)
    return found or WorkloadRef(kind="Group", name=derive("group", group))
