"""scale: never beyond its bounds, never the other way, never from what nobody saw, and back to what it was."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.contracts.actions.base import Done
from shared.contracts.actions.marks import is_marked
from shared.contracts.actions.scale import Scale, ScaleRung
from shared.contracts.refusals import Refusal
from shared.contracts.workloads import WorkloadRef
from tests.unit.shared.contracts.actions.conversation import Server, has_happened, labelled, order, outcome
from tests.unit.shared.contracts.actions.objects import DEPLOYMENT, PROTECTION, deployment, made_by_operator, managed

HPAS = "/apis/autoscaling/v2/namespaces/bank/horizontalpodautoscalers"
MORE = Scale(by=1, least=1, most=5)
AUTOSCALER = {"metadata": {"name": "web"}, "spec": {"scaleTargetRef": {"kind": "Deployment", "name": "web"}}}


def counting(replicas: int | None) -> Any:
    found = deployment()
    spec = {name: value for name, value in found["spec"].items() if name != "replicas"}
    return found | {"spec": spec | ({} if replicas is None else {"replicas": replicas})}


def replicas_of(server: Server) -> int:
    return server.objects[DEPLOYMENT]["spec"]["replicas"]


@given(
    st.integers(0, 50),
    st.integers(-100, 100),
    st.integers(1, 60).flatmap(lambda least: st.tuples(st.just(least), st.integers(least, 60))),
)
def test_it_stays_within_its_bounds_and_goes_the_way_it_was_asked_and_back_again(
    before: int, by: int, bounds: tuple[int, int]
) -> None:
    server = Server({DEPLOYMENT: counting(before)})
    least, most = bounds
    done = outcome(server, Scale(by=by, least=least, most=most))
    if not isinstance(done, Done):
        assert (replicas_of(server), done) == (before, Refusal.BOUND_REACHED if before else Refusal.SWITCHED_OFF)
        return
    after = replicas_of(server)
    assert 0 < (after - before) * (1 if by > 0 else -1) <= abs(by)
    assert after <= most if by > 0 else after >= least
    assert before <= 2 * after <= 4 * before
    assert done.inverse is not None
    assert isinstance(outcome(server, done.inverse, order("cmd-2")), Done)
    assert replicas_of(server) == before


def test_the_change_is_told_marked_and_can_be_told_from_the_object() -> None:
    server = Server({DEPLOYMENT: counting(2)})
    back = Scale(by=-1, least=2, most=2, from_replicas=3)
    assert outcome(server, MORE) == Done(("replicas: 2 → 3",), inverse=back)
    after = server.objects[DEPLOYMENT]
    assert (is_marked(after, "cmd-1"), after["metadata"]["resourceVersion"]) == (True, "7")
    assert after["spec"] == counting(3)["spec"]
    assert has_happened(Server(server.objects), MORE)
    assert back.in_words() == "scale from 3 back to 2 replicas"


@pytest.mark.parametrize(
    ("objects", "action", "refusal"),
    [
        ({}, MORE, Refusal.TARGET_GONE),
        ({DEPLOYMENT: counting(0)}, MORE, Refusal.SWITCHED_OFF),
        ({DEPLOYMENT: counting(5)}, MORE, Refusal.BOUND_REACHED),
        ({DEPLOYMENT: counting(9)}, MORE, Refusal.BOUND_REACHED),
        ({DEPLOYMENT: counting(None)}, Scale(by=-1, least=1, most=5), Refusal.BOUND_REACHED),
        ({DEPLOYMENT: counting(2)}, Scale(by=0, least=1, most=5), Refusal.BOUND_REACHED),
        ({DEPLOYMENT: counting(4)}, Scale(by=-1, least=2, most=2, from_replicas=3), Refusal.CHANGED_MEANWHILE),
        ({DEPLOYMENT: labelled(counting(2), **PROTECTION)}, MORE, Refusal.PROTECTED_OBJECT),
        ({DEPLOYMENT: labelled(counting(2), tier="database")}, MORE, Refusal.PROTECTED_OBJECT),
        ({DEPLOYMENT: counting(2), f"{HPAS}/web": AUTOSCALER}, MORE, Refusal.OWNED_BY_OTHER),
        ({DEPLOYMENT: made_by_operator(counting(2))}, MORE, Refusal.OWNED_BY_OTHER),
        (
            {DEPLOYMENT: managed(counting(2), "argocd-controller", {"f:spec": {"f:replicas": {}}})},
            MORE,
            Refusal.OWNED_BY_OTHER,
        ),
    ],
)
def test_a_precondition_that_does_not_hold_is_named_and_nothing_is_written(
    objects: Any, action: Scale, refusal: Refusal
) -> None:
    server = Server(objects)
    assert (outcome(server, action, order(tier="database")), server.written) == (refusal, [])


@pytest.mark.parametrize("kind", ["DaemonSet", "Job", "CronJob", "Pod", "ReplicaSet"])
def test_what_nobody_counts_by_replicas_is_refused_unread(kind: str) -> None:
    server = Server({})
    asked = order(workload=WorkloadRef(kind=kind, namespace="bank", name="web"))
    assert (outcome(server, MORE, asked), server.asked) == (Refusal.KIND_NOT_SUPPORTED, [])


@pytest.mark.parametrize(
    ("words", "wrong"),
    [
        ({"by": 1, "min": 1, "max": 1}, []),
        ({"by": 0, "min": 1, "max": 2}, ["by"]),
        ({"by": -1, "min": 3, "max": 2}, ["max"]),
    ],
)
def test_a_step_that_cannot_be_meant_is_told(words: dict[str, int], wrong: list[str]) -> None:
    rung = ScaleRung.model_validate({"action": "scale", **words})
    assert [word for word, _ in rung.senseless()] == wrong
