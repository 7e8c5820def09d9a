"""What a signal names that an action can be done to."""

from shared.contracts.signals import ContainerSignal, EventSignal, PodSignal, Signal
from shared.contracts.workloads import ObjectRef


def pod_of(signal: Signal) -> ObjectRef | None:
    """Return the pod that a signal is about, if there is one that can be told from another of its name."""
    match signal:
        case ContainerSignal() | EventSignal():
            is_there = True
        case PodSignal():
            is_there = not signal.deleted
        case _:
            return None
    return signal.object if is_there and signal.object.kind == "Pod" and signal.object.uid else None
