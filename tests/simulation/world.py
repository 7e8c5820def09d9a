"""A world: deciders, remediators, a collector and people on one broker, one store and one cluster; a seed drives it."""

import asyncio
from collections import deque
from collections.abc import Callable, Coroutine, Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from sandbox.cluster.clock import Clock as ClusterClock
from sandbox.cluster.documents import Document, namespace_of
from sandbox.cluster.resources import DEPLOYMENTS, NAMESPACES
from sandbox.cluster.simulation import Simulation
from sandbox.cluster.store import Change
from sandbox.cluster.store import Kind as ChangeKind
from sandbox.cluster.writes import Target
from services.collector.adapters.watching import Kind, Observation
from services.collector.handlers import Collecting
from services.decider.adapters.playbook_file import read_playbook
from services.decider.main import Decider
from services.decider.settings import DeciderSettings
from services.remediator.main import Leadership, Ports
from services.remediator.settings import RemediatorSettings
from shared.contracts.signatures import Seal, Signer, command_seal, unsealed
from shared.contracts.topics import COMMANDS, INBOX, SIGNAL_TOPICS, TOPICS
from shared.infra.contiguity import Following
from shared.infra.redis import Redis
from shared.kernel.errors import ConfigError, TransientError
from shared.runtime.consuming import consume
from shared.runtime.health import Health
from shared.runtime.lifecycle import Runtime
from shared.runtime.tasks import every
from tests.keys import KEY, RECORDS_KEY, RECORDS_SEAL, UNUSED, checks_of
from tests.simulation.broker import ListeningBroker, SimulatedArchive, SimulatedConsumer, SimulatedPublisher
from tests.simulation.cluster import SimulatedCluster
from tests.simulation.groups import Group
from tests.simulation.loop import START, LoopClock, Process, SimulatedLoop
from tests.simulation.store import SimulatedStore
from tests.simulation.stream import SimulatedStream
from tests.simulation.weather import Weather
from tests.simulation.witness import Violation, Witness

NAMESPACE = "bank"
WORKLOADS = ("web", "api", "ledger")
_WATCHED = {
    "Node": "/api/v1/nodes",
    "ReplicaSet": "/apis/apps/v1/replicasets",
    "Deployment": "/apis/apps/v1/deployments",
    "Pod": "/api/v1/pods",
    "Event": "/api/v1/events",
}
_WAKE_EVERY, _LOOK_EVERY = timedelta(milliseconds=500), timedelta(seconds=1)
StreamMaker = Callable[["World", Following], SimulatedStream]
ConsumerMaker = Callable[..., SimulatedConsumer]


def _stream(world: "World", following: Following) -> SimulatedStream:
    return SimulatedStream(world.broker, following, group=world.inbox_group, weather=world.weather)


@dataclass(frozen=True, slots=True)
class Parts:
    """What a world is made of; a test that plants a bug puts another part in."""

    stream: StreamMaker = _stream
    consumer: ConsumerMaker = SimulatedConsumer
    store: Callable[[Weather], SimulatedStore] = SimulatedStore
    signer: Signer = KEY


