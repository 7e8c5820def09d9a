"""Evidence: what was captured about a target before anything touched it."""

from typing import ClassVar

from shared.contracts.model import JsonObject, Message, Value
from shared.contracts.workloads import ObjectRef, WorkloadRef


class ContainerLog(Value):
    """The end of one container's log; `previous` is the instance that ran before the present one."""

    pod: str
    container: str
    previous: bool
    lines: tuple[str, ...]
    truncated: bool = False


class EventLine(Value):
    """One Kubernetes event, as `kubectl describe` would list it."""

    object: str
    type: str
    reason: str
    message: str
    count: int = 1


class Evidence(Message):
    """Logs, events and object states of a workload, bounded; `notes` name what could not be captured, and why.

    `objects` are trimmed Kubernetes objects (no managed fields, no environment values, no Secrets): its pods, the
    workload itself, what stands between them, and of the pods' nodes the conditions. Secrets and personal data were
    taken out before it was published, `redactions` pieces of them.
    """

    TYPE: ClassVar[str] = "evidence"

    workload: WorkloadRef
    incident: str
    command: str
    target: ObjectRef
    logs: tuple[ContainerLog, ...] = ()
    events: tuple[EventLine, ...] = ()
    objects: tuple[JsonObject, ...] = ()
    notes: tuple[str, ...] = ()
    redactions: int = 0

    @property
    def key(self) -> str:
        """Return the key of the workload."""
        return self.workload.key
