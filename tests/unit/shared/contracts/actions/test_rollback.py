"""rollback: the template of the revision before the failing one, of the Deployment's own ReplicaSets."""

from typing import Any

import pytest

from shared.contracts.actions.base import Done
from shared.contracts.actions.marks import Change, is_marked, mark_of
from shared.contracts.actions.rollback import REVISION_ANNOTATION, Rollback
from shared.contracts.refusals import Refusal
from shared.contracts.workloads import WorkloadRef
from tests.unit.shared.contracts.actions.conversation import Server, has_happened, labelled, order, outcome, refused
from tests.unit.shared.contracts.actions.objects import (
    DEPLOYMENT,
    PROTECTION,
    REPLICA_SETS,
    deployment,
    made_by_operator,
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
    assert Rollback.model_validate_json(Rollback(unfinished=True).model_dump_json()).unfinished


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
        (history(*TWO, found=made_by_operator(deployment())), Rollback(), Refusal.OWNED_BY_OTHER),
        (Server({}), Rollback(), Refusal.TARGET_GONE),
    ],
)
def test_a_precondition_that_does_not_hold_is_named_and_nothing_is_written(
    server: Server, action: Rollback, refusal: Refusal
) -> None:
    assert (outcome(server, action, order(tier="database")), server.written) == (refusal, [])


def rolling(reason: str, **counts: int) -> Any:
    """Return a Deployment whose controller tells how far its rollout is; nothing where the reason is empty."""
    told = {"conditions": [{"type": "Progressing", "status": "True", "reason": reason}]} if reason else {}
    return deployment() | {"status": {**told, **counts}}


@pytest.mark.parametrize(
    ("found", "is_taken_back"),
    [
        (rolling("ReplicaSetUpdated", replicas=2, updatedReplicas=1), True),
        (rolling("ReplicaSetUpdated", replicas=1, updatedReplicas=1), True),  # its last pod has never been ready
        (rolling("ProgressDeadlineExceeded", replicas=2, updatedReplicas=1), True),
        (rolling("NewReplicaSetAvailable", replicas=2, updatedReplicas=2), False),
        (rolling("", replicas=2, updatedReplicas=1), True),
        (rolling("", replicas=2, updatedReplicas=2), False),
        (rolling(""), False),
    ],
)
def test_a_rollout_that_came_through_is_not_taken_back_by_who_takes_back_unfinished_ones(
    found: Any, is_taken_back: bool
) -> None:
    server = history(*TWO, found=found)
    answer = outcome(server, Rollback(unfinished=True))
    assert (isinstance(answer, Done), bool(server.written)) == (is_taken_back, is_taken_back)
    assert is_taken_back or answer is Refusal.ROLLED_OUT
    assert isinstance(outcome(history(*TWO, found=found), Rollback()), Done)


def test_only_a_deployment_has_revisions_to_go_back_to() -> None:
    server = Server({})
    asked = order(workload=WorkloadRef(kind="StatefulSet", namespace="bank", name="web"))
    assert (outcome(server, Rollback(), asked), server.asked) == (Refusal.KIND_NOT_SUPPORTED, [])


def of_day(day: int, image: str, *, revision: int) -> Any:
    """Return a ReplicaSet that came into being on a day."""
    return replica_set(revision, image=image, creationTimestamp=f"2026-01-{day:02}T00:00:00Z")


def renumbered(server: Server, *names: str) -> Server:
    """Return the history as the controller tells it, oldest revision first; v1 was made on the second day."""
    sets = [of_day(int(name[1:]) + 1, name, revision=number) for number, name in enumerate(names, start=1)]
    return history(*sets, found=server.objects[DEPLOYMENT])


def image_after(server: Server, action: Rollback, name: str) -> str | Refusal:
    """Return the image that a rollback brings back, or why it brings back none."""
    done = outcome(server, action, order(name))
    if isinstance(done, Refusal):
        return done
    return server.objects[DEPLOYMENT]["spec"]["template"]["spec"]["containers"][0]["image"]


@pytest.mark.parametrize(
    ("known", "again"),
    [
        (("v2", "v1"), Refusal.NO_EARLIER_REVISION),
        (("v0", "v2", "v1"), "v0"),
        (("v0", "v2", "v1", "v3"), "v1"),  # somebody released another since
        (("v0", "v1", "v2", "v3"), "v1"),  # and what was left before that
    ],
)
def test_a_second_rollback_never_goes_to_what_the_first_one_left(known: tuple[str, ...], again: str) -> None:
    first = history(*TWO)
    assert image_after(first, Rollback(), "cmd-1") == "v1"
    assert image_after(renumbered(first, *known), Rollback(), "cmd-2") == again


def test_however_many_rollbacks_there_were_the_next_goes_further_back() -> None:
    images: list[str | Refusal] = []
    server = renumbered(history(), "v1", "v2", "v3", "v4")
    for number, known in enumerate(
        [("v1", "v2", "v4", "v3"), ("v1", "v4", "v3", "v2"), ("v4", "v3", "v2", "v1"), ("v4", "v3", "v2", "v1")]
    ):
        images.append(image_after(server, Rollback(), f"cmd-{number}"))
        server = renumbered(server, *known)
    assert images == ["v3", "v2", "v1", Refusal.NO_EARLIER_REVISION]


def test_what_was_left_and_is_older_than_what_came_back_is_left_as_well() -> None:
    first = renumbered(history(), "v2", "v1")  # the older ReplicaSet's template was released again, and fails
    assert image_after(first, Rollback(), "cmd-1") == "v2"
    assert image_after(renumbered(first, "v1", "v2"), Rollback(), "cmd-2") is Refusal.NO_EARLIER_REVISION


def test_a_revision_that_is_named_comes_back_although_it_was_left() -> None:
    first = history(*TWO)
    outcome(first, Rollback())
    assert image_after(renumbered(first, "v2", "v1"), Rollback(revision=1), "cmd-2") == "v2"


def test_another_change_of_ours_leaves_no_revision() -> None:
    found = deployment()
    change = Change(command="cmd-0", field="spec.replicas", before="v1", after="v2")
    found["metadata"]["annotations"] |= mark_of(change)
    assert image_after(history(*TWO, found=found), Rollback(), "cmd-1") == "v1"


def test_a_template_that_somebody_brought_back_is_not_rolled_back_again() -> None:
    server = history(*TWO)
    outcome(server, Rollback())
    rolled_back = server.objects[DEPLOYMENT]
    fought = history(replica_set(3, image="v1"), replica_set(4, image="v2"), found=rolled_back)
    assert refused(fought, Rollback(), order("cmd-2")) == (
        Refusal.UNDONE_BY_OTHER,
        "spec.template: command cmd-1 made it v1, somebody made it v2 again",
    )
    assert fought.written == []
