"""Names of things in a cluster: objects, and the workloads that own them."""

from typing import Annotated, Self

from pydantic import Field

from shared.contracts.model import Value

CLUSTER_SCOPE = "-"
_NAME_CHARS = 253
"""What Kubernetes takes for a name at the longest."""
KeyPart = Annotated[str, Field(pattern=r"^[^/]+$", max_length=_NAME_CHARS)]
"""A part of a workload's key: not empty, and without the sign between parts."""


class WorkloadRef(Value):
    """The top owner of an object (Deployment, StatefulSet, DaemonSet, Job, Node…), or the object itself if it has none.

    Its key is the key of every message that may change an incident, so that one partition holds all of them in order.
    """

    kind: KeyPart
    namespace: KeyPart = CLUSTER_SCOPE
    name: KeyPart

    @property
    def key(self) -> str:
        """Return `namespace/kind/name`."""
        return f"{self.namespace}/{self.kind}/{self.name}"

    @classmethod
    def named(cls, kind: str, name: str, *, namespace: str) -> Self | None:
        """Return the workload that goes by these names; None where they can be nobody's, whoever says so."""
        parts = (kind, namespace, name)
        if not all(part and "/" not in part and len(part) <= _NAME_CHARS for part in parts):
            return None
        return cls(kind=kind, namespace=namespace, name=name)

    @classmethod
    def parse(cls, key: str) -> Self:
        """Return the workload of a key.

        Raises:
            ValueError: the key has not three parts.
        """
        parts = key.split("/")
        found = cls.named(parts[1], parts[2], namespace=parts[0]) if len(parts) == 3 else None  # noqa: PLR2004
        if found is None:
            raise ValueError(f"{key!r} is not a workload key; expected namespace/kind/name")
        return found


class ObjectRef(Value):
    """One Kubernetes object as it was seen: name, identity and version."""

    kind: str
    namespace: str = CLUSTER_SCOPE
    name: str
    uid: str = ""
    resource_version: str = ""
