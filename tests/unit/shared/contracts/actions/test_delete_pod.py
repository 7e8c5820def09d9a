"""delete-pod: a pod that has failed, or with `force` one that is stuck; never one that runs."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.contracts.actions import DeletePodRung
from shared.contracts.actions.base import Done
from shared.contracts.actions.delete_pod import STUCK_AFTER, DeletePod
from shared.contracts.reasons import Reason
from shared.contracts.refusals import Refusal
from shared.contracts.requests import Delete, Patch
from shared.contracts.workloads import WorkloadRef
from tests.unit.services.decider.core.build import pod as pod_signal
from tests.unit.shared.contracts.actions.conversation import AT, WEB, Server, has_happened, labelled, order, outcome
from tests.unit.shared.contracts.actions.nodes import seen
from tests.unit.shared.contracts.actions.objects import (
    DEPLOYMENT,
    POD,
    PROTECTION,
    REPLICA_SETS,
    deployment,
    pod,
    replica_set,
)

ACTION = DeletePod(pod="web-1", uid="p")
FORCED = DeletePod(pod="web-1", uid="p", force=True)
ABOVE: Mapping[str, Any] = {f"{REPLICA_SETS}/web-v2": replica_set(2, image="v2"), DEPLOYMENT: deployment()}


def being(phase: str, **metadata: Any) -> Any:
    """Return the pod in a phase."""
    return pod(**metadata) | {"status": {"phase": phase}}


def leaving(for_: timedelta, phase: str = "Running", **metadata: Any) -> Any:
    """Return the pod as one whose grace has been over for some time."""
    return being(phase, deletionTimestamp=(AT - for_).isoformat(), **metadata)


def test_a_failed_pod_is_marked_and_deleted_under_its_uid_and_version() -> None:
    server = Server({**ABOVE, POD: being("Failed")})
    assert outcome(server, ACTION) == Done(("pod web-1: deleted",))
    marking, deleting = server.written
    assert isinstance(marking, Patch)
    assert deleting == Delete(POD, "p", "9")
    marked: Any = server.objects[POD]
    assert marked["metadata"]["annotations"]["sre-agent.dev/command"] == "cmd-1"


def test_a_preview_asks_for_the_deletion_alone() -> None:
    server = Server({**ABOVE, POD: being("Failed")})
    assert isinstance(outcome(server, ACTION, order(dry_run=True)), Done)
    assert server.written == [Delete(POD, "p", "9")]


def test_a_pod_that_does_not_end_is_deleted_at_once_where_the_step_says_so() -> None:
    server = Server({**ABOVE, POD: leaving(STUCK_AFTER)})
    assert outcome(server, FORCED) == Done(("pod web-1: deleted, without waiting for its end",))
    assert server.written[-1] == Delete(POD, "p", "9", grace_seconds=0)


FAILED = being("Failed")


@pytest.mark.parametrize(
    ("objects", "refusal"),
    [
        ({}, Refusal.TARGET_GONE),
        ({POD: being("Failed", uid="another")}, Refusal.TARGET_REPLACED),
        ({POD: pod(owner=None) | {"status": {"phase": "Failed"}}}, Refusal.NO_CONTROLLER),
        ({POD: being("Running")}, Refusal.NOT_FAILED),
        ({POD: being("Pending")}, Refusal.NOT_FAILED),
        ({POD: being("Succeeded")}, Refusal.NOT_FAILED),
        ({POD: leaving(timedelta(hours=1))}, Refusal.NOT_FAILED),
        ({POD: labelled(FAILED, **PROTECTION)}, Refusal.PROTECTED_OBJECT),
        ({POD: labelled(FAILED, tier="database")}, Refusal.PROTECTED_OBJECT),
        ({POD: FAILED, DEPLOYMENT: labelled(deployment(), **PROTECTION)}, Refusal.PROTECTED_OBJECT),
    ],
)
def test_a_precondition_that_does_not_hold_is_named_and_nothing_is_written(
    objects: Mapping[str, Any], refusal: Refusal
) -> None:
    server = Server({**ABOVE, **objects})
    assert (outcome(server, ACTION, order(tier="database")), server.written) == (refusal, [])


def test_a_pod_that_runs_is_never_deleted_nor_one_that_may_still_end() -> None:
    for found, refusal in [
        (being("Running"), Refusal.NOT_FAILED),
        (leaving(STUCK_AFTER - timedelta(seconds=1)), Refusal.NOT_STUCK),
        (leaving(timedelta(minutes=-1)), Refusal.NOT_STUCK),
        (being("Running", deletionTimestamp="no moment"), Refusal.NOT_STUCK),
    ]:
        server = Server({**ABOVE, POD: found})
        assert (outcome(server, FORCED), server.written) == (refusal, [])


def test_a_stuck_pod_of_a_stateful_set_is_left_to_a_person() -> None:
    of = WorkloadRef(kind="StatefulSet", namespace="bank", name="web")
    stuck = leaving(timedelta(hours=1), ownerReferences=[{"kind": "StatefulSet", "name": "web", "controller": True}])
    server = Server({POD: stuck, "/apis/apps/v1/namespaces/bank/statefulsets/web": deployment()})
    assert outcome(server, FORCED, order(workload=of)) is Refusal.KIND_NOT_SUPPORTED
    assert server.written == []


def test_the_pods_of_a_job_are_its_own_record() -> None:
    of = WorkloadRef(kind="Job", namespace="bank", name="web")
    assert outcome(Server({POD: FAILED}), ACTION, order(workload=of)) is Refusal.KIND_NOT_SUPPORTED


@given(
    phase=st.sampled_from(["Pending", "Running", "Succeeded", "Failed", "Unknown"]),
    over=st.none() | st.integers(-600, 3_600),
    force=st.booleans(),
)
def test_what_is_deleted_has_failed_or_is_stuck(phase: str, over: int | None, force: bool) -> None:
    found = being(phase) if over is None else leaving(timedelta(seconds=over), phase)
    server = Server({**ABOVE, POD: found})
    outcome(server, DeletePod(pod="web-1", uid="p", force=force))
    deleted = [one for one in server.written if isinstance(one, Delete)]
    if over is None:
        assert bool(deleted) is (phase == "Failed")
    else:
        assert bool(deleted) is (force and timedelta(seconds=over) >= STUCK_AFTER)
    assert all((one.grace_seconds == 0) is (over is not None) for one in deleted)


@pytest.mark.parametrize(
    ("found", "happened", "at_once"),
    [
        (None, True, True),
        (being("Failed", uid="another"), True, True),
        (being("Failed"), False, False),
        (leaving(timedelta(0), "Failed"), True, False),
        (leaving(timedelta(0), deletionGracePeriodSeconds=0), True, True),
    ],
)
def test_it_has_happened_where_the_pod_is_gone_or_about_to_go_as_it_was_asked(
    found: Any, happened: bool, at_once: bool
) -> None:
    server = Server({POD: found} if found else {})
    assert (has_happened(server, ACTION), has_happened(server, FORCED)) == (happened, at_once)


def test_a_step_takes_the_pod_that_was_found() -> None:
    rung = DeletePodRung(action="delete-pod", force=True)
    signal = pod_signal(phase="Failed")
    assert rung.aimed(signal) == DeletePod(pod=signal.object.name, uid=signal.object.uid, force=True)
    assert rung.aimed(seen()) is Reason.TARGET_UNSUITABLE
    assert ACTION.target(WEB) == WorkloadRef(kind="Pod", namespace="bank", name="web-1")
    assert (ACTION.in_words(), FORCED.in_words()) == ("delete pod web-1", "delete pod web-1, even if it does not end")


@pytest.mark.parametrize(
    ("uid", "told", "is_told"),
    [
        ("p", {"deleted": True}, True),
        ("p", {"terminating": True}, False),
        ("of-its-successor", {"deleted": True}, False),
    ],
)
def test_it_is_told_by_the_end_of_that_very_pod_alone(uid: str, told: Mapping[str, bool], *, is_told: bool) -> None:
    named = pod_signal().object.model_copy(update={"name": "web-1", "uid": uid})
    assert ACTION.is_told_by(pod_signal(object=named, **told)) is is_told
