"""Objects: written, read, listed, patched and refused as the Kubernetes API says."""

# the client's models are typed in part only
# pyright: basic, reportArgumentType=false, reportOptionalMemberAccess=false
# pyright: reportAttributeAccessIssue=false, reportIndexIssue=false

from typing import Any

import pytest
from kubernetes import client

from tests.contracts.cluster.backend import is_missing
from tests.contracts.cluster.wire import Wire

pytestmark = pytest.mark.contract


def config_map(name: str, value: str = "1", labels: dict[str, str] | None = None) -> dict[str, Any]:
    return {"metadata": {"name": name, "labels": labels or {}}, "data": {"key": value}}


def refusal(ask: Any) -> client.ApiException:
    with pytest.raises(client.ApiException) as caught:
        ask()
    return caught.value


def test_what_is_created_is_read_with_identity_and_version(core: Any, namespace: str) -> None:
    made = core.create_namespaced_config_map(namespace, config_map("one"))
    read = core.read_namespaced_config_map("one", namespace)
    assert read.metadata.uid == made.metadata.uid
    assert read.metadata.resource_version == made.metadata.resource_version
    assert read.metadata.creation_timestamp is not None
    assert read.data == {"key": "1"}


def test_a_name_that_is_taken_is_refused(core: Any, namespace: str) -> None:
    core.create_namespaced_config_map(namespace, config_map("one"))
    refused = refusal(lambda: core.create_namespaced_config_map(namespace, config_map("one")))
    assert (refused.status, "AlreadyExists" in str(refused.body)) == (409, True)


def test_what_is_not_there_is_not_found(core: Any, namespace: str) -> None:
    refused = refusal(lambda: core.read_namespaced_config_map("none", namespace))
    assert (refused.status, '"reason":"NotFound"' in str(refused.body).replace(" ", "")) == (404, True)


def test_a_generated_name_begins_as_asked(core: Any, namespace: str) -> None:
    made = core.create_namespaced_config_map(namespace, {"metadata": {"generateName": "made-"}})
    assert made.metadata.name.startswith("made-")
    assert len(made.metadata.name) == len("made-") + 5


def test_a_write_on_an_old_version_is_a_conflict(core: Any, namespace: str) -> None:
    old = core.create_namespaced_config_map(namespace, config_map("one"))
    core.patch_namespaced_config_map("one", namespace, {"data": {"key": "2"}})
    old.data = {"key": "3"}
    refused = refusal(lambda: core.replace_namespaced_config_map("one", namespace, old))
    assert (refused.status, "Conflict" in str(refused.body)) == (409, True)


def test_a_write_that_changes_nothing_keeps_the_version(core: Any, namespace: str) -> None:
    made = core.create_namespaced_config_map(namespace, config_map("one"))
    same = core.patch_namespaced_config_map("one", namespace, {"data": {"key": "1"}})
    assert same.metadata.resource_version == made.metadata.resource_version


def test_a_dry_run_answers_and_keeps_nothing(core: Any, namespace: str) -> None:
    answered = core.create_namespaced_config_map(namespace, config_map("one"), dry_run="All")
    assert answered.metadata.uid
    assert is_missing(lambda: core.read_namespaced_config_map("one", namespace))


def test_a_dry_run_of_a_patch_shows_what_it_would_change(core: Any, namespace: str) -> None:
    core.create_namespaced_config_map(namespace, config_map("one"))
    shown = core.patch_namespaced_config_map("one", namespace, {"data": {"key": "2"}}, dry_run="All")
    assert shown.data == {"key": "2"}
    assert core.read_namespaced_config_map("one", namespace).data == {"key": "1"}


