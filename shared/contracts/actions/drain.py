"""drain: cordon a node, and evict its pods one by one, within their budgets."""

from collections.abc import Generator, Sequence
from contextlib import suppress
from typing import ClassVar, Literal

from pydantic import Field

from shared.contracts.actions.base import (
    ActionBase,
    Course,
    Done,
    HalfDoneError,
    Inquiry,
    Order,
    OvertakenError,
    RefusedError,
    StoppedError,
    UnsettledError,
    find,
    read_all,
)
from shared.contracts.actions.disruption import READS_BUDGETS, first_held
from shared.contracts.actions.emptydirs import check_no_data_goes
from shared.contracts.actions.evictions import eviction_of
from shared.contracts.actions.marks import is_marked
from shared.contracts.actions.nodes import CHANGE_NODES, NODE, check_others, cordon_of, is_cordoned, is_ours
from shared.contracts.actions.preconditions import check_replaceable, path_to, read_unprotected
from shared.contracts.actions.rung import ActionRungBase
from shared.contracts.actions.uncordon import Uncordon
from shared.contracts.model import JsonObject
from shared.contracts.objects import annotations_of, controller_of, section, text, uid_of
from shared.contracts.paths import BUDGETS
from shared.contracts.refusals import Refusal
from shared.contracts.requests import Answer, Create, ListAll, Patch, PatchType, Preview, Request
from shared.contracts.rights import Right, rights_on
from shared.contracts.signals import NodeSignal, Signal

_ALL_PODS = "/api/v1/pods"
_MIRROR = "kubernetes.io/config.mirror"
_ENDED = frozenset({"Succeeded", "Failed"})
_MOST_PODS = 250
_READINGS = 5


class Drain(ActionBase):
    """Cordon a node, and evict its pods one by one; nothing is touched where one of them may not be moved.

    DaemonSets' pods, static pods and pods that have ended stay. What holds a pod up half-way, as a budget, ends it: the
    action has failed by that name, what was done before is said, and another attempt goes on from there.
    """

    HEALS: ClassVar[str] = "pods on a node that fails under them; they come up on other nodes"
    KINDS: ClassVar[frozenset[str]] = NODE
    RIGHTS: ClassVar[frozenset[Right]] = (
        CHANGE_NODES
        | rights_on(["nodes"], verbs=["list"])
        | rights_on(["pods"], verbs=["get", "list", "patch"])
        | {Right("", "pods/eviction", "create"), Right("", "namespaces", "get")}
        | READS_BUDGETS
    )

    kind: Literal["drain"] = "drain"
    at_most: int = Field(ge=1, le=_MOST_PODS)
    least_schedulable: int = Field(default=100, ge=0, le=100)

    def course(self, order: Order) -> Course:
        """Ask of each pod whether it may be evicted, then cordon the node, then evict them."""
        path, name = path_to(order.workload, kinds=self.KINDS), order.workload.name
        node = yield from read_unprotected(path, order)
        if is_cordoned(node) and not is_ours(node):
            raise RefusedError(Refusal.CHANGED_MEANWHILE, "it is cordoned by somebody else")
        yield from check_others(order, least_percent=self.least_schedulable)
        pods = yield from _pods_to_move(name)
        if len(pods) > self.at_most:
            raise RefusedError(Refusal.TOO_MANY_PODS, f"{len(pods)} pods would have to leave it")
        lost: list[str] = []
        for pod in pods:
            lost += yield from _check(pod, order)
        yield cordon_of(path, node, order)
        if order.dry_run:
            return Done((*(yield from _foretold(name, pods)), *dict.fromkeys(lost)))
        yield from _evict_all(pods, order)
        return Done((*_lines(name, pods), *dict.fromkeys(lost)))

    def happened(self, order: Order) -> Inquiry:
        """Tell whether the node is cordoned by the command, and nothing is left on it to be moved."""
        node = yield from find(order.workload)
        if node is None or not is_marked(node, order.command):
            return False
        return not (yield from _pods_to_move(order.workload.name))

    def inverse(self) -> Uncordon:
        """Uncordon it; the pods stay where they are."""
        return Uncordon()

    def told_after(self, signal: Signal) -> Signal:
        """Return a node's signal as that of one that is cordoned."""
        return signal.model_copy(update={"unschedulable": True}) if isinstance(signal, NodeSignal) else signal

    def in_words(self) -> str:
        """Say how many pods may have to leave."""
        return f"drain the node, at most {self.at_most} pods"


class DrainRung(ActionRungBase):
    """Cordon the node and evict its pods one by one, within their budgets.

    If the cure is not proven, the node is uncordoned, unless `revert` is false; the pods stay where they are.
    """

    action: Literal["drain"]
    """Cordon the node, and evict its pods; refused as a whole where one of them may not be moved."""
    at_most: int = Field(ge=1, le=_MOST_PODS)
    """How many pods may have to leave the node; where there are more, none is touched."""
    least_schedulable: int = Field(default=100, ge=0, le=100)
    """How many of the other nodes must be ready and take pods, in percent."""
    revert: bool = True
    """Whether the node is uncordoned where the cure is not proven."""

    def aimed(self, signal: Signal) -> Drain:  # noqa: ARG002 - the node is the workload itself
        """Take the node that the incident is about."""
        return Drain(at_most=self.at_most, least_schedulable=self.least_schedulable)

    def in_words(self) -> str:
        """Say how many pods may have to leave."""
        return f"drain the node, at most {self.at_most} pods"

    @property
    def is_undone(self) -> bool:
        """Tell what the playbook says."""
        return self.revert

    def if_unproven(self) -> str:
        """Say whether the node takes pods again."""
        return "the node is uncordoned" if self.revert else "the node stays cordoned"


