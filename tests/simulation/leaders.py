"""Two remediators and nobody else: the leader stands still or dies at a named point, and the other takes over.

A round orders each action once, lets one thing go wrong at one point, and waits until all are answered. Then each
command must have been carried out once and told in one way, and nothing may have been done by a leader after the next
one began.
"""

import asyncio
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from enum import StrEnum
from itertools import pairwise
from random import Random
from typing import Any

import structlog

from sandbox.cluster.clock import Clock as ClusterClock
from sandbox.cluster.documents import Document, name_of, uid_of
from sandbox.cluster.resources import DEPLOYMENTS, LEASES, NAMESPACES, PODS
from sandbox.cluster.simulation import Simulation
from sandbox.cluster.store import Change
from sandbox.cluster.writes import Target
from services.remediator.adapters.register import NAME, NAMESPACE
from services.remediator.core.fencing import Reading, reading_of
from services.remediator.main import Leadership, Ports
from services.remediator.settings import RemediatorSettings
from shared.contracts.actions import Action, RestartPod, Rollback, SetMemory
from shared.contracts.codec import Record, decode
from shared.contracts.commands import Command
from shared.contracts.inbox import Outcome, Result
from shared.contracts.signatures import command_seal
from shared.contracts.topics import COMMANDS, INBOX
from shared.contracts.workloads import WorkloadRef
from shared.infra.crashing import REMEDIATOR_POINTS, CrashPoint, at_points
from shared.infra.redis import Redis
from shared.runtime.health import Health
from shared.runtime.lifecycle import Runtime
from tests.keys import KEY, RECORDS_KEY, RECORDS_SEAL, UNUSED, checks_of
from tests.simulation.broker import ListeningBroker, SimulatedArchive, SimulatedConsumer, SimulatedPublisher
from tests.simulation.cluster import Effect, SimulatedCluster
from tests.simulation.groups import Group
from tests.simulation.loop import START, LoopClock, Process, SimulatedLoop, StuckError, present_process
from tests.simulation.store import SimulatedStore
from tests.simulation.weather import Weather
from tests.simulation.witness import Violation

POINTS = (*sorted(REMEDIATOR_POINTS), CrashPoint.BEFORE_SIGNAL_COMMIT)
BANK = "bank"
_SCOPES = ("workload", "node", "namespace", "cluster")
UNBRAKED: Mapping[str, Any] = {f"brake_{scope}_per_hour": 1_000_000 for scope in _SCOPES}
"""Limits that no round meets: what is held here is who acts, not how much."""
MEBIBYTE = 1 << 20
_LIMITS = (128 * MEBIBYTE, 256 * MEBIBYTE)
_ANSWERED_WITHIN_S, _CALM_S = 300.0, 10.0
_SHORT_LIFE_S = 4.0


class How(StrEnum):
    """What goes wrong at a point."""

    STANDS_STILL = "stands still"
    DIES = "dies"


class Memory(StrEnum):
    """What the store has forgotten by then."""

    KEPT = "kept"
    WIPED = "wiped"
    OLD = "an old copy"


@dataclass(frozen=True, slots=True)
class Trouble:
    """One thing that goes wrong: to the process that passes a point for the n-th time."""

    point: CrashPoint
    passing: int = 1
    how: How = How.STANDS_STILL
    seconds: float = 10.0
    memory: Memory = Memory.KEPT
    expires: bool = False

    def __str__(self) -> str:
        """Return it in words."""
        expires = ", the commands expire meanwhile" if self.expires else ""
        return (
            f"{self.point}:{self.passing}: it {self.how} for {self.seconds:.1f} s, the store is {self.memory}{expires}"
        )


@dataclass(frozen=True, slots=True)
class Guards:
    """What holds a leader that was followed; a test takes one away."""

    leadership: type[Leadership] = Leadership
    is_fenced: bool = True


