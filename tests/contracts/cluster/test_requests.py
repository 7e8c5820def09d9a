"""Requests: paths that mean nothing, methods and bodies that do not fit, and the forms an answer can have."""

# the client's models are typed in part only
# pyright: basic, reportArgumentType=false, reportOptionalMemberAccess=false
# pyright: reportAttributeAccessIssue=false, reportIndexIssue=false

from typing import Any

import pytest

from tests.contracts.cluster.wire import JSON, STRATEGIC, Wire

pytestmark = pytest.mark.contract

TABLE = "application/json;as=Table;v=v1;g=meta.k8s.io,application/json"
METADATA = "application/json;as=PartialObjectMetadata;v=v1;g=meta.k8s.io,application/json"
METADATA_LIST = "application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io,application/json"


@pytest.fixture
def path(namespace: str) -> str:
    return f"/api/v1/namespaces/{namespace}/configmaps"


def config_map(name: str) -> dict[str, Any]:
    return {"metadata": {"name": name, "labels": {"made": "here"}}, "data": {"key": "1"}}


@pytest.mark.parametrize(
    "path",
    [
        "/apis/nothing.example/v1",
        "/apis/nothing.example/v1/things",
        "/apis/apps/v9/deployments",
        "/apis/apps/v1/namespaces/default/things",
        "/api/v1/namespaces/default/configmaps/one/status",
        "/nowhere",
    ],
)
def test_a_path_that_means_nothing_is_not_found(wire: Wire, path: str) -> None:
    assert wire.get(path).code == 404


def test_what_is_not_there_is_refused_with_its_kind_and_name(wire: Wire, path: str) -> None:
    refused = wire.get(f"{path}/none")
    assert refused.refusal == (404, "NotFound")
    assert refused.document["details"] == {"name": "none", "kind": "configmaps"}
    assert refused.document["message"] == 'configmaps "none" not found'


def test_a_resource_of_a_named_group_is_refused_with_its_group(wire: Wire, namespace: str) -> None:
    refused = wire.get(f"/apis/apps/v1/namespaces/{namespace}/deployments/none")
    assert refused.document["details"] == {"name": "none", "group": "apps", "kind": "deployments"}
    assert refused.document["message"] == 'deployments.apps "none" not found'


@pytest.mark.parametrize(
    ("method", "name"), [("POST", "/one"), ("PUT", ""), ("PATCH", ""), ("POST", "/one/status"), ("DELETE", "/one/log")]
)
def test_a_method_that_a_path_does_not_know_is_refused(wire: Wire, namespace: str, method: str, name: str) -> None:
    pods = f"/api/v1/namespaces/{namespace}/pods{name}"
    media = STRATEGIC if method == "PATCH" else JSON
    assert wire.ask(method, pods, body=config_map("one"), media=media).refusal == (405, "MethodNotAllowed")


def test_a_body_of_an_unknown_form_is_refused(wire: Wire, path: str) -> None:
    assert wire.ask("POST", path, body="key=1", media="text/plain").refusal == (415, "UnsupportedMediaType")


def test_a_patch_must_say_which_kind_it_is(wire: Wire, path: str) -> None:
    wire.post(path, config_map("one"))
    assert wire.patch(f"{path}/one", {"data": {"key": "2"}}, JSON).refusal == (415, "UnsupportedMediaType")


def test_a_body_that_is_no_json_is_refused(wire: Wire, path: str) -> None:
    assert wire.ask("POST", path, body='{"metadata": ').refusal == (400, "BadRequest")


def test_a_body_in_yaml_is_read(wire: Wire, path: str) -> None:
    written = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: one}\ndata: {key: '1'}\n"
    made = wire.ask("POST", path, body=written, media="application/yaml")
    assert (made.code, made.document["data"]) == (201, {"key": "1"})


def test_a_body_of_another_kind_is_refused(wire: Wire, path: str) -> None:
    other = config_map("one") | {"kind": "Secret", "apiVersion": "v1"}
    assert wire.post(path, other).refusal == (400, "BadRequest")


def test_a_body_for_another_namespace_is_refused(wire: Wire, path: str) -> None:
    assert wire.post(path, {"metadata": {"name": "one", "namespace": "default"}}).refusal == (400, "BadRequest")


def test_a_body_of_another_name_is_refused(wire: Wire, path: str) -> None:
    wire.post(path, config_map("one"))
    assert wire.put(f"{path}/one", config_map("two")).refusal == (400, "BadRequest")


def test_a_dry_run_of_an_unknown_extent_is_refused(wire: Wire, path: str) -> None:
    assert wire.post(f"{path}?dryRun=Some", config_map("one")).refusal == (422, "Invalid")


def test_a_list_as_a_table_has_a_row_for_each_object(wire: Wire, path: str) -> None:
    wire.post(path, config_map("one"))
    table = wire.get(f"{path}?labelSelector=made=here", TABLE).document
    assert (table["kind"], table["apiVersion"]) == ("Table", "meta.k8s.io/v1")
    assert [one["name"] for one in table["columnDefinitions"]] == ["Name", "Data", "Age"]
    assert [row["cells"][:2] for row in table["rows"]] == [["one", 1]]
    assert table["metadata"]["resourceVersion"]


def test_a_row_of_a_table_carries_the_metadata_of_its_object(wire: Wire, path: str) -> None:
    uid = wire.post(path, config_map("one")).document["metadata"]["uid"]
    row = wire.get(f"{path}/one", TABLE).document["rows"][0]
    assert (row["object"]["kind"], row["object"]["metadata"]["uid"]) == ("PartialObjectMetadata", uid)
    assert "data" not in row["object"]


@pytest.mark.parametrize(("include", "kind"), [("Object", "ConfigMap"), ("None", None)])
def test_a_row_of_a_table_carries_what_was_asked_for(wire: Wire, path: str, include: str, kind: str | None) -> None:
    wire.post(path, config_map("one"))
    row = wire.get(f"{path}/one?includeObject={include}", TABLE).document["rows"][0]
    assert (row.get("object") or {}).get("kind") == kind


def test_an_object_can_be_read_without_all_but_its_metadata(wire: Wire, path: str) -> None:
    wire.post(path, config_map("one"))
    read = wire.get(f"{path}/one", METADATA).document
    assert (read["kind"], read["apiVersion"]) == ("PartialObjectMetadata", "meta.k8s.io/v1")
    assert read["metadata"]["name"] == "one"
    assert "data" not in read


def test_a_list_can_be_read_without_all_but_the_metadata(wire: Wire, path: str) -> None:
    wire.post(path, config_map("one"))
    read = wire.get(f"{path}?labelSelector=made=here", METADATA_LIST).document
    assert (read["kind"], read["apiVersion"]) == ("PartialObjectMetadataList", "meta.k8s.io/v1")
    assert [(one["kind"], one["metadata"]["name"]) for one in read["items"]] == [("PartialObjectMetadata", "one")]


def test_a_watch_can_tell_no_more_than_the_metadata(wire: Wire, path: str) -> None:
    wire.post(path, config_map("one"))
    watched = wire.get(f"{path}?watch=1&timeoutSeconds=1&labelSelector=made=here", METADATA).lines
    assert [(one["type"], one["object"]["kind"]) for one in watched] == [("ADDED", "PartialObjectMetadata")]
    assert "data" not in watched[0]["object"]
