"""The course of actions that set one switch in the spec of a workload."""

from shared.contracts.actions.base import Course, Done, Order, RefusedError
from shared.contracts.actions.ownership import other_writer_of
from shared.contracts.actions.preconditions import check_unowned, path_to, read_unprotected
from shared.contracts.objects import flag, section
from shared.contracts.refusals import Refusal
from shared.contracts.requests import Patch, PatchType


def switch(order: Order, field: str, *, to: bool, kinds: frozenset[str]) -> Course:
    """Set a switch of the spec that stands the other way; where it is to be taken back, as long as we set it last."""
    path = path_to(order.workload, kinds=kinds)
    workload = yield from read_unprotected(path, order)
    if flag(section(workload, "spec"), field) is to:
        raise RefusedError(Refusal.NOTHING_TO_CHANGE)
    check_unowned(workload, ("spec", field))
    other = other_writer_of(workload, ("spec", field)) if order.reverts else ""
    if other:
        raise RefusedError(Refusal.NOT_OURS, f"{field}: {other} set it since command {order.reverts} did")
    metadata = order.metadata_for(workload)
    yield Patch(path, {"metadata": metadata, "spec": {field: to}}, PatchType.MERGE)
    return Done((f"{field}: {str(not to).lower()} → {str(to).lower()}",))
