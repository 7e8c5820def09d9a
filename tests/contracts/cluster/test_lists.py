"""Lists: selectors, pages, and what a resourceVersion means for one."""

# the client's models are typed in part only
# pyright: basic, reportArgumentType=false, reportOptionalMemberAccess=false
# pyright: reportAttributeAccessIssue=false, reportIndexIssue=false

import base64
import json
from typing import Any

import pytest

from tests.contracts.cluster.backend import SANDBOX_WINDOW, until
from tests.contracts.cluster.test_objects import config_map
from tests.contracts.cluster.wire import Wire

pytestmark = pytest.mark.contract


@pytest.fixture
def path(namespace: str) -> str:
    return f"/api/v1/namespaces/{namespace}/configmaps"


def made(wire: Wire, path: str, *names: str) -> str:
    """Create labelled objects, and return the version of the last."""
    written = [wire.post(path, config_map(name, labels={"made": "here"})).document for name in names]
    return written[-1]["metadata"]["resourceVersion"]


def names_of(listing: Any) -> list[str]:
    return [one["metadata"]["name"] for one in listing["items"] if one["metadata"]["name"] != "kube-root-ca.crt"]


def with_version(token: str, version: int) -> str:
    """Return a token that goes on at another version."""
    written = json.loads(base64.urlsafe_b64decode(token + "=" * (-len(token) % 4)))
    return base64.urlsafe_b64encode(json.dumps(written | {"rv": version}).encode()).decode().rstrip("=")


def test_a_list_is_in_the_order_of_the_names(wire: Wire, path: str) -> None:
    made(wire, path, "b", "c", "a")
    assert names_of(wire.get(path).document) == ["a", "b", "c"]


def test_a_list_tells_its_kind_once_and_not_on_each_object(wire: Wire, path: str) -> None:
    made(wire, path, "a")
    listing = wire.get(path).document
    assert (listing["kind"], listing["apiVersion"]) == ("ConfigMapList", "v1")
    assert all("kind" not in one and "apiVersion" not in one for one in listing["items"])


def test_the_version_of_a_list_is_no_older_than_that_of_its_objects(wire: Wire, path: str) -> None:
    last = made(wire, path, "a", "b")
    assert int(wire.get(path).document["metadata"]["resourceVersion"]) >= int(last)


def test_pages_follow_each_other_without_a_gap(core: Any, namespace: str) -> None:
    for number in range(5):
        core.create_namespaced_config_map(namespace, config_map(f"page-{number}", labels={"page": "yes"}))
    first = core.list_namespaced_config_map(namespace, label_selector="page=yes", limit=2)
    rest = core.list_namespaced_config_map(
        namespace, label_selector="page=yes", limit=10, _continue=first.metadata.to_dict()["_continue"]
    )
    assert [one.metadata.name for one in (*first.items, *rest.items)] == [f"page-{number}" for number in range(5)]


def test_a_page_tells_how_many_objects_remain(wire: Wire, path: str) -> None:
    made(wire, path, "a", "b", "c")
    total = len(wire.get(path).document["items"])
    assert wire.get(f"{path}?limit=1").document["metadata"]["remainingItemCount"] == total - 1


def test_a_page_by_selector_does_not_tell_how_many_remain(wire: Wire, path: str) -> None:
    made(wire, path, "a", "b", "c")
    metadata = wire.get(f"{path}?limit=1&labelSelector=made=here").document["metadata"]
    assert metadata["continue"]
    assert "remainingItemCount" not in metadata


def test_the_last_page_has_no_token(wire: Wire, path: str) -> None:
    made(wire, path, "a", "b")
    assert "continue" not in wire.get(f"{path}?limit=9&labelSelector=made=here").document["metadata"]


def test_later_pages_do_not_see_what_was_written_after_the_first(wire: Wire, path: str) -> None:
    made(wire, path, "a", "c")
    first = wire.get(f"{path}?limit=1&labelSelector=made=here").document
    made(wire, path, "b")
    token = first["metadata"]["continue"]
    rest = wire.get(f"{path}?limit=9&labelSelector=made=here&continue={token}").document
    assert names_of(rest) == ["c"]
    assert rest["metadata"]["resourceVersion"] == first["metadata"]["resourceVersion"]


def test_a_token_that_cannot_be_read_is_refused(wire: Wire, path: str) -> None:
    assert wire.get(f"{path}?limit=1&continue=nonsense").refusal == (400, "BadRequest")