class World:
    """Everything but time and chance, which are the loop's."""

    def __init__(self, loop: SimulatedLoop, *, directory: Path, parts: Parts, history: list[str]) -> None:
        self.loop = loop
        self.chance = chance = loop.chance
        self.parts = parts
        self.clock = LoopClock(loop)
        self.weather = Weather(chance)
        self.history = history
        self.witness = Witness(tell=self.tell, fail=loop.fail)
        self.broker = ListeningBroker(self.clock, on_append=self.witness.appended)
        self.inbox_group, self.signal_group, self.command_group = (Group(INBOX.partitions) for _ in range(3))
        self.store = parts.store(self.weather)
        self.cluster = Simulation(ClusterClock(start=START, reading=loop.time))
        self.playbook = directory / "healing-playbook.yaml"
        self.deciders: dict[str, SimulatedStream] = {}
        self.processes: dict[str, Process] = {}
        self.is_stormy = False
        self._changes: deque[Observation] = deque()
        self._changed = asyncio.Event()
        self.cluster.store.listen(self._observe)

    def tell(self, line: str) -> None:
        """Add to the history."""
        self.history.append(f"{self.loop.time():9.3f} {line}")

    def publisher(self, source: str, *, seal: Seal = unsealed) -> SimulatedPublisher:
        """Return a publisher of a service."""
        return SimulatedPublisher(self.broker, source, weather=self.weather, seal=seal)

    def build_cluster(self) -> None:
        """Create the workloads."""
        self.cluster.api.create(Target(NAMESPACES), {"metadata": {"name": NAMESPACE}})
        for name in WORKLOADS:
            self.cluster.api.create(Target(DEPLOYMENTS, NAMESPACE), _deployment(name))

    @property
    def size(self) -> int:
        """Return how many records the topics hold."""
        return sum(len(self.broker.log(topic.name, number)) for topic in TOPICS for number in range(topic.partitions))

    @property
    def is_settled(self) -> bool:
        """Tell whether all is read, and what the file says is in force."""
        return not any(self.unsettled())

    def unsettled(self) -> Iterator[str]:
        """Return what has not been read to its end, and where another playbook is in force than that of the file."""
        if not self.is_told:
            yield "the collector has not told all changes"
        for number in range(INBOX.partitions):
            end = len(self.broker.log(INBOX.name, number))
            read = self.inbox_group.committed.get((INBOX.name, number), 0)
            if read < end:
                yield f"{INBOX.name}/{number} is read to {read} of {end}"
        yield from self._not_in_force()

    def _not_in_force(self) -> Iterator[str]:
        try:
            wanted = read_playbook(self.playbook).hash
        except ConfigError:
            return
        for number in range(INBOX.partitions):
            state = self.witness.partitions.get(number)
            found = state.playbook.hash if state is not None and state.playbook is not None else "none"
            if found != wanted:
                yield f"in partition {number} playbook {found} is in force, the file says {wanted}"

    async def coordinate(self) -> None:
        """Let the groups miss who is not heard of, until cancelled."""
        while True:
            for group in (self.inbox_group, self.signal_group):
                group.look()
            await asyncio.sleep(1)

    async def keep(self, name: str, run: "Run") -> None:
        """Run a process and start it again whenever it has ended, until cancelled."""
        while True:
            process = self.processes[name] = self.loop.process(name)
            if self.is_stormy and self.weather.happens(0.7):
                process.kill_after(int(self.chance.expovariate(1 / 3000)))
            process.start(run(self, process))
            await process.ended.wait()
            self.tell(f"{name} has ended{': ' + repr(process.crash) if process.crash else ''}")
            if process.crash is not None:
                self.loop.fail(Violation(f"{name} crashed by itself: {process.crash!r}"))
            await asyncio.sleep(self.chance.random() * 5)

    def _observe(self, change: Change) -> None:
        kind = change.resource.kind
        if kind in _WATCHED and namespace_of(change.now) in {NAMESPACE, ""}:
            deleted = change.kind is ChangeKind.DELETED
            self._changes.append(Observation(Kind(kind, _WATCHED[kind]), change.now, deleted=deleted))
            self._changed.set()

    async def next_changes(self) -> Sequence[Observation]:
        """Return what changed in the cluster, one object."""
        while not self._changes:
            self._changed.clear()
            await self._changed.wait()
        return [self._changes[0]]

    def changes_told(self) -> None:
        """Go on to the next change."""
        self._changes.popleft()

    @property
    def is_told(self) -> bool:
        """Tell whether all changes of the cluster are told."""
        return not self._changes


Run = Callable[[World, Process], Coroutine[None, None, None]]
"""What a process does from its beginning to its end."""


async def run_decider(world: World, process: Process) -> None:
    """Be a decider."""
    runtime = _runtime("decider", world, process)
    settings = DeciderSettings(playbook_file=world.playbook, signing_key_file=UNUSED)
    publisher = world.publisher("decider", seal=command_seal(world.parts.signer, settings.cluster))

    def stream(following: Following) -> SimulatedStream:
        world.deciders[process.name] = world.parts.stream(world, following)
        return world.deciders[process.name]

    decider = Decider(settings, publisher, runtime=runtime, stream=stream)
    topics = list(SIGNAL_TOPICS)
    consumer = world.parts.consumer(world.broker, topics, group=world.signal_group, weather=world.weather)
    async with consumer as signals, asyncio.TaskGroup() as group:
        group.create_task(decider.stream())
        group.create_task(
            consume(signals, decider.matching.handle, publisher=publisher, runtime=runtime, name="signal")
        )
        group.create_task(every(_LOOK_EVERY, decider.look, runtime=runtime))
        group.create_task(every(_WAKE_EVERY, decider.wake, runtime=runtime))


async def run_remediator(world: World, process: Process) -> None:
    """Be a remediator."""
    ports = Ports(
        publisher=world.publisher("remediator", seal=RECORDS_SEAL),
        archive=SimulatedArchive(world.broker, weather=world.weather),
        commands=lambda: world.parts.consumer(
            world.broker, [COMMANDS], group=world.command_group, weather=world.weather, alone=True
        ),
        cluster=SimulatedCluster(world.cluster, weather=world.weather, on_effect=world.witness.saw, is_fenced=True),
        redis=Redis(world.store),
        keys=checks_of([KEY.public]),
        own_keys=checks_of([RECORDS_KEY.public]),
    )
    settings = RemediatorSettings(instance=process.name, checking_keys_file=UNUSED, records_key_file=UNUSED)
    await Leadership(settings, ports, runtime=_runtime("remediator", world, process)).run()


async def run_collector(world: World, process: Process) -> None:
    """Be a collector, whose watches tell one change after the other."""
    cluster = SimulatedCluster(world.cluster, weather=world.weather)
    collecting = Collecting(world.publisher("collector"), cluster, cluster="simulated", clock=world.clock)
    while not process.stopping.is_set():
        changes = await world.next_changes()
        try:
            await collecting.handle(changes)
        except TransientError:
            continue
        world.changes_told()


def _runtime(name: str, world: World, process: Process) -> Runtime:
    return Runtime(name, world.clock, Health(name, process.name), process.stopping)


def _deployment(name: str) -> Document:
    labels: Document = {"app": name}
    container: Document = {"name": "server", "image": f"{name}:v1", "resources": {"limits": {"memory": "128Mi"}}}
    return {
        "metadata": {"name": name},
        "spec": {
            "replicas": 1,
            "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels}, "spec": {"containers": [container]}},
        },
    }
