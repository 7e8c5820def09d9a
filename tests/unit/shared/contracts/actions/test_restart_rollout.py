"""restart-rollout: a new template that says nothing but when it was ordered, where a new one is rolled out at all."""

from typing import Any

import pytest

from shared.contracts.actions.base import Done
from shared.contracts.actions.marks import is_marked
from shared.contracts.actions.restart_rollout import RestartRollout
from shared.contracts.refusals import Refusal
from shared.contracts.workloads import WorkloadRef
from tests.unit.shared.contracts.actions.conversation import Server, has_happened, labelled, order, outcome
from tests.unit.shared.contracts.actions.objects import DEPLOYMENT, PROTECTION, deployment, made_by_operator


def with_spec(**fields: Any) -> Any:
    found = deployment()
    return found | {"spec": found["spec"] | fields}


@pytest.mark.parametrize("kind", ["Deployment", "StatefulSet", "DaemonSet"])
def test_the_template_says_its_command_and_all_else_is_as_before(kind: str) -> None:
    path = f"/apis/apps/v1/namespaces/bank/{kind.lower()}s/web"
    server = Server({path: deployment()})
    asked = order(workload=WorkloadRef(kind=kind, namespace="bank", name="web"))
    assert outcome(server, RestartRollout(), asked) == Done((f"{kind} web: its controller replaces all pods",))
    after = server.objects[path]
    assert after["spec"]["template"]["metadata"].pop("annotations") == {
        "kubectl.kubernetes.io/restartedAt": "2030-01-01T12:00:00Z"
    }
    assert after["spec"] == deployment()["spec"]
    assert (is_marked(after, "cmd-1"), after["metadata"]["resourceVersion"]) == (True, "7")
    assert has_happened(Server(server.objects), RestartRollout(), asked)


@pytest.mark.parametrize(
    ("found", "refusal"),
    [
        (with_spec(paused=True), Refusal.NOTHING_ROLLS_OUT),
        (with_spec(updateStrategy={"type": "OnDelete"}), Refusal.NOTHING_ROLLS_OUT),
        (made_by_operator(deployment()), Refusal.OWNED_BY_OTHER),
        (labelled(deployment(), **PROTECTION), Refusal.PROTECTED_OBJECT),
        (labelled(deployment(), tier="database"), Refusal.PROTECTED_OBJECT),
    ],
)
def test_a_precondition_that_does_not_hold_is_named_and_nothing_is_written(found: Any, refusal: Refusal) -> None:
    server = Server({DEPLOYMENT: found})
    assert (outcome(server, RestartRollout(), order(tier="database")), server.written) == (refusal, [])


@pytest.mark.parametrize("kind", ["Job", "CronJob", "Pod", "ReplicaSet"])
def test_what_has_no_rollout_is_refused_unread(kind: str) -> None:
    server = Server({})
    asked = order(workload=WorkloadRef(kind=kind, namespace="bank", name="web"))
    assert (outcome(server, RestartRollout(), asked), server.asked) == (Refusal.KIND_NOT_SUPPORTED, [])
