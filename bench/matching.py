"""Signals matched per second in one process, at 1 to 1,000 rules whose `where` differ.

The rows are measured in turns within one run, so that they share whatever else the machine does; the median of all
turns is shown, and the cost relative to one rule. At each number of rules as many signals meet one.
"""

from statistics import median
from time import perf_counter

from rich.console import Console
from rich.table import Table

from bench.load import playbook_of, signal_of
from bench.machine import machine
from services.decider.core.matching import RuleIndex, index_rules, match
from services.decider.core.playbook import load_playbook
from shared.contracts.codec import Record, decode, encode
from shared.contracts.signals import ContainerSignal
from shared.contracts.topics import SIGNALS_KUBERNETES

RULES = (1, 10, 100, 1_000)
SIGNALS = 20_000
TURNS = 7


def main() -> None:
    """Measure and print."""
    signals = {count: [signal_of(number, workloads=count) for number in range(SIGNALS)] for count in RULES}
    indexes = {count: _index(count) for count in RULES}
    times: dict[int, list[float]] = {count: [] for count in RULES}
    decoding: list[float] = []
    for _ in range(TURNS):
        for count, index in indexes.items():
            times[count].append(_matched(index, signals[count]))
        decoding.append(_decoded(signals[RULES[0]]))
    _print(times, decoding)


def _index(count: int) -> RuleIndex:
    return index_rules(load_playbook(playbook_of(count), file="bench"))


def _matched(index: RuleIndex, signals: list[ContainerSignal]) -> float:
    began = perf_counter()
    for signal in signals:
        match(index, signal)
    return perf_counter() - began


def _decoded(signals: list[ContainerSignal]) -> float:
    out = [encode(signal, topic=SIGNALS_KUBERNETES, source="bench") for signal in signals]
    records = [Record(one.topic, 0, n, 0, one.key, one.value, one.headers) for n, one in enumerate(out)]
    began = perf_counter()
    for record in records:
        decode(record)
    return perf_counter() - began


def _print(times: dict[int, list[float]], decoding: list[float]) -> None:
    one = median(times[RULES[0]])
    table = Table("rules", "signals/s", "cost per signal, times that of 1 rule", title="match, one process")
    for count, measured in times.items():
        table.add_row(f"{count:,}", f"{SIGNALS / median(measured):,.0f}", f"{median(measured) / one:.2f}")
    console = Console()
    console.print(table)
    console.print(f"decoding a signal from its record alone: {SIGNALS / median(decoding):,.0f} signals/s")
    console.print(f"{SIGNALS:,} signals, median of {TURNS} turns; {machine()}")


if __name__ == "__main__":
    main()