def test_generation_counts_changes_of_the_spec_alone(apps: Any, namespace: str, backend: Any) -> None:
    made = apps.create_namespaced_deployment(namespace, backend.deployment("web", replicas=0))
    labelled = apps.patch_namespaced_deployment("web", namespace, {"metadata": {"labels": {"a": "b"}}})
    paused = apps.patch_namespaced_deployment("web", namespace, {"spec": {"paused": True}})
    assert [one.metadata.generation for one in (made, labelled, paused)] == [1, 1, 2]


def test_nothing_is_created_in_a_namespace_that_is_not_there(core: Any) -> None:
    assert refusal(lambda: core.create_namespaced_config_map("nowhere", config_map("one"))).status == 404


def test_a_write_may_leave_the_version_out(core: Any, namespace: str) -> None:
    core.create_namespaced_config_map(namespace, config_map("one"))
    written = core.replace_namespaced_config_map("one", namespace, config_map("one", value="2"))
    assert written.data == {"key": "2"}


def test_a_write_of_what_is_not_there_is_not_found(wire: Wire, namespace: str) -> None:
    path = f"/api/v1/namespaces/{namespace}/configmaps/none"
    assert wire.put(path, config_map("none")).refusal == (404, "NotFound")


def test_a_write_with_another_uid_is_a_conflict(wire: Wire, namespace: str) -> None:
    path = f"/api/v1/namespaces/{namespace}/configmaps"
    wire.post(path, config_map("one"))
    other = {"metadata": {"name": "one", "uid": "another"}}
    assert wire.put(f"{path}/one", other).refusal == (409, "Conflict")


def test_a_write_cannot_change_when_an_object_was_made(wire: Wire, namespace: str) -> None:
    path = f"/api/v1/namespaces/{namespace}/configmaps"
    made = wire.post(path, config_map("one")).document["metadata"]["creationTimestamp"]
    forged = {"metadata": {"creationTimestamp": "2001-01-01T00:00:00Z"}}
    assert wire.patch(f"{path}/one", forged).document["metadata"]["creationTimestamp"] == made


def test_versions_only_grow(wire: Wire, namespace: str) -> None:
    path = f"/api/v1/namespaces/{namespace}/configmaps"
    told = [wire.post(path, config_map("one")).document]
    told += [wire.patch(f"{path}/one", {"data": {"key": str(number)}}).document for number in range(2, 5)]
    versions = [int(one["metadata"]["resourceVersion"]) for one in told]
    assert versions == sorted(set(versions))


def test_a_new_object_may_not_bring_a_version(wire: Wire, namespace: str) -> None:
    body = {"metadata": {"name": "one", "resourceVersion": "1"}}
    assert wire.post(f"/api/v1/namespaces/{namespace}/configmaps", body).code >= 400


def test_a_name_that_was_deleted_comes_back_with_another_uid(wire: Wire, namespace: str) -> None:
    path = f"/api/v1/namespaces/{namespace}/configmaps"
    first = wire.post(path, config_map("one")).document["metadata"]["uid"]
    wire.delete(f"{path}/one")
    assert wire.post(path, config_map("one")).document["metadata"]["uid"] != first


def test_a_lease_that_is_not_there_is_made_by_a_write(wire: Wire, namespace: str) -> None:
    path = f"/apis/coordination.k8s.io/v1/namespaces/{namespace}/leases/leader"
    assert wire.put(path, {"metadata": {"name": "leader"}, "spec": {"holderIdentity": "one"}}).code == 201


def test_a_namespace_carries_its_name_as_a_label(wire: Wire, namespace: str) -> None:
    found = wire.get(f"/api/v1/namespaces/{namespace}").document
    assert found["metadata"]["labels"]["kubernetes.io/metadata.name"] == namespace
    assert (found["status"]["phase"], found["spec"]["finalizers"]) == ("Active", ["kubernetes"])


def test_namespaces_are_selected_by_their_phase(wire: Wire, namespace: str) -> None:
    found = wire.get("/api/v1/namespaces?fieldSelector=status.phase=Active").document["items"]
    assert namespace in {one["metadata"]["name"] for one in found}
