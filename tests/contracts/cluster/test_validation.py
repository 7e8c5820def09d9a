"""Validation: what is refused with 422, and how the refusal names each field."""

# the client's models are typed in part only
# pyright: basic, reportArgumentType=false, reportOptionalMemberAccess=false
# pyright: reportAttributeAccessIssue=false, reportIndexIssue=false

from collections.abc import Callable
from typing import Any

import pytest

from tests.contracts.cluster.backend import Backend
from tests.contracts.cluster.wire import STRATEGIC, Wire, causes

pytestmark = pytest.mark.contract

Spoil = Callable[[Any], object]


def paths(namespace: str) -> tuple[str, str]:
    return f"/apis/apps/v1/namespaces/{namespace}/deployments", f"/api/v1/namespaces/{namespace}/pods"


def container(deployment: Any) -> Any:
    return deployment["spec"]["template"]["spec"]["containers"][0]


def test_a_refusal_names_kind_object_and_every_field(wire: Wire, namespace: str, backend: Backend) -> None:
    broken = backend.deployment("web")
    container(broken)["image"] = ""
    broken["spec"]["replicas"] = -1
    refused = wire.post(paths(namespace)[0], broken)
    assert refused.refusal == (422, "Invalid")
    details = refused.document["details"]
    assert (details["name"], details["group"], details["kind"]) == ("web", "apps", "Deployment")
    assert causes(refused) == {
        "spec.replicas": "FieldValueInvalid",
        "spec.template.spec.containers[0].image": "FieldValueRequired",
    }
    assert refused.document["message"].startswith('Deployment.apps "web" is invalid: [')


SPOILED: list[tuple[str, str, Spoil]] = [
    ("metadata.name", "FieldValueInvalid", lambda one: one["metadata"].update(name="Web")),
    ("metadata.labels", "FieldValueInvalid", lambda one: one["metadata"].update(labels={"a": "b c"})),
    ("spec.replicas", "FieldValueInvalid", lambda one: one["spec"].update(replicas=-1)),
    ("spec.selector", "FieldValueRequired", lambda one: one["spec"].pop("selector")),
    (
        "spec.template.metadata.labels",
        "FieldValueInvalid",
        lambda one: one["spec"]["template"]["metadata"].update(labels={"app": "other"}),
    ),
    (
        "spec.strategy.rollingUpdate.maxUnavailable",
        "FieldValueInvalid",
        lambda one: one["spec"].update(strategy={"rollingUpdate": {"maxSurge": 0, "maxUnavailable": 0}}),
    ),
    (
        "spec.template.spec.restartPolicy",
        "FieldValueNotSupported",
        lambda one: one["spec"]["template"]["spec"].update(restartPolicy="Never"),
    ),
    (
        "spec.template.spec.containers",
        "FieldValueRequired",
        lambda one: one["spec"]["template"]["spec"].update(containers=[]),
    ),
    (
        "spec.template.spec.containers[1].name",
        "FieldValueDuplicate",
        lambda one: one["spec"]["template"]["spec"]["containers"].append(container(one)),
    ),
    ("spec.template.spec.containers[0].name", "FieldValueInvalid", lambda one: container(one).update(name="A_b")),
    (
        "spec.template.spec.containers[0].imagePullPolicy",
        "FieldValueNotSupported",
        lambda one: container(one).update(imagePullPolicy="Sometimes"),
    ),
    (
        "spec.template.spec.containers[0].resources.requests",
        "FieldValueInvalid",
        lambda one: container(one).update(resources={"requests": {"memory": "2Gi"}, "limits": {"memory": "1Gi"}}),
    ),
    (
        "spec.template.spec.containers[0].volumeMounts[0].name",
        "FieldValueNotFound",
        lambda one: container(one).update(volumeMounts=[{"name": "none", "mountPath": "/x"}]),
    ),
]


@pytest.mark.parametrize(("field", "reason", "spoil"), SPOILED, ids=[f"{one[0]}-{one[1]}" for one in SPOILED])
def test_a_deployment_that_cannot_be_is_refused_with_its_field(
    wire: Wire, namespace: str, backend: Backend, field: str, reason: str, spoil: Spoil
) -> None:
    broken = backend.deployment("web")
    spoil(broken)
    refused = wire.post(paths(namespace)[0], broken)
    assert refused.refusal == (422, "Invalid")
    assert causes(refused)[field] == reason


def test_a_quantity_that_is_none_is_refused(wire: Wire, namespace: str, backend: Backend) -> None:
    broken = backend.deployment("web")
    container(broken)["resources"] = {"limits": {"memory": "much"}}
    assert wire.post(paths(namespace)[0], broken).code == 400


def test_a_name_is_required(wire: Wire, namespace: str) -> None:
    refused = wire.post(f"/api/v1/namespaces/{namespace}/configmaps", {"metadata": {}})
    assert refused.refusal == (422, "Invalid")
    assert causes(refused) == {"metadata.name": "FieldValueRequired"}


