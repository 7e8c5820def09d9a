"""What goes with a pod: an emptyDir is deleted with it, and what a StatefulSet keeps in one is lost then."""

from collections.abc import Iterator

from shared.contracts.actions.base import Order, RefusedError
from shared.contracts.model import JsonObject
from shared.contracts.objects import section, sections, text
from shared.contracts.refusals import Refusal


def check_no_data_goes(owner: JsonObject, order: Order) -> tuple[str, ...]:
    """Hold whoever makes the pods that are to go against where it keeps its data: only a person lets that go.

    Asked of StatefulSets alone: pods of other kinds have no identity that a state could belong to. The template tells,
    whatever the update strategy; what is put into pods as they are made (a mesh's proxy) is none of the workload's. An
    emptyDir in memory counts like one on a disk: it outlives a container's restart as well, and only its owner knows
    whether it is scratch. What undoes an earlier command is not asked: to stay half-way is no safer.

    Return what a dry run says: one line where a live run needs a person's approval, else none.

    Raises:
        RefusedError: a person is to be asked first.
    """
    volumes = ", ".join(_emptydirs_of(owner))
    if not volumes or order.is_approved or order.reverts:
        return ()
    told = f"StatefulSet {text(section(owner, 'metadata'), 'name')} loses what its pods keep in emptyDir {volumes}"
    if order.dry_run:
        return (f"{told}: live only with a person's approval",)
    raise RefusedError(Refusal.DATA_ON_EMPTYDIR, told)


def _emptydirs_of(owner: JsonObject) -> Iterator[str]:
    if text(owner, "kind") != "StatefulSet":
        return
    for volume in sections(owner, "spec", "template", "spec", "volumes"):
        if "emptyDir" in volume:
            yield text(volume, "name")
