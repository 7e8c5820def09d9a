"""A small world in memory: signals are matched, the inbox is decided, outputs lie on their topics as they do live."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from services.decider.core.absorbing import topic_of
from services.decider.core.matching import RuleIndex, index_rules, match
from services.decider.core.playbook import load_playbook
from services.decider.core.replaying import Replay
from services.decider.core.state import WorkloadState
from shared.contracts.commands import Command
from shared.contracts.evidence import ContainerLog, Evidence
from shared.contracts.inbox import Outcome
from shared.contracts.incidents import Decision, Incident
from shared.contracts.model import Message
from shared.contracts.signals import AlertSignal, SampleSignal, Signal
from shared.contracts.topics import (
    EVIDENCE,
    INBOX,
    SIGNALS_KUBERNETES,
    SIGNALS_PROMETHEUS,
    Topic,
)
from shared.contracts.workloads import ObjectRef, WorkloadRef
from shared.infra.memory import MemoryArchive, MemoryBroker
from tests.fakes.clock import FakeClock
from tests.unit.services.decider.core.build import (
    FRONTEND,
    PLAYBOOK,
    activated,
    approval,
    at,
    container,
    health,
    result,
    wake_up,
)

LATE = timedelta(milliseconds=60)
"""How long after its moment a wake-up comes, as live."""


@dataclass
class World:
    """One broker, the decider on it, and a clock that goes on where it is told to."""

    clock: FakeClock = field(default_factory=lambda: FakeClock(at(-10)))
    broker: MemoryBroker = field(init=False)
    replay: Replay = field(default_factory=Replay)
    rules: RuleIndex = field(init=False)
    _read: dict[int, int] = field(default_factory=dict[int, int])
    _states: dict[str, WorkloadState] = field(default_factory=dict[str, WorkloadState])

    def __post_init__(self) -> None:
        self.broker = MemoryBroker(self.clock)

    @property
    def archive(self) -> MemoryArchive:
        """Return a reader of all that was written."""
        return self.broker.archive()

    async def load(self, text: str = PLAYBOOK, *, seconds: float = -5) -> None:
        """Put a playbook in force."""
        await self.pass_to(seconds)
        self.rules = index_rules(load_playbook(text, file="test"))
        await self.broker.publisher("decider").broadcast(activated(text), topic=INBOX)
        await self._decide()

    async def tell(self, signal: Signal, *, seconds: float, lag: float = 0.02) -> None:
        """Publish a signal at a moment, and what it means to incidents a little later."""
        await self.pass_to(seconds)
        topic = SIGNALS_PROMETHEUS if isinstance(signal, AlertSignal | SampleSignal) else SIGNALS_KUBERNETES
        await self._write(signal, topic)
        self.clock.moment += timedelta(seconds=lag)
        for entry in match(self.rules, signal):
            await self._write(entry, INBOX)
        await self._decide()

    async def enter(self, entry: Message, *, seconds: float) -> None:
        """Write an entry into the inbox at a moment."""
        await self.pass_to(seconds)
        await self._write(entry, INBOX)
        await self._decide()

    async def answer(self, *, seconds: float, outcome: Outcome = Outcome.APPLIED) -> None:
        """Say what became of the newest command."""
        await self.enter(result(self.commands[-1], seconds=seconds, outcome=outcome), seconds=seconds)

    async def approve(self, *, seconds: float, approved: bool = True) -> None:
        """Let a person answer the incident that is open."""
        await self.enter(approval(self.incident, seconds=seconds, approved=approved), seconds=seconds)

    async def capture(self, *lines: str) -> None:
        """Publish evidence about the newest command's target."""
        command = self.commands[-1]
        log = ContainerLog(pod="frontend-1", container="server", previous=False, lines=lines)
        target = ObjectRef(kind="Pod", namespace="bank", name="frontend-1")
        evidence = Evidence(
            id=f"evidence-{command.id}",
            at=self.clock.now(),
            workload=command.workload,
            incident=command.incident,
            command=command.id,
            target=target,
            logs=(log,),
            objects=({"kind": "Pod", "password": "hunter2hunter2"},),
        )
        await self._write(evidence, EVIDENCE)

    async def pass_to(self, seconds: float) -> None:
        """Let time go on to a moment, with the wake-ups that are due on the way."""
        while (due := self._next_wake()) is not None and due[0] + LATE < at(seconds):
            self.clock.moment = max(self.clock.moment, due[0] + LATE)
            await self._write(wake_up(due[0]).model_copy(update={"workload": WorkloadRef.parse(due[1])}), INBOX)
            await self._decide()
        self.clock.moment = max(self.clock.moment, at(seconds))

    @property
    def incident(self) -> Incident:
        """Return the newest incident of the frontend."""
        found = self._states[FRONTEND.key].incident
        assert found is not None
        return found

    @property
    def commands(self) -> Sequence[Command]:
        """Return all commands, as they were made."""
        return [one for one in self.made if isinstance(one, Command)]

    @property
    def decisions(self) -> Sequence[Decision]:
        """Return all decisions, as they were made."""
        return [one for one in self.made if isinstance(one, Decision)]

    made: list[Message] = field(default_factory=list[Message])

    def _next_wake(self) -> tuple[datetime, str] | None:
        asking = [(state.wake_at, key) for key, state in self._states.items() if state.wake_at is not None]
        return min(asking, default=None)

    async def _write(self, message: Message, topic: Topic) -> None:
        await self.broker.publisher("test").publish(message, topic=topic)

    async def _decide(self) -> None:
        for partition in range(INBOX.partitions):
            for record in self.broker.log(INBOX.name, partition)[self._read.get(partition, 0) :]:
                taken = self.replay.step(record)
                self._read[partition] = record.offset + 1
                if taken is None:
                    continue
                self._states[taken.entry.key] = taken.after
                for output in taken.absorbed.outputs:
                    self.made.append(output)
                    await self._write(output, topic_of(output))


async def healed(world: World | None = None, *, begin: float = 0, pod: str = "frontend-1") -> World:
    """Return a world in which a crash was healed by a new pod, within a minute of its beginning."""
    story = world or World()
    if world is None:
        await story.load()
    await story.tell(health(healthy=False, seconds=begin), seconds=begin)
    await story.tell(container(seconds=begin + 1, pod=pod), seconds=begin + 1)
    await story.capture("it crashed", "password=hunter2hunter2")
    await story.answer(seconds=begin + 2)
    await story.tell(health(healthy=True, seconds=begin + 10), seconds=begin + 10)
    await story.pass_to(begin + 50)
    return story
