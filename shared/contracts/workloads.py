"""Names of things in a cluster: objects, and the workloads that own them."""

from typing import Self

from shared.contracts.model import Value

CLUSTER_SCOPE = "-"


class WorkloadRef(Value):
    """The top owner of an object (Deployment, StatefulSet, DaemonSet, Job, Node…), or the object itself if it has none.

    Its key is the key of every message that may change an incident, so that one partition holds all of them in order.
    """

    kind: str
    namespace: str = CLUSTER_SCOPE
    name: str

    @property
    def key(self) -> str:
        """Return `namespace/kind/name`."""
        return f"{self.namespace}/{self.kind}/{self.name}"

    @classmethod
    def parse(cls, key: str) -> Self:
        """Return the workload of a key.

        Raises:
            ValueError: the key has not three parts.
        """
        parts = key.split("/")
        if len(parts) != 3 or not all(parts):  # noqa: PLR2004
            raise ValueError(f"{key!r} is not a workload key; expected namespace/kind/name")
        return cls(namespace=parts[0], kind=parts[1], name=parts[2])


class ObjectRef(Value):
    """One Kubernetes object as it was seen: name, identity and version."""

    kind: str
    namespace: str = CLUSTER_SCOPE
    name: str
    uid: str = ""
    resource_version: str = ""
