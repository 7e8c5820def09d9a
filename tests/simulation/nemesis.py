"""The nemesis: what a seed lets go wrong, and what people do meanwhile; each trouble by chance, at any moment."""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any

from sandbox.cluster.documents import name_of
from sandbox.cluster.errors import StatusError
from sandbox.cluster.kubelet import EXIT_CODE, FAILS_PROBE, NEEDS_MEMORY
from sandbox.cluster.patching import Patch, PatchKind
from sandbox.cluster.resources import DEPLOYMENTS, PODS
from sandbox.cluster.writes import Target
from services.decider.core.playbook import Playbook, load_playbook
from shared.contracts.actions import Rollback
from shared.contracts.codec import Record
from shared.contracts.inbox import Approval, ManualAction, Pause, Resume
from shared.contracts.incidents import Incident, Phase
from shared.contracts.stops import Stop, Way
from shared.contracts.topics import INBOX, STOPS
from shared.contracts.workloads import CLUSTER_SCOPE, WorkloadRef
from shared.kernel.errors import TransientError
from tests.simulation.signals import stray_signal, topic_of_signal
from tests.simulation.world import NAMESPACE, WORKLOADS, World

ROOT = Path(__file__).resolve().parents[2]
PLAYBOOKS = (ROOT / "healing-playbook.yaml", *sorted((Path(__file__).parent / "playbooks").glob("*.yaml")))
"""What may be in force: playbooks as data, so that each new word of the language comes under the same trial."""
_PEOPLE = ("ann", "ben")
_DEPENDENCIES = ("Kafka", "Redis", "API server")


