"""drain: every pod is asked about before anything is touched; then the node is cordoned and the pods are evicted."""

from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.contracts.actions import DrainRung
from shared.contracts.actions.base import (
    Done,
    HalfDoneError,
    OvertakenError,
    RefusedError,
    StoppedError,
    UnsettledError,
)
from shared.contracts.actions.drain import Drain
from shared.contracts.actions.uncordon import Uncordon
from shared.contracts.refusals import Refusal
from shared.contracts.requests import Create, ListAll, Patch, Preview, Request
from tests.unit.shared.contracts.actions.conversation import WEB, Server, has_happened, labelled, order, outcome
from tests.unit.shared.contracts.actions.nodes import (
    AT_NODE,
    CORDONED,
    NODE,
    NODES,
    SETS,
    node,
    pod_on,
    seen,
    three,
)
from tests.unit.shared.contracts.actions.objects import PROTECTION, managed

ACTION = Drain(at_most=3)
PODS = "/api/v1/namespaces/bank/pods"
ON_NODE = order(workload=NODE, tier="database")
MIRROR = {"kubernetes.io/config.mirror": "hash"}
STAYING = {
    **pod_on("agent", owner="DaemonSet"),
    **pod_on("static", owner="Node", annotations=MIRROR),
    **pod_on("done", phase="Succeeded"),
    **pod_on("failed", phase="Failed"),
    **pod_on("leaving", deletionTimestamp="2030-01-01T00:00:00Z"),
}
STANDING = {**three(), **pod_on("a"), **pod_on("b", namespace="shop"), **STAYING}
CORDON: Any = {"f:spec": {"f:unschedulable": {}}}
A_POD, B_POD = f"{PODS}/a", "/api/v1/namespaces/shop/pods/b"


def evictions(server: Server) -> list[str]:
    return [one.path for one in server.written if isinstance(one, Create)]


def test_the_node_is_cordoned_and_the_pods_that_are_to_move_are_evicted_one_by_one() -> None:
    server = Server(STANDING)
    assert outcome(server, ACTION, ON_NODE) == Done(("node n1: cordoned", "pod bank/a: evicted", "pod shop/b: evicted"))
    assert [one.path for one in server.written] == [
        AT_NODE,
        *(A_POD, f"{A_POD}/eviction"),
        *(B_POD, f"{B_POD}/eviction"),
    ]
    marked: Any = server.objects[A_POD]
    assert marked["metadata"]["annotations"]["sre-agent.dev/command"] == "cmd-1"


def test_each_pod_is_asked_about_before_the_first_thing_is_written() -> None:
    server = Server(STANDING)
    outcome(server, ACTION, ON_NODE)
    asked = [type(one) for one in server.asked if isinstance(one, Preview | Patch | Create)]
    assert asked == [Preview, Preview, Patch, Patch, Create, Patch, Create]


def test_a_preview_evicts_nothing() -> None:
    server = Server(STANDING)
    done = outcome(server, ACTION, order(workload=NODE, dry_run=True))
    assert isinstance(done, Done)
    assert done.changes == ("node n1: cordoned", "pod bank/a: evicted", "pod shop/b: evicted")
    assert [one.path for one in server.written] == [AT_NODE]


def stopped(path: str) -> Mapping[str, Any]:
    metadata = {**STANDING[path]["metadata"], "annotations": {"sre-agent.dev/pause": "ann: moving it"}}
    return {**STANDING, path: {**STANDING[path], "metadata": metadata}}


def protected(path: str) -> Mapping[str, Any]:
    return {**STANDING, path: labelled(STANDING[path], **PROTECTION)}


