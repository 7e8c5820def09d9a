"""restart-pod: the pod that was seen, of the workload that is named, evicted; the protection of any owner holds."""

from collections.abc import Mapping
from typing import Any

import pytest

from shared.contracts.actions.base import Done, RefusedError
from shared.contracts.actions.restart_pod import RestartPod
from shared.contracts.refusals import Refusal
from shared.contracts.requests import Create, Patch, PatchType
from shared.contracts.workloads import WorkloadRef
from tests.unit.shared.contracts.actions.conversation import WEB, Server, has_happened, labelled, order, outcome
from tests.unit.shared.contracts.actions.objects import (
    DEPLOYMENT,
    POD,
    PROTECTION,
    REPLICA_SETS,
    deployment,
    made_by_operator,
    pod,
    replica_set,
)

ACTION = RestartPod(pod="web-1", uid="p")
OWNED: Mapping[str, Any] = {
    POD: pod(),
    f"{REPLICA_SETS}/web-v2": replica_set(2, image="v2"),
    DEPLOYMENT: deployment(),
}
MARKS = {"sre-agent.dev/command": "cmd-1", "sre-agent.dev/token": "3"}
EVICTION: Any = {
    "apiVersion": "policy/v1",
    "kind": "Eviction",
    "metadata": {"name": "web-1", "namespace": "bank"},
    "deleteOptions": {"preconditions": {"uid": "p"}},
}


def test_the_pod_is_marked_under_its_version_and_then_evicted_under_its_uid() -> None:
    server = Server(OWNED)
    assert outcome(server, ACTION) == Done(("pod web-1: evicted, its controller replaces it",))
    metadata: Any = {"resourceVersion": "9", "annotations": MARKS}
    assert server.written == [
        Patch(POD, {"metadata": metadata}, PatchType.MERGE),
        Create(f"{POD}/eviction", EVICTION),
    ]


def test_a_pod_of_what_an_operator_made_is_restarted_since_no_field_of_that_is_changed() -> None:
    server = Server({**OWNED, DEPLOYMENT: made_by_operator(deployment())})
    assert isinstance(outcome(server, ACTION), Done)


def test_a_preview_asks_for_the_eviction_alone() -> None:
    server = Server(OWNED)
    assert isinstance(outcome(server, ACTION, order(dry_run=True)), Done)
    assert server.written == [Create(f"{POD}/eviction", EVICTION)]


OTHER = pod(owner=("ReplicaSet", "other"))
LOOP = pod(owner=("Pod", "web-1"))


@pytest.mark.parametrize(
    ("objects", "refusal"),
    [
        ({}, Refusal.TARGET_GONE),
        ({POD: pod(uid="another")}, Refusal.TARGET_REPLACED),
        ({POD: pod(owner=None)}, Refusal.NO_CONTROLLER),
        ({POD: pod(owner=("Gadget", "web"))}, Refusal.NOT_OF_WORKLOAD),
        ({POD: pod(owner=("Gadget", "a/b"))}, Refusal.KIND_NOT_SUPPORTED),
        ({POD: pod(owner=("Gadget", "a" * 300))}, Refusal.KIND_NOT_SUPPORTED),
        ({POD: LOOP}, Refusal.NOT_OF_WORKLOAD),
        ({POD: OTHER}, Refusal.TARGET_GONE),
        ({POD: OTHER, f"{REPLICA_SETS}/other": {"metadata": {"name": "other"}}}, Refusal.NOT_OF_WORKLOAD),
        ({POD: labelled(pod(), **PROTECTION)}, Refusal.PROTECTED_OBJECT),
        ({POD: labelled(pod(), tier="database")}, Refusal.PROTECTED_OBJECT),
        ({f"{REPLICA_SETS}/web-v2": labelled(OWNED[f"{REPLICA_SETS}/web-v2"], **PROTECTION)}, Refusal.PROTECTED_OBJECT),
        ({DEPLOYMENT: labelled(deployment(), **PROTECTION)}, Refusal.PROTECTED_OBJECT),
        ({DEPLOYMENT: labelled(deployment(), tier="database")}, Refusal.PROTECTED_OBJECT),
    ],
)
def test_a_precondition_that_does_not_hold_is_named_and_nothing_is_written(
    objects: Mapping[str, Any], refusal: Refusal
) -> None:
    is_owned = refusal not in {Refusal.TARGET_GONE, Refusal.NOT_OF_WORKLOAD}
    server = Server({**OWNED, **objects} if is_owned else objects)
    assert (outcome(server, ACTION, order(tier="database")), server.written) == (refusal, [])


def test_a_budget_that_allows_no_eviction_is_the_reason_although_the_pod_was_marked() -> None:
    spent = RefusedError(Refusal.DISRUPTION_BUDGET, "Cannot evict pod")
    server = Server(OWNED, refuses=lambda asked: spent if isinstance(asked, Create) else None)
    assert outcome(server, ACTION) is Refusal.DISRUPTION_BUDGET
    assert not has_happened(Server(server.objects), ACTION)


def test_an_owner_whose_protection_cannot_be_told_is_refused() -> None:
    asked = order(workload=WorkloadRef(kind="Gadget", namespace="bank", name="web"))
    assert outcome(Server({POD: pod(owner=("Gadget", "web"))}), ACTION, asked) is Refusal.KIND_NOT_SUPPORTED


@pytest.mark.parametrize(
    ("found", "happened"),
    [
        (None, True),
        (pod(uid="another"), True),
        (pod(deletionTimestamp="2030-01-01T00:00:00Z"), True),
        (pod(annotations=MARKS), False),  # marked before it was evicted
        (pod(), False),
    ],
)
def test_it_has_happened_where_the_pod_is_gone_or_about_to_go(found: Any, happened: bool) -> None:
    assert has_happened(Server({POD: found} if found else {}), ACTION) is happened


def test_its_target_is_the_pod() -> None:
    assert ACTION.target(WEB) == WorkloadRef(kind="Pod", namespace="bank", name="web-1")
