"""Dependencies away in every way: nothing wrong is done, `/readyz` names what is away, and all goes on by itself.

The table that it prints is in docs/figures.md.
"""

import os
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import timedelta
from inspect import isawaitable
from pathlib import Path
from time import monotonic

import aiohttp
import pytest

from shared.contracts.deadletters import DeadLetter
from shared.contracts.reports import Analyzer
from tests.integration.away.stage import DEPENDENCIES, Stage, staged
from tests.integration.away.work import Told, Work, telling
from tests.integration.service_process import until
from tests.proxy import Proxy

pytestmark = pytest.mark.integration
PATIENCE = float(os.environ.get("AWAY_PATIENCE", "1"))
"""How many times as long a busy machine is waited for; the table says what was measured in any case."""
NAMED_WITHIN = timedelta(seconds=10) * PATIENCE
BACK_WITHIN = timedelta(seconds=30) * PATIENCE
LONG_S = 25.0
"""Longer than any deadline of ours or of the libraries."""


@dataclass(frozen=True)
class Fault:
    """What happens to the way to a dependency; `is_mild` where the work may go on all the same."""

    name: str
    make: Callable[[Proxy], Awaitable[None] | None]
    is_closed: bool = False
    is_mild: bool = False


REFUSED = Fault("refused", Proxy.refuse, is_closed=True)
BLACK_HOLE = Fault("black-hole", Proxy.swallow, is_closed=True)
UNANSWERED = Fault("unanswered", Proxy.hush)
SLOW = Fault("slow", Proxy.slow, is_mild=True)
CUT = Fault("cut-in-the-middle", Proxy.tear, is_closed=True)
GARBAGE = Fault("garbage", Proxy.garble)
FAULTS = (REFUSED, BLACK_HOLE, UNANSWERED, SLOW, CUT, GARBAGE)


@dataclass(frozen=True)
class Case:
    """Dependencies that are disturbed at once, how, and for how long beyond being named."""

    dependencies: Sequence[str]
    fault: Fault
    lasting_s: float = 2.0

    @property
    def name(self) -> str:
        """Return a name that a workload can bear."""
        return "-".join((*self.dependencies, self.fault.name))

    @property
    def awaited(self) -> list[tuple[str, str]]:
        """Return which service is to name what."""
        return [(service, name) for name in self.dependencies for service in DEPENDENCIES[name]]

    @property
    def has_work(self) -> bool:
        """Tell whether the remediator's work needs what is disturbed."""
        return not {"prometheus", "model"} & {*self.dependencies}


CASES = (
    *(Case((name,), fault) for name in ("kafka", "redis", "kubernetes") for fault in FAULTS),
    *(Case(("kafka", "redis", "kubernetes"), fault, LONG_S) for fault in (REFUSED, BLACK_HOLE)),
    *(Case(("prometheus", "model"), fault) for fault in FAULTS),
)


@dataclass
class Row:
    """What became of a case."""

    case: Case
    named_s: dict[tuple[str, str], float] = field(default_factory=dict[tuple[str, str], float])
    changes_meanwhile: int = 0
    back_s: float = float("inf")
    faults: list[str] = field(default_factory=list[str])

    def __str__(self) -> str:
        """Return a line of the table."""
        latest: dict[str, float] = {}
        for (service, _), after_s in self.named_s.items():
            latest[service] = max(after_s, latest.get(service, 0.0))
        cells = (
            ", ".join(self.case.dependencies),
            self.case.fault.name.replace("-", " "),
            ", ".join(f"{service} {after_s:.1f}" for service, after_s in latest.items()) or "none: it goes on",
            f"{self.case.lasting_s:.0f}",
            str(self.changes_meanwhile),
            f"{self.back_s:.1f}",
            "; ".join(self.faults) or "each once",
        )
        return f"| {' | '.join(cells)} |"


async def test_whatever_is_away_is_named_nothing_wrong_is_done_and_all_goes_on_by_itself(tmp_path: Path) -> None:
    rows: list[Row] = []
    async with staged(tmp_path) as stage, telling(stage.bootstrap) as told:
        try:
            for case in CASES:
                rows.append(await _met(case, stage, told))
                print(rows[-1], flush=True)  # noqa: T201 - the table
        finally:
            _show(rows)
        assert told.all(DeadLetter) == []
        assert all(process.is_running for process in stage.processes.values())
    assert [str(row) for row in rows if row.faults] == []


async def _met(case: Case, stage: Stage, told: Told) -> Row:
    row, work = Row(case), Work(case.name, stage, told)
    proxies = [stage.proxies[name] for name in case.dependencies]
    await work.prepare()
    await until(stage.is_ready)
    began = monotonic()
    for proxy in proxies:
        if isawaitable(made := case.fault.make(proxy)):
            await made
    await work.give()
    await _name(row, stage, work, began)
    for proxy in proxies:
        await proxy.heal()
    await _return(row, stage, work)
    return row


async def _name(row: Row, stage: Stage, work: Work, began: float) -> None:
    """Note when each service names what is away, then let it be away for a while."""
    case = row.case

    async def are_named() -> bool:
        for service, name in case.awaited:
            with suppress(aiohttp.ClientError, OSError):
                if (service, name) not in row.named_s and await stage.named(service, name):
                    row.named_s[service, name] = monotonic() - began
        return len(row.named_s) == len(case.awaited) or (case.fault.is_mild and await work.is_done())

    with suppress(TimeoutError):
        await until(are_named, within=NAMED_WITHIN)
    missing = [f"{name} by {service}" for service, name in case.awaited if (service, name) not in row.named_s]
    if missing and not case.fault.is_mild:
        row.faults.append(f"not named: {', '.join(missing)}")
    await until(_after(monotonic() + case.lasting_s))
    row.changes_meanwhile = len(work.writes())
    if case.fault.is_closed and case.has_work and row.changes_meanwhile:
        row.faults.append(f"changed meanwhile: {work.writes()}")


async def _return(row: Row, stage: Stage, work: Work) -> None:
    began = monotonic()

    async def is_back() -> bool:
        return await work.is_done() and await stage.is_ready()

    try:
        await until(is_back, within=BACK_WITHIN)
        row.back_s = monotonic() - began
    except TimeoutError:
        row.faults += await work.missing() or ["not ready"]
        await until(stage.is_ready)
    row.faults += work.faults()
    if "model" in row.case.dependencies and row.case.fault in {REFUSED, CUT} and work.analyzers() != {Analyzer.RULES}:
        row.faults.append("a report by a model that was away")


def _after(moment: float) -> Callable[[], Awaitable[bool]]:
    async def is_over() -> bool:
        return monotonic() >= moment

    return is_over


def _show(rows: Sequence[Row]) -> None:
    head = (
        "away",
        "how",
        "named after, s",
        "then away for, s",
        "changes meanwhile",
        "all back and done after, s",
        "done",
    )
    print(f"\n| {' | '.join(head)} |")  # noqa: T201
    print("| --- | --- | --- | --- | --- | --- | --- |")  # noqa: T201
    print("\n".join(map(str, rows)))  # noqa: T201
