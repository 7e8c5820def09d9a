"""What must hold before anything is changed, for every action alike: its kind, its protection, whose the field is."""

from collections.abc import Generator, Mapping, Sequence

from shared.contracts.actions.base import Order, RefusedError, read, read_all
from shared.contracts.actions.marks import STOP_ANNOTATION, change_of
from shared.contracts.actions.ownership import (
    TEMPLATE,
    FieldPath,
    Resource,
    in_words,
    last_writer_of,
    maker_of,
    owner_of,
    scaler_of,
    sizer_of,
)
from shared.contracts.model import JsonObject
from shared.contracts.objects import annotations_of, controller_of, section, text
from shared.contracts.paths import COLLECTIONS, VERTICAL_AUTOSCALERS, collection_of, path_of
from shared.contracts.refusals import Refusal
from shared.contracts.requests import Answer, Get, ListAll
from shared.contracts.rights import Right
from shared.contracts.workloads import WorkloadRef

PROTECTED_LABEL = "sre-agent.dev/protected"
READS_SIZERS = frozenset({Right("autoscaling.k8s.io", "verticalpodautoscalers", "list")})
"""What it takes to learn who sizes pods."""
_QUOTED = 63
"""How much of a name is quoted that may be of any length."""
_LABELLED = ((), ("spec", "template"), ("spec", "jobTemplate"), ("spec", "jobTemplate", "spec", "template"))
"""Where an object carries labels: its own, those of its pods, of a CronJob's Jobs, and of their pods."""


def path_to(ref: WorkloadRef, *, kinds: frozenset[str]) -> str:
    """Return the path of an object of one of these kinds.

    Raises:
        RefusedError: it is of another kind.
    """
    path = path_of(ref)
    if path is None or ref.kind not in kinds:
        raise RefusedError(Refusal.KIND_NOT_SUPPORTED)
    return path


def read_unprotected(path: str, order: Order) -> Generator[Get, Answer, JsonObject]:
    """Ask for an object that is to be changed.

    Raises:
        RefusedError: it is protected.
    """
    found = yield from read(path)
    refuse_protected(found, order)
    return found


def check_no_autoscaler(order: Order) -> Generator[ListAll, Answer, None]:
    """Ask for the autoscalers where the workload lies.

    Raises:
        RefusedError: one of them counts its replicas.
    """
    known = yield from read_all(collection_of("HorizontalPodAutoscaler", order.workload.namespace))
    ownership = scaler_of(order.workload, known)
    if ownership is not None:
        raise RefusedError(Refusal.OWNED_BY_OTHER, f"replicas: {ownership}")


def check_standing(pod: JsonObject, order: Order) -> Generator[Get, Answer, JsonObject]:
    """Ask for the owners of a pod, or of what stands between, up to the workload; return that.

    Raises:
        RefusedError: it or what owns it is protected, or no owner of it is the workload.
    """
    at, workload = pod, order.workload
    for _ in COLLECTIONS:  # an owner that owns itself must not hold us up
        refuse_protected(at, order)
        owner = _owner_of(at, workload.namespace)
        if owner is None:
            raise RefusedError(Refusal.NO_CONTROLLER if at is pod else Refusal.NOT_OF_WORKLOAD)
        path = path_of(owner)
        if path is None:  # whether it is protected cannot be told
            raise RefusedError(Refusal.KIND_NOT_SUPPORTED if owner == workload else Refusal.NOT_OF_WORKLOAD)
        at = yield from read(path)
        if owner == workload:
            refuse_protected(at, order)
            return at
    raise RefusedError(Refusal.NOT_OF_WORKLOAD)


def check_replaceable(pod: JsonObject, order: Order) -> Generator[Get, Answer, list[JsonObject]]:
    """Ask for all owners of a pod, whosever it is; return them, from the nearest on.

    Raises:
        RefusedError: nobody owns it, or it, its namespace or what owns it is protected or stopped (or may be).
    """
    owners: list[JsonObject] = []
    at, namespace = pod, text(section(pod, "metadata"), "namespace")
    if namespace in order.protected_namespaces:
        raise RefusedError(Refusal.PROTECTED_NAMESPACE)
    refuse_stopped((yield from read_unprotected(f"/api/v1/namespaces/{namespace}", order)))
    for _ in COLLECTIONS:
        refuse_protected(at, order)
        refuse_stopped(at)
        owner = _owner_of(at, namespace)
        if owner is None and at is pod:
            raise RefusedError(Refusal.NO_CONTROLLER)
        if owner is None:
            return owners
        path = path_of(owner)
        if path is None:
            raise RefusedError(Refusal.KIND_NOT_SUPPORTED, f"{owner.kind} {owner.name} cannot be read")
        at = yield from read(path)
        owners.append(at)
    raise RefusedError(Refusal.NOT_OF_WORKLOAD)


