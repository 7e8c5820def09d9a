"""One run: a storm that a seed drives, then calm, and what must be true when all has come to rest."""

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory

import structlog

from services.decider.adapters.replaying import differences, replay_inbox
from services.remediator.adapters.verifying import against_results
from services.remediator.trail_words import twice_told
from tests.simulation.loop import SimulatedLoop, StuckError
from tests.simulation.nemesis import Nemesis, playbook_texts
from tests.simulation.witness import Violation
from tests.simulation.world import Parts, Run, World, run_collector, run_decider, run_remediator

_STORM_S = 60.0
_REST_WITHIN_S, _QUIET_S = 3600.0, 30.0


@dataclass(frozen=True, slots=True)
class Ran:
    """How a run went; without a violation all held."""

    seed: int
    violation: str
    history: list[str]
    seconds: float
    steps: int

    def __str__(self) -> str:
        """Return the story of a run that failed, for who has to find out why."""
        return "\n".join((*self.history[-200:], f"seed {self.seed}: {self.violation}"))


def simulate(seed: int, parts: Parts | None = None) -> Ran:
    """Return what a seed comes to; the same each time."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(50))
    chance = Random(seed)
    loop = SimulatedLoop(chance)
    history: list[str] = []
    with TemporaryDirectory(prefix="simulation-") as directory:
        try:
            loop.run(_live(loop, Path(directory), history=history, parts=parts or Parts()))
            violation = ""
        except (Violation, StuckError) as violated:
            violation = str(violated)
    return Ran(seed, violation, history, loop.time(), loop.steps)


async def _live(loop: SimulatedLoop, directory: Path, *, history: list[str], parts: Parts) -> None:
    world = World(loop, directory=directory, parts=parts, history=history)
    nemesis = Nemesis(world, playbook_texts())
    world.playbook.write_text(world.chance.choice(nemesis.texts))
    world.weather.roughness = world.chance.choice((0.0, 0.02, 0.1, 0.3))
    world.build_cluster()
    kept = [world.keep(name, run) for name, run in _cast(world.chance)]
    around = [asyncio.create_task(loop.guard(one)) for one in (world.cluster.clock.follow(), world.coordinate(), *kept)]
    world.is_stormy = True
    await nemesis.rage(_STORM_S)
    await nemesis.calm()
    await _until_rest(world, nemesis)
    await _judge(world)
    for task in around:
        task.cancel()


def _cast(chance: Random) -> Iterator[tuple[str, Run]]:
    yield "collector", run_collector
    for number in range(chance.choice((1, 1, 2, 3))):
        yield f"decider-{number}", run_decider
    for number in range(chance.choice((1, 2))):
        yield f"remediator-{number}", run_remediator


async def _until_rest(world: World, nemesis: Nemesis) -> None:
    """Return when nothing is open and nothing more comes."""
    until = world.loop.time() + _REST_WITHIN_S
    quiet_since, size = world.loop.time(), -1
    while world.loop.time() - quiet_since < _QUIET_S or not world.witness.is_calm or not world.is_settled:
        if world.loop.time() > until:
            raise Violation("it does not come to rest: " + "; ".join([*world.witness.lost(), *world.unsettled()][:10]))
        await asyncio.sleep(5)
        await nemesis.answer()
        if world.size != size:
            quiet_since, size = world.loop.time(), world.size


async def _judge(world: World) -> None:
    found = [*world.witness.lost(), *world.unsettled()]
    for name, decider in world.deciders.items():
        found += [f"{name}: {one}" for one in world.witness.strangers(decider.rows.rows, decider.partitions)]
    archive = world.broker.archive()
    found += await differences(archive, await replay_inbox(archive))
    trail, differing = await against_results(archive)
    found += [str(one) for one in (*trail.breaks, *differing)]
    found += [f"{command} has more than one entry in the audit trail" for command in twice_told(trail)]
    if found:
        raise Violation("\n".join(found[:10]))
