"""The cluster as a whole: a write makes the controllers, the scheduler and the kubelet act until all is calm."""

from collections import OrderedDict
from collections.abc import Callable
from datetime import timedelta

from sandbox.cluster.clock import Clock
from sandbox.cluster.deployments import reconcile_deployment
from sandbox.cluster.documents import Document, ReadOnly, name_of, namespace_of, rows, stamp, text
from sandbox.cluster.errors import StatusError
from sandbox.cluster.garbage import collect, collect_owned, finish_owner
from sandbox.cluster.kubelet import Kubelet
from sandbox.cluster.names import Names
from sandbox.cluster.plane import Plane, condition
from sandbox.cluster.replicas import reconcile_replica_set, reconcile_stateful_set
from sandbox.cluster.resources import (
    BUDGETS,
    DEPLOYMENTS,
    NAMESPACES,
    NODES,
    PODS,
    REPLICA_SETS,
    SERVICE_ACCOUNTS,
    STATEFUL_SETS,
    Resource,
    resource_of_kind,
)
from sandbox.cluster.server import ApiServer
from sandbox.cluster.store import Change, Key, Kind, Store
from sandbox.cluster.upkeep import empty_namespace, reconcile_budget, schedule
from sandbox.cluster.writes import Target

_NAMESPACES = ("default", "kube-system", "kube-public", "kube-node-lease")
_LOOK_AGAIN = timedelta(seconds=30)
_MAX_STEPS = 100_000
Reconcile = Callable[[Plane, Document], None]
_RECONCILERS: dict[Resource, Reconcile] = {
    DEPLOYMENTS: reconcile_deployment,
    REPLICA_SETS: reconcile_replica_set,
    STATEFUL_SETS: reconcile_stateful_set,
    BUDGETS: reconcile_budget,
    NAMESPACES: empty_namespace,
    PODS: schedule,
}
_WORKLOADS = frozenset({DEPLOYMENTS, STATEFUL_SETS})