def check_unowned(source: JsonObject, path: FieldPath) -> None:
    """Hold a field that is to be changed against what its object tells of who owns it.

    Raises:
        RefusedError: another actor does.
    """
    ownership = owner_of(source, path)
    if ownership is not None:
        raise RefusedError(Refusal.OWNED_BY_OTHER, f"{in_words(path)}: {ownership}")


def check_unmade(source: JsonObject) -> None:
    """Hold an object whose template says something new against who made it: an operator takes that off again.

    Raises:
        RefusedError: an operator did.
    """
    maker = maker_of(source)
    if maker is not None:
        raise RefusedError(Refusal.OWNED_BY_OTHER, f"{in_words(TEMPLATE)}: {maker}")


def check_unsized(
    workload: JsonObject, order: Order, *, container: str, resource: Resource
) -> Generator[ListAll, Answer, None]:
    """Ask for the autoscalers that size pods when they are made; a cluster may have none such.

    Raises:
        RefusedError: one sets that resource of the container.
    """
    known = yield from read_all(VERTICAL_AUTOSCALERS.format(order.workload.namespace))
    ownership = sizer_of(workload, order.workload, known, container=container, resource=resource)
    if ownership is not None:
        raise RefusedError(Refusal.OWNED_BY_OTHER, f"{resource} of container {container}: {ownership}")


def check_not_undone(source: JsonObject, path: FieldPath, *, present: str) -> None:
    """Hold the present value of a field against what we made of it before.

    Raises:
        RefusedError: somebody has made it again what it was, so that another change would begin a fight.
    """
    ours = change_of(source)
    if ours is None or ours.field != in_words(path) or not ours.before == present != ours.after:
        return
    writer = last_writer_of(source, path)
    told = f"command {ours.command} made it {ours.after}, {writer} made it {ours.before} again"
    raise RefusedError(Refusal.UNDONE_BY_OTHER, f"{ours.field}: {told}")


def refuse_protected(source: JsonObject, order: Order) -> None:
    """Check an object that was read otherwise.

    Raises:
        RefusedError: it is protected.
    """
    if is_protected(source, order.protected_labels):
        raise RefusedError(Refusal.PROTECTED_OBJECT)


def refuse_stopped(source: JsonObject) -> None:
    """Check an object beside the workload, whose own stop is looked for before each command.

    Raises:
        RefusedError: people have stopped what is done to it.
    """
    if STOP_ANNOTATION in annotations_of(source):
        raise RefusedError(Refusal.PAUSED, f"{text(section(source, 'metadata'), 'name')} is stopped by its annotation")


def is_protected(source: JsonObject, by: Mapping[str, Sequence[str]]) -> bool:
    """Tell whether an object, or the pods of its template, are to be left alone.

    They are by the one label that holds whatever a command says, and `by` the labels that the playbook in force names.
    """
    carried = [section(source, *path, "metadata", "labels") for path in _LABELLED]
    if any(one.get(PROTECTED_LABEL) == "true" for one in carried):
        return True
    return any(one.get(key) in values for one in carried for key, values in by.items())


def _owner_of(source: JsonObject, namespace: str) -> WorkloadRef | None:
    """Return who controls an object; None if nobody does.

    Raises:
        RefusedError: who does cannot be told.
    """
    owner = controller_of(source)
    if owner is None:
        return None
    kind, name = str(owner.get("kind")), str(owner.get("name"))
    ref = WorkloadRef.named(kind, name, namespace=namespace)
    if ref is None:  # nothing but that the two are not empty is asked of whoever writes them
        raise RefusedError(Refusal.KIND_NOT_SUPPORTED, f"its owner {kind[:_QUOTED]}/{name[:_QUOTED]} cannot be read")
    return ref
