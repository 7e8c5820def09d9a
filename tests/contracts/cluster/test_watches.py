"""Watches: what is told from which version on, bookmarks, and versions that are forgotten."""

# the client's models are typed in part only
# pyright: basic, reportArgumentType=false, reportOptionalMemberAccess=false
# pyright: reportAttributeAccessIssue=false, reportIndexIssue=false

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from kubernetes import watch

from shared.infra.kube import KubeClient, WatchEvent
from tests.contracts.cluster.backend import SANDBOX_WINDOW, Backend
from tests.contracts.cluster.test_objects import config_map, refusal
from tests.contracts.cluster.wire import Wire

if TYPE_CHECKING:
    from shared.contracts.model import JsonObject

pytestmark = pytest.mark.contract

ONE = "fieldSelector=metadata.name=one"


@pytest.fixture
def path(namespace: str) -> str:
    return f"/api/v1/namespaces/{namespace}/configmaps"


def told(wire: Wire, path: str, query: str, *, events: int) -> list[tuple[str, str]]:
    """Return what a watch of an object tells first: each event's type, and the object's value."""
    lines = wire.watch(f"{path}?watch=1&timeoutSeconds=5&{ONE}&{query}", events=events)
    return [(one["type"], one["object"].get("data", {}).get("key", "")) for one in lines]


def version_of(wire: Wire, path: str) -> str:
    return wire.get(path).document["metadata"]["resourceVersion"]


def test_a_watch_tells_each_change_after_a_version_in_order(wire: Wire, path: str) -> None:
    version = version_of(wire, path)
    wire.post(path, config_map("one"))
    wire.patch(f"{path}/one", {"data": {"key": "2"}})
    wire.delete(f"{path}/one")
    changes = told(wire, path, f"resourceVersion={version}", events=3)
    assert changes == [("ADDED", "1"), ("MODIFIED", "2"), ("DELETED", "2")]


def test_a_watch_from_the_version_of_an_object_tells_only_what_came_after(wire: Wire, path: str) -> None:
    version = wire.post(path, config_map("one")).document["metadata"]["resourceVersion"]
    wire.patch(f"{path}/one", {"data": {"key": "2"}})
    assert told(wire, path, f"resourceVersion={version}", events=1) == [("MODIFIED", "2")]


@pytest.mark.parametrize("version", ["", "0"])
def test_a_watch_from_no_version_begins_with_what_is_there(wire: Wire, path: str, version: str) -> None:
    wire.post(path, config_map("one"))
    version_of(wire, path)
    assert told(wire, path, f"resourceVersion={version}", events=1) == [("ADDED", "1")]


def test_what_is_deleted_is_told_with_the_version_of_its_end(wire: Wire, path: str) -> None:
    version = wire.post(path, config_map("one")).document["metadata"]["resourceVersion"]
    wire.delete(f"{path}/one")
    gone = wire.watch(f"{path}?watch=1&timeoutSeconds=5&{ONE}&resourceVersion={version}", events=1)[0]
    assert gone["type"] == "DELETED"
    assert int(gone["object"]["metadata"]["resourceVersion"]) > int(version)


def test_each_event_carries_its_kind(wire: Wire, path: str) -> None:
    wire.post(path, config_map("one"))
    event = wire.watch(f"{path}?watch=1&timeoutSeconds=5&{ONE}", events=1)[0]
    assert (event["object"]["kind"], event["object"]["apiVersion"]) == ("ConfigMap", "v1")


def test_a_watch_by_label_tells_when_an_object_enters_and_leaves_the_selection(core: Any, namespace: str) -> None:
    core.create_namespaced_config_map(namespace, config_map("one"))
    version = core.list_namespaced_config_map(namespace).metadata.resource_version
    core.patch_namespaced_config_map("one", namespace, {"metadata": {"labels": {"chosen": "yes"}}})
    core.patch_namespaced_config_map("one", namespace, {"metadata": {"labels": {"chosen": None}}})
    stream = watch.Watch().stream(
        core.list_namespaced_config_map,
        namespace,
        resource_version=version,
        timeout_seconds=1,
        label_selector="chosen=yes",
    )
    assert [event["type"] for event in stream] == ["ADDED", "DELETED"]


