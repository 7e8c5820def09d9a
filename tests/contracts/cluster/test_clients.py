"""The unmodified `kubernetes` package: informer, leader election."""

# the client's models are typed in part only
# pyright: basic, reportArgumentType=false, reportOptionalMemberAccess=false
# pyright: reportAttributeAccessIssue=false, reportIndexIssue=false

import threading
from typing import Any

import pytest
from kubernetes import client, config
from kubernetes.informer.informer import SharedInformer
from kubernetes.leaderelection import electionconfig, leaderelection
from kubernetes.leaderelection.resourcelock.leaselock import LeaseLock

from tests.contracts.cluster.backend import Backend, until
from tests.contracts.cluster.test_objects import config_map

pytestmark = pytest.mark.contract


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
