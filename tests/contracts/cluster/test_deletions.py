"""Deletions: preconditions, finalizers, what owners take along, and namespaces that end."""

# the client's models are typed in part only
# pyright: basic, reportArgumentType=false, reportOptionalMemberAccess=false
# pyright: reportAttributeAccessIssue=false, reportIndexIssue=false

from typing import Any

import pytest
from kubernetes import client

from tests.contracts.cluster.backend import Backend, until
from tests.contracts.cluster.test_objects import config_map, refusal
from tests.contracts.cluster.wire import Wire

pytestmark = pytest.mark.contract

HELD = "contract.sre-agent.dev/held"


@pytest.fixture
def path(namespace: str) -> str:
    return f"/api/v1/namespaces/{namespace}/configmaps"


def owned_by(*owners: Any) -> list[dict[str, Any]]:
    """Return references to owners that keep an object alive."""
    return [
        {"apiVersion": "v1", "kind": "ConfigMap", "name": one["metadata"]["name"], "uid": one["metadata"]["uid"]}
        for one in owners
    ]


def test_a_delete_is_answered_with_the_identity_of_what_is_gone(wire: Wire, path: str) -> None:
    uid = wire.post(path, config_map("one")).document["metadata"]["uid"]
    gone = wire.delete(f"{path}/one").document
    assert (gone["kind"], gone["status"]) == ("Status", "Success")
    assert gone["details"] == {"name": "one", "kind": "configmaps", "uid": uid}


def test_a_pod_that_is_deleted_is_answered_with_itself(wire: Wire, namespace: str, backend: Backend) -> None:
    pods = f"/api/v1/namespaces/{namespace}/pods"
    wire.post(pods, backend.unplaced("one"))
    assert wire.delete(f"{pods}/one").document["kind"] == "Pod"
    assert wire.get(f"{pods}/one").code == 404  # it was on no node that would have to stop it


def test_a_delete_with_the_wrong_uid_is_refused(core: Any, namespace: str) -> None:
    core.create_namespaced_config_map(namespace, config_map("one"))
    options = client.V1DeleteOptions(preconditions=client.V1Preconditions(uid="another"))
    assert refusal(lambda: core.delete_namespaced_config_map("one", namespace, body=options)).status == 409


def test_a_delete_on_an_old_version_is_refused(wire: Wire, path: str) -> None:
    old = wire.post(path, config_map("one")).document["metadata"]["resourceVersion"]
    wire.patch(f"{path}/one", {"data": {"key": "2"}})
    options = {"preconditions": {"resourceVersion": old}}
    assert wire.delete(f"{path}/one", options).refusal == (409, "Conflict")


def test_a_delete_of_nothing_is_not_found(wire: Wire, path: str) -> None:
    assert wire.delete(f"{path}/none").refusal == (404, "NotFound")


def test_a_dry_run_of_a_delete_leaves_the_object(wire: Wire, path: str) -> None:
    wire.post(path, config_map("one"))
    assert wire.delete(f"{path}/one?dryRun=All").code == 200
    assert wire.get(f"{path}/one").code == 200


def test_a_finalizer_holds_an_object_until_it_is_taken_away(wire: Wire, path: str) -> None:
    wire.post(path, {"metadata": {"name": "one", "finalizers": [HELD]}})
    wire.delete(f"{path}/one")
    leaving = wire.get(f"{path}/one").document["metadata"]
    assert leaving["deletionTimestamp"]
    wire.patch(f"{path}/one", {"metadata": {"finalizers": None}})
    assert wire.get(f"{path}/one").code == 404


def test_what_is_leaving_can_be_deleted_again_and_changed(wire: Wire, path: str) -> None:
    wire.post(path, {"metadata": {"name": "one", "finalizers": [HELD]}})
    wire.delete(f"{path}/one")
    since = wire.get(f"{path}/one").document["metadata"]["deletionTimestamp"]
    assert wire.delete(f"{path}/one").code == 200
    assert wire.patch(f"{path}/one", {"data": {"key": "2"}}).document["data"] == {"key": "2"}
    assert wire.get(f"{path}/one").document["metadata"]["deletionTimestamp"] == since
    wire.patch(f"{path}/one", {"metadata": {"finalizers": None}})


def test_what_is_leaving_takes_no_new_finalizer(wire: Wire, path: str) -> None:
    wire.post(path, {"metadata": {"name": "one", "finalizers": [HELD]}})
    wire.delete(f"{path}/one")
    refused = wire.patch(f"{path}/one", {"metadata": {"finalizers": [HELD, "contract.sre-agent.dev/more"]}})
    assert refused.refusal == (422, "Invalid")
    wire.patch(f"{path}/one", {"metadata": {"finalizers": None}})


