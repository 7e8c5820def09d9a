"""What a playbook protects: why nothing may be ordered about a workload, in words."""

from collections.abc import Iterator, Mapping

from services.decider.core.language import Protected
from shared.contracts.signals import EventSignal, Signal
from shared.contracts.workloads import CLUSTER_SCOPE, WorkloadRef


def protection_of(workload: WorkloadRef, signal: Signal | None, protected: Protected) -> str:
    """Return what of a workload is protected, by its namespace or by a label that a signal shows; empty: nothing."""
    if workload.namespace in protected.namespaces:
        return f"the namespace {workload.namespace}"
    shown = signal.labels if signal is not None and not isinstance(signal, EventSignal) else {}
    found = (f"what has the label {key}={shown[key]}" for key, value in labels_of(protected) if shown.get(key) == value)
    return next(found, "")


def labels_of(protected: Protected) -> Iterator[tuple[str, str]]:
    """Yield each protected label, a key with one of its values, in order."""
    yield from ((key, value) for key, values in sorted(protected.labels.items()) for value in sorted(values))


def labels_in_force(protected: Protected) -> Mapping[str, tuple[str, ...]]:
    """Return the protected labels as commands carry them: what is equal has equal bytes."""
    return {key: tuple(sorted(values)) for key, values in sorted(protected.labels.items())}


def namespaces_in_force(workload: WorkloadRef, protected: Protected) -> tuple[str, ...]:
    """Return the protected namespaces as a command about a workload carries them: where it lies in none itself."""
    return tuple(sorted(protected.namespaces)) if workload.namespace == CLUSTER_SCOPE else ()
