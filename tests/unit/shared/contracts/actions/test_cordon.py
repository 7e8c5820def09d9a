"""cordon and uncordon: each other's inverse; nobody else's cordon is touched, and enough other nodes take pods."""

from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.contracts.actions import ACTIONS, CordonRung, UncordonRung
from shared.contracts.actions.base import Done
from shared.contracts.actions.cordon import Cordon
from shared.contracts.actions.uncordon import Uncordon
from shared.contracts.refusals import Refusal
from shared.contracts.requests import Patch, PatchType
from shared.contracts.workloads import WorkloadRef
from tests.unit.shared.contracts.actions.conversation import WEB, Server, has_happened, labelled, order, outcome
from tests.unit.shared.contracts.actions.nodes import AT_NODE, CORDONED, MARKS, NODE, NODES, node, seen, three
from tests.unit.shared.contracts.actions.objects import PROTECTION, managed

TAINT = {"key": "team", "effect": "NoSchedule"}
LOST = {"key": "node.kubernetes.io/unreachable", "effect": "NoExecute"}
ON_NODE = order(workload=NODE, tier="database")


def test_a_node_is_cordoned_under_its_version_and_a_mark_that_tells_whose_cordon_it_is() -> None:
    server = Server(three())
    assert outcome(server, Cordon(), ON_NODE) == Done(("node n1: cordoned, it takes no new pods",))
    annotations: Any = {**MARKS, "sre-agent.dev/cordoned": "cmd-1"}
    metadata: Any = {"resourceVersion": "5", "annotations": annotations}
    body: Any = {"metadata": metadata, "spec": {"unschedulable": True}}
    assert server.written == [Patch(AT_NODE, body, PatchType.MERGE)]
    assert has_happened(server, Cordon(), ON_NODE)
    assert not has_happened(server, Cordon(), order("cmd-2", workload=NODE))


def test_what_was_cordoned_is_uncordoned_by_the_inverse_which_leaves_no_mark_of_it() -> None:
    server = Server(three())
    assert isinstance(outcome(server, Cordon(), ON_NODE), Done)
    undo = order("cmd-2", workload=NODE)
    assert outcome(server, Cordon().inverse(), undo) == Done(("node n1: uncordoned, it takes pods again",))
    after: Any = server.objects[AT_NODE]
    assert (after["spec"], "sre-agent.dev/cordoned" in after["metadata"]["annotations"]) == ({}, False)
    assert has_happened(server, Uncordon(), undo)
    assert outcome(server, Uncordon(), undo) is Refusal.CHANGED_MEANWHILE


@pytest.mark.parametrize(
    ("objects", "refusal"),
    [
        ({}, Refusal.TARGET_GONE),
        (three(cordoned=True), Refusal.CHANGED_MEANWHILE),
        (three(cordoned=True, annotations=CORDONED), Refusal.CHANGED_MEANWHILE),
        ({**three(), AT_NODE: labelled(node(), **PROTECTION)}, Refusal.PROTECTED_OBJECT),
        ({**three(), AT_NODE: labelled(node(), tier="database")}, Refusal.PROTECTED_OBJECT),
        ({AT_NODE: node()}, Refusal.TOO_FEW_NODES),
        ({**three(), f"{NODES}/n2": node("n2", cordoned=True)}, Refusal.TOO_FEW_NODES),
        ({**three(), f"{NODES}/n2": node("n2", ready="False")}, Refusal.TOO_FEW_NODES),
        ({**three(), f"{NODES}/n2": node("n2", ready="Unknown", taints=[LOST])}, Refusal.TOO_FEW_NODES),
        ({AT_NODE: node(), f"{NODES}/n2": node("n2", taints=[TAINT])}, Refusal.TOO_FEW_NODES),
    ],
)
def test_a_cordon_whose_precondition_does_not_hold_is_refused_by_its_name(
    objects: Mapping[str, Any], refusal: Refusal
) -> None:
    server = Server(objects)
    assert (outcome(server, Cordon(), ON_NODE), server.written) == (refusal, [])