def test_a_token_that_goes_on_inconsistently_is_honoured(wire: Wire, path: str) -> None:
    made(wire, path, "a", "b")
    token = wire.get(f"{path}?limit=1&labelSelector=made=here").document["metadata"]["continue"]
    lasting = with_version(token, -1)
    rest = wire.get(f"{path}?limit=9&labelSelector=made=here&continue={lasting}").document
    assert names_of(rest) == ["b"]


def test_a_token_of_a_forgotten_version_is_gone_with_a_way_to_go_on(wire: Wire, path: str) -> None:
    made(wire, path, "a", "b")
    token = wire.get(f"{path}?limit=1&labelSelector=made=here").document["metadata"]["continue"]
    for number in range(2 * SANDBOX_WINDOW):
        wire.patch(f"{path}/a", {"data": {"key": str(number)}})
    old = with_version(token, 1)
    until(
        lambda: wire.get(f"{path}?limit=9&labelSelector=made=here&continue={old}").code == 410
    )  # once it is compacted
    gone = wire.get(f"{path}?limit=9&labelSelector=made=here&continue={old}")
    assert gone.refusal == (410, "Expired")
    lasting = gone.document["metadata"]["continue"]
    assert names_of(wire.get(f"{path}?limit=9&labelSelector=made=here&continue={lasting}").document) == ["b"]


def test_a_list_from_any_version_is_answered(wire: Wire, path: str) -> None:
    made(wire, path, "a")
    assert names_of(wire.get(f"{path}?resourceVersion=0").document) in (["a"], [])  # it may be a little old


def test_a_list_no_older_than_a_version_sees_what_was_written_until_then(wire: Wire, path: str) -> None:
    version = made(wire, path, "a", "b")
    listing = wire.get(f"{path}?resourceVersion={version}&resourceVersionMatch=NotOlderThan").document
    assert names_of(listing) == ["a", "b"]


def test_a_list_at_an_exact_version_sees_what_was_there_then(wire: Wire, path: str) -> None:
    version = made(wire, path, "a")
    made(wire, path, "b")
    listing = wire.get(f"{path}?resourceVersion={version}&resourceVersionMatch=Exact&limit=9").document
    assert (names_of(listing), listing["metadata"]["resourceVersion"]) == (["a"], version)


def test_a_match_without_a_version_is_refused(wire: Wire, path: str) -> None:
    assert wire.get(f"{path}?resourceVersionMatch=Exact").refusal == (422, "Invalid")


def test_a_version_that_is_no_number_is_refused(wire: Wire, path: str) -> None:
    assert wire.get(f"{path}?resourceVersion=soon").refusal in {(400, "BadRequest"), (422, "Invalid")}


def test_a_version_that_has_not_come_about_is_too_large(wire: Wire, path: str) -> None:
    refused = wire.get(f"{path}?resourceVersion=9999999999")
    assert refused.refusal == (504, "Timeout")
    assert refused.document["details"]["causes"][0]["reason"] == "ResourceVersionTooLarge"


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


@pytest.mark.parametrize("selector", ["tier in", "=web", "tier=(web"])
def test_a_label_selector_that_cannot_be_read_is_refused(wire: Wire, path: str, selector: str) -> None:
    assert wire.get(f"{path}?labelSelector={selector.replace(' ', '%20')}").refusal == (400, "BadRequest")


@pytest.mark.parametrize(
    ("selector", "names"), [("metadata.name=a", ["a"]), ("metadata.name!=a", ["b"]), ("metadata.name==b", ["b"])]
)
def test_fields_select(wire: Wire, path: str, selector: str, names: list[str]) -> None:
    made(wire, path, "a", "b")
    assert names_of(wire.get(f"{path}?fieldSelector={selector}").document) == names


@pytest.mark.parametrize("selector", ["data.key=1", "metadata.name"])
def test_a_field_that_cannot_be_selected_by_is_refused(wire: Wire, path: str, selector: str) -> None:
    assert wire.get(f"{path}?fieldSelector={selector}").refusal == (400, "BadRequest")


def test_a_list_of_all_namespaces_can_be_narrowed_to_one(wire: Wire, path: str, namespace: str) -> None:
    made(wire, path, "a")
    everywhere = f"/api/v1/configmaps?labelSelector=made=here&fieldSelector=metadata.namespace={namespace}"
    assert names_of(wire.get(everywhere).document) == ["a"]


def test_all_that_a_selector_names_is_deleted_at_once(wire: Wire, path: str) -> None:
    made(wire, path, "a", "b")
    wire.post(path, config_map("kept"))
    gone = wire.delete(f"{path}?labelSelector=made=here")
    assert (gone.code, names_of(gone.document)) == (200, ["a", "b"])
    assert names_of(wire.get(path).document) == ["kept"]
