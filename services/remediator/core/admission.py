"""`admit`: may this command be carried out now? Pure; each refusal is a named reason."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from shared.contracts.commands import Command


class Refusal(StrEnum):
    """Why a command is not carried out."""

    EXPIRED = "expired"
    PAUSED = "paused"
    PROTECTED_NAMESPACE = "protected-namespace"
    PROTECTED_OBJECT = "protected-object"
    TARGET_GONE = "target-gone"
    TARGET_REPLACED = "target-replaced"
    NOT_OF_WORKLOAD = "not-of-workload"
    NO_CONTROLLER = "no-controller"
    KIND_NOT_SUPPORTED = "kind-not-supported"
    CONTAINER_UNKNOWN = "container-unknown"
    CHANGED_MEANWHILE = "changed-meanwhile"
    NO_EARLIER_REVISION = "no-earlier-revision"
    DISRUPTION_BUDGET = "disruption-budget"
    FORBIDDEN = "forbidden"
    REJECTED = "rejected"


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    """What holds for all commands at this moment."""

    now: datetime
    paused: bool
    protected_namespaces: frozenset[str]


def admit(command: Command, world: World) -> Refusal | None:
    """Return why a command may not be carried out; None if it may."""
    if command.workload.namespace in world.protected_namespaces:
        return Refusal.PROTECTED_NAMESPACE
    if world.now >= command.expires_at:
        return Refusal.EXPIRED
    if world.paused and not command.dry_run:
        return Refusal.PAUSED
    return None