def test_what_is_owned_goes_with_its_owner(wire: Wire, path: str) -> None:
    owner = wire.post(path, config_map("owner")).document
    wire.post(path, {"metadata": {"name": "owned", "ownerReferences": owned_by(owner)}})
    wire.delete(f"{path}/owner", {"propagationPolicy": "Background"})
    until(lambda: wire.get(f"{path}/owned").code == 404)


def test_what_has_two_owners_stays_until_both_are_gone(wire: Wire, path: str) -> None:
    owners = [wire.post(path, config_map(name)).document for name in ("first", "second")]
    wire.post(path, {"metadata": {"name": "shared", "ownerReferences": owned_by(*owners)}})
    wire.post(path, {"metadata": {"name": "sole", "ownerReferences": owned_by(owners[0])}})
    wire.delete(f"{path}/first")
    until(lambda: wire.get(f"{path}/sole").code == 404)
    assert wire.get(f"{path}/shared").code == 200
    wire.delete(f"{path}/second")
    until(lambda: wire.get(f"{path}/shared").code == 404)


def test_what_is_owned_by_nothing_that_exists_goes(wire: Wire, path: str) -> None:
    owner = wire.post(path, config_map("owner")).document
    wire.delete(f"{path}/owner")
    wire.post(path, {"metadata": {"name": "owned", "ownerReferences": owned_by(owner)}})
    until(lambda: wire.get(f"{path}/owned").code == 404)


def test_what_an_owner_of_an_unknown_kind_controls_stays_and_says_whose_it_is(wire: Wire, path: str) -> None:
    owner = {"apiVersion": "example.com/v1", "kind": "Cluster", "name": "ledger", "uid": "c-1", "controller": True}
    made = wire.post(path, {"metadata": {"name": "made", "ownerReferences": [owner]}})
    assert (made.code, made.document["metadata"]["ownerReferences"]) == (201, [owner])
    gone = wire.post(path, config_map("gone")).document
    wire.post(path, {"metadata": {"name": "with-it", "ownerReferences": owned_by(gone)}})
    wire.delete(f"{path}/gone", {"propagationPolicy": "Background"})
    until(lambda: wire.get(f"{path}/with-it").code == 404)  # by then the collector has looked at both
    assert wire.get(f"{path}/made").document["metadata"]["ownerReferences"] == [owner]


def test_an_owner_that_waits_for_what_it_owns_goes_last(wire: Wire, path: str) -> None:
    owner = wire.post(path, config_map("owner")).document
    references = [one | {"blockOwnerDeletion": True} for one in owned_by(owner)]
    wire.post(path, {"metadata": {"name": "owned", "finalizers": [HELD], "ownerReferences": references}})
    wire.delete(f"{path}/owner", {"propagationPolicy": "Foreground"})
    until(lambda: "deletionTimestamp" in wire.get(f"{path}/owned").document["metadata"])
    assert wire.get(f"{path}/owner").document["metadata"]["finalizers"] == ["foregroundDeletion"]
    wire.patch(f"{path}/owned", {"metadata": {"finalizers": None}})
    until(lambda: wire.get(f"{path}/owner").code == 404)


def test_a_namespace_takes_along_what_it_holds(wire: Wire, core: Any, namespace: str) -> None:
    name = f"{namespace}-ends"
    core.create_namespace({"metadata": {"name": name}})
    path = f"/api/v1/namespaces/{name}/configmaps"
    wire.post(path, config_map("one"))
    assert wire.delete(f"/api/v1/namespaces/{name}").document["status"]["phase"] == "Terminating"
    until(lambda: wire.get(f"/api/v1/namespaces/{name}").code == 404)
    assert wire.get(f"{path}/one").code == 404


def test_a_namespace_that_ends_takes_nothing_new(wire: Wire, core: Any, namespace: str) -> None:
    name = f"{namespace}-held"
    core.create_namespace({"metadata": {"name": name}})
    path = f"/api/v1/namespaces/{name}/configmaps"
    wire.post(path, {"metadata": {"name": "one", "finalizers": [HELD]}})
    wire.delete(f"/api/v1/namespaces/{name}")
    until(lambda: "deletionTimestamp" in wire.get(f"{path}/one").document["metadata"])
    refused = wire.post(path, config_map("late"))
    assert refused.refusal == (403, "Forbidden")
    assert refused.document["details"]["causes"][0]["reason"] == "NamespaceTerminating"
    wire.patch(f"{path}/one", {"metadata": {"finalizers": None}})


def test_beside_the_options_of_a_delete_its_query_counts_for_nothing(wire: Wire, path: str) -> None:
    wire.post(path, config_map("one"))
    assert wire.delete(f"{path}/one?dryRun=All").code == 200
    assert wire.delete(f"{path}/one", {"dryRun": ["All"]}).code == 200
    assert wire.get(f"{path}/one").code == 200
    assert wire.delete(f"{path}/one?dryRun=All", {"propagationPolicy": "Background"}).code == 200
    assert wire.get(f"{path}/one").code == 404
