"""The storm brake: may one more healing begin now? Budgets of the last hour, and how many may be open at once.

Pure: what was spent is given, and so is the moment. A spending counts in each hour that it lies in, also where the
clocks of two leaders differ: what was spent *after* the moment asked for counts, too, so that whatever order the
moments come in, no hour holds more than its budget.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import StrEnum

from services.remediator.core.urgency import severity_of
from shared.contracts.commands import Command
from shared.contracts.incidents import Incident, Phase, Severity
from shared.contracts.refusals import Refusal
from shared.contracts.spendings import Spending
from shared.contracts.workloads import WorkloadRef

HOUR = timedelta(hours=1)
LOOK_AGAIN = timedelta(seconds=30)
"""How soon it is asked again whether an open healing is proven; nobody knows when it will be."""
FORGOTTEN_AFTER = timedelta(days=1)
"""A healing of which nothing more is told is not open for ever."""
ALL_PERCENT = 100
"""Of a namespace's workloads: no limit, also where several healings of one workload are open."""
_MISSED_AFTER = timedelta(minutes=2)
"""Who does not come this long after the appointed moment does not wait any more: it recovered, or a person came."""
_OPEN = frozenset({Phase.ACTING, Phase.VERIFYING, Phase.REVERTING})


class Scope(StrEnum):
    """What a budget is of."""

    WORKLOAD = "workload"
    NODE = "node"
    NAMESPACE = "namespace"
    CLUSTER = "cluster"


@dataclass(frozen=True, slots=True)
class Place:
    """Where a healing is: its workload, and the node that it is about, or whose pod is touched."""

    workload: WorkloadRef
    node: str = ""

    def of(self, scope: Scope) -> str:
        """Return its name within a scope; empty where it lies in none of this kind."""
        match scope:
            case Scope.WORKLOAD:
                return self.workload.key
            case Scope.NODE:
                return self.node
            case Scope.NAMESPACE:
                return self.workload.namespace
            case Scope.CLUSTER:
                return "all"


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """How many healings may be done in an hour, and how many may be open at once; percents are of what is there."""

    per_hour: Mapping[Scope, int]
    at_once: Mapping[Scope, int]
    namespace_percent: int
    nodes_percent: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Census:
    """Where a command would act, and how much there is of what it would take a part of; 0 where nobody can tell."""

    place: Place
    workloads: int = 0
    nodes: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Spent:
    """What one command took. It is open while its cure is neither proven nor given up."""

    command: str
    incident: str
    at: datetime
    place: Place
    token: int
    is_open: bool = True
    is_given_back: bool = False


@dataclass(frozen=True, slots=True)
class Spendings:
    """All that counts, by command."""

    by_command: Mapping[str, Spent] = field(default_factory=dict[str, Spent])

    def with_told(self, told: Spending) -> "Spendings":
        """Return what counts after one more message of the topic."""
        known = self.by_command.get(told.command)
        if known is not None and (told.token, told.at) < (known.token, known.at):
            return self  # also a copy of one that gave back, of who took it up again since
        return Spendings({**self.by_command, told.command: _spent(told)})

    def with_incident(self, incident: Incident) -> "Spendings":
        """Return what counts when an incident is known to stand where it does."""
        over = {
            name: replace(one, is_open=False)
            for name, one in self.by_command.items()
            if one.is_open and one.incident == incident.id and is_over(name, incident)
        }
        return Spendings({**self.by_command, **over}) if over else self

    def at(self, now: datetime) -> "Spendings":
        """Return what counts still at a moment."""
        kept = {name: one for name, one in self.by_command.items() if now - one.at < FORGOTTEN_AFTER}
        return self if len(kept) == len(self.by_command) else Spendings(kept)

    @property
    def open_count(self) -> int:
        """Return how many healings are open."""
        return sum(one.is_open and not one.is_given_back for one in self.by_command.values())

    def others(self, command: str) -> list[Spent]:
        """Return what others than a command took: what is delivered again is not stopped by itself."""
        return [one for name, one in self.by_command.items() if name != command and not one.is_given_back]


def is_over(command: str, incident: Incident) -> bool:
    """Tell whether a command's cure is proven or given up, as its incident tells; not from before it was ordered."""
    if not any(step.command == command for step in incident.steps):
        return False
    newest = incident.steps[-1]
    return incident.phase not in _OPEN or command not in {newest.command, newest.reverts}


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """Whether a command must wait: by which reason, by what figures, how long, and behind whom it stands in line."""

    refusal: Refusal | None = None
    figures: str = ""
    retry_after: timedelta | None = None
    line: str = ""


GO = Verdict()


@dataclass(frozen=True, slots=True, kw_only=True)
class Waiting:
    """An incident that the brake told to come again."""

    line: str
    severity: Severity
    since: datetime
    until: datetime


