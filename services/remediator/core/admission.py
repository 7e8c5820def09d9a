"""`admit`: may this command be carried out now? Pure; each refusal is a named reason."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from shared.contracts.commands import Command
from shared.contracts.refusals import Refusal

CLOCKS_DIFFER_AT_MOST = timedelta(seconds=60)
"""How far ahead of ours a command's moment may be: beyond, its expiry says nothing about how old it gets."""


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    """What holds for all commands at this moment."""

    now: datetime
    protected_namespaces: frozenset[str]


def admit(command: Command, world: World) -> Refusal | None:
    """Return why a command may not be carried out; None if it may."""
    if command.workload.namespace in world.protected_namespaces:
        return Refusal.PROTECTED_NAMESPACE
    if world.now >= command.expires_at:
        return Refusal.EXPIRED
    if command.at > world.now + CLOCKS_DIFFER_AT_MOST:
        return Refusal.ORDERED_IN_THE_FUTURE
    return None