@pytest.mark.parametrize(
    ("objects", "refusal"),
    [
        ({}, Refusal.TARGET_GONE),
        (three(), Refusal.CHANGED_MEANWHILE),
        (three(annotations=CORDONED), Refusal.CHANGED_MEANWHILE),
        (three(cordoned=True), Refusal.NOT_OURS),
        (three(cordoned=True, annotations=MARKS), Refusal.NOT_OURS),
        ({AT_NODE: labelled(node(cordoned=True, annotations=CORDONED), **PROTECTION)}, Refusal.PROTECTED_OBJECT),
    ],
)
def test_an_uncordon_whose_precondition_does_not_hold_is_refused_by_its_name(
    objects: Mapping[str, Any], refusal: Refusal
) -> None:
    server = Server(objects)
    assert (outcome(server, Uncordon(), ON_NODE), server.written) == (refusal, [])


@pytest.mark.parametrize(
    ("writer", "refusal"),
    [("kubectl-cordon", Refusal.NOT_OURS), ("sre-agent", None), ("kube-controller-manager", Refusal.NOT_OURS)],
)
def test_a_cordon_that_a_person_took_back_and_made_anew_is_left_as_it_is(writer: str, refusal: Any) -> None:
    ours = node(cordoned=True, annotations=CORDONED)  # `kubectl uncordon` leaves our annotation
    server = Server({**three(), AT_NODE: managed(ours, writer, {"f:spec": {"f:unschedulable": {}}})})
    done = outcome(server, Uncordon(), order(workload=NODE, reverts="cmd-0"))
    assert (None if isinstance(done, Done) else done) == refusal
    assert bool(server.written) is (refusal is None)


@pytest.mark.parametrize("action", [Cordon(), Uncordon()])
def test_nothing_but_a_node_is_cordoned(action: Any) -> None:
    assert outcome(Server({}), action, order(workload=WEB)) is Refusal.KIND_NOT_SUPPORTED
    assert (
        outcome(Server({}), action, order(workload=WorkloadRef(kind="Alert", name="a"))) is Refusal.KIND_NOT_SUPPORTED
    )


@given(others=st.lists(st.sampled_from(["well", "cordoned", "lost"]), max_size=20), least=st.integers(0, 100))
def test_a_node_is_cordoned_only_where_the_share_of_others_takes_pods(others: list[str], least: int) -> None:
    known = {
        f"{NODES}/o{number}": node(f"o{number}", cordoned=how == "cordoned", ready=str(how != "lost"))
        for number, how in enumerate(others)
    }
    able = others.count("well")
    done = outcome(Server({AT_NODE: node(), **known}), Cordon(least_schedulable=least), ON_NODE)
    assert isinstance(done, Done) is (able > 0 and able >= len(others) * least / 100)


def test_a_node_that_is_set_apart_for_certain_pods_is_not_counted() -> None:
    objects = {**three(), f"{NODES}/control": node("control", taints=[TAINT], ready="False")}
    assert isinstance(outcome(Server(objects), Cordon(), ON_NODE), Done)


def test_a_cordon_is_undone_unless_the_playbook_says_otherwise_and_only_what_eases_is_never_braked() -> None:
    rung = CordonRung(action="cordon", least_schedulable=50)
    assert (rung.is_undone, rung.if_unproven()) == (True, "the node is uncordoned")
    kept = CordonRung(action="cordon", revert=False)
    assert (kept.is_undone, kept.if_unproven()) == (False, "the node stays cordoned")
    assert rung.aimed(seen()) == Cordon(least_schedulable=50)
    assert UncordonRung(action="uncordon").aimed(seen(ready=True)) == Uncordon()
    assert [kind for kind, one in ACTIONS.items() if one.EASES] == ["uncordon"]


def test_a_signal_of_the_node_is_told_as_it_would_be_then() -> None:
    signal: Any = Cordon().told_after(seen())
    assert signal.unschedulable
    assert Uncordon().told_after(signal) == seen()
