"""Signals matched per second in one process, at 1 to 1,000 rules whose `where` differ.

The rows are measured in turns within one run, so that they share whatever else the machine does; the median of all
turns is shown, and the cost relative to one rule.
"""

from datetime import UTC, datetime
from statistics import median
from time import perf_counter

from rich.console import Console
from rich.table import Table

from bench.machine import machine
from services.decider.core.matching import RuleIndex, index_rules, match
from services.decider.core.playbook import load_playbook
from shared.contracts.codec import Record, decode, encode
from shared.contracts.signals import ContainerSignal, ContainerState
from shared.contracts.topics import SIGNALS_KUBERNETES
from shared.contracts.workloads import ObjectRef, WorkloadRef

RULES = (1, 10, 100, 1_000)
SIGNALS = 2_000
TURNS = 7

_HEAD = """\
apiVersion: sre-agent.dev/v1alpha1
kind: HealingPlaybook
metadata: {name: bench}
spec:
  rules:
"""
_RULE = """\
    - name: rule-{n}
      signal: container
      where: {{reason: CrashLoopBackOff, workload: service-{n}}}
      when: restarts >= 3 && exit_code != 0
      ladder: [{{action: restart-pod}}]
"""


def main() -> None:
    """Measure and print."""
    signals = [_signal(n) for n in range(SIGNALS)]
    indexes = {count: _index(count) for count in RULES}
    times: dict[int, list[float]] = {count: [] for count in RULES}
    decoding: list[float] = []
    for _ in range(TURNS):
        for count, index in indexes.items():
            times[count].append(_matched(index, signals))
        decoding.append(_decoded(signals))
    _print(times, decoding)


def _index(count: int) -> RuleIndex:
    text = _HEAD + "".join(_RULE.format(n=n) for n in range(count))
    return index_rules(load_playbook(text, file="bench"))


def _signal(n: int) -> ContainerSignal:
    name = f"service-{n % 50}"
    return ContainerSignal(
        id=f"signal-{n}",
        at=datetime(2026, 1, 1, tzinfo=UTC),
        cluster="bench",
        workload=WorkloadRef(kind="Deployment", namespace="bank", name=name),
        object=ObjectRef(kind="Pod", namespace="bank", name=f"{name}-{n}", uid=f"uid-{n}"),
        container="server",
        state=ContainerState.WAITING,
        reason="CrashLoopBackOff" if n % 10 == 0 else "",
        restarts=n % 7,
        exit_code=1,
    )


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