@pytest.mark.parametrize("kind", ["Deployment", "StatefulSet", "ReplicaSet"])
def test_the_selector_of_a_workload_cannot_change(wire: Wire, namespace: str, backend: Backend, kind: str) -> None:
    path = f"/apis/apps/v1/namespaces/{namespace}/{kind.lower()}s"
    assert wire.post(path, backend.deployment("web", replicas=0) | {"kind": kind}).code == 201
    labels = {"app": "web", "more": "yes"}
    patch = {"spec": {"selector": {"matchLabels": labels}, "template": {"metadata": {"labels": labels}}}}
    assert wire.patch(f"{path}/web", patch, STRATEGIC).refusal[0] == 422


def test_a_stateful_set_cannot_change_its_service_name(wire: Wire, namespace: str, backend: Backend) -> None:
    path = f"/apis/apps/v1/namespaces/{namespace}/statefulsets"
    wire.post(path, backend.deployment("db", replicas=0) | {"kind": "StatefulSet"})
    refused = wire.patch(f"{path}/db", {"spec": {"serviceName": "other"}})
    assert (refused.refusal, causes(refused)) == ((422, "Invalid"), {"spec": "FieldValueForbidden"})


def test_the_containers_of_a_pod_cannot_change(wire: Wire, namespace: str, backend: Backend) -> None:
    path = paths(namespace)[1]
    wire.post(path, backend.unplaced("one"))
    patch = {"spec": {"containers": [{"name": "server", "command": ["true"]}]}}
    refused = wire.patch(f"{path}/one", patch, STRATEGIC)
    assert (refused.refusal, causes(refused)) == ((422, "Invalid"), {"spec": "FieldValueForbidden"})


def test_a_container_cannot_join_a_pod_later(wire: Wire, namespace: str, backend: Backend) -> None:
    path = paths(namespace)[1]
    wire.post(path, backend.unplaced("one"))
    patch = {"spec": {"containers": [{"name": "side", "image": backend.image}]}}
    assert wire.patch(f"{path}/one", patch, STRATEGIC).refusal == (422, "Invalid")


def test_the_image_of_a_pod_can_change(wire: Wire, namespace: str, backend: Backend) -> None:
    path = paths(namespace)[1]
    wire.post(path, backend.unplaced("one"))
    patch = {"spec": {"containers": [{"name": "server", "image": "other:v1"}]}}
    assert wire.patch(f"{path}/one", patch, STRATEGIC).document["spec"]["containers"][0]["image"] == "other:v1"


def test_the_template_of_a_replica_set_can_change(wire: Wire, namespace: str, backend: Backend) -> None:
    path = f"/apis/apps/v1/namespaces/{namespace}/replicasets"
    wire.post(path, backend.deployment("web", replicas=0) | {"kind": "ReplicaSet"})
    patch = {"spec": {"template": {"spec": {"containers": [{"name": "server", "image": "other:v1"}]}}}}
    assert wire.patch(f"{path}/web", patch, STRATEGIC).code == 200


def test_a_budget_cannot_have_both_bounds(wire: Wire, namespace: str) -> None:
    spec = {"minAvailable": 1, "maxUnavailable": 1, "selector": {"matchLabels": {"app": "web"}}}
    path = f"/apis/policy/v1/namespaces/{namespace}/poddisruptionbudgets"
    refused = wire.post(path, {"metadata": {"name": "web"}, "spec": spec})
    assert (refused.refusal, causes(refused)) == ((422, "Invalid"), {"spec": "FieldValueInvalid"})


def test_a_service_needs_ports(wire: Wire, namespace: str) -> None:
    path = f"/api/v1/namespaces/{namespace}/services"
    refused = wire.post(path, {"metadata": {"name": "web"}, "spec": {"selector": {"app": "web"}}})
    assert (refused.refusal, causes(refused)) == ((422, "Invalid"), {"spec.ports": "FieldValueRequired"})


def test_what_cannot_be_is_refused_in_a_dry_run_too(wire: Wire, namespace: str, backend: Backend) -> None:
    broken = backend.deployment("web", replicas=-1)
    assert wire.post(f"{paths(namespace)[0]}?dryRun=All", broken).refusal == (422, "Invalid")


def test_defaults_are_filled_in(wire: Wire, namespace: str, backend: Backend) -> None:
    spec = wire.post(paths(namespace)[0], backend.deployment("web", replicas=0)).document["spec"]
    assert spec["strategy"] == {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": "25%", "maxUnavailable": "25%"}}
    assert (spec["revisionHistoryLimit"], spec["progressDeadlineSeconds"]) == (10, 600)
    pod = spec["template"]["spec"]
    assert (pod["restartPolicy"], pod["dnsPolicy"]) == ("Always", "ClusterFirst")
    assert pod["containers"][0]["terminationMessagePath"] == "/dev/termination-log"


def test_the_values_of_a_secret_may_be_written_in_plain(wire: Wire, namespace: str) -> None:
    body = {"metadata": {"name": "one"}, "stringData": {"key": "plain"}}
    made = wire.post(f"/api/v1/namespaces/{namespace}/secrets", body).document
    assert (made["type"], made["data"]) == ("Opaque", {"key": "cGxhaW4="})
    assert "stringData" not in made
