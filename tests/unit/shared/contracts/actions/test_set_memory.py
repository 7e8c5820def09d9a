"""set-memory: exactly the one container's limit, under the version it was read at, and only from what was seen."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.contracts.actions.base import Done, RefusedError
from shared.contracts.actions.marks import is_marked
from shared.contracts.actions.set_memory import SetMemory
from shared.contracts.paths import VERTICAL_AUTOSCALERS
from shared.contracts.refusals import Refusal
from shared.contracts.requests import ListAll, Patch
from shared.contracts.workloads import WorkloadRef
from shared.kernel.quantities import format_bytes
from tests.unit.shared.contracts.actions.conversation import Server, has_happened, labelled, order, outcome, refused
from tests.unit.shared.contracts.actions.objects import (
    DEPLOYMENT,
    PROTECTION,
    deployment,
    made_by_operator,
    with_limit,
    written_by,
)

MEBIBYTE = 1 << 20
SIZERS = VERTICAL_AUTOSCALERS.format("bank")


def to_mebibytes(after: int, *, before: int = 128, container: str = "c0") -> SetMemory:
    return SetMemory(container=container, from_bytes=before * MEBIBYTE, to_bytes=after * MEBIBYTE)


def limits(document: Any) -> list[str]:
    return [one["resources"]["limits"]["memory"] for one in document["spec"]["template"]["spec"]["containers"]]


def requests(document: Any) -> list[str]:
    return [one["resources"]["requests"]["memory"] for one in document["spec"]["template"]["spec"]["containers"]]


@given(st.integers(1, 4096))
def test_memory_is_set_on_the_one_container_and_nothing_else_changes(mebibytes: int) -> None:
    server = Server({DEPLOYMENT: deployment()})
    assert isinstance(outcome(server, to_mebibytes(mebibytes)), Done)
    after = server.objects[DEPLOYMENT]
    told = format_bytes(mebibytes * MEBIBYTE)
    assert limits(after) == [told, "128Mi"]
    assert requests(after) == ["64Mi" if mebibytes >= 64 else told, "64Mi"]
    assert (after["metadata"]["annotations"]["kept"], after["metadata"]["resourceVersion"]) == ("yes", "7")
    assert is_marked(after, "cmd-1")


def test_the_change_is_told_as_a_difference() -> None:
    done = outcome(Server({DEPLOYMENT: deployment()}), to_mebibytes(32))
    assert done == Done(("container c0: limits.memory: 128Mi → 32Mi", "container c0: requests.memory: 64Mi → 32Mi"))


def test_memory_is_set_back_to_what_it_was_and_all_else_is_as_before() -> None:
    server = Server({DEPLOYMENT: deployment()})
    raised = to_mebibytes(256)
    outcome(server, raised)
    assert isinstance(outcome(server, raised.inverse(), order("cmd-2")), Done)
    assert server.objects[DEPLOYMENT]["spec"] == deployment()["spec"]
    assert is_marked(server.objects[DEPLOYMENT], "cmd-2")


@pytest.mark.parametrize(
    ("found", "action", "refusal"),
    [
        (deployment(limit="256Mi"), to_mebibytes(512), Refusal.CHANGED_MEANWHILE),
        (deployment(limit="no size"), to_mebibytes(512), Refusal.CHANGED_MEANWHILE),
        (deployment(), to_mebibytes(512, container="other"), Refusal.CONTAINER_UNKNOWN),
        (labelled(deployment(), **PROTECTION), to_mebibytes(512), Refusal.PROTECTED_OBJECT),
        (labelled(deployment(), tier="database"), to_mebibytes(512), Refusal.PROTECTED_OBJECT),
        (written_by("argocd-controller", deployment()), to_mebibytes(512), Refusal.OWNED_BY_OTHER),
        (made_by_operator(deployment()), to_mebibytes(512), Refusal.OWNED_BY_OTHER),
    ],
)
def test_a_precondition_that_does_not_hold_is_named_and_nothing_is_written(
    found: Any, action: SetMemory, refusal: Refusal
) -> None:
    server = Server({DEPLOYMENT: found})
    assert (outcome(server, action, order(tier="database")), server.written) == (refusal, [])


@pytest.mark.parametrize("kind", ["Job", "CronJob", "Pod", "Node", "ReplicaSet", "Other"])
def test_a_workload_of_another_kind_is_refused_unread(kind: str) -> None:
    server = Server({})
    asked = order(workload=WorkloadRef(kind=kind, namespace="bank", name="web"))
    assert (outcome(server, to_mebibytes(256), asked), server.asked) == (Refusal.KIND_NOT_SUPPORTED, [])


def test_a_workload_that_is_gone_is_refused() -> None:
    assert outcome(Server({}), to_mebibytes(256)) is Refusal.TARGET_GONE


def test_it_has_happened_where_its_mark_is_on_the_workload() -> None:
    server = Server({DEPLOYMENT: deployment()})
    assert not has_happened(server, to_mebibytes(256))
    outcome(server, to_mebibytes(256))
    later = Server(server.objects)
    assert has_happened(later, to_mebibytes(256))
    assert not has_happened(later, to_mebibytes(256), order("cmd-2"))
    assert not has_happened(Server({}), to_mebibytes(256))


def test_the_patch_names_the_version_that_was_read() -> None:
    server = Server({DEPLOYMENT: deployment()})
    outcome(server, to_mebibytes(256))
    (patch,) = server.written
    assert isinstance(patch, Patch)
    body: Any = patch.body
    assert body["metadata"]["resourceVersion"] == "7"
    assert body["metadata"]["annotations"].items() >= {("sre-agent.dev/command", "cmd-1"), ("sre-agent.dev/token", "3")}


def test_what_somebody_set_back_is_not_set_again_and_the_refusal_names_who() -> None:
    server = Server({DEPLOYMENT: deployment()})
    outcome(server, to_mebibytes(256))
    fought = written_by("kubectl-edit", with_limit(server.objects[DEPLOYMENT], "128Mi"))
    refusal, message = refused(Server({DEPLOYMENT: fought}), to_mebibytes(256), order("cmd-2"))
    assert refusal is Refusal.UNDONE_BY_OTHER
    field = "spec.template.spec.containers[c0].resources.limits.memory"
    assert message == f"{field}: command cmd-1 made it 256Mi, kubectl-edit made it 128Mi again"
    assert refused(Server({DEPLOYMENT: fought}), to_mebibytes(256).inverse())[0] is Refusal.UNDONE_BY_OTHER


def test_what_we_set_back_ourselves_or_somebody_set_to_a_third_value_may_be_set_anew() -> None:
    server = Server({DEPLOYMENT: deployment()})
    outcome(server, to_mebibytes(256))
    other = Server({DEPLOYMENT: with_limit(server.objects[DEPLOYMENT], "64Mi")})
    assert isinstance(outcome(other, to_mebibytes(512, before=64), order("cmd-2")), Done)
    outcome(server, to_mebibytes(256).inverse(), order("cmd-2"))
    assert isinstance(outcome(server, to_mebibytes(256), order("cmd-3")), Done)


@pytest.mark.parametrize(("request_", "is_refused"), [("64Mi", False), ("128Mi", True)])
def test_the_request_is_held_against_its_owner_where_it_is_changed_too(request_: str, is_refused: bool) -> None:
    found = written_by("argocd-controller", deployment(request=request_), bound="requests")
    told = outcome(Server({DEPLOYMENT: found}), to_mebibytes(96))
    assert (told is Refusal.OWNED_BY_OTHER) is is_refused


def test_the_memory_of_a_container_that_an_autoscaler_sizes_is_left_to_it() -> None:
    target = {"kind": "Deployment", "name": "web"}
    sizer = {"metadata": {"name": "sizer"}, "spec": {"targetRef": target}}
    server = Server({DEPLOYMENT: deployment(), f"{SIZERS}/sizer": sizer})
    assert refused(server, to_mebibytes(256)) == (
        Refusal.OWNED_BY_OTHER,
        "memory of container c0: vpa (sizer)",
    )
    assert server.written == []


def test_where_no_such_autoscaler_is_installed_none_is_asked_and_what_forbids_to_ask_stops_it() -> None:
    for refusal, expected in ((Refusal.TARGET_GONE, None), (Refusal.FORBIDDEN, Refusal.FORBIDDEN)):
        server = Server(
            {DEPLOYMENT: deployment()},
            refuses=lambda asked, why=refusal: RefusedError(why) if asked == ListAll(SIZERS) else None,
        )
        told = outcome(server, to_mebibytes(256))
        assert (told if isinstance(told, Refusal) else None) is expected
