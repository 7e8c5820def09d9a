"""The unmodified `kubernetes` package: watch, informer, leader election, dynamic client."""

# the client's models are typed in part only
# pyright: basic, reportArgumentType=false, reportOptionalMemberAccess=false
# pyright: reportAttributeAccessIssue=false, reportIndexIssue=false

import threading
from typing import Any

import pytest
from kubernetes import client, config, dynamic, watch
from kubernetes.informer.informer import SharedInformer
from kubernetes.leaderelection import electionconfig, leaderelection
from kubernetes.leaderelection.resourcelock.leaselock import LeaseLock

from tests.contracts.cluster.backend import SANDBOX_WINDOW, Backend, until
from tests.contracts.cluster.test_objects import config_map, refusal

pytestmark = pytest.mark.contract


def test_a_watch_tells_each_change_after_a_version_in_order(core: Any, namespace: str) -> None:
    version = core.list_namespaced_config_map(namespace).metadata.resource_version
    core.create_namespaced_config_map(namespace, config_map("one"))
    core.patch_namespaced_config_map("one", namespace, {"data": {"key": "2"}})
    core.delete_namespaced_config_map("one", namespace)
    told = [
        (event["type"], event["object"].data["key"])
        for event in watch.Watch().stream(
            core.list_namespaced_config_map,
            namespace,
            resource_version=version,
            timeout_seconds=2,
            field_selector="metadata.name=one",
        )
    ]
    assert told == [("ADDED", "1"), ("MODIFIED", "2"), ("DELETED", "2")]


def test_a_watch_by_label_tells_when_an_object_enters_and_leaves_the_selection(core: Any, namespace: str) -> None:
    core.create_namespaced_config_map(namespace, config_map("one"))
    version = core.list_namespaced_config_map(namespace).metadata.resource_version
    core.patch_namespaced_config_map("one", namespace, {"metadata": {"labels": {"chosen": "yes"}}})
    core.patch_namespaced_config_map("one", namespace, {"metadata": {"labels": {"chosen": None}}})
    stream = watch.Watch().stream(
        core.list_namespaced_config_map,
        namespace,
        resource_version=version,
        timeout_seconds=2,
        label_selector="chosen=yes",
    )
    assert [event["type"] for event in stream] == ["ADDED", "DELETED"]


def test_a_watch_from_a_version_that_is_forgotten_is_gone(core: Any, namespace: str) -> None:
    core.create_namespaced_config_map(namespace, config_map("one"))
    for number in range(2 * SANDBOX_WINDOW):
        core.patch_namespaced_config_map("one", namespace, {"data": {"key": str(number)}})
    stream = watch.Watch().stream(core.list_namespaced_config_map, namespace, resource_version="1", timeout_seconds=1)
    assert refusal(lambda: list(stream)).status == 410


def test_the_informer_keeps_its_cache_and_calls_its_handlers(core: Any, namespace: str) -> None:
    core.create_namespaced_config_map(namespace, config_map("before"))
    informer = SharedInformer(core.list_namespaced_config_map, namespace=namespace)
    told: list[tuple[str, str]] = []
    for kind in ("ADDED", "MODIFIED", "DELETED"):
        informer.add_event_handler(kind, lambda one, kind=kind: told.append((kind, one.metadata.name)))
    informer.start()
    try:
        until(lambda: ("ADDED", "before") in told)
        core.create_namespaced_config_map(namespace, config_map("after"))
        core.delete_namespaced_config_map("before", namespace)
        until(lambda: ("ADDED", "after") in told and ("DELETED", "before") in told)
        names = {one.metadata.name for one in informer.cache.list()}
        assert "after" in names
        assert "before" not in names
    finally:
        informer.stop()


class TermEndedError(Exception):
    """Ends a term: an election gives the lease up when the work it protects raises."""


def test_leader_election_has_one_leader_and_hands_over(backend: Backend, namespace: str) -> None:
    config.load_kube_config(str(backend.kubeconfig))  # the lock's own client
    led: list[str] = []
    ended = {"first": threading.Event(), "second": threading.Event()}

    def candidate(identity: str) -> threading.Thread:
        def lead() -> None:
            led.append(identity)
            ended[identity].wait()
            raise TermEndedError

        settings = electionconfig.Config(
            LeaseLock("leader", namespace, identity),
            lease_duration=3,
            renew_deadline=2,
            retry_period=1,
            onstarted_leading=lead,
            onstopped_leading=lambda: None,
        )
        thread = threading.Thread(target=leaderelection.LeaderElection(settings).run, daemon=True)
        thread.start()
        return thread

    threads = [candidate("first")]
    until(lambda: led == ["first"])
    threads.append(candidate("second"))
    lease = client.CoordinationV1Api(backend.api()).read_namespaced_lease("leader", namespace)
    assert lease.spec.holder_identity == "first"
    ended["first"].set()
    until(lambda: led == ["first", "second"])
    ended["second"].set()
    for thread in threads:
        thread.join(timeout=10)
        assert not thread.is_alive()


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


def test_discovery_names_groups_resources_and_their_verbs(api: Any) -> None:
    groups = {one.name for one in client.ApisApi(api).get_api_versions().groups}
    assert {"apps", "batch", "policy", "coordination.k8s.io"} <= groups
    resources = {one.name: one for one in client.AppsV1Api(api).get_api_resources().resources}
    assert {"deployments", "deployments/scale", "deployments/status", "replicasets"} <= set(resources)
    assert "watch" in resources["deployments"].verbs
    assert int(client.VersionApi(api).get_code().minor.rstrip("+")) >= 30