class Simulation:
    """A cluster of a few nodes. `calm` runs after each write from outside; time moves by its clock alone."""

    def __init__(self, clock: Clock, *, nodes: int = 2, seed: str = "sandbox", window: int = 10_000) -> None:
        self.clock = clock
        self.store = Store(window=window)
        names = Names(seed)
        self.api = ApiServer(self.store, clock, names=names)
        self.plane = Plane(self.api, clock, names)
        self.kubelet = Kubelet(self.plane)
        self._waiting: OrderedDict[tuple[Resource, Key], None] = OrderedDict()
        self._is_acting = False
        self.store.listen(self._changed)
        for name in _NAMESPACES:
            self.api.create(Target(NAMESPACES), {"metadata": {"name": name}})
        for number in range(1, nodes + 1):
            self.api.create(Target(NODES), _node(f"node-{number}", clock))
        clock.later(_LOOK_AGAIN, self._look_again)

    def advance(self, delta: timedelta) -> None:
        """Let virtual time pass."""
        self.clock.advance(delta)

    def _changed(self, change: Change) -> None:
        self._waiting[change.resource, change.key] = None
        if change.resource is PODS:
            self._wake_around(change)
        if change.resource in _WORKLOADS:
            for pod in self.plane.select(PODS, namespace_of(change.now)):
                self.kubelet.observe(pod)  # a cue on the workload holds for its pods
        if change.resource is NODES:
            self._wake_unscheduled()
        if change.kind is Kind.DELETED:
            self._forget(change)
        self._wake_owners(change.now)
        if change.resource is NAMESPACES and change.kind is Kind.ADDED:
            self._add_account(change.now)
        self._calm()

    def _wake_around(self, change: Change) -> None:
        for budget in self.plane.select(BUDGETS, namespace_of(change.now)):
            self._waiting[BUDGETS, (namespace_of(budget), name_of(budget))] = None
        if change.kind is not Kind.DELETED:
            self.kubelet.observe(change.now)

    def _wake_owners(self, document: ReadOnly) -> None:
        for owner in rows(document, "metadata", "ownerReferences"):
            resource = resource_of_kind(text(owner, "apiVersion"), text(owner, "kind"))
            if resource is not None:
                namespace = namespace_of(document) if resource.namespaced else ""
                self._waiting[resource, (namespace, text(owner, "name"))] = None

    def _wake_unscheduled(self) -> None:
        for pod in self.plane.select(PODS):
            if not text(pod, "spec", "nodeName"):
                self._waiting[PODS, (namespace_of(pod), name_of(pod))] = None

    def _forget(self, change: Change) -> None:
        if change.resource is PODS:
            self.kubelet.forget(change.now)
        collect_owned(self.plane, change.now)
        namespace = namespace_of(change.now)
        if namespace:
            self._waiting[NAMESPACES, ("", namespace)] = None

    def _add_account(self, namespace: ReadOnly) -> None:
        self.api.create(Target(SERVICE_ACCOUNTS, name_of(namespace)), {"metadata": {"name": "default"}})

    def _calm(self) -> None:
        """Let everybody act that something happened to, one after the other, until nothing happens any more."""
        if self._is_acting:
            return
        self._is_acting = True
        try:
            for _ in range(_MAX_STEPS):
                if not self._waiting:
                    return
                (resource, key), _none = self._waiting.popitem(last=False)
                self._reconcile(resource, key)
            raise RuntimeError(f"the controllers do not come to rest: {list(self._waiting)[:5]}")
        finally:
            self._is_acting = False

    def _reconcile(self, resource: Resource, key: Key) -> None:
        try:
            for act in (collect, finish_owner, _looked_after):
                document = self.store.get(resource, key)
                if document is not None:
                    act(self.plane, resource, document)
        except StatusError:
            return  # what it acted on has gone meanwhile; the change that says so wakes it again

    def _look_again(self) -> None:
        """Look at deadlines, which no write announces."""
        for deployment in self.plane.select(DEPLOYMENTS):
            self._waiting[DEPLOYMENTS, (namespace_of(deployment), name_of(deployment))] = None
        self._calm()
        self.clock.later(_LOOK_AGAIN, self._look_again)


def _looked_after(plane: Plane, resource: Resource, document: Document) -> None:
    """Let the controller act that looks after a kind, if there is one."""
    reconcile = _RECONCILERS.get(resource)
    if reconcile is not None:
        reconcile(plane, document)


def _node(name: str, clock: Clock) -> Document:
    now = clock.now()
    ready = condition("Ready", holds=True, reason="KubeletReady", message="kubelet is posting ready status", now=now)
    pressures: list[Document] = [
        condition(kind, holds=False, reason="KubeletHasSufficient", message="", now=now)
        for kind in ("MemoryPressure", "DiskPressure", "PIDPressure")
    ]
    capacity: Document = {"cpu": "4", "memory": "16Gi", "pods": "110"}
    return {
        "metadata": {"name": name, "labels": {"kubernetes.io/hostname": name, "kubernetes.io/os": "linux"}},
        "spec": {},
        "status": {
            "conditions": [*({**one, "lastHeartbeatTime": stamp(now)} for one in (*pressures, ready))],
            "capacity": capacity,
            "allocatable": dict(capacity),
            "addresses": [{"type": "Hostname", "address": name}],
            "nodeInfo": _system(name),
        },
    }


def _system(name: str) -> Document:
    return {
        "architecture": "amd64",
        "bootID": name,
        "containerRuntimeVersion": "sandbox://1",
        "kernelVersion": "sandbox",
        "kubeProxyVersion": "",
        "kubeletVersion": "v1.35.0-sandbox",
        "machineID": name,
        "operatingSystem": "linux",
        "osImage": "sandbox",
        "systemUUID": name,
    }
