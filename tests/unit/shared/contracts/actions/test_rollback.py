"""rollback: the template of the revision before the failing one, of the Deployment's own ReplicaSets."""

from typing import Any

import pytest

from shared.contracts.actions.base import Done
from shared.contracts.actions.marks import is_marked
from shared.contracts.actions.rollback import REVISION_ANNOTATION, Rollback
from shared.contracts.refusals import Refusal
from shared.contracts.workloads import WorkloadRef
from tests.unit.shared.contracts.actions.conversation import Server, has_happened, labelled, order, outcome, refused
from tests.unit.shared.contracts.actions.objects import (
    DEPLOYMENT,
    PROTECTION,
    REPLICA_SETS,
    deployment,
    replica_set,
    written_by,
)


def history(*sets: Any, found: Any = None) -> Server:
    listed = {f"{REPLICA_SETS}/{one['metadata']['name']}": one for one in sets}
    return Server({DEPLOYMENT: found or deployment(), **listed})


TWO = (replica_set(1, image="v1"), replica_set(2, image="v2"))


def test_a_rollback_takes_the_template_of_the_revision_before() -> None:
    server = history(*TWO, replica_set(3, image="v0", owner="other"))
    done = outcome(server, Rollback())
    assert done == Done(
        ("revision: 2 → template of revision 1", "container c0: image: v2 → v1", "container c1: image: v2 → v1")
    )
    after = server.objects[DEPLOYMENT]
    assert after["spec"]["template"] == deployment(image="v1")["spec"]["template"]
    assert (is_marked(after, "cmd-1"), after["metadata"]["resourceVersion"]) == (True, "7")
    assert after["metadata"]["annotations"][REVISION_ANNOTATION] == TWO[0]["metadata"]["name"]
    assert has_happened(Server(server.objects), Rollback())


def test_revisions_are_counted_and_not_spelled() -> None:
    server = history(replica_set(9, image="v9"), replica_set(10, image="v10"))
    outcome(server, Rollback())
    assert server.objects[DEPLOYMENT]["spec"]["template"] == deployment(image="v9")["spec"]["template"]


def test_a_rollback_to_a_named_revision_takes_that_one() -> None:
    server = history(*TWO, replica_set(3, image="v3"))
    assert isinstance(outcome(server, Rollback(revision=1)), Done)
    assert server.objects[DEPLOYMENT]["spec"]["template"] == deployment(image="v1")["spec"]["template"]
    assert Rollback(revision=1).in_words() == "roll back to revision 1"


def test_a_rollback_that_names_no_revision_says_nothing_of_it() -> None:
    assert Rollback().model_dump() == {"kind": "rollback", "from_template_hash": ""}
    assert Rollback.model_validate_json(Rollback(revision=4).model_dump_json()).revision == 4


@pytest.mark.parametrize(
    ("server", "action", "refusal"),
    [
        (history(*TWO), Rollback(revision=2), Refusal.NO_SUCH_REVISION),
        (history(*TWO), Rollback(revision=7), Refusal.NO_SUCH_REVISION),
        (history(*TWO), Rollback(from_template_hash="v1"), Refusal.CHANGED_MEANWHILE),
        (history(TWO[0]), Rollback(), Refusal.NO_EARLIER_REVISION),
        (history(), Rollback(), Refusal.NO_EARLIER_REVISION),
        (history(*TWO, found=labelled(deployment(), **PROTECTION)), Rollback(), Refusal.PROTECTED_OBJECT),
        (history(*TWO, found=labelled(deployment(), tier="database")), Rollback(), Refusal.PROTECTED_OBJECT),
        (history(*TWO, found=written_by("kustomize-controller", deployment())), Rollback(), Refusal.OWNED_BY_OTHER),
        (Server({}), Rollback(), Refusal.TARGET_GONE),
    ],
)
def test_a_precondition_that_does_not_hold_is_named_and_nothing_is_written(
    server: Server, action: Rollback, refusal: Refusal
) -> None:
    assert (outcome(server, action, order(tier="database")), server.written) == (refusal, [])


def test_only_a_deployment_has_revisions_to_go_back_to() -> None:
    server = Server({})
    asked = order(workload=WorkloadRef(kind="StatefulSet", namespace="bank", name="web"))
    assert (outcome(server, Rollback(), asked), server.asked) == (Refusal.KIND_NOT_SUPPORTED, [])


def test_a_template_that_somebody_brought_back_is_not_rolled_back_again() -> None:
    server = history(*TWO)
    outcome(server, Rollback())
    rolled_back = server.objects[DEPLOYMENT]
    settled = history(TWO[1], replica_set(3, image="v1"), found=rolled_back)
    assert isinstance(outcome(settled, Rollback(), order("cmd-2")), Done)  # v1 fails as well: another change
    fought = history(replica_set(3, image="v1"), replica_set(4, image="v2"), found=rolled_back)
    assert refused(fought, Rollback(), order("cmd-2")) == (
        Refusal.UNDONE_BY_OTHER,
        "spec.template: command cmd-1 made it v1, somebody made it v2 again",
    )
    assert fought.written == []