def test_a_watch_of_all_namespaces_tells_of_each(wire: Wire, path: str, namespace: str) -> None:
    wire.post(path, config_map("one"))
    lines = wire.get(f"/api/v1/configmaps?watch=1&timeoutSeconds=1&{ONE}").lines
    assert namespace in {one["object"]["metadata"]["namespace"] for one in lines}


def test_a_list_and_a_watch_together_miss_nothing_and_repeat_nothing(wire: Wire, path: str) -> None:
    wire.post(path, config_map("before"))
    listing = wire.get(path).document
    wire.post(path, config_map("after"))
    query = f"watch=1&timeoutSeconds=1&resourceVersion={listing['metadata']['resourceVersion']}"
    seen = [one["object"]["metadata"]["name"] for one in wire.get(f"{path}?{query}").lines]
    assert "before" in {one["metadata"]["name"] for one in listing["items"]}
    assert [name for name in seen if name in {"before", "after"}] == ["after"]


def test_initial_events_end_with_a_bookmark_that_says_so(wire: Wire, path: str) -> None:
    wire.post(path, config_map("one"))
    query = "watch=1&timeoutSeconds=5&sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true"
    lines = wire.watch(f"{path}?{query}&{ONE}", events=2)
    assert [one["type"] for one in lines] == ["ADDED", "BOOKMARK"]
    assert lines[1]["object"]["metadata"]["annotations"] == {"k8s.io/initial-events-end": "true"}


def test_initial_events_must_say_how_fresh_they_are(wire: Wire, path: str) -> None:
    refused = wire.get(f"{path}?watch=1&timeoutSeconds=1&sendInitialEvents=true&allowWatchBookmarks=true")
    assert refused.refusal == (422, "Invalid")


async def bookmarks(client: KubeClient, path: str, *, version: str, seconds: float) -> list[WatchEvent]:
    async with client.watch(path, resource_version=version, within=timedelta(seconds=seconds)) as changes:
        return [event async for events in changes for event in events if event.type == "BOOKMARK"]


async def test_a_watch_without_changes_still_moves_its_version_on(backend: Backend, namespace: str) -> None:
    path = f"/api/v1/namespaces/{namespace}/configmaps"
    async with KubeClient(backend.kubeconfig) as client:
        version = (await client.list(path)).resource_version
        elsewhere: JsonObject = {"metadata": {"generateName": "elsewhere-"}}
        await client.create("/api/v1/namespaces/default/configmaps", elsewhere)
        told: list[WatchEvent] = []
        for seconds in (7, 14, 28):  # an API server tells it two seconds before the end, unless it is busy just then
            told = told or await bookmarks(client, path, version=version, seconds=seconds)
    assert told
    metadata = told[-1].object["metadata"]
    assert isinstance(metadata, dict)
    assert int(str(metadata["resourceVersion"])) > int(version)


def test_a_watch_tells_no_bookmarks_unasked(wire: Wire, path: str) -> None:
    lines = wire.get(f"{path}?watch=1&timeoutSeconds=2&resourceVersion={version_of(wire, path)}&{ONE}").lines
    assert lines == []


def test_a_watch_from_a_version_that_is_forgotten_is_gone(core: Any, wire: Wire, path: str, namespace: str) -> None:
    wire.post(path, config_map("one"))
    for number in range(2 * SANDBOX_WINDOW):
        wire.patch(f"{path}/one", {"data": {"key": str(number)}})
    stream = watch.Watch().stream(core.list_namespaced_config_map, namespace, resource_version="1", timeout_seconds=1)
    assert refusal(lambda: list(stream)).status == 410
    gone = wire.get(f"{path}?watch=1&timeoutSeconds=1&resourceVersion=1")
    status = gone.lines[0]["object"] if gone.code == 200 else gone.document  # within the stream, or instead of it
    assert (status["code"], status["reason"]) == (410, "Expired")
