"""expand-volume: the claim of the workload, where it can grow and is at rest; never beyond the cap, never smaller."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.contracts.actions.base import Done, RefusedError
from shared.contracts.actions.expand_volume import ExpandVolume, ExpandVolumeRung
from shared.contracts.actions.marks import is_marked
from shared.contracts.reasons import Reason
from shared.contracts.refusals import Refusal
from shared.contracts.requests import Get, Request
from shared.contracts.workloads import WorkloadRef
from shared.kernel.quantities import format_bytes, parse_bytes
from tests.unit.services.decider.core.build import container, sample
from tests.unit.shared.contracts.actions.conversation import Server, has_happened, labelled, order, outcome
from tests.unit.shared.contracts.actions.objects import CLAIM, POD, PROTECTION, STORAGE_CLASS, claim, pod

GIBIBYTE = 1 << 30
SET = "/apis/apps/v1/namespaces/bank/statefulsets/ledger"
LEDGER = WorkloadRef(kind="StatefulSet", namespace="bank", name="ledger")
GROW = ExpandVolume(claim="books-ledger-0", factor=1.5, cap_bytes=20 * GIBIBYTE)
SMALL_CAP = GROW.model_copy(update={"cap_bytes": 10 * GIBIBYTE})
CLASS = {"allowVolumeExpansion": True}


def stateful_set(*templates: str, volumes: Any = ()) -> Any:
    return {
        "metadata": {"name": "ledger", "resourceVersion": "6"},
        "spec": {
            "template": {"spec": {"volumes": list(volumes)}},
            "volumeClaimTemplates": [{"metadata": {"name": name}} for name in templates],
        },
    }


def server(found: Any, *, of: Any = CLASS, workload: Any = None) -> Server:
    return Server({SET: workload or stateful_set("books"), CLAIM: found, STORAGE_CLASS: of})


def grown(asked: Server) -> str:
    return asked.objects[CLAIM]["spec"]["resources"]["requests"]["storage"]


@given(st.integers(1, 1 << 45), st.floats(1.01, 4.0), st.integers(1, 1 << 46))
def test_a_claim_never_shrinks_nor_grows_beyond_the_cap(before: int, factor: float, cap: int) -> None:
    asked = server(claim(asked=format_bytes(before), has=format_bytes(before)))
    done = outcome(asked, ExpandVolume(claim="books-ledger-0", factor=factor, cap_bytes=cap), order(workload=LEDGER))
    after = parse_bytes(grown(asked))
    assert before <= after <= max(before, cap)
    assert isinstance(done, Done) == (before < cap) == (after > before)


def test_the_claim_asks_for_more_under_the_marks_and_nothing_undoes_it() -> None:
    asked = server(claim())
    assert outcome(asked, GROW, order(workload=LEDGER)) == Done(("claim books-ledger-0: storage: 10Gi → 15Gi",))
    assert (grown(asked), asked.objects[CLAIM]["metadata"]["resourceVersion"]) == ("15Gi", "4")
    assert is_marked(asked.objects[CLAIM], "cmd-1")
    assert has_happened(Server(asked.objects), GROW, order(workload=LEDGER))
    assert not has_happened(Server({}), GROW, order(workload=LEDGER))
    assert GROW.inverse() is None


def test_a_claim_that_a_pod_names_is_its_own() -> None:
    found = pod() | {"spec": {"volumes": [{"persistentVolumeClaim": {"claimName": "books-ledger-0"}}]}}
    asked = Server({POD: found, CLAIM: claim(), STORAGE_CLASS: CLASS})
    named = order(workload=WorkloadRef(kind="Pod", namespace="bank", name="web-1"))
    assert isinstance(outcome(asked, GROW, named), Done)


@pytest.mark.parametrize(
    ("found", "of", "action", "refusal"),
    [
        (claim(), CLASS, SMALL_CAP, Refusal.CAP_REACHED),
        (claim(), {"allowVolumeExpansion": False}, GROW, Refusal.VOLUME_CANNOT_GROW),
        (claim(), {}, GROW, Refusal.VOLUME_CANNOT_GROW),
        (claim(of=""), CLASS, GROW, Refusal.VOLUME_CANNOT_GROW),
        (claim(of="gone"), CLASS, GROW, Refusal.VOLUME_CANNOT_GROW),
        (claim(phase="Pending"), CLASS, GROW, Refusal.CLAIM_NOT_BOUND),
        (claim(phase="Lost"), CLASS, GROW, Refusal.CLAIM_NOT_BOUND),
        (claim(has="5Gi"), CLASS, GROW, Refusal.RESIZE_UNDER_WAY),
        (claim(has="none"), CLASS, GROW, Refusal.RESIZE_UNDER_WAY),
        (
            claim(allocatedResourceStatuses={"storage": "NodeResizePending"}),
            CLASS,
            GROW,
            Refusal.RESIZE_UNDER_WAY,
        ),
        (labelled(claim(), **PROTECTION), CLASS, GROW, Refusal.PROTECTED_OBJECT),
        (labelled(claim(), tier="database"), CLASS, GROW, Refusal.PROTECTED_OBJECT),
    ],
)
def test_a_precondition_that_does_not_hold_is_named_and_nothing_is_written(
    found: Any, of: Any, action: ExpandVolume, refusal: Refusal
) -> None:
    asked = server(found, of=of)
    assert (outcome(asked, action, order(workload=LEDGER, tier="database")), asked.written) == (refusal, [])


def test_a_claim_that_is_about_to_go_does_not_grow() -> None:
    found = claim()
    found["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z"
    assert outcome(server(found), GROW, order(workload=LEDGER)) is Refusal.CLAIM_NOT_BOUND


@pytest.mark.parametrize(
    "workload",
    [
        stateful_set(),
        stateful_set("book"),
        stateful_set("books-ledger"),
        stateful_set(volumes=[{"persistentVolumeClaim": {"claimName": "other"}}]),
    ],
)
def test_a_claim_of_another_workload_is_not_read(workload: Any) -> None:
    asked = server(claim(), workload=workload)
    assert outcome(asked, GROW, order(workload=LEDGER)) is Refusal.NOT_OF_WORKLOAD
    assert asked.paths == [SET]


def test_a_protected_workload_keeps_its_volumes() -> None:
    asked = server(claim(), workload=labelled(stateful_set("books"), **PROTECTION))
    assert outcome(asked, GROW, order(workload=LEDGER)) is Refusal.PROTECTED_OBJECT


def test_a_storage_class_that_may_not_be_read_is_refused_as_the_server_says() -> None:
    def forbids(request: Request) -> RefusedError | None:
        is_asked = isinstance(request, Get) and "storageclasses" in request.path
        return RefusedError(Refusal.FORBIDDEN) if is_asked else None

    asked = server(claim())
    asked.refuses = forbids
    assert (outcome(asked, GROW, order(workload=LEDGER)), asked.written) == (Refusal.FORBIDDEN, [])


def test_a_claim_that_is_gone_is_refused() -> None:
    assert outcome(Server({SET: stateful_set("books")}), GROW, order(workload=LEDGER)) is Refusal.TARGET_GONE


@pytest.mark.parametrize("kind", ["Job", "CronJob", "Node", "ReplicaSet", "Other"])
def test_a_workload_of_another_kind_is_refused_unread(kind: str) -> None:
    asked = Server({})
    named = order(workload=WorkloadRef(kind=kind, namespace="bank", name="web"))
    assert (outcome(asked, GROW, named), asked.asked) == (Refusal.KIND_NOT_SUPPORTED, [])


def test_it_is_aimed_at_the_claim_that_a_sample_names() -> None:
    rung = ExpandVolumeRung.model_validate({"action": "expand-volume", "cap": "20Gi"})
    assert rung.aimed(sample(value=0.1, seconds=0, persistentvolumeclaim="books-ledger-0")) == GROW
    for signal in (
        sample(value=0.1, seconds=0),
        sample(value=0.1, seconds=0, persistentvolumeclaim="a/b"),
        container(),
    ):
        assert rung.aimed(signal) is Reason.TARGET_UNSUITABLE
    assert not rung.is_undone
    assert list(rung.senseless()) == []
