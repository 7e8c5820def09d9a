"""Pausing a rollout and suspending a CronJob: one switch, from the one side to the other, and back by the inverse."""

from typing import Any

import pytest

from shared.contracts.actions import ACTIONS, PauseRollout, ResumeCronJob, ResumeRollout, SuspendCronJob
from shared.contracts.actions.base import ActionBase, Done
from shared.contracts.actions.marks import is_marked
from shared.contracts.refusals import Refusal
from shared.contracts.workloads import WorkloadRef
from tests.unit.shared.contracts.actions.conversation import Server, has_happened, labelled, order, outcome, refused
from tests.unit.shared.contracts.actions.objects import PROTECTION, deployment, made_by_operator, managed

DEPLOYMENT = ("Deployment", "/apis/apps/v1/namespaces/bank/deployments/web", "paused")
CRON_JOB = ("CronJob", "/apis/batch/v1/namespaces/bank/cronjobs/web", "suspend")
SWITCHES = [
    (DEPLOYMENT, PauseRollout(), True),
    (DEPLOYMENT, ResumeRollout(), False),
    (CRON_JOB, SuspendCronJob(), True),
    (CRON_JOB, ResumeCronJob(), False),
]
Place = tuple[str, str, str]


def standing(field: str, *, on: bool | None) -> Any:
    found = deployment()
    return found | {"spec": found["spec"] | ({field: on} if on is not None else {})}


@pytest.mark.parametrize(("place", "action", "on"), SWITCHES)
def test_the_switch_is_set_and_nothing_else_and_set_back_by_the_inverse(
    place: Place, action: ActionBase, on: bool
) -> None:
    kind, path, field = place
    asked = order(workload=WorkloadRef(kind=kind, namespace="bank", name="web"))
    server = Server({path: standing(field, on=not on)})
    assert outcome(server, action, asked) == Done((f"{field}: {str(not on).lower()} → {str(on).lower()}",))
    after = server.objects[path]
    assert after["spec"] == deployment()["spec"] | {field: on}
    assert (is_marked(after, "cmd-1"), after["metadata"]["resourceVersion"]) == (True, "7")
    assert has_happened(Server(server.objects), action, asked)
    back: Any = action.inverse()
    assert isinstance(outcome(server, back, asked), Done)
    assert server.objects[path]["spec"][field] is not on
    assert back.inverse() == action


@pytest.mark.parametrize(("place", "action", "on"), SWITCHES)
def test_a_precondition_that_does_not_hold_is_named_and_nothing_is_written(
    place: Place, action: ActionBase, on: bool
) -> None:
    kind, path, field = place
    asked = order(workload=WorkloadRef(kind=kind, namespace="bank", name="web"), tier="database")
    ready = standing(field, on=not on)
    broken = [
        (standing(field, on=on), Refusal.NOTHING_TO_CHANGE),
        (labelled(ready, **PROTECTION), Refusal.PROTECTED_OBJECT),
        (labelled(ready, tier="database"), Refusal.PROTECTED_OBJECT),
        (managed(ready, "kustomize-controller", {"f:spec": {f"f:{field}": {}}}), Refusal.OWNED_BY_OTHER),
        (made_by_operator(ready), Refusal.OWNED_BY_OTHER),
    ]
    for found, refusal in broken:
        server = Server({path: found})
        assert (outcome(server, action, asked), server.written) == (refusal, [])
    assert outcome(Server({}), action, asked) is Refusal.TARGET_GONE


@pytest.mark.parametrize(
    ("writer", "reverts", "is_refused"),
    [
        ("kubectl-rollout", "cmd-0", True),
        ("kubectl-rollout", "", False),  # asked for by itself, it is meant whoever set the switch
        ("sre-agent", "cmd-0", False),
        ("", "cmd-0", False),  # the object does not tell
    ],
)
@pytest.mark.parametrize(("place", "action", "on"), SWITCHES)
def test_a_switch_that_somebody_set_since_is_not_taken_back(
    place: Place, action: ActionBase, on: bool, writer: str, reverts: str, is_refused: bool
) -> None:
    kind, path, field = place
    asked = order(workload=WorkloadRef(kind=kind, namespace="bank", name="web"), reverts=reverts)
    found = standing(field, on=not on)
    server = Server({path: managed(found, writer, {"f:spec": {f"f:{field}": {}}}) if writer else found})
    if is_refused:
        told = f"{field}: kubectl-rollout set it since command cmd-0 did"
        assert refused(server, action, asked) == (Refusal.NOT_OURS, told)
    else:
        assert isinstance(outcome(server, action, asked), Done)
    assert bool(server.written) is not is_refused


@pytest.mark.parametrize(("place", "action", "on"), SWITCHES)
def test_what_has_no_such_switch_is_refused_unread(place: Place, action: ActionBase, on: bool) -> None:
    for kind in ("StatefulSet", "Job", "Pod"):
        server = Server({})
        asked = order(workload=WorkloadRef(kind=kind, namespace="bank", name="web"))
        assert (outcome(server, action, asked), server.asked) == (Refusal.KIND_NOT_SUPPORTED, [])


@pytest.mark.parametrize(("place", "action", "on"), [one for one in SWITCHES if not one[2]])
def test_what_says_nothing_of_the_switch_is_taken_for_off(place: Place, action: ActionBase, on: bool) -> None:
    kind, path, field = place
    asked = order(workload=WorkloadRef(kind=kind, namespace="bank", name="web"))
    assert outcome(Server({path: standing(field, on=None)}), action, asked) is Refusal.NOTHING_TO_CHANGE


def test_they_are_all_of_their_kind() -> None:
    assert {type(action) for _, action, _ in SWITCHES} <= set(ACTIONS.values())
