"""All rounds of two leaders on a real cluster, and the table of them."""

import asyncio
import os
import signal
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from tests.cluster.forgetting import Forgotten, forgotten
from tests.cluster.real import Real
from tests.cluster.rounds import POINTS, Ended, judged_whole, played, rounds_of, stage
from tests.cluster.unfenced import unfenced
from tests.cluster.verdicts import Judgement

ROUNDS = rounds_of(int(os.environ.get("LEADER_ROUNDS", str(len(POINTS)))))
FORGOTTEN = 100


@dataclass(frozen=True, slots=True)
class Led:
    """All that the tests judge; no remediator runs any more."""

    rounds: Sequence[Ended]
    whole: Judgement
    unfenced: Ended
    forgotten: Sequence[Forgotten]


def lead_all(real: Real, directory: Path) -> Led:
    """Play all rounds, and let the store forget as often as is asked for."""
    return asyncio.run(_led(real, directory))


async def _led(real: Real, directory: Path) -> Led:
    async with stage(real, directory) as made:
        forgot = await forgotten(made, FORGOTTEN)
        since = made.log.end()
        rounds = await played(made, ROUNDS)
        whole = await judged_whole(made, since)
        return Led(rounds, whole, await unfenced(made, len(ROUNDS)), forgot)


def table_of(rounds: Sequence[Ended]) -> str:
    """Return the figures by step, as docs/figures.md shows them, and those of all."""
    header = (
        "| step | stood still | killed | stale writes refused | let through | violations | takeover, s | a round, s |"
    )
    rows = [_row(point, [one for one in rounds if one.round.point is point]) for point in POINTS]
    return "\n".join([header, f"|{' --- |' * 8}", *rows, _row("all", rounds)])


def _row(step: str, rounds: Sequence[Ended]) -> str:
    stopped = sum(one.round.signal is signal.SIGSTOP for one in rounds)
    figures = (
        stopped,
        len(rounds) - stopped,
        sum(len(one.judgement.denied) for one in rounds),
        sum(len(one.judgement.stale) for one in rounds),
        sum(len(one.judgement.violations) for one in rounds),
        f"{median(one.took_over_s for one in rounds):.1f}",
        f"{median(one.took_s for one in rounds):.1f}",
    )
    return f"| {step} | {' | '.join(map(str, figures))} |"