@dataclass(slots=True)
class Happened:
    """What was seen of commands: by the cluster, and by who reads results."""

    told: dict[str, set[bytes]] = field(default_factory=lambda: defaultdict(set))
    effects: dict[str, list[Effect]] = field(default_factory=lambda: defaultdict(list))
    stale: list[str] = field(default_factory=list[str])
    tokens: list[int] = field(default_factory=list[int])


class Stage:
    """What outlives processes, and the two that lead in turn."""

    def __init__(self, loop: SimulatedLoop, guards: Guards) -> None:
        self.loop = loop
        self.guards = guards
        self.clock = LoopClock(loop)
        self.weather = Weather(loop.chance)
        self.broker = ListeningBroker(self.clock, on_append=self._note_result)
        self.group = Group(COMMANDS.partitions)
        self.store = SimulatedStore(self.weather)
        self.old_copy = self.store.copy()
        self.cluster = Simulation(ClusterClock(start=START, reading=loop.time))
        self.happened = Happened()
        self.trouble: Trouble | None = None
        self.processes: dict[str, Process] = {}
        self._passings = 0
        self.cluster.store.listen(self._note_token)

    @property
    def token(self) -> int:
        """Return the highest token that the cluster knows of."""
        register = self.cluster.store.get(LEASES, (NAMESPACE, NAME))
        reading = reading_of(register) if register is not None else Reading(0, "")
        return reading.token if isinstance(reading, Reading) else 0

    def saw(self, effect: Effect) -> None:
        """Take note of what was done to the cluster."""
        self.happened.effects[effect.command].append(effect)
        if effect.token < self.token:
            self.happened.stale.append(f"{effect} after a leader of token {self.token} began")

    def passed(self, point: CrashPoint) -> None:
        """Let the trouble begin at its point."""
        process, trouble = present_process(), self.trouble
        if process is None or trouble is None or point is not trouble.point:
            return
        self._passings += 1
        if self._passings == trouble.passing:
            self.trouble = None
            self._begin(trouble, process)

    def make_ready_for(self, trouble: Trouble) -> None:
        """Wait for its point from now on."""
        self.trouble, self._passings = trouble, 0

    async def keep(self, name: str) -> None:
        """Run a remediator and start it again whenever it has ended, until cancelled."""
        while True:
            process = self.processes[name] = self.loop.process(name)
            process.start(self._remediate(process))
            await process.ended.wait()
            if process.crash is not None:
                raise Violation(f"{name} crashed by itself: {process.crash!r}")
            await asyncio.sleep(self.loop.chance.random() * 3)

    async def _remediate(self, process: Process) -> None:
        ports = Ports(
            publisher=SimulatedPublisher(self.broker, "remediator", weather=self.weather, seal=RECORDS_SEAL),
            archive=SimulatedArchive(self.broker, weather=self.weather),
            commands=lambda: SimulatedConsumer(
                self.broker, [COMMANDS], group=self.group, weather=self.weather, alone=True
            ),
            cluster=SimulatedCluster(
                self.cluster, weather=self.weather, on_effect=self.saw, is_fenced=self.guards.is_fenced
            ),
            redis=Redis(self.store),
            keys=checks_of([KEY.public]),
            own_keys=checks_of([RECORDS_KEY.public]),
        )
        settings = RemediatorSettings(
            instance=process.name, checking_keys_file=UNUSED, records_key_file=UNUSED, **UNBRAKED
        )
        runtime = Runtime("remediator", self.clock, Health("remediator", process.name), process.stopping)
        await self.guards.leadership(settings, ports, runtime=runtime).run()

    def _begin(self, trouble: Trouble, process: Process) -> None:
        if trouble.memory is Memory.WIPED:
            self.store.restore({})
        elif trouble.memory is Memory.OLD:
            self.store.restore(self.old_copy)
        if trouble.how is How.DIES:
            process.kill_after(0)
        else:
            process.stall(trouble.seconds)

    def _note_result(self, record: Record) -> None:
        message = decode(record).message if record.topic == INBOX.name else None
        if isinstance(message, Result):
            self.happened.told[message.command].add(record.value or b"")

    def _note_token(self, change: Change) -> None:
        if change.resource is LEASES:
            self.happened.tokens.append(self.token)


