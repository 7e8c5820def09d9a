"""Against ansible-rulebook, on the same signals and the same rules, at 1 to 1,000 rules whose `where` differ.

**Whole program**: from the start of the process to the last line about a rule that was met, both reading one file of
JSON lines. Ours prints each finding (`bench.program`), the peer each event (`print_event`): the cheapest of its actions
that tells what it was done for, so that both can be held against each other. Both flush every line.
**Engine alone**: lines of JSON in memory to matches, in a process that has loaded its rules (`bench.engine`,
`bench/rulebook/engine.py`); the first pass warms up and is not counted.
Both sides are compiled to bytecode before: pip has done so with the peer, and `_compiled` does so with ours, which
Python does by itself at a first run, unless the environment forbids it.
Both sides run in turns, and each run must tell of exactly the signals that meet a rule, or there is no result.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from compileall import compile_dir
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from resource import RUSAGE_CHILDREN, getrusage
from statistics import median
from time import monotonic
from typing import IO

from rich.console import Console
from rich.table import Table

from bench.load import is_bad, playbook_of, signal_of
from bench.machine import machine
from bench.rulebook import peer

SIGNALS: Mapping[int, int] = {1: 200_000, 10: 200_000, 100: 20_000, 1_000: 3_000}
"""How many signals at how many rules.

At few rules so many that the quicker side works for some seconds, and the rate is not that of its start. At 1,000 the
peer starts for half a minute, and what matters is how long it takes until rules are in force; the rates after the start
and of the engine alone tell the rest.
"""
PASSES = 5
_ROOT = Path(__file__).resolve().parent.parent
_OURS, _THEIRS = "ours", "ansible-rulebook"
_LOOK_AT_MEMORY_EVERY_S = 0.02


@dataclass(frozen=True, slots=True)
class Case:
    """So many rules on so many signals, written into a directory."""

    rules: int
    signals: int
    directory: Path

    @property
    def playbook(self) -> Path:
        """Return our file of rules."""
        return self.directory / f"playbook-{self.rules}.yaml"

    @property
    def rulebook(self) -> Path:
        """Return the peer's file of rules."""
        return self.directory / f"rulebook-{self.rules}.yml"

    @property
    def lines(self) -> Path:
        """Return the file of signals."""
        return self.directory / f"signals-{self.rules}.jsonl"

    @property
    def bad(self) -> list[str]:
        """Return the ids of the signals that meet a rule."""
        return [f"signal-{number}" for number in range(self.signals) if is_bad(number)]

    def write(self) -> None:
        """Write the files."""
        self.playbook.write_text(playbook_of(self.rules))
        self.rulebook.write_text(peer.rulebook_of(self.rules, signals=self.lines))
        signals = (signal_of(number, workloads=self.rules) for number in range(self.signals))
        self.lines.write_text("".join(f"{signal.model_dump_json()}\n" for signal in signals))


@dataclass(frozen=True, slots=True)
class Side:
    """How one of the two is run, and how it names the signals that it has met."""

    program: Callable[[Case], Sequence[str]]
    engine: Callable[[Case], Sequence[str]]
    met: Callable[[Iterable[str]], Iterator[str]]
    environment: Mapping[str, str] | None


@dataclass(frozen=True, slots=True)
class Run:
    """What one run of a whole program took; `signals_s` is its rate from the first to the last that met a rule.

    `cpu_s` is the time of all its threads, which tells most where the machine has other work to do.
    """

    start_s: float
    whole_s: float
    signals_s: float
    cpu_s: float
    memory_mib: float


Figures = dict[tuple[str, int], list[float]]
"""All measurements by side and number of rules."""


def main() -> None:
    """Measure and print."""
    options = _options()
    _compiled()
    with tempfile.TemporaryDirectory() as directory:
        cases = [Case(rules, SIGNALS[rules], Path(directory)) for rules in options.rules]
        for case in cases:
            case.write()
        programs = peer.installed()
        sides = _sides(programs)
        runs = _whole_programs(cases, sides, turns=options.turns)
        engines = _engines_alone(cases, sides)
    _print(cases, runs, engines, versions=peer.versions(programs))


