"""Patches: the three kinds, what each does to lists and nulls, and what is refused."""

# the client's models are typed in part only
# pyright: basic, reportArgumentType=false, reportOptionalMemberAccess=false
# pyright: reportAttributeAccessIssue=false, reportIndexIssue=false

from typing import Any

import pytest

from tests.contracts.cluster.backend import Backend
from tests.contracts.cluster.test_objects import config_map
from tests.contracts.cluster.wire import APPLY, JSON_PATCH, MERGE, STRATEGIC, Wire

pytestmark = pytest.mark.contract


@pytest.fixture
def one(wire: Wire, namespace: str) -> str:
    """Create a config map and return its path."""
    path = f"/api/v1/namespaces/{namespace}/configmaps"
    wire.post(path, config_map("one", labels={"kept": "yes"}))
    return f"{path}/one"


@pytest.fixture
def web(wire: Wire, namespace: str, backend: Backend) -> str:
    """Create a Deployment without pods and return its path."""
    path = f"/apis/apps/v1/namespaces/{namespace}/deployments"
    body = backend.deployment("web", replicas=0)
    body["spec"]["template"]["spec"]["containers"][0]["env"] = [
        {"name": "A", "value": "1"},
        {"name": "B", "value": "2"},
    ]
    assert wire.post(path, body).code == 201
    return f"{path}/web"


def server(**fields: Any) -> dict[str, Any]:
    """Return a patch of the Deployment's container."""
    return {"spec": {"template": {"spec": {"containers": [{"name": "server", **fields}]}}}}


def containers(document: Any) -> list[Any]:
    return document["spec"]["template"]["spec"]["containers"]


def test_a_merge_patch_sets_and_removes(wire: Wire, one: str) -> None:
    patched = wire.patch(one, {"data": {"key": None, "other": "2"}}).document
    assert patched["data"] == {"other": "2"}
    assert patched["metadata"]["labels"] == {"kept": "yes"}


def test_a_merge_patch_replaces_lists_whole(wire: Wire, web: str, backend: Backend) -> None:
    patched = wire.patch(web, server(image=backend.image), MERGE).document
    assert "env" not in containers(patched)[0]


def test_a_strategic_patch_merges_containers_by_their_names(apps: Any, namespace: str, backend: Any) -> None:
    apps.create_namespaced_deployment(namespace, backend.deployment("web", replicas=0))
    container = {"name": "server", "resources": {"limits": {"memory": "64Mi"}}}
    patch = {"spec": {"template": {"spec": {"containers": [container]}}}}
    patched = apps.patch_namespaced_deployment("web", namespace, patch)
    found = patched.spec.template.spec.containers
    assert [(one.name, one.image, one.resources.limits) for one in found] == [
        ("server", backend.image, {"memory": "64Mi"})
    ]


def test_a_strategic_patch_adds_a_container_that_is_not_there(wire: Wire, web: str, backend: Backend) -> None:
    added = {"spec": {"template": {"spec": {"containers": [{"name": "side", "image": backend.image}]}}}}
    assert {one["name"] for one in containers(wire.patch(web, added, STRATEGIC).document)} == {"server", "side"}


def test_a_strategic_patch_merges_the_environment_by_names(wire: Wire, web: str) -> None:
    patched = wire.patch(web, server(env=[{"name": "B", "value": "3"}]), STRATEGIC).document
    assert {one["name"]: one["value"] for one in containers(patched)[0]["env"]} == {"A": "1", "B": "3"}


def test_a_strategic_patch_deletes_an_element_by_its_key(wire: Wire, web: str) -> None:
    patched = wire.patch(web, server(env=[{"name": "A", "$patch": "delete"}]), STRATEGIC).document
    assert [one["name"] for one in containers(patched)[0]["env"]] == ["B"]


def test_a_strategic_patch_replaces_what_it_says_to_replace(wire: Wire, web: str) -> None:
    patch = {"spec": {"template": {"metadata": {"labels": {"app": "web", "$patch": "replace"}}}}}
    wire.patch(web, {"spec": {"template": {"metadata": {"labels": {"other": "yes"}}}}}, STRATEGIC)
    patched = wire.patch(web, patch, STRATEGIC).document
    assert patched["spec"]["template"]["metadata"]["labels"] == {"app": "web"}


def test_a_strategic_patch_replaces_a_list_without_a_key(wire: Wire, web: str) -> None:
    patched = wire.patch(web, server(command=["sleep", "1"]), STRATEGIC).document
    assert containers(patched)[0]["command"] == ["sleep", "1"]


