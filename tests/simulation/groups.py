"""A group of readers that share partitions: who is not heard of for a session loses its own, and may not know it."""

import asyncio
from dataclasses import dataclass, field

from tests.simulation.loop import Process, present_process

SESSION_S, HEARTBEAT_S, JOIN_S = 6.0, 2.0, 6.0


@dataclass(eq=False, slots=True)
class Member:
    """One reader, and what it knows of its partitions; those of an older generation may be another's by now."""

    group: "Group"
    heard_at: float
    process: Process | None = None
    generation: int = -1
    partitions: tuple[int, ...] = ()

    @property
    def is_current(self) -> bool:
        """Tell whether what the member knows is what holds."""
        return self.generation == self.group.generation and self in self.group.members

    async def joined(self) -> bool:
        """Return whether the partitions are others than before, once all members agree."""
        if self.is_current and not self.group.is_joining:
            return False
        await self.group.agreed(self)
        self.generation, self.partitions = self.group.generation, self.group.partitions_of(self)
        return True

    async def beat(self) -> None:
        """Be heard of, until cancelled."""
        while True:
            self.heard_at = _now()
            await asyncio.sleep(HEARTBEAT_S)


@dataclass(eq=False, slots=True)
class Group:
    """The coordinator of a group, and the offsets that the group goes on from."""

    count: int
    members: list[Member] = field(default_factory=list[Member])
    generation: int = 0
    committed: dict[tuple[str, int], int] = field(default_factory=dict[tuple[str, int], int])
    _agreed: list[Member] = field(default_factory=list[Member])
    _complete: asyncio.Event = field(default_factory=asyncio.Event)
    _began_at: float = 0.0
    is_joining: bool = False

    def enter(self) -> Member:
        """Take a reader in."""
        member = Member(self, _now(), present_process())
        self.members.append(member)
        self._begin()
        return member

    def leave(self, member: Member) -> None:
        """Let a reader go that says so."""
        if member in self.members:
            self.members.remove(member)
            self._begin()

    async def agreed(self, member: Member) -> None:
        """Return when all members have given their partitions up and know the next ones."""
        if member not in self.members:
            member.heard_at = _now()
            self.members.append(member)
            self._begin()
        if member not in self._agreed:
            self._agreed.append(member)
        while self.is_joining:
            self._look()
            try:
                async with asyncio.timeout(0.5):
                    await self._complete.wait()
            except TimeoutError:
                continue

    def look(self) -> None:
        """Drop the members of whom nothing was heard for a session."""
        lost = [one for one in self.members if _now() - one.heard_at > SESSION_S]
        if lost:
            self.members = [one for one in self.members if one not in lost]
            self._begin()

    def partitions_of(self, member: Member) -> tuple[int, ...]:
        """Return a member's share."""
        if member not in self.members:
            return ()
        place = (self.members.index(member) + self.generation) % len(self.members)
        return tuple(number for number in range(self.count) if number % len(self.members) == place)

    def commit(self, member: Member, offsets: dict[tuple[str, int], int]) -> None:
        """Keep offsets; those of a member of an older generation are not taken."""
        if member.is_current:
            self.committed |= offsets

    def _begin(self) -> None:
        self._began_at = _now()
        self.is_joining, self._agreed, self._complete = True, [], asyncio.Event()

    def _look(self) -> None:
        self.look()
        if _now() - self._began_at > JOIN_S:
            self.members = [one for one in self.members if one in self._agreed]
        if all(one in self._agreed for one in self.members):
            self.generation += 1
            self.is_joining = False
            self._complete.set()


def _now() -> float:
    return asyncio.get_running_loop().time()