def rate_of(moments: Sequence[float], *, signals: int) -> float:
    """Return how many signals a second were handled between the first and the last that met a rule.

    Those come evenly: the last of so many stands for all but the part of the signals that came before the first.
    """
    share = (len(moments) - 1) / len(moments)
    return signals * share / (moments[-1] - moments[0])


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--turns", type=int, default=5, help="how often each whole program is run")
    parser.add_argument("--rules", type=int, nargs="+", choices=[*SIGNALS], default=[*SIGNALS])
    return parser.parse_args()


def _compiled() -> None:
    """Compile our own code, as far as it is not."""
    for part in ("bench", "services", "shared"):
        compile_dir(_ROOT / part, quiet=1)


def _sides(programs: Path) -> Mapping[str, Side]:
    python, rulebook = str(programs / "python"), str(programs / "ansible-rulebook")
    return {
        _OURS: Side(
            program=lambda case: [sys.executable, "-m", "bench.program", str(case.playbook), str(case.lines)],
            engine=lambda case: [sys.executable, "-m", "bench.engine", str(case.playbook), str(case.lines)],
            met=lambda lines: (json.loads(line)["signal"]["id"] for line in lines),
            environment=None,
        ),
        _THEIRS: Side(
            program=lambda case: [rulebook, "--rulebook", str(case.rulebook), "--source-dir", str(peer.SOURCES)],
            engine=lambda case: [python, str(peer.ENGINE), str(case.rulebook), str(case.lines)],
            met=peer.events_in,
            environment=peer.environment(programs),
        ),
    }


def _whole_programs(
    cases: Sequence[Case], sides: Mapping[str, Side], *, turns: int
) -> Mapping[tuple[str, int], list[Run]]:
    runs: dict[tuple[str, int], list[Run]] = {(name, case.rules): [] for name in sides for case in cases}
    for turn in range(turns):
        for case in cases:
            for name, side in sides.items():
                print(f"turn {turn + 1} of {turns}, {case.rules:,} rules: {name}", file=sys.stderr)
                runs[name, case.rules].append(_run(case, side))
    return runs


def _run(case: Case, side: Side) -> Run:
    began, memory, cpu_before = monotonic(), _Memory(), _cpu_of_children()
    told: list[tuple[float, str]] = []
    with _started(side.program(case), side.environment) as process:
        for line in _lines(process):
            if line.startswith("{"):
                told.append((monotonic() - began, line))
                memory.look(process.pid)
    _check(sorted(side.met(line for _, line in told)), sorted(case.bad), command=side.program(case))
    moments = [moment for moment, _ in told]
    return Run(
        start_s=moments[0],
        whole_s=moments[-1],
        signals_s=rate_of(moments, signals=case.signals),
        cpu_s=_cpu_of_children() - cpu_before,
        memory_mib=memory.peak_mib,
    )


