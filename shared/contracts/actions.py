"""Actions: the closed union of what may be done to a cluster."""

from typing import Annotated, Literal

from pydantic import Field

from shared.contracts.model import Value


class RestartPod(Value):
    """Evict one pod, so that its controller replaces it; budgets are respected by the eviction API."""

    kind: Literal["restart-pod"] = "restart-pod"
    pod: str
    uid: str


class SetMemory(Value):
    """Set the memory limit (and request, where it would exceed the limit) of one container of the template."""

    kind: Literal["set-memory"] = "set-memory"
    container: str
    from_bytes: int
    to_bytes: int


class Rollback(Value):
    """Give the workload the template of its last revision before the failing one."""

    kind: Literal["rollback"] = "rollback"
    from_template_hash: str = ""


Action = Annotated[RestartPod | SetMemory | Rollback, Field(discriminator="kind")]
