"""The cluster as a whole: a write makes the controllers, the scheduler and the kubelet act until all is calm."""

from collections import OrderedDict
from collections.abc import Callable
from datetime import timedelta

from sandbox.cluster.budgets import reconcile_budget
from sandbox.cluster.clock import Clock
from sandbox.cluster.deployments import deadline_of, reconcile_deployment
from sandbox.cluster.documents import Document, ReadOnly, at, controller_of, name_of, namespace_of, rows, stamp, text
from sandbox.cluster.errors import StatusError
from sandbox.cluster.garbage import collect, collect_owned, finish_owner
from sandbox.cluster.kubelet import Kubelet
from sandbox.cluster.names import Names
from sandbox.cluster.namespaces import empty_namespace
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
from sandbox.cluster.scheduling import schedule
from sandbox.cluster.server import ApiServer
from sandbox.cluster.store import Change, Key, Kind, Store
from sandbox.cluster.writes import Target

_NAMESPACES = ("default", "kube-system", "kube-public", "kube-node-lease", "sre-agent")
_LOOK_AGAIN = timedelta(seconds=30)
_A_STAMP = timedelta(seconds=1)  # stamps are whole seconds: what is due by them may be due a second later
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
_COUNTED = frozenset({PODS, REPLICA_SETS, DEPLOYMENTS, STATEFUL_SETS})
_ADOPTERS = {PODS: REPLICA_SETS, REPLICA_SETS: DEPLOYMENTS}


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
        self._tell_kubelet(change)
        if change.kind is Kind.DELETED:
            self._forget(change)
        self._wake_others(change)
        if change.resource is DEPLOYMENTS:
            self._look_when_overdue(change)
        if change.resource is NAMESPACES and change.kind is Kind.ADDED:
            self._add_account(change.now)
        self._calm()

    def _tell_kubelet(self, change: Change) -> None:
        if change.resource is PODS and change.kind is not Kind.DELETED:
            self.kubelet.observe(change.now)
        if change.resource in _WORKLOADS:
            for pod in self.plane.select(PODS, namespace_of(change.now)):
                self.kubelet.observe(pod)  # a cue on the workload holds for its pods

    def _wake_others(self, change: Change) -> None:
        self._wake_owners(change.now)
        self._wake_adopters(change)
        if change.resource in _COUNTED:
            self._wake_all(BUDGETS, namespace_of(change.now))
        if change.resource is NODES:
            self._wake_unscheduled()

    def _wake_all(self, resource: Resource, namespace: str) -> None:
        for one in self.plane.select(resource, namespace):
            self._waiting[resource, (namespace_of(one), name_of(one))] = None

    def _wake_adopters(self, change: Change) -> None:
        adopters = _ADOPTERS.get(change.resource)
        if adopters is not None and change.kind is not Kind.DELETED and not controller_of(change.now):
            self._wake_all(adopters, namespace_of(change.now))

    def _look_when_overdue(self, change: Change) -> None:
        """Look at a Deployment again when its rollout should be through; what is late else shows at the next look."""
        before = change.before or change.now
        if change.kind is Kind.ADDED or at(before, "metadata", "generation") != at(
            change.now, "metadata", "generation"
        ):
            self.clock.later(deadline_of(change.now) + _A_STAMP, lambda: self._look_at(DEPLOYMENTS, change.key))

    def _look_at(self, resource: Resource, key: Key) -> None:
        self._waiting[resource, key] = None
        self._calm()

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
        self._wake_all(DEPLOYMENTS, "")
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