def _pods_to_move(node: str) -> Generator[ListAll, Answer, list[JsonObject]]:
    pods = yield from read_all(_ALL_PODS, fields=f"spec.nodeName={node}")
    return sorted((pod for pod in pods if _is_to_move(pod)), key=_name_of)


def _is_to_move(pod: JsonObject) -> bool:
    owner = controller_of(pod) or {}
    stays = owner.get("kind") == "DaemonSet" or _MIRROR in annotations_of(pod)
    has_ended = text(section(pod, "status"), "phase") in _ENDED or bool(
        section(pod, "metadata").get("deletionTimestamp")
    )
    return not stays and not has_ended


def _check(pod: JsonObject, order: Order) -> Generator[Request, Answer, list[str]]:
    """Ask whether a pod may be evicted, of its owners and of the API server, which keeps nothing of that.

    Return what a dry run says of the data that goes with it.

    Raises:
        RefusedError: it may not; the message names the pod.
    """
    try:
        owners = yield from check_replaceable(pod, order)
        lost = [line for owner in owners for line in check_no_data_goes(owner, order)]
        yield Preview(_eviction(pod))
    except OvertakenError:
        raise
    except RefusedError as refused:
        raise RefusedError(refused.refusal, f"pod {_name_of(pod)}: {refused.why}") from refused
    return lost


def _evict_all(pods: Sequence[JsonObject], order: Order) -> Generator[Request, Answer, None]:
    """Evict pods one by one.

    Raises:
        HalfDoneError: one may not be, or a stop holds it; the node is cordoned, and those before it are evicted.
    """
    for number, pod in enumerate(pods):
        try:
            yield from _evict(pod, order)
        except (RefusedError, UnsettledError, StoppedError) as failed:
            refusal, why = _blamed(failed)
            done = _lines(order.workload.name, pods[:number])
            raise HalfDoneError(refusal, f"pod {_name_of(pod)}: {why}", changes=done) from failed


def _foretold(node: str, pods: Sequence[JsonObject]) -> Generator[ListAll, Answer, list[str]]:
    """Ask for the budgets over pods; return what one attempt would do until one of them is used up.

    The API server was asked about each pod alone, and keeps nothing of that: it allowed each the same last eviction.
    """
    budgets: list[JsonObject] = []
    unread: list[str] = []
    for namespace in sorted({_namespace_of(pod) for pod in pods}):
        try:
            budgets += yield from read_all(BUDGETS.format(namespace))
        except RefusedError as refused:
            unread.append(f"not judged: budgets of {namespace}: {refused.why}")
    held = first_held(pods, budgets)
    if held is None:
        return [*_lines(node, pods), *unread]
    number, why = held
    told = f"pod {_name_of(pods[number])}: held up: {why}"
    behind = len(pods) - number - 1
    return [*_lines(node, pods[:number]), f"{told}; {behind} more wait behind it" if behind else told, *unread]


def _lines(node: str, evicted: Sequence[JsonObject]) -> tuple[str, ...]:
    return f"node {node}: cordoned", *(f"pod {_name_of(pod)}: evicted" for pod in evicted)


def _evict(pod: JsonObject, order: Order) -> Generator[Request, Answer, None]:
    """Evict a pod as it is by now, a bounded number of times where it is written meanwhile.

    What was evicted before is not to be forgotten, as it would be where all were read and judged again.
    """
    for _ in range(_READINGS - 1):
        with suppress(OvertakenError):
            return (yield from _mark_and_evict(pod, order))
    return (yield from _mark_and_evict(pod, order))


def _mark_and_evict(pod: JsonObject, order: Order) -> Generator[Request, Answer, None]:
    """Mark a pod as it is by now, and evict it; one that has gone meanwhile needs neither."""
    eviction = _eviction(pod)
    path = eviction.path.removesuffix("/eviction")
    try:
        now = yield from read_unprotected(path, order)
        if uid_of(now) != uid_of(pod) or not _is_to_move(now):
            return
        yield Patch(path, {"metadata": order.metadata_for(now)}, PatchType.MERGE)
        yield eviction
    except RefusedError as refused:
        if refused.refusal is not Refusal.TARGET_GONE:
            raise


def _blamed(failed: RefusedError | UnsettledError | StoppedError) -> tuple[Refusal, str]:
    match failed:
        case RefusedError():
            return failed.refusal, failed.why
        case UnsettledError():
            return Refusal.SERVER_ERROR, str(failed)
        case StoppedError():
            return Refusal.PAUSED, str(failed)


def _eviction(pod: JsonObject) -> Create:
    metadata = section(pod, "metadata")
    return eviction_of(text(metadata, "name"), text(metadata, "namespace"), uid=uid_of(pod))


def _name_of(pod: JsonObject) -> str:
    return f"{_namespace_of(pod)}/{text(section(pod, 'metadata'), 'name')}"


def _namespace_of(pod: JsonObject) -> str:
    return text(section(pod, "metadata"), "namespace")
