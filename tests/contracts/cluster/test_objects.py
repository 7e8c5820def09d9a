"""Objects: written, read, listed, patched and refused as the Kubernetes API says."""

# the client's models are typed in part only
# pyright: basic, reportArgumentType=false, reportOptionalMemberAccess=false
# pyright: reportAttributeAccessIssue=false, reportIndexIssue=false

from typing import Any

import pytest
from kubernetes import client

from tests.contracts.cluster.backend import is_missing

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


def test_pages_follow_each_other_without_a_gap(core: Any, namespace: str) -> None:
    for number in range(5):
        core.create_namespaced_config_map(namespace, config_map(f"page-{number}", labels={"page": "yes"}))
    first = core.list_namespaced_config_map(namespace, label_selector="page=yes", limit=2)
    rest = core.list_namespaced_config_map(
        namespace, label_selector="page=yes", limit=10, _continue=first.metadata.to_dict()["_continue"]
    )
    assert [one.metadata.name for one in (*first.items, *rest.items)] == [f"page-{number}" for number in range(5)]
    assert first.metadata.remaining_item_count in {3, None}  # a real server tells none when it selects by label


@pytest.mark.parametrize(
    ("selector", "names"),
    [
        ("tier=web", ["a"]),
        ("tier!=web", ["b", "c"]),
        ("tier in (web,db)", ["a", "b"]),
        ("tier notin (web)", ["b", "c"]),
        ("tier", ["a", "b"]),
        ("!tier", ["c"]),
        ("tier=web,color=red", []),
    ],
)
def test_labels_select(core: Any, namespace: str, selector: str, names: list[str]) -> None:
    for name, labels in (("a", {"tier": "web"}), ("b", {"tier": "db"}), ("c", {"plain": "yes"})):
        core.create_namespaced_config_map(namespace, config_map(name, labels=labels))
    found = core.list_namespaced_config_map(namespace, label_selector=selector).items
    assert [one.metadata.name for one in found if one.metadata.name in {"a", "b", "c"}] == names


def test_fields_select(core: Any, namespace: str) -> None:
    for name in ("a", "b"):
        core.create_namespaced_config_map(namespace, config_map(name))
    found = core.list_namespaced_config_map(namespace, field_selector="metadata.name=a").items
    assert [one.metadata.name for one in found] == ["a"]
    refused = refusal(lambda: core.list_namespaced_config_map(namespace, field_selector="data.key=1"))
    assert refused.status == 400


def test_a_json_patch_whose_test_fails_changes_nothing(core: Any, namespace: str) -> None:
    core.create_namespaced_config_map(namespace, config_map("one"))
    patch = [
        {"op": "test", "path": "/data/key", "value": "other"},
        {"op": "replace", "path": "/data/key", "value": "2"},
    ]
    assert refusal(lambda: core.patch_namespaced_config_map("one", namespace, patch)).status == 422
    assert core.read_namespaced_config_map("one", namespace).data == {"key": "1"}


def test_a_strategic_patch_merges_containers_by_their_names(apps: Any, namespace: str, backend: Any) -> None:
    apps.create_namespaced_deployment(namespace, backend.deployment("web", replicas=0))
    container = {"name": "server", "resources": {"limits": {"memory": "64Mi"}}}
    patch = {"spec": {"template": {"spec": {"containers": [container]}}}}
    patched = apps.patch_namespaced_deployment("web", namespace, patch)
    found = patched.spec.template.spec.containers
    assert [(one.name, one.image, one.resources.limits) for one in found] == [
        ("server", backend.image, {"memory": "64Mi"})
    ]


def test_generation_counts_changes_of_the_spec_alone(apps: Any, namespace: str, backend: Any) -> None:
    made = apps.create_namespaced_deployment(namespace, backend.deployment("web", replicas=0))
    labelled = apps.patch_namespaced_deployment("web", namespace, {"metadata": {"labels": {"a": "b"}}})
    paused = apps.patch_namespaced_deployment("web", namespace, {"spec": {"paused": True}})
    assert [one.metadata.generation for one in (made, labelled, paused)] == [1, 1, 2]


def test_an_invalid_object_is_refused_with_its_field(apps: Any, namespace: str, backend: Any) -> None:
    broken = backend.deployment("web")
    broken["spec"]["selector"] = {"matchLabels": {"app": "other"}}
    refused = refusal(lambda: apps.create_namespaced_deployment(namespace, broken))
    assert (refused.status, "spec.template.metadata.labels" in str(refused.body)) == (422, True)


def test_scale_is_a_view_of_the_replicas(apps: Any, namespace: str, backend: Any) -> None:
    apps.create_namespaced_deployment(namespace, backend.deployment("web", replicas=0))
    scaled = apps.patch_namespaced_deployment_scale("web", namespace, {"spec": {"replicas": 1}})
    assert scaled.spec.replicas == 1
    assert apps.read_namespaced_deployment("web", namespace).spec.replicas == 1


def test_a_delete_with_the_wrong_uid_is_refused(core: Any, namespace: str) -> None:
    core.create_namespaced_config_map(namespace, config_map("one"))
    options = client.V1DeleteOptions(preconditions=client.V1Preconditions(uid="another"))
    assert refusal(lambda: core.delete_namespaced_config_map("one", namespace, body=options)).status == 409


def test_nothing_is_created_in_a_namespace_that_is_not_there(core: Any) -> None:
    assert refusal(lambda: core.create_namespaced_config_map("nowhere", config_map("one"))).status == 404