@dataclass(slots=True)
class Nemesis:
    """Troubles, and the chance that chooses among them."""

    world: World
    texts: tuple[str, ...]
    paused: bool = False
    _troubles: list[Callable[[], Any]] = field(default_factory=list[Callable[[], Any]])

    @property
    def chance(self) -> Random:
        """Return the world's chance."""
        return self.world.chance

    async def rage(self, seconds: float) -> None:
        """Make trouble for a time."""
        until = self.world.loop.time() + seconds
        troubles = (
            *(self.break_workload,) * 6,
            *(self.stray,) * 4,
            *(self.repeat,) * 3,
            *(self.answer,) * 6,
            self.stall,
            self.kill,
            self.stop,
            self.outage,
            self.change_playbook,
            self.garbage,
            self.toggle_pause,
            self.person,
        )
        while self.world.loop.time() < until:
            await asyncio.sleep(self.chance.expovariate(1 / 2.5))
            with suppress(TransientError, StatusError):
                await self.chance.choice(troubles)()

    async def calm(self) -> None:
        """Undo what goes on by itself: nothing is away, broken or paused any more."""
        self.world.playbook.write_text(self.chance.choice(self.texts))
        self.world.is_stormy = False
        self.world.weather.roughness = 0.0
        self.world.weather.away.clear()
        for process in self.world.processes.values():
            process.lives = -1
            process.stall(0)
        for name in WORKLOADS:
            self._mend(Target(DEPLOYMENTS, NAMESPACE, name), f"{name}:v1")
        for pod in self.world.cluster.plane.select(PODS, NAMESPACE):
            self._cue(Target(PODS, NAMESPACE, name_of(pod)), EXIT_CODE, None)
            self._cue(Target(PODS, NAMESPACE, name_of(pod)), FAILS_PROBE, None)
        while self.paused:
            with suppress(TransientError):
                await self._resume()

    async def break_workload(self) -> None:
        """Let a pod or a workload fail, or roll out an image that is not there."""
        name = self.chance.choice(WORKLOADS)
        target = Target(DEPLOYMENTS, NAMESPACE, name)
        match self.chance.randrange(5):
            case 0:
                self._cue(target, NEEDS_MEMORY, "200Mi")
            case 1:
                self._cue(target, EXIT_CODE, self.chance.choice(("1", None)))
            case 2:
                image: Any = {
                    "spec": {"template": {"spec": {"containers": [{"name": "server", "image": "x:missing"}]}}}
                }
                self.world.cluster.api.patch(target, Patch(PatchKind.STRATEGIC, image))
            case _:
                pods = [name_of(one) for one in self.world.cluster.plane.select(PODS, NAMESPACE)]
                cue = self.chance.choice((EXIT_CODE, EXIT_CODE, FAILS_PROBE))
                value = "readiness" if cue == FAILS_PROBE else "3"
                self._cue(Target(PODS, NAMESPACE, self.chance.choice(pods)), cue, value)
        self.world.tell(f"{name} is broken")

    async def stray(self) -> None:
        """Publish a signal that the cluster did not give."""
        playbook = self._in_file()
        kind, name = self.chance.choice((("Deployment", self.chance.choice(WORKLOADS)), ("Node", "node-1")))
        namespace = CLUSTER_SCOPE if kind == "Node" else NAMESPACE
        workload = WorkloadRef(kind=kind, namespace=namespace, name=name)
        signal = stray_signal(playbook, workload, now=self.world.clock.now(), chance=self.chance)
        for _ in range(self.chance.choice((1, 1, 2, 4))):
            await self.world.publisher("stranger").publish(signal, topic=topic_of_signal(signal))

    async def repeat(self) -> None:
        """Write a record of the inbox or of the signals a second time, as a writer without an answer does."""
        topic = self.chance.choice(("sre.inbox", "sre.signals.kubernetes", "sre.commands"))
        log = self.world.broker.log(topic, self.chance.randrange(INBOX.partitions))
        if log:
            old = self.chance.choice(log[-20:])
            self.world.broker.append(Record(topic, old.partition, -1, 0, old.key, old.value, old.headers))

    async def answer(self) -> None:
        """Let a person allow or reject a step that waits, perhaps twice."""
        waiting = [one for one in self._open() if one.phase is Phase.AWAITING_APPROVAL]
        if not waiting:
            return
        incident, by = self.chance.choice(waiting), self.chance.choice(_PEOPLE)
        approval = Approval(
            id=f"approval-{self.chance.getrandbits(40):010x}",
            at=self.world.clock.now(),
            workload=incident.workload,
            incident=incident.id,
            step=incident.step,
            approved=self.chance.random() < 0.8,
            by=by,
        )
        for _ in range(self.chance.choice((1, 1, 2))):
            await self.world.publisher("api").publish(approval, topic=INBOX)

    async def person(self) -> None:
        """Let a person ask for an action."""
        manual = ManualAction(
            id=f"manual-{self.chance.getrandbits(40):010x}",
            at=self.world.clock.now(),
            workload=WorkloadRef(kind="Deployment", namespace=NAMESPACE, name=self.chance.choice(WORKLOADS)),
            action=Rollback(),
            dry_run=self.chance.random() < 0.3,
            by="ann",
        )
        await self.world.publisher("api").publish(manual, topic=INBOX)

    async def toggle_pause(self) -> None:
        """Pause everything, or end the pause."""
        if self.paused:
            await self._resume()
            return
        self.paused = True
        now = self.world.clock.now()
        await self._publish_stop(holds=True)
        pause = Pause(id=f"pause-{now.isoformat()}", at=now, by="ann", cause="storm")
        await self.world.publisher("api").broadcast(pause, topic=INBOX)

    async def change_playbook(self) -> None:
        """Write another playbook, now and then a broken one."""
        text = self.chance.choice(self.texts)
        if self.chance.random() < 0.2:
            text = text.replace("signal: container", "signal: tea leaves")
        self.world.playbook.write_text(text)
        self.world.tell("another playbook is in the file")

    async def garbage(self) -> None:
        """Write what no one can read."""
        topic = self.chance.choice(("sre.inbox", "sre.signals.kubernetes"))
        self.world.broker.append(Record(topic, self.chance.randrange(6), -1, 0, b"?", b"\x00 not a message"))

    async def stall(self) -> None:
        """Let a process stand still, some for longer than a lease or a session."""
        name = self._victim()
        seconds = self.chance.choice((0.5, 3.0, 6.0, 9.0, 20.0))
        self.world.processes[name].stall(seconds)
        self.world.tell(f"{name} stands still for {seconds} s")

    async def kill(self) -> None:
        """Kill a process at an await soon to come."""
        name = self._victim()
        self.world.processes[name].kill_after(self.chance.randrange(200))

    async def stop(self) -> None:
        """Ask a process to end."""
        name = self._victim()
        self.world.processes[name].stopping.set()
        self.world.tell(f"{name} is asked to end")

    async def outage(self) -> None:
        """Let a dependency be away for a while."""
        whom = self.chance.choice(_DEPENDENCIES)
        self.world.weather.away.add(whom)
        self.world.tell(f"{whom} is away")
        await asyncio.sleep(self.chance.choice((1.0, 4.0, 15.0)))
        self.world.weather.away.discard(whom)
        self.world.tell(f"{whom} is back")

    async def _resume(self) -> None:
        """End the pause; whoever asked for it asks again until it is over."""
        now = self.world.clock.now()
        resume = Resume(id=f"resume-{now.isoformat()}", at=now, by="ann")
        await self.world.publisher("api").broadcast(resume, topic=INBOX)
        await self._publish_stop(holds=False)
        self.paused = False

    async def _publish_stop(self, *, holds: bool) -> None:
        now = self.world.clock.now()
        stop = Stop(id=f"stop-{holds}-{now.isoformat()}", at=now, way=Way.API, holds=holds, by="ann", cause="storm")
        await self.world.publisher("api").publish(stop, topic=STOPS, partition=0)

    def _victim(self) -> str:
        return self.chance.choice([name for name in self.world.processes if name != "collector"])

    def _open(self) -> list[Incident]:
        return [
            state.open_incident for state in self.world.witness.workloads.values() if state.open_incident is not None
        ]

    def _in_file(self) -> Playbook:
        known = list(self.world.witness.replay.playbooks.values())
        return self.chance.choice(known) if known else load_playbook(self.texts[0], file="first")

    def _mend(self, target: Target, image: str) -> None:
        sound: Any = {"containers": [{"name": "server", "image": image}]}
        self.world.cluster.api.patch(target, Patch(PatchKind.STRATEGIC, {"spec": {"template": {"spec": sound}}}))
        self._cue(target, EXIT_CODE, None)
        self._cue(target, NEEDS_MEMORY, None)

    def _cue(self, target: Target, name: str, value: str | None) -> None:
        body: Any = {"metadata": {"annotations": {name: value}}}
        with suppress(StatusError):
            self.world.cluster.api.patch(target, Patch(PatchKind.MERGE, body))


def playbook_texts() -> tuple[str, ...]:
    """Return the texts of all playbooks that worlds may have."""
    return tuple(path.read_text(encoding="utf-8") for path in PLAYBOOKS)