@pytest.mark.parametrize(
    ("objects", "refusal"),
    [
        ({}, Refusal.TARGET_GONE),
        ({**STANDING, AT_NODE: node(cordoned=True)}, Refusal.CHANGED_MEANWHILE),
        (
            {**STANDING, AT_NODE: managed(node(cordoned=True, annotations=CORDONED), "ann", CORDON)},
            Refusal.CHANGED_MEANWHILE,
        ),
        ({**STANDING, AT_NODE: labelled(node(), **PROTECTION)}, Refusal.PROTECTED_OBJECT),
        ({**STANDING, f"{NODES}/n2": node("n2", cordoned=True)}, Refusal.TOO_FEW_NODES),
        ({**STANDING, f"{NODES}/n2": node("n2", ready="False")}, Refusal.TOO_FEW_NODES),
        ({**STANDING, **pod_on("c"), **pod_on("d")}, Refusal.TOO_MANY_PODS),
        ({**STANDING, **pod_on("bare", owner=None)}, Refusal.NO_CONTROLLER),
        ({**STANDING, **pod_on("dns", namespace="kube-system")}, Refusal.PROTECTED_NAMESPACE),
        ({**STANDING, **pod_on("odd", owner="Gadget")}, Refusal.KIND_NOT_SUPPORTED),
        (protected(B_POD), Refusal.PROTECTED_OBJECT),
        (protected("/api/v1/namespaces/shop"), Refusal.PROTECTED_OBJECT),
        (stopped("/api/v1/namespaces/shop"), Refusal.PAUSED),
        (stopped(f"{SETS.format('shop')}/of-b"), Refusal.PAUSED),
        (protected(f"{SETS.format('shop')}/of-b"), Refusal.PROTECTED_OBJECT),
        ({**STANDING, B_POD: labelled(STANDING[B_POD], tier="database")}, Refusal.PROTECTED_OBJECT),
    ],
)
def test_a_precondition_that_does_not_hold_is_named_and_nothing_is_written(
    objects: Mapping[str, Any], refusal: Refusal
) -> None:
    server = Server(objects)
    assert (outcome(server, ACTION, ON_NODE), server.written) == (refusal, [])


def test_nothing_but_a_node_is_drained() -> None:
    assert outcome(Server(STANDING), ACTION, order(workload=WEB)) is Refusal.KIND_NOT_SUPPORTED


SPENT = RefusedError(Refusal.DISRUPTION_BUDGET, "it would violate a budget")


def test_a_budget_that_allows_no_eviction_at_all_is_the_reason_before_anything_is_touched() -> None:
    server = Server(STANDING, refuses=lambda asked: SPENT if asked.__class__ is Preview else None)
    with pytest.raises(RefusedError) as refused:
        server.converse(ACTION.course(ON_NODE))
    assert (refused.value.refusal, server.written) == (Refusal.DISRUPTION_BUDGET, [])
    assert refused.value.message == "pod bank/a: it would violate a budget"


def test_a_budget_that_is_spent_half_way_ends_it_by_its_name_and_another_attempt_goes_on() -> None:
    def spent(asked: Request) -> RefusedError | None:
        return SPENT if isinstance(asked, Create) and asked.path == f"{B_POD}/eviction" else None

    server = Server(STANDING, refuses=spent)
    with pytest.raises(HalfDoneError) as half:
        server.converse(ACTION.course(ON_NODE))
    assert (half.value.refusal, half.value.message) == (SPENT.refusal, "pod shop/b: it would violate a budget")
    assert half.value.changes == (f"node {NODE.name}: cordoned", "pod bank/a: evicted")
    assert not has_happened(server, ACTION, ON_NODE)
    left = {path: one for path, one in server.objects.items() if path != A_POD}
    again = Server(left)
    assert isinstance(outcome(again, ACTION, order("cmd-2", workload=NODE)), Done)
    assert evictions(again) == [f"{B_POD}/eviction"]


OVERTAKEN = OvertakenError("another version")


@pytest.mark.parametrize("times", range(1, 5))
def test_a_pod_that_is_written_meanwhile_is_read_again_and_nothing_before_it_is_forgotten(times: int) -> None:
    left = iter([OVERTAKEN] * times)
    server = Server(STANDING, refuses=lambda asked: next(left, None) if _marks(asked, B_POD) else None)
    assert outcome(server, ACTION, ON_NODE) == Done(("node n1: cordoned", "pod bank/a: evicted", "pod shop/b: evicted"))
    assert evictions(server) == [f"{A_POD}/eviction", f"{B_POD}/eviction"]


