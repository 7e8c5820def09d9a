"""Discovery: what the API server tells of itself, by which kubectl and the dynamic client find their way."""

# the client's models are typed in part only
# pyright: basic, reportArgumentType=false, reportOptionalMemberAccess=false
# pyright: reportAttributeAccessIssue=false, reportIndexIssue=false

from typing import Any

import pytest
from kubernetes import client, dynamic

from tests.contracts.cluster.backend import Backend
from tests.contracts.cluster.wire import Wire

pytestmark = pytest.mark.contract


def listed(wire: Wire, path: str) -> dict[str, Any]:
    return {one["name"]: one for one in wire.get(path).document["resources"]}


def test_discovery_names_groups_resources_and_their_verbs(api: Any) -> None:
    groups = {one.name for one in client.ApisApi(api).get_api_versions().groups}
    assert {"apps", "batch", "policy", "coordination.k8s.io"} <= groups
    resources = {one.name: one for one in client.AppsV1Api(api).get_api_resources().resources}
    assert {"deployments", "deployments/scale", "deployments/status", "replicasets"} <= set(resources)
    assert "watch" in resources["deployments"].verbs
    assert int(client.VersionApi(api).get_code().minor.rstrip("+")) >= 30


def test_the_core_group_is_told_apart_from_the_named_groups(wire: Wire) -> None:
    assert wire.get("/api").document["versions"] == ["v1"]
    assert wire.get("/api/v1").document["groupVersion"] == "v1"


def test_a_group_tells_the_version_it_prefers(wire: Wire) -> None:
    group = wire.get("/apis/apps").document
    assert (group["kind"], group["name"]) == ("APIGroup", "apps")
    assert group["preferredVersion"] == {"groupVersion": "apps/v1", "version": "v1"}


def test_a_resource_tells_its_short_names_its_kind_and_whether_it_lies_in_a_namespace(wire: Wire) -> None:
    found = listed(wire, "/api/v1")
    assert (found["pods"]["kind"], found["pods"]["shortNames"], found["pods"]["namespaced"]) == ("Pod", ["po"], True)
    assert (found["nodes"]["shortNames"], found["nodes"]["namespaced"]) == (["no"], False)
    assert "all" in found["pods"]["categories"]


def test_scale_and_eviction_are_kinds_of_other_groups(wire: Wire) -> None:
    scale = listed(wire, "/apis/apps/v1")["deployments/scale"]
    eviction = listed(wire, "/api/v1")["pods/eviction"]
    assert (scale["group"], scale["version"], scale["kind"]) == ("autoscaling", "v1", "Scale")
    assert (eviction["group"], eviction["kind"], eviction["verbs"]) == ("policy", "Eviction", ["create"])


@pytest.mark.parametrize("path", ["/healthz", "/livez", "/readyz"])
def test_health_is_told_in_plain_text(wire: Wire, path: str) -> None:
    assert (wire.get(path).code, wire.get(path).text) == (200, "ok")


def test_the_openapi_index_names_where_each_group_is_described(wire: Wire) -> None:
    paths = wire.get("/openapi/v3").document["paths"]
    assert {"api/v1", "apis/apps/v1", "apis/policy/v1"} <= set(paths)
    assert paths["apis/apps/v1"]["serverRelativeURL"].startswith("/openapi/v3/apis/apps/v1?hash=")


def test_the_dynamic_client_finds_kinds_by_discovery(backend: Backend, namespace: str) -> None:
    opened = dynamic.DynamicClient(backend.api())
    deployments = opened.resources.get(api_version="apps/v1", kind="Deployment")
    deployments.create(body=backend.deployment("web", replicas=0), namespace=namespace)
    patched = deployments.patch(
        body={"metadata": {"labels": {"seen": "yes"}}},
        name="web",
        namespace=namespace,
        content_type="application/merge-patch+json",
    )
    assert patched.metadata.labels["seen"] == "yes"
    assert [one.metadata.name for one in deployments.get(namespace=namespace).items] == ["web"]
    assert deployments.delete(name="web", namespace=namespace).status == "Success"