def _cpu_of_children() -> float:
    used = getrusage(RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


class _Memory:
    """The peak of a process, looked at while it runs: its children are few and small, Java is within it."""

    def __init__(self) -> None:
        self.peak_mib = 0.0
        self._looked = 0.0

    def look(self, pid: int) -> None:
        if monotonic() - self._looked < _LOOK_AT_MEMORY_EVERY_S:
            return
        status = Path(f"/proc/{pid}/status").read_text()
        peaks = [int(line.split()[1]) / 1024 for line in status.splitlines() if line.startswith("VmHWM")]
        self.peak_mib, self._looked = max([self.peak_mib, *peaks]), monotonic()


def _engines_alone(cases: Sequence[Case], sides: Mapping[str, Side]) -> Figures:
    rates: Figures = {}
    for case in cases:
        print(f"engine alone, {case.rules:,} rules", file=sys.stderr)
        with ExitStack() as stack:
            engines = {name: stack.enter_context(_engine(case, side)) for name, side in sides.items()}
            passes = [{name: case.signals / asked() for name, asked in engines.items()} for _ in range(1 + PASSES)]
        rates |= {(name, case.rules): [one[name] for one in passes[1:]] for name in sides}
    return rates


@contextmanager
def _engine(case: Case, side: Side) -> Generator[Callable[[], float]]:
    """Yield what makes one pass and returns its seconds."""
    command = side.engine(case)
    with _started(command, side.environment) as process:
        answers = _lines(process)
        _check(next(answers), "ready\n", command=command)

        def asked() -> float:
            _stdin(process).write("\n")
            _stdin(process).flush()
            answer = json.loads(next(answers))
            _check(answer["met"], len(case.bad), command=command)
            return float(answer["seconds"])

        yield asked
        _stdin(process).close()


@contextmanager
def _started(command: Sequence[str], environment: Mapping[str, str] | None) -> Generator[subprocess.Popen[str]]:
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True, env=environment) as process:
        try:
            yield process
        except BaseException:
            process.kill()
            raise
    if process.returncode != 0:
        raise SystemExit(f"{' '.join(command)} ended with {process.returncode}")


def _lines(process: subprocess.Popen[str]) -> Iterator[str]:
    assert process.stdout is not None
    return iter(process.stdout)


def _stdin(process: subprocess.Popen[str]) -> IO[str]:
    assert process.stdin is not None
    return process.stdin


def _check(found: object, expected: object, *, command: Sequence[str]) -> None:
    """End the benchmark where a side did not do what is measured."""
    if found != expected:
        raise SystemExit(f"{' '.join(command)}\nfound {found!s:.500}\nexpected {expected!s:.500}")


def _print(
    cases: Sequence[Case], runs: Mapping[tuple[str, int], list[Run]], engines: Figures, *, versions: str
) -> None:
    table = Table("rules", "", _OURS, _THEIRS, "times", title="median (least to most)")
    for case in cases:
        both = {name: runs[name, case.rules] for name in (_OURS, _THEIRS)}
        rows: dict[str, dict[str, list[float]]] = {
            "start-up, s": {name: [run.start_s for run in found] for name, found in both.items()},
            "peak memory, MiB": {name: [run.memory_mib for run in found] for name, found in both.items()},
            f"whole program with its start, {case.signals:,} signals: signals/s": {
                name: [case.signals / run.whole_s for run in found] for name, found in both.items()
            },
            "whole program after its start: signals/s": {
                name: [run.signals_s for run in found] for name, found in both.items()
            },
            "whole program with its start: CPU seconds": {
                name: [run.cpu_s for run in found] for name, found in both.items()
            },
            "engine alone: signals/s": {name: engines[name, case.rules] for name in both},
        }
        for what, found in rows.items():
            table.add_row(f"{case.rules:,}", what, *map(_spread, found.values()), _times(found))
        table.add_section()
    console = Console(width=160)
    console.print(table)
    ours = {case.rules: median(engines[_OURS, case.rules]) for case in cases}
    growth = ours[cases[0].rules] / ours[cases[-1].rules]
    console.print(f"our cost per signal at {cases[-1].rules:,} rules: {growth:.2f} times that at {cases[0].rules:,}")
    console.print(f"{machine()}; {versions}")


def _spread(values: Sequence[float]) -> str:
    return f"{_shown(median(values))} ({_shown(min(values))} to {_shown(max(values))})"


def _shown(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.2f}"


def _times(found: Mapping[str, Sequence[float]]) -> str:
    ours, theirs = median(found[_OURS]), median(found[_THEIRS])
    return f"{max(ours / theirs, theirs / ours):,.1f}"


if __name__ == "__main__":
    main()