def test_a_pod_that_is_written_again_and_again_ends_it_half_way() -> None:
    server = Server(STANDING, refuses=lambda asked: OVERTAKEN if _marks(asked, B_POD) else None)
    with pytest.raises(HalfDoneError) as half:
        server.converse(ACTION.course(ON_NODE))
    assert (half.value.refusal, half.value.changes[1:]) == (Refusal.CHANGED_MEANWHILE, ("pod bank/a: evicted",))


def test_a_pod_that_is_protected_meanwhile_stays() -> None:
    def labels_it(asked: Request) -> RefusedError | None:
        if isinstance(asked, Patch) and asked.path == AT_NODE:
            server.objects = {**server.objects, A_POD: labelled(server.objects[A_POD], **PROTECTION)}
        return None

    server = Server(STANDING, refuses=labels_it)
    with pytest.raises(HalfDoneError) as half:
        server.converse(ACTION.course(ON_NODE))
    assert (half.value.refusal, evictions(server)) == (Refusal.PROTECTED_OBJECT, [])


@pytest.mark.parametrize(
    ("failed", "refusal"),
    [
        (StoppedError("stopped by ann: disk full"), Refusal.PAUSED),
        (UnsettledError("etcdserver: request timed out"), Refusal.SERVER_ERROR),
    ],
)
def test_what_holds_a_drain_up_half_way_is_named_and_what_was_done_before_it(
    failed: StoppedError | UnsettledError, refusal: Refusal
) -> None:
    server = Server(STANDING, refuses=lambda asked: failed if _marks(asked, B_POD) else None)
    with pytest.raises(HalfDoneError) as half:
        server.converse(ACTION.course(ON_NODE))
    assert (half.value.refusal, half.value.message) == (refusal, f"pod shop/b: {failed}")
    assert half.value.changes == ("node n1: cordoned", "pod bank/a: evicted")


def _marks(asked: Request, pod: str) -> bool:
    return isinstance(asked, Patch) and asked.path == pod


PDB = "/apis/policy/v1/namespaces/{}/poddisruptionbudgets"
PREVIEW = order(workload=NODE, dry_run=True)


def budget(allowed: int, *, namespace: str = "bank", app: str = "web", **spec: Any) -> dict[str, Any]:
    metadata = {"name": f"of-{app}", "namespace": namespace}
    return {
        f"{PDB.format(namespace)}/of-{app}": {
            "metadata": metadata,
            "spec": {"selector": {"matchLabels": {"app": app}}, **spec},
            "status": {"disruptionsAllowed": allowed, "currentHealthy": 3 + allowed, "desiredHealthy": 3},
        }
    }


def ready(name: str, *, namespace: str = "bank", app: str = "web", status: str = "True", **more: Any) -> dict[str, Any]:
    found = pod_on(name, namespace=namespace, labels={"app": app}, **more)
    told = found[f"/api/v1/namespaces/{namespace}/pods/{name}"]["status"]
    told["conditions"] = [{"type": "Ready", "status": status}]
    return found


THREE_PODS = {**ready("a"), **ready("b"), **ready("c")}
SHOP = {**ready("d", namespace="shop")}


def foretold(*parts: Mapping[str, Any]) -> tuple[str, ...]:
    objects: dict[str, Any] = dict(three())
    for part in parts:
        objects |= part
    done = outcome(Server(objects), Drain(at_most=9), PREVIEW)
    assert isinstance(done, Done)
    return tuple(line.removeprefix("pod ") for line in done.changes[1:])


EACH = ("bank/a: evicted", "bank/b: evicted", "bank/c: evicted")
HELD = "bank/b: held up: budget of-web lets 1 go now; 1 more wait behind it"
UNREADY = {**ready("a"), **ready("b", status="False"), **ready("c")}