def test_a_strategic_patch_puts_elements_in_the_order_it_says(wire: Wire, web: str) -> None:
    patch = server(**{"$setElementOrder/env": [{"name": "C"}, {"name": "B"}, {"name": "A"}]})
    containers(patch)[0]["env"] = [{"name": "C", "value": "3"}]
    patched = wire.patch(web, patch, STRATEGIC).document
    assert [one["name"] for one in containers(patched)[0]["env"]] == ["C", "B", "A"]


def test_a_null_in_a_strategic_patch_lets_the_default_come_back(wire: Wire, web: str) -> None:
    wire.patch(web, {"spec": {"revisionHistoryLimit": 3}}, STRATEGIC)
    patched = wire.patch(web, {"spec": {"revisionHistoryLimit": None}}, STRATEGIC).document
    assert patched["spec"]["revisionHistoryLimit"] == 10


def test_a_json_patch_adds_replaces_moves_and_removes(wire: Wire, one: str) -> None:
    operations = [
        {"op": "add", "path": "/metadata/annotations", "value": {}},
        {"op": "add", "path": "/metadata/annotations/contract.dev~1a", "value": "2"},
        {"op": "replace", "path": "/data/key", "value": "3"},
        {"op": "move", "from": "/data/key", "path": "/data/moved"},
        {"op": "remove", "path": "/metadata/labels/kept"},
    ]
    patched = wire.patch(one, operations, JSON_PATCH).document
    assert (patched["data"], patched["metadata"]["annotations"]) == ({"moved": "3"}, {"contract.dev/a": "2"})
    assert "labels" not in patched["metadata"]  # what is empty is left out


def test_a_json_patch_whose_test_fails_changes_nothing(core: Any, wire: Wire, namespace: str, one: str) -> None:
    operations = [
        {"op": "test", "path": "/data/key", "value": "other"},
        {"op": "replace", "path": "/data/key", "value": "2"},
    ]
    assert wire.patch(one, operations, JSON_PATCH).refusal == (422, "Invalid")
    assert core.read_namespaced_config_map("one", namespace).data == {"key": "1"}


def test_a_json_patch_of_a_place_that_is_not_there_is_refused(wire: Wire, one: str) -> None:
    operations = [{"op": "remove", "path": "/data/none"}]
    assert wire.patch(one, operations, JSON_PATCH).refusal == (422, "Invalid")


@pytest.mark.parametrize("body", [{"data": {}}, [{"op": "leap", "path": "/data"}]])
def test_a_json_patch_that_is_none_is_refused(wire: Wire, one: str, body: Any) -> None:
    assert wire.patch(one, body, JSON_PATCH).code in {400, 422}


def test_a_patch_of_nothing_is_not_found(wire: Wire, namespace: str) -> None:
    assert wire.patch(f"/api/v1/namespaces/{namespace}/configmaps/none", {"data": {}}).refusal == (404, "NotFound")


@pytest.mark.parametrize("media", [MERGE, STRATEGIC])
def test_a_patch_on_an_old_version_is_a_conflict(wire: Wire, one: str, media: str) -> None:
    old = wire.get(one).document["metadata"]["resourceVersion"]
    wire.patch(one, {"data": {"key": "2"}})
    patch = {"metadata": {"resourceVersion": old}, "data": {"key": "3"}}
    assert wire.patch(one, patch, media).refusal == (409, "Conflict")


def test_a_json_patch_can_test_the_version_that_it_rests_on(wire: Wire, one: str) -> None:
    old = wire.get(one).document["metadata"]["resourceVersion"]
    wire.patch(one, {"data": {"key": "2"}})
    operations = [
        {"op": "test", "path": "/metadata/resourceVersion", "value": old},
        {"op": "replace", "path": "/data/key", "value": "3"},
    ]
    assert wire.patch(one, operations, JSON_PATCH).refusal == (422, "Invalid")


def test_a_patch_cannot_rename(wire: Wire, one: str) -> None:
    assert wire.patch(one, {"metadata": {"name": "two"}}).code in {400, 422}
    assert wire.get(one).code == 200


def test_applying_creates_and_then_changes(wire: Wire, namespace: str) -> None:
    path = f"/api/v1/namespaces/{namespace}/configmaps/applied?fieldManager=contract"
    body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "applied"}, "data": {"key": "1"}}
    first = wire.patch(path, body, APPLY)
    second = wire.patch(path, body | {"data": {"key": "2"}}, APPLY)
    assert [first.code, second.code] == [201, 200]
    assert second.document["data"] == {"key": "2"}


def test_applying_must_say_for_whom(wire: Wire, one: str) -> None:
    body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "one"}}
    assert wire.patch(one, body, APPLY).code in {400, 422}
