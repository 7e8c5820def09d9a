"""What the cluster serves: one declaration per resource; discovery, routing and storage all read it."""

from dataclasses import dataclass
from enum import StrEnum

from sandbox.cluster.documents import Document


class Subresource(StrEnum):
    """The part of an object that a path may name after the object."""

    STATUS = "status"
    SCALE = "scale"
    LOG = "log"
    EVICTION = "eviction"


@dataclass(frozen=True, slots=True)
class Resource:
    """One kind of object, with what sets it apart from the others."""

    group: str
    version: str
    plural: str
    kind: str
    short: tuple[str, ...] = ()
    namespaced: bool = True
    subresources: tuple[Subresource, ...] = ()
    counts_generations: bool = False
    returns_deleted: bool = False
    created_by_update: bool = False
    aliases: tuple[str, ...] = ()

    @property
    def group_version(self) -> str:
        """Return the apiVersion of its objects."""
        return f"{self.group}/{self.version}" if self.group else self.version

    @property
    def qualified(self) -> str:
        """Return its name as messages print it: `deployments.apps`, `pods`."""
        return f"{self.plural}.{self.group}" if self.group else self.plural

    @property
    def has_status(self) -> bool:
        """Tell whether status is written apart from the rest."""
        return Subresource.STATUS in self.subresources

    def header(self) -> Document:
        """Return apiVersion and kind, the head of every object."""
        return {"kind": self.kind, "apiVersion": self.group_version}


_STATUS = (Subresource.STATUS,)
_SCALED = (Subresource.STATUS, Subresource.SCALE)
_ALL = ("all",)

NAMESPACES = Resource(
    "", "v1", "namespaces", "Namespace", ("ns",), namespaced=False, subresources=_STATUS, returns_deleted=True
)
NODES = Resource("", "v1", "nodes", "Node", ("no",), namespaced=False, subresources=_STATUS)
PODS = Resource(
    "",
    "v1",
    "pods",
    "Pod",
    ("po",),
    subresources=(Subresource.STATUS, Subresource.LOG, Subresource.EVICTION),
    counts_generations=True,
    returns_deleted=True,
    aliases=_ALL,
)
EVENTS = Resource("", "v1", "events", "Event", ("ev",), created_by_update=True)
CONFIG_MAPS = Resource("", "v1", "configmaps", "ConfigMap", ("cm",))
SECRETS = Resource("", "v1", "secrets", "Secret")
SERVICES = Resource("", "v1", "services", "Service", ("svc",), subresources=_STATUS, returns_deleted=True, aliases=_ALL)
SERVICE_ACCOUNTS = Resource("", "v1", "serviceaccounts", "ServiceAccount", ("sa",), returns_deleted=True)
CLAIMS = Resource(
    "", "v1", "persistentvolumeclaims", "PersistentVolumeClaim", ("pvc",), subresources=_STATUS, returns_deleted=True
)
DEPLOYMENTS = Resource(
    "apps", "v1", "deployments", "Deployment", ("deploy",), subresources=_SCALED, counts_generations=True, aliases=_ALL
)
REPLICA_SETS = Resource(
    "apps", "v1", "replicasets", "ReplicaSet", ("rs",), subresources=_SCALED, counts_generations=True, aliases=_ALL
)
STATEFUL_SETS = Resource(
    "apps", "v1", "statefulsets", "StatefulSet", ("sts",), subresources=_SCALED, counts_generations=True, aliases=_ALL
)
DAEMON_SETS = Resource(
    "apps", "v1", "daemonsets", "DaemonSet", ("ds",), subresources=_STATUS, counts_generations=True, aliases=_ALL
)
JOBS = Resource("batch", "v1", "jobs", "Job", subresources=_STATUS, counts_generations=True, aliases=_ALL)
CRON_JOBS = Resource(
    "batch", "v1", "cronjobs", "CronJob", ("cj",), subresources=_STATUS, counts_generations=True, aliases=_ALL
)
BUDGETS = Resource(
    "policy",
    "v1",
    "poddisruptionbudgets",
    "PodDisruptionBudget",
    ("pdb",),
    subresources=_STATUS,
    counts_generations=True,
)
LEASES = Resource("coordination.k8s.io", "v1", "leases", "Lease", created_by_update=True)

RESOURCES = (
    NAMESPACES,
    NODES,
    PODS,
    EVENTS,
    CONFIG_MAPS,
    SECRETS,
    SERVICES,
    SERVICE_ACCOUNTS,
    CLAIMS,
    DEPLOYMENTS,
    REPLICA_SETS,
    STATEFUL_SETS,
    DAEMON_SETS,
    JOBS,
    CRON_JOBS,
    BUDGETS,
    LEASES,
)


def group_versions() -> list[tuple[str, str]]:
    """Return every (group, version) served, the core group first."""
    return list(dict.fromkeys((resource.group, resource.version) for resource in RESOURCES))


def served_in(group: str, version: str) -> list[Resource]:
    """Return the resources of one group and version."""
    return [resource for resource in RESOURCES if (resource.group, resource.version) == (group, version)]


def resource_at(group: str, version: str, *, plural: str) -> Resource | None:
    """Return the resource that a path names."""
    found = (resource for resource in served_in(group, version) if resource.plural == plural)
    return next(found, None)


def resource_of_kind(group_version: str, kind: str) -> Resource | None:
    """Return the resource that apiVersion and kind name."""
    found = (one for one in RESOURCES if (one.group_version, one.kind) == (group_version, kind))
    return next(found, None)
