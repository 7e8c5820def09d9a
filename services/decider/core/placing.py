"""Where a signal's findings lie in an inbox that another playbook would have written.

A finding that the log has keeps its place. One that it has not lies beside what else became of its signal there, in the
order of the playbook's rules; where nothing did, after all that the broker had stamped when the signal was written.
"""

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from services.decider.core.matching import RuleIndex, match
from services.decider.core.playbook import Playbook
from shared.contracts.inbox import Finding, InboxEntry, PlaybookActivated
from shared.contracts.signals import NodeSignal, Signal, WorkloadSignal

_ITSELF = ""
"""In place of a rule: the signal's own entry, as health is told."""
_BEFORE, _THERE, _AFTER, _BY_TIME = range(4)
_Key = tuple[int, int, datetime, int, int]


@dataclass(frozen=True, slots=True)
class Logged:
    """One entry of a partition's log."""

    offset: int
    moment: datetime
    entry: InboxEntry


@dataclass(frozen=True, slots=True)
class Told:
    """A signal as it lay on its topic; `moment` is when it was written."""

    moment: datetime
    signal: Signal


@dataclass(frozen=True, slots=True)
class Slot:
    """One place of the log as it is, and as it would have been; None where there is no entry on that side."""

    moment: datetime
    logged: Logged | None
    supposed: InboxEntry | None


def slots_of(log: Sequence[Logged], told: Iterable[Told], *, rules: RuleIndex, playbook: Playbook) -> list[Slot]:
    """Return a partition's log with the findings of another playbook in place of its own, in one order.

    The other playbook is in force where the log first has one; the log's own activations do not count.
    """
    placing = _Placing(log, told, rules=rules, playbook=playbook)
    return [slot for _, slot in sorted([*placing.there(), *placing.added()], key=lambda placed: placed[0])]


class _Placing:
    def __init__(self, log: Sequence[Logged], told: Iterable[Told], *, rules: RuleIndex, playbook: Playbook) -> None:
        self._log = log
        self._rules = rules
        self._playbook = playbook
        self._ranks = {name: rank for rank, name in enumerate(playbook.rules)}
        self._moments = [one.moment for one in log]
        self._first = next((at for at, one in enumerate(log) if isinstance(one.entry, PlaybookActivated)), 0)
        self._signals: dict[str, Signal] = {}
        self._written: defaultdict[str, list[datetime]] = defaultdict(list)
        self._places: defaultdict[str, defaultdict[str, list[int]]] = defaultdict(lambda: defaultdict(list))
        self._note_told(told)
        self._note_log()
        self._matched = {name: _findings(rules, signal) for name, signal in self._signals.items()}

    def there(self) -> Iterator[tuple[_Key, Slot]]:
        """Yield the log's own places, each with what would have been there."""
        for at, one in enumerate(self._log):
            yield (at, _THERE, one.moment, 0, 0), Slot(one.moment, one, self._instead(at, one.entry))

    def added(self) -> Iterator[tuple[_Key, Slot]]:
        """Yield the findings that the log has not."""
        for order, (name, found) in enumerate(self._matched.items()):
            for rule, finding in found.items():
                if rule not in self._places[name]:
                    yield from self._added(finding, order=order)

    def _note_told(self, told: Iterable[Told]) -> None:
        for one in told:
            self._signals[one.signal.id] = one.signal
            self._written[one.signal.id].append(one.moment)

    def _note_log(self) -> None:
        for at, one in enumerate(self._log):
            match one.entry:
                case Finding(signal=signal, rule=rule):
                    self._signals.setdefault(signal.id, signal)
                    self._places[signal.id][rule].append(at)
                case WorkloadSignal() | NodeSignal():
                    self._signals.setdefault(one.entry.id, one.entry)
                    self._places[one.entry.id][_ITSELF].append(at)
                case _:
                    pass

    def _instead(self, at: int, entry: InboxEntry) -> InboxEntry | None:
        match entry:
            case Finding():
                return self._matched[entry.signal.id].get(entry.rule)
            case PlaybookActivated():
                return self._activated(entry) if at == self._first else None
            case _:
                return entry

    def _activated(self, entry: PlaybookActivated) -> PlaybookActivated:
        return entry.model_copy(update={"hash": self._playbook.hash, "text": self._playbook.text})

    def _added(self, finding: Finding, *, order: int) -> Iterator[tuple[_Key, Slot]]:
        """Yield a finding as often as its signal was told."""
        places, written = self._places[finding.signal.id], self._written[finding.signal.id]
        rank = self._ranks[finding.rule]
        for time in range(max([len(written), *map(len, places.values())])):
            beside = {rule: at[time] for rule, at in places.items() if time < len(at)}
            if beside:
                yield self._beside(finding, beside, rank=rank)
            elif time < len(written):
                yield self._by_time(finding, written[time], order=order)

    def _beside(self, finding: Finding, beside: Mapping[str, int], *, rank: int) -> tuple[_Key, Slot]:
        before = [at for rule, at in beside.items() if self._ranks.get(rule, -1) < rank]
        at, side = (max(before), _AFTER) if before else (min(beside.values()), _BEFORE)
        moment = self._log[at].moment
        return (at, side, moment, 0, rank), Slot(moment, None, finding)

    def _by_time(self, finding: Finding, written: datetime, *, order: int) -> tuple[_Key, Slot]:
        at = max(bisect_right(self._moments, written) - 1, self._first)
        moment = max(written, self._moments[at]) if self._moments else written
        return (at, _BY_TIME, moment, order, self._ranks[finding.rule]), Slot(moment, None, finding)


def _findings(rules: RuleIndex, signal: Signal) -> dict[str, Finding]:
    return {entry.rule: entry for entry in match(rules, signal) if isinstance(entry, Finding)}