@dataclass(frozen=True, slots=True)
class Ran:
    """How the rounds of a seed went; without a violation all held."""

    violation: str
    rounds: int
    terms: int


def lead(seed: int, troubles: Sequence[Trouble] = (), *, rounds: int = 0, guards: Guards | None = None) -> Ran:
    """Return what a seed makes of troubles, one a round, or of as many as it draws itself."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(50))
    chance = Random(seed)
    drawn = [*troubles, *(drawn_trouble(chance) for _ in range(rounds))]
    loop = SimulatedLoop(chance)
    stage = Stage(loop, guards or Guards())
    with at_points(stage.passed):
        try:
            loop.run(_live(stage, drawn))
            violation = ""
        except (Violation, StuckError) as violated:
            violation = f"seed {seed}: {violated}"
    return Ran(violation, len(drawn), len(stage.happened.tokens))


def drawn_trouble(chance: Random) -> Trouble:
    """Return a trouble by chance."""
    point = chance.choice(POINTS)
    return Trouble(
        point,
        passing=1 if point is CrashPoint.BEFORE_SIGNAL_COMMIT else chance.randint(1, 3),
        how=chance.choice(list(How)),
        seconds=chance.choice((3.0, 6.0, 7.0, 9.0, 15.0)),
        memory=chance.choice((Memory.KEPT, Memory.KEPT, Memory.KEPT, Memory.WIPED, Memory.OLD)),
        expires=chance.random() < 0.3,
    )


async def _live(stage: Stage, troubles: Sequence[Trouble]) -> None:
    _build(stage.cluster)
    around = [
        asyncio.create_task(stage.loop.guard(one))
        for one in (stage.cluster.clock.follow(), stage.keep("remediator-0"), stage.keep("remediator-1"))
    ]
    await asyncio.sleep(_CALM_S)
    for number, trouble in enumerate(troubles):
        await _round(stage, number, trouble)
    for task in around:
        task.cancel()


async def _round(stage: Stage, number: int, trouble: Trouble) -> None:
    orders = _orders(stage, number, within=timedelta(seconds=_SHORT_LIFE_S if trouble.expires else 60.0))
    stage.make_ready_for(trouble)
    publisher = stage.broker.publisher("decider", seal=command_seal(KEY, "local"))
    for order in orders:
        await publisher.publish(order, topic=COMMANDS)
    names = {order.id for order in orders}
    await _until(stage, lambda: names <= stage.happened.told.keys(), f"{trouble}: not all is answered")
    await _until(stage, lambda: not _stands_still(stage), "a process stands still for ever")
    await asyncio.sleep(_CALM_S)
    stage.old_copy = stage.store.copy() if number % 3 == 0 else stage.old_copy
    found = [*_judged(stage, orders, trouble), *stage.happened.stale]
    if found:
        raise Violation(f"round {number}: {trouble}: " + "; ".join(found))


async def _until(stage: Stage, condition: Callable[[], bool], otherwise: str) -> None:
    until = stage.loop.time() + _ANSWERED_WITHIN_S
    while not condition():
        if stage.loop.time() > until:
            raise Violation(otherwise)
        await asyncio.sleep(0.5)


def _stands_still(stage: Stage) -> bool:
    return any(one.stalled_until > stage.loop.time() for one in stage.processes.values())


def _judged(stage: Stage, orders: Sequence[Command], trouble: Trouble) -> Iterator[str]:
    if stage.trouble is not None:
        yield "the point was not passed"
    tokens = stage.happened.tokens
    if any(later <= earlier for earlier, later in pairwise(tokens)):
        yield f"a token went back: {tokens[-5:]}"
    for order in orders:
        yield from _judged_one(order, stage.happened.told[order.id], stage.happened.effects[order.id], trouble)


def _judged_one(order: Command, told: set[bytes], effects: Sequence[Effect], trouble: Trouble) -> Iterator[str]:
    results = [Result.model_validate_json(one) for one in told]
    what = f"{order.id} ({order.action.kind})"
    if len(effects) > 1:
        yield f"{what} was carried out {len(effects)} times"
    if trouble.memory is not Memory.KEPT:
        return  # what was told may be told otherwise by who cannot know it any more
    if len(results) > 1:
        yield f"{what} was told in {len(results)} ways: {[one.reason for one in results]}"
    for result in results:
        if (result.outcome is Outcome.APPLIED) != bool(effects):
            yield f"{what} was told as {result.reason} and carried out {len(effects)} times"
        if result.outcome is Outcome.REFUSED and not trouble.expires:
            yield f"{what} was refused: {result.reason} {result.message}"


def _orders(stage: Stage, number: int, *, within: timedelta) -> list[Command]:
    """Return one command of each action, each on a workload of its own, which it changes."""
    raised, rolled, restarted = (f"web-{(number + shift) % 3}" for shift in range(3))
    limit = _limit_of(stage.cluster.api.get(Target(DEPLOYMENTS, BANK, raised)))
    pod = next(one for one in stage.cluster.plane.select(PODS, BANK) if name_of(one).startswith(restarted))
    actions: list[tuple[str, Action]] = [
        (raised, SetMemory(container="server", from_bytes=limit, to_bytes=sum(_LIMITS) - limit)),
        (rolled, _rollback_of(stage.cluster.api.get(Target(DEPLOYMENTS, BANK, rolled)))),
        (restarted, RestartPod(pod=name_of(pod), uid=uid_of(pod))),
    ]
    stage.loop.chance.shuffle(actions)
    return [_command(stage, f"cmd-{number}-{target}", target, action, within) for target, action in actions]


def _command(stage: Stage, name: str, target: str, action: Action, within: timedelta) -> Command:
    now = stage.clock.now()
    return Command(
        id=name,
        at=now,
        workload=WorkloadRef(kind="Deployment", namespace=BANK, name=target),
        incident="incident",  # one alone: what it has open does not stand in its own way
        rule="rule",
        playbook="hash",
        step=0,
        attempt=1,
        action=action,
        dry_run=False,
        expires_at=now + within,
        requested_by="test",
    )


def _rollback_of(deployment: Any) -> Rollback:
    """Go to the other of two revisions, by its number: unasked no rollback goes to what the one before left."""
    present = int(str(deployment["metadata"]["annotations"]["deployment.kubernetes.io/revision"]))
    return Rollback(revision=present - 1)


def _limit_of(deployment: Any) -> int:
    told = deployment["spec"]["template"]["spec"]["containers"][0]["resources"]["limits"]["memory"]
    return int(told.removesuffix("Mi")) * MEBIBYTE


def _build(cluster: Simulation) -> None:
    """Create three workloads of two revisions each."""
    cluster.api.create(Target(NAMESPACES), {"metadata": {"name": BANK}})
    for number in range(3):
        target = Target(DEPLOYMENTS, BANK, f"web-{number}")
        cluster.api.create(Target(DEPLOYMENTS, BANK), _deployment(f"web-{number}", "128Mi"))
        cluster.api.replace(target, _deployment(f"web-{number}", "256Mi"))


def _deployment(name: str, limit: str) -> Document:
    labels: Document = {"app": name}
    container: Document = {"name": "server", "image": f"{name}:v1", "resources": {"limits": {"memory": limit}}}
    template: Document = {"metadata": {"labels": labels}, "spec": {"containers": [container]}}
    return {
        "metadata": {"name": name},
        "spec": {"replicas": 1, "selector": {"matchLabels": labels}, "template": template},
    }