@dataclass(frozen=True, slots=True)
class Line:
    """Who waits, by incident. A leader that is new forms it anew: it says who goes first, and grants nothing."""

    by_incident: Mapping[str, Waiting] = field(default_factory=dict[str, Waiting])

    def ahead_of(self, command: Command, line: str, now: datetime) -> int:
        """Return how many stand before a command in a line: the more severe, then those who waited longer."""
        since = self._since(command, line, now)
        mine = (-severity_of(command).urgency, since, command.incident)
        return sum(
            (-one.severity.urgency, one.since, name) < mine
            for name, one in self.by_incident.items()
            if name != command.incident and one.line == line and now < one.until + _MISSED_AFTER
        )

    def after(self, command: Command, verdict: Verdict, now: datetime) -> "Line":
        """Return the line after a verdict on a command."""
        kept = {
            name: one
            for name, one in self.by_incident.items()
            if name != command.incident and now < one.until + _MISSED_AFTER
        }
        if verdict.retry_after is not None:
            kept[command.incident] = Waiting(
                line=verdict.line,
                severity=severity_of(command),
                since=self._since(command, verdict.line, now),
                until=now + verdict.retry_after,
            )
        return Line(kept)

    def _since(self, command: Command, line: str, now: datetime) -> datetime:
        known = self.by_incident.get(command.incident)
        return known.since if known is not None and known.line == line else now


def judge(
    spendings: Spendings, command: Command, *, limits: Limits, census: Census, now: datetime, line: Line
) -> Verdict:
    """Return whether a healing may begin now; what undoes a harm always may."""
    if command.eases:
        return GO
    taken = spendings.at(now).others(command.id)
    opened = [one for one in taken if one.is_open and one.incident != command.incident]  # it orders one after the other
    stops = [*_over_budget(taken, limits, census.place, now=now), *_too_many_open(opened, limits, census)]
    if not stops:
        return GO
    first = max(stops, key=lambda one: one.wait(0))
    ahead = line.ahead_of(command, first.line, now)
    figures = f"{first.figures}{f', {ahead} before it in line' if ahead else ''}"
    return Verdict(refusal=first.refusal, figures=figures, retry_after=first.wait(ahead), line=first.line)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Stop:
    """One limit that is reached; `opens` are the waits until places come free, each of them again `every` so long."""

    refusal: Refusal
    line: str
    figures: str
    opens: tuple[timedelta, ...]
    every: timedelta

    def wait(self, ahead: int) -> timedelta:
        """Return how long to wait where so many go before."""
        return self.opens[ahead % len(self.opens)] + self.every * (ahead // len(self.opens))


_BUDGETS = {
    Scope.WORKLOAD: Refusal.BUDGET_WORKLOAD,
    Scope.NODE: Refusal.BUDGET_NODE,
    Scope.NAMESPACE: Refusal.BUDGET_NAMESPACE,
    Scope.CLUSTER: Refusal.BUDGET_CLUSTER,
}
_AT_ONCE = {
    Scope.NODE: Refusal.AT_ONCE_NODE,
    Scope.NAMESPACE: Refusal.AT_ONCE_NAMESPACE,
    Scope.CLUSTER: Refusal.AT_ONCE_CLUSTER,
}


def _over_budget(taken: Iterable[Spent], limits: Limits, place: Place, *, now: datetime) -> Iterator[_Stop]:
    recent = [one for one in taken if now - one.at < HOUR]
    for scope, refusal in _BUDGETS.items():
        limit, ends = limits.per_hour[scope], sorted(one.at + HOUR for one in _within(recent, place, scope))
        if len(ends) >= limit:
            yield _Stop(
                refusal=refusal,
                line=f"{refusal} {place.of(scope)}",
                figures=f"{len(ends)} of {limit} in the last hour",
                opens=tuple(end - now for end in ends[len(ends) - limit :]),
                every=HOUR,
            )


def _too_many_open(opened: Sequence[Spent], limits: Limits, census: Census) -> Iterator[_Stop]:
    place = census.place
    for scope, refusal in _AT_ONCE.items():
        limit, found = _at_once(limits, scope, census), len(_within(opened, place, scope))
        if found >= limit:
            yield _full(refusal, f"{found} of {limit} at once", limit=limit, where=place.of(scope))
    touched = {one.place.node for one in opened if one.place.node}
    most = share(limits.nodes_percent, census.nodes)
    if place.node and place.node not in touched and len(touched) >= most:
        figures = f"{len(touched)} of {most} nodes at once"
        yield _full(Refusal.AT_ONCE_NODES, figures, limit=most, where=Place(place.workload).of(Scope.CLUSTER))


def _full(refusal: Refusal, figures: str, *, limit: int, where: str) -> _Stop:
    return _Stop(
        refusal=refusal, line=f"{refusal} {where}", figures=figures, opens=(LOOK_AGAIN,) * limit, every=LOOK_AGAIN
    )


def _at_once(limits: Limits, scope: Scope, census: Census) -> int:
    limit = limits.at_once[scope]
    if scope is not Scope.NAMESPACE or limits.namespace_percent == ALL_PERCENT:
        return limit
    return min(limit, share(limits.namespace_percent, census.workloads))


def share(percent: int, total: int) -> int:
    """Return a part of a total in whole ones; never below 1, or nothing small could ever be healed."""
    return max(1, total * percent // 100)


def _within(taken: Iterable[Spent], place: Place, scope: Scope) -> list[Spent]:
    name = place.of(scope)
    return [one for one in taken if one.place.of(scope) == name] if name else []


def _spent(told: Spending) -> Spent:
    return Spent(
        command=told.command,
        incident=told.incident,
        at=told.at,
        place=Place(told.workload, told.node),
        token=told.token,
        is_given_back=told.given_back,
    )
