"""scale-hpa: the bound of the one autoscaler of the workload, never beyond the limit, and back to what it was."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.contracts.actions.base import Done
from shared.contracts.actions.former import FORMER_ANNOTATION
from shared.contracts.actions.marks import is_marked
from shared.contracts.actions.scale_hpa import ScaleHpa, ScaleHpaRung
from shared.contracts.refusals import Refusal
from shared.contracts.workloads import WorkloadRef
from tests.unit.services.decider.core.build import sample
from tests.unit.shared.contracts.actions.conversation import Server, has_happened, labelled, order, outcome
from tests.unit.shared.contracts.actions.objects import AUTOSCALER, DEPLOYMENT, PROTECTION, autoscaler, deployment

MORE = ScaleHpa(by=3, at_most=12)
MORE_AT_LEAST = ScaleHpa(bound="minReplicas", by=3, at_most=12)
BACK = order("cmd-2", reverts="cmd-1")
KEDA = "scaledobject.keda.sh/name"


def server(found: Any, **more: Any) -> Server:
    return Server({DEPLOYMENT: deployment(), AUTOSCALER: found, **more})


@given(st.integers(1, 100), st.integers(1, 100), st.integers(1, 100), st.sampled_from(["maxReplicas", "minReplicas"]))
def test_a_bound_rises_by_no_more_than_the_step_and_never_beyond_the_limit_nor_the_other_bound(
    before: int, by: int, at_most: int, bound: Any
) -> None:
    before_max = before if bound == "maxReplicas" else 50
    found = autoscaler(least=min(before, before_max), most=before_max)
    held = found["spec"][bound]
    asked = server(found)
    done = outcome(asked, ScaleHpa(bound=bound, by=by, at_most=at_most))
    after = asked.objects[AUTOSCALER]["spec"]
    assert held <= after[bound] <= max(held, min(at_most, held + by))
    assert after["minReplicas"] <= after["maxReplicas"]
    assert (done is Refusal.CAP_REACHED) == (after == found["spec"])
    if isinstance(done, Done):
        assert isinstance(outcome(asked, ScaleHpa(bound=bound, by=by, at_most=at_most, direction="back"), BACK), Done)
        assert asked.objects[AUTOSCALER]["spec"] == found["spec"]


def test_the_maximum_is_raised_under_the_marks_and_the_version_that_was_read() -> None:
    asked = server(autoscaler(most=10))
    assert outcome(asked, MORE) == Done(("autoscaler busy: maxReplicas: 10 → 12",))
    after = asked.objects[AUTOSCALER]
    assert (after["spec"]["maxReplicas"], after["spec"]["minReplicas"]) == (12, 2)
    assert (is_marked(after, "cmd-1"), after["metadata"]["resourceVersion"]) == (True, "5")
    assert has_happened(Server(asked.objects), MORE)
    assert not has_happened(Server(asked.objects), MORE, order("cmd-2"))
    assert not has_happened(Server({}), MORE)


def test_the_minimum_of_an_autoscaler_that_names_none_is_one() -> None:
    asked = server(autoscaler(least=None))
    assert outcome(asked, MORE_AT_LEAST) == Done(("autoscaler busy: minReplicas: 1 → 4",))


@pytest.mark.parametrize(
    ("found", "action", "refusal"),
    [
        (autoscaler(most=12), MORE, Refusal.CAP_REACHED),
        (autoscaler(least=10, most=10), MORE_AT_LEAST, Refusal.CAP_REACHED),
        (autoscaler(target="other"), MORE, Refusal.NO_AUTOSCALER),
        (autoscaler(labels={KEDA: "web"}), MORE, Refusal.OWNED_BY_OTHER),
        (autoscaler(ownerReferences=[{"kind": "ScaledObject", "name": "web"}]), MORE, Refusal.OWNED_BY_OTHER),
        (labelled(autoscaler(), **PROTECTION), MORE, Refusal.PROTECTED_OBJECT),
        (labelled(autoscaler(), tier="database"), MORE, Refusal.PROTECTED_OBJECT),
        (autoscaler(), MORE.inverse(), Refusal.NO_EARLIER_STATE),
    ],
)
def test_a_precondition_that_does_not_hold_is_named_and_nothing_is_written(
    found: Any, action: ScaleHpa, refusal: Refusal
) -> None:
    asked = server(found)
    assert (outcome(asked, action, order(tier="database")), asked.written) == (refusal, [])


def test_of_two_autoscalers_of_one_workload_none_is_touched() -> None:
    asked = server(autoscaler(), **{f"{AUTOSCALER}-too": autoscaler()})
    assert (outcome(asked, MORE), asked.written) == (Refusal.NO_AUTOSCALER, [])


def test_the_autoscaler_of_another_kind_of_the_same_name_is_another() -> None:
    found = autoscaler()
    found["spec"]["scaleTargetRef"] |= {"apiVersion": "example.com/v1"}
    assert outcome(server(found), MORE) is Refusal.NO_AUTOSCALER


def test_a_protected_workload_keeps_its_bounds() -> None:
    asked = Server({DEPLOYMENT: labelled(deployment(), **PROTECTION), AUTOSCALER: autoscaler()})
    assert outcome(asked, MORE) is Refusal.PROTECTED_OBJECT


@pytest.mark.parametrize("kind", ["Job", "CronJob", "Pod", "Node", "ReplicaSet", "DaemonSet", "Other"])
def test_a_workload_of_another_kind_is_refused_unread(kind: str) -> None:
    asked = Server({})
    named = order(workload=WorkloadRef(kind=kind, namespace="bank", name="web"))
    assert (outcome(asked, MORE, named), asked.asked) == (Refusal.KIND_NOT_SUPPORTED, [])


def test_the_bound_is_set_back_once_and_only_from_what_the_command_made() -> None:
    asked, undo = server(autoscaler(most=10)), MORE.inverse()
    assert undo is not None
    outcome(asked, MORE)
    assert outcome(asked, undo, order("cmd-2", reverts="cmd-0")) is Refusal.NO_EARLIER_STATE
    assert outcome(asked, undo.model_copy(update={"bound": "minReplicas"}), BACK) is Refusal.NO_EARLIER_STATE
    assert outcome(asked, undo, BACK) == Done(("autoscaler busy: maxReplicas: 12 → 10",))
    assert FORMER_ANNOTATION not in asked.objects[AUTOSCALER]["metadata"]["annotations"]
    assert outcome(asked, undo, BACK) is Refusal.NO_EARLIER_STATE
    assert undo.inverse() is None


def test_a_bound_that_somebody_else_set_since_stays() -> None:
    asked, undo = server(autoscaler(most=10)), MORE.inverse()
    outcome(asked, MORE)
    asked.objects[AUTOSCALER]["spec"]["maxReplicas"] = 20
    assert undo is not None
    assert outcome(asked, undo, BACK) is Refusal.CHANGED_MEANWHILE


def test_the_step_says_how_far_it_goes() -> None:
    rung = ScaleHpaRung.model_validate({"action": "scale-hpa", "by": 3, "at_most": 12})
    assert rung.aimed(sample(value=10, seconds=0)) == MORE
    assert (rung.is_undone, list(rung.senseless())) == (True, [])
    assert list(ScaleHpaRung.model_validate({"action": "scale-hpa", "at_most": 1}).senseless())