@pytest.mark.parametrize(
    ("parts", "lines"),
    [
        ((THREE_PODS,), EACH),
        ((THREE_PODS, budget(3)), EACH),
        ((THREE_PODS, budget(1)), (EACH[0], HELD)),
        ((THREE_PODS, budget(2)), (*EACH[:2], "bank/c: held up: budget of-web lets 2 go now")),
        ((THREE_PODS, budget(1, app="other")), EACH),
        ((THREE_PODS, SHOP, budget(3), budget(1, namespace="shop")), (*EACH, "shop/d: evicted")),
        ((THREE_PODS, ready("b", phase="Pending"), budget(2)), EACH),
        ((UNREADY, budget(2)), EACH),
        ((UNREADY, budget(1)), (*EACH[:2], "bank/c: held up: budget of-web lets 1 go now")),
        ((UNREADY, budget(2, unhealthyPodEvictionPolicy="AlwaysAllow")), EACH),
    ],
)
def test_a_preview_uses_budgets_up_in_the_order_in_which_pods_would_go(
    parts: tuple[Mapping[str, Any], ...], lines: tuple[str, ...]
) -> None:
    assert foretold(*parts) == lines


def test_budgets_that_cannot_be_read_are_noted_and_stop_no_preview() -> None:
    denied = RefusedError(Refusal.FORBIDDEN, "not allowed")
    server = Server(
        {**three(), **THREE_PODS},
        refuses=lambda asked: denied if isinstance(asked, ListAll) and asked.path == PDB.format("bank") else None,
    )
    done = outcome(server, ACTION, PREVIEW)
    assert isinstance(done, Done)
    assert done.changes[-2:] == ("pod bank/c: evicted", "not judged: budgets of bank: not allowed")


def test_a_pod_that_went_meanwhile_is_passed_over() -> None:
    gone = RefusedError(Refusal.TARGET_GONE)
    server = Server(STANDING, refuses=lambda asked: gone if _marks(asked, A_POD) else None)
    assert isinstance(outcome(server, ACTION, ON_NODE), Done)
    assert evictions(server) == [f"{B_POD}/eviction"]


@pytest.mark.parametrize(
    ("objects", "happened"),
    [
        ({}, False),
        ({**three(cordoned=True, annotations=CORDONED), **STAYING}, False),
        ({**three(cordoned=True, annotations={"sre-agent.dev/command": "cmd-1"}), **STAYING}, True),
        ({**three(cordoned=True, annotations={"sre-agent.dev/command": "cmd-1"}), **pod_on("a")}, False),
    ],
)
def test_it_has_happened_where_the_node_bears_the_mark_and_nothing_is_left_to_move(
    objects: Mapping[str, Any], happened: bool
) -> None:
    assert has_happened(Server(objects), ACTION, ON_NODE) is happened


KINDS_OF_POD = st.sampled_from(["moves", "bare", "daemon", "mirror", "done"])


@given(kinds=st.lists(KINDS_OF_POD, max_size=8), at_most=st.integers(1, 8))
def test_never_more_than_is_allowed_and_never_what_must_stay(kinds: list[str], at_most: int) -> None:
    ways: dict[str, dict[str, Any]] = {
        "moves": {},
        "bare": {"owner": None},
        "daemon": {"owner": "DaemonSet"},
        "mirror": {"owner": "Node", "annotations": MIRROR},
        "done": {"phase": "Failed"},
    }
    objects = dict(three())
    for number, kind in enumerate(kinds):
        objects |= pod_on(f"{kind}-{number}", **ways[kind])
    server = Server(objects)
    done = outcome(server, Drain(at_most=at_most), ON_NODE)
    assert len(evictions(server)) <= at_most
    assert all("/moves-" in path for path in evictions(server))
    assert isinstance(done, Done) is ("bare" not in kinds and kinds.count("moves") <= at_most)
    assert isinstance(done, Done) or server.written == []


def test_its_inverse_lets_the_node_take_pods_again() -> None:
    assert ACTION.inverse() == Uncordon()
    rung = DrainRung(action="drain", at_most=5, least_schedulable=80)
    assert (rung.is_undone, rung.if_unproven()) == (True, "the node is uncordoned")
    assert DrainRung(action="drain", at_most=5, revert=False).if_unproven() == "the node stays cordoned"
    assert rung.aimed(seen()) == Drain(at_most=5, least_schedulable=80)
    told: Any = ACTION.told_after(seen())
    assert told.unschedulable
