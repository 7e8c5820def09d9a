"""restore-service: what was declared in place of what is there, and nothing else of the Service; and back."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.contracts.actions.base import Done
from shared.contracts.actions.former import FORMER_ANNOTATION
from shared.contracts.actions.marks import is_marked
from shared.contracts.actions.restore_service import RestoreService, RestoreServiceRung
from shared.contracts.reasons import Reason
from shared.contracts.refusals import Refusal
from shared.contracts.workloads import WorkloadRef
from tests.unit.services.decider.core.build import container, sample
from tests.unit.shared.contracts.actions.conversation import Server, has_happened, labelled, order, outcome
from tests.unit.shared.contracts.actions.objects import DEPLOYMENT, PROTECTION, deployment

SERVICE = "/api/v1/namespaces/bank/services/front"
APPLIED = "kubectl.kubernetes.io/last-applied-configuration"
RESTORE = RestoreService(service="front")
BACK = order("cmd-2", reverts="cmd-1")
DECLARED = {"selector": {"app": "web"}, "ports": [{"port": 80, "targetPort": 8080}]}
BENT = {
    "type": "ClusterIP",
    "clusterIP": "10.0.0.1",
    "selector": {"app": "wbe"},
    "ports": [{"port": 80, "targetPort": 8080, "protocol": "TCP"}],
}


def service(spec: Any = BENT, *, declared: Any = DECLARED, **metadata: Any) -> Any:
    said = {} if declared is None else {APPLIED: json.dumps({"kind": "Service", "spec": declared})}
    return {"metadata": {"name": "front", "resourceVersion": "3", "annotations": said} | metadata, "spec": spec}


def server(found: Any) -> Server:
    return Server({DEPLOYMENT: deployment(), SERVICE: found})


def spec_of(asked: Server) -> Any:
    return asked.objects[SERVICE]["spec"]


def test_the_selector_is_what_was_declared_and_all_else_stays() -> None:
    asked = server(service())
    assert outcome(asked, RESTORE) == Done(("service front: selector: app=wbe → app=web",))
    assert (spec_of(asked)["selector"], spec_of(asked)["clusterIP"]) == ({"app": "web"}, "10.0.0.1")
    after = asked.objects[SERVICE]
    assert (is_marked(after, "cmd-1"), after["metadata"]["resourceVersion"]) == (True, "3")
    assert APPLIED in after["metadata"]["annotations"]
    assert has_happened(Server(asked.objects), RESTORE)
    assert not has_happened(Server({}), RESTORE)


def test_a_key_that_was_added_to_the_selector_goes() -> None:
    asked = server(service({**BENT, "selector": {"app": "web", "release": "old"}}))
    outcome(asked, RESTORE)
    assert spec_of(asked)["selector"] == {"app": "web"}


def test_ports_are_what_was_declared_and_keep_the_ports_of_the_nodes() -> None:
    bent = [{"port": 80, "targetPort": 8081, "protocol": "TCP", "nodePort": 30080}]
    asked = server(service({**BENT, "selector": {"app": "web"}, "ports": bent}))
    assert outcome(asked, RESTORE) == Done(("service front: ports: 80>8081/TCP → 80>8080/TCP",))
    assert spec_of(asked)["ports"] == [{"nodePort": 30080, "port": 80, "targetPort": 8080}]


@given(
    selector=st.dictionaries(st.sampled_from(["app", "tier"]), st.sampled_from(["web", "other"]), min_size=1),
    target=st.sampled_from([8080, 9090, "http"]),
)
def test_whatever_it_was_bent_to_the_way_back_leads_there(selector: dict[str, str], target: Any) -> None:
    bent = {**BENT, "selector": selector, "ports": [{"port": 80, "targetPort": target, "protocol": "TCP"}]}
    asked = server(service(bent))
    done = outcome(asked, RESTORE)
    is_as_declared = (selector, target) == ({"app": "web"}, 8080)
    assert (done is Refusal.NO_EARLIER_STATE) == is_as_declared
    if isinstance(done, Done):
        undo = RESTORE.inverse()
        assert undo is not None
        assert isinstance(outcome(asked, undo, BACK), Done)
        assert spec_of(asked) == bent
        assert FORMER_ANNOTATION not in asked.objects[SERVICE]["metadata"]["annotations"]
        assert outcome(asked, undo, BACK) is Refusal.NO_EARLIER_STATE


@pytest.mark.parametrize(
    ("found", "refusal"),
    [
        (service(declared=None), Refusal.NO_EARLIER_STATE),
        (service(declared={}), Refusal.NO_EARLIER_STATE),
        (service(declared={"selector": {"app": "web"}}), Refusal.NO_EARLIER_STATE),
        (service(declared={"ports": [{"port": 80}]}), Refusal.NO_EARLIER_STATE),
        (service(annotations={APPLIED: "no json"}), Refusal.NO_EARLIER_STATE),
        (service(annotations={APPLIED: "[]"}), Refusal.NO_EARLIER_STATE),
        (service({**BENT, "selector": {"app": "web"}}), Refusal.NO_EARLIER_STATE),
        (service(declared=DECLARED | {"selector": {"app": "other"}}), Refusal.NOT_OF_WORKLOAD),
        (service(ownerReferences=[{"kind": "Kafka", "name": "events"}]), Refusal.OWNED_BY_OTHER),
        (labelled(service(), **PROTECTION), Refusal.PROTECTED_OBJECT),
        (labelled(service(), tier="database"), Refusal.PROTECTED_OBJECT),
    ],
)
def test_a_precondition_that_does_not_hold_is_named_and_nothing_is_written(found: Any, refusal: Refusal) -> None:
    asked = server(found)
    assert (outcome(asked, RESTORE, order(tier="database")), asked.written) == (refusal, [])


def test_a_protected_workload_keeps_its_service() -> None:
    asked = Server({DEPLOYMENT: labelled(deployment(), **PROTECTION), SERVICE: service()})
    assert outcome(asked, RESTORE) is Refusal.PROTECTED_OBJECT


def test_a_service_that_is_gone_is_refused() -> None:
    assert outcome(Server({DEPLOYMENT: deployment()}), RESTORE) is Refusal.TARGET_GONE


@pytest.mark.parametrize("kind", ["Job", "CronJob", "Pod", "Node", "ReplicaSet", "Other"])
def test_a_workload_of_another_kind_is_refused_unread(kind: str) -> None:
    asked = Server({})
    named = order(workload=WorkloadRef(kind=kind, namespace="bank", name="web"))
    assert (outcome(asked, RESTORE, named), asked.asked) == (Refusal.KIND_NOT_SUPPORTED, [])


def test_what_somebody_changed_since_stays() -> None:
    asked, undo = server(service()), RESTORE.inverse()
    outcome(asked, RESTORE)
    spec_of(asked)["selector"] = {"app": "third"}
    assert undo is not None
    assert outcome(asked, undo, BACK) is Refusal.CHANGED_MEANWHILE
    assert outcome(asked, undo, order("cmd-2", reverts="cmd-0")) is Refusal.NO_EARLIER_STATE


def test_it_is_aimed_at_the_service_of_the_step_or_of_the_signal() -> None:
    named = RestoreServiceRung.model_validate({"action": "restore-service", "service": "front"})
    unnamed = RestoreServiceRung.model_validate({"action": "restore-service"})
    assert named.aimed(container()) == RESTORE
    assert unnamed.aimed(sample(value=0, seconds=0, service="front")) == RESTORE
    assert unnamed.aimed(container()) is Reason.TARGET_UNSUITABLE
    assert list(RestoreServiceRung.model_validate({"action": "restore-service", "service": "a/b"}).senseless())
