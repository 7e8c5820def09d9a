"""Where the findings of another playbook lie in the inbox that it would have written.

What the log has of a rule and a signal keeps its place. What it has not lies beside what else became of the signal
there, in the order of the playbook's rules; where nothing did, after all that the broker had stamped when the signal
was written. Observations are placed as findings are.
"""

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from services.decider.core.matching import RuleIndex, match
from services.decider.core.playbook import Playbook
from services.decider.core.watching import TROUBLE
from shared.contracts.inbox import Finding, InboxEntry, Observation, PlaybookActivated
from shared.contracts.signals import NodeSignal, Signal, WorkloadSignal

_Found = Finding | Observation
_What = tuple[str, str, str]
"""What is told of a signal: by which rule, of which part of it, about which workload."""
_ITSELF: _What = "", "", ""
_BEFORE, _THERE, _AFTER, _BY_TIME = range(4)
_Order = tuple[int, int, datetime, int, int]


@dataclass(frozen=True, slots=True)
class Logged:
    """One entry of a partition's log."""

    offset: int
    moment: datetime
    entry: InboxEntry


@dataclass(frozen=True, slots=True)
class Told:
    """A signal as it lay on its topic; `moment` is when it was written."""

    partition: int
    moment: datetime
    signal: Signal


@dataclass(frozen=True, slots=True)
class Slot:
    """One place of the log as it is, and as it would have been; None where there is no entry on that side."""

    moment: datetime
    logged: Logged | None
    supposed: InboxEntry | None


@dataclass(frozen=True, slots=True)
class _At:
    partition: int
    place: int


def slots_of(
    log: Mapping[int, Sequence[Logged]], told: Iterable[Told], *, rules: RuleIndex, playbook: Playbook
) -> dict[int, list[Slot]]:
    """Return the log, partition by partition, with the findings of another playbook in place of its own.

    The other playbook is in force where a partition first has one; the log's own activations do not count.
    """
    placing = _Placing(log, told, rules=rules, playbook=playbook)
    placed: defaultdict[int, list[tuple[_Order, Slot]]] = defaultdict(list)
    for partition, order, slot in (*placing.there(), *placing.added()):
        placed[partition].append((order, slot))
    return {
        partition: [slot for _, slot in sorted(slots, key=lambda one: one[0])]
        for partition, slots in sorted(placed.items())
    }


class _Placing:
    def __init__(
        self, log: Mapping[int, Sequence[Logged]], told: Iterable[Told], *, rules: RuleIndex, playbook: Playbook
    ) -> None:
        self._log = log
        self._rules = rules
        self._playbook = playbook
        self._ranks = {name: rank for rank, name in enumerate(playbook.rules)}
        self._moments = {partition: [one.moment for one in entries] for partition, entries in log.items()}
        self._firsts = {partition: _first_activation(entries) for partition, entries in log.items()}
        self._homes: dict[str, int] = {}
        self._signals: dict[str, Signal] = {}
        self._written: defaultdict[str, list[datetime]] = defaultdict(list)
        self._places: defaultdict[str, defaultdict[_What, list[_At]]] = defaultdict(lambda: defaultdict(list))
        self._note_told(told)
        self._note_log()
        self._found = {name: _found_in(rules, signal) for name, signal in self._signals.items()}

    def there(self) -> Iterator[tuple[int, _Order, Slot]]:
        """Yield the log's own places, each with what would have been there."""
        for partition, entries in self._log.items():
            for place, one in enumerate(entries):
                supposed = self._instead(_At(partition, place), one.entry)
                yield partition, (place, _THERE, one.moment, 0, 0), Slot(one.moment, one, supposed)

    def added(self) -> Iterator[tuple[int, _Order, Slot]]:
        """Yield what the log has not."""
        for number, (name, found) in enumerate(self._found.items()):
            for what, entry in found.items():
                if what not in self._places[name]:
                    yield from self._added(entry, number=number)

    def _note_told(self, told: Iterable[Told]) -> None:
        for one in told:
            self._homes[one.signal.key] = one.partition
            self._signals[one.signal.id] = one.signal
            self._written[one.signal.id].append(one.moment)

    def _note_log(self) -> None:
        for partition, entries in self._log.items():
            for place, one in enumerate(entries):
                self._homes[one.entry.key] = partition
                self._note_entry(one.entry, _At(partition, place))

    def _note_entry(self, entry: InboxEntry, at: _At) -> None:
        match entry:
            case Finding() | Observation():
                self._signals.setdefault(entry.signal.id, entry.signal)
                self._places[entry.signal.id][_what(entry)].append(at)
            case WorkloadSignal() | NodeSignal():
                self._signals.setdefault(entry.id, entry)
                self._places[entry.id][_ITSELF].append(at)
            case _:
                pass

    def _instead(self, at: _At, entry: InboxEntry) -> InboxEntry | None:
        match entry:
            case Finding() | Observation():
                return self._found[entry.signal.id].get(_what(entry))
            case PlaybookActivated():
                return self._activated(entry) if at.place == self._firsts[at.partition] else None
            case _:
                return entry

    def _activated(self, entry: PlaybookActivated) -> PlaybookActivated:
        return entry.model_copy(update={"hash": self._playbook.hash, "text": self._playbook.text})

    def _added(self, entry: _Found, *, number: int) -> Iterator[tuple[int, _Order, Slot]]:
        """Yield an entry as often as its signal was told."""
        places, written = self._places[entry.signal.id], self._written[entry.signal.id]
        for time in range(max([len(written), *map(len, places.values())])):
            beside = {what: at[time] for what, at in places.items() if time < len(at)}
            partition = self._home_of(entry, beside)
            here = {what: at.place for what, at in beside.items() if at.partition == partition}
            if here:
                yield partition, *self._beside(entry, here, partition=partition)
                continue
            moments = [self._moments[at.partition][at.place] for at in beside.values()] or [written[time]]
            yield partition, *self._by_time(entry, min(moments), partition=partition, number=number)

    def _home_of(self, entry: _Found, beside: Mapping[_What, _At]) -> int:
        """Return the partition of an entry; of what no log knows, that of its signal, since it knows no other."""
        known = self._homes.get(entry.key, self._homes.get(entry.signal.key))
        return known if known is not None else min(at.partition for at in beside.values())

    def _beside(self, entry: _Found, here: Mapping[_What, int], *, partition: int) -> tuple[_Order, Slot]:
        rank = self._ranks[entry.rule]
        before = [place for what, place in here.items() if self._ranks.get(what[0], -1) < rank]
        place, side = (max(before), _AFTER) if before else (min(here.values()), _BEFORE)
        moment = self._moments[partition][place]
        return (place, side, moment, 0, rank), Slot(moment, None, entry)

    def _by_time(self, entry: _Found, told: datetime, *, partition: int, number: int) -> tuple[_Order, Slot]:
        moments = self._moments.get(partition, [])
        place = max(bisect_right(moments, told) - 1, self._firsts.get(partition, 0))
        moment = max(told, moments[place]) if moments else told
        return (place, _BY_TIME, moment, number, self._ranks[entry.rule]), Slot(moment, None, entry)


def _first_activation(entries: Sequence[Logged]) -> int:
    return next((place for place, one in enumerate(entries) if isinstance(one.entry, PlaybookActivated)), 0)


def _what(entry: _Found) -> _What:
    return entry.rule, entry.part if isinstance(entry, Observation) else TROUBLE, entry.key


def _found_in(rules: RuleIndex, signal: Signal) -> dict[_What, _Found]:
    return {_what(entry): entry for entry in match(rules, signal) if isinstance(entry, Finding | Observation)}
