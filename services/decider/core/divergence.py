"""Where two courses of one log part: decisions that came, went or changed, each with its rule and its incident.

Of an incident all that is told after its first difference follows from it, and so does all of a workload after the
first command that one course has alone: the cluster that the log tells of is another one from there. What nobody can
know (a result, or a person's answer, to what was never asked) ends the telling of an incident.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from difflib import SequenceMatcher
from enum import StrEnum

from services.decider.core.rehearsal import Chosen, IncidentKey, Rehearsal
from shared.contracts.actions import Action
from shared.contracts.incidents import Reason

_NOTHING_CAME = frozenset({Reason.RESULT_MISSING, Reason.APPROVAL_EXPIRED})
_Place = tuple[IncidentKey, bool]
_Words = tuple[Reason, str, int | None, int | None, Action | None, datetime]


class Change(StrEnum):
    """What became of a decision, or of an incident."""

    ADDED = "added"
    LOST = "lost"
    CHANGED = "changed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Divergence:
    """One decision that is not on both sides; `follows` says that it rests on an earlier one."""

    change: Change
    workload: str
    rule: str
    incident: IncidentKey | None
    before: Chosen | None
    after: Chosen | None
    follows: bool

    @property
    def at(self) -> datetime:
        """Return when it was made, or would have been."""
        sides = [side.decision.at for side in (self.before, self.after) if side is not None]
        return min(sides)


@dataclass(frozen=True, slots=True, kw_only=True)
class IncidentChange:
    """An incident that is not the same on both sides; `unknown` says that nobody knows how it would have ended."""

    change: Change
    incident: IncidentKey
    before: str | None
    after: str | None
    at: datetime
    unknown: bool


@dataclass(frozen=True, slots=True)
class Parting:
    """All differences of a log, in the order of time."""

    decisions: Sequence[Divergence]
    incidents: Sequence[IncidentChange]


def parting_of(rehearsals: Iterable[Rehearsal]) -> Parting:
    """Return how the courses differ; the same course twice does not."""
    found = [thread for rehearsal in rehearsals for thread in _threads_of(rehearsal)]
    parted = _parted(found)
    decisions: list[Divergence] = []
    incidents: list[IncidentChange] = []
    for thread in found:
        differing = list(_differing(thread, parted=parted.get(thread.workload)))
        decisions += differing
        if differing and thread.incident is not None:
            incidents.append(_incident(thread, thread.incident))
    return Parting(sorted(decisions, key=lambda one: one.at), sorted(incidents, key=lambda one: one.at))


@dataclass(slots=True)
class Tally:
    """How many differences a rule has, by what became of them; of actions those that change the cluster."""

    incidents: Counter[Change] = field(default_factory=Counter[Change])
    decisions: Counter[Change] = field(default_factory=Counter[Change])
    actions: Counter[Change] = field(default_factory=Counter[Change])


def tallies_of(parting: Parting) -> dict[str, Tally]:
    """Return the differences of each rule that has some, counted."""
    tallies: defaultdict[str, Tally] = defaultdict(Tally)
    for incident in parting.incidents:
        tallies[incident.incident[1]].incidents[incident.change] += 1
    for one in parting.decisions:
        tallies[one.rule].decisions[one.change] += 1
        tallies[one.rule].actions.update(_actions(one))
    return dict(sorted(tallies.items()))


def _actions(one: Divergence) -> Iterator[Change]:
    if _acts(one.before) and not _acts(one.after):
        yield Change.LOST
    if _acts(one.after) and not _acts(one.before):
        yield Change.ADDED


def _acts(side: Chosen | None) -> bool:
    return side is not None and side.decision.reason is Reason.ACTION_ORDERED


def within(parting: Parting, *, begin: datetime | None, end: datetime | None) -> Parting:
    """Return what of a parting lies in a time."""

    def holds(moment: datetime) -> bool:
        return (begin is None or moment >= begin) and (end is None or moment < end)

    return Parting(
        [one for one in parting.decisions if holds(one.at)], [one for one in parting.incidents if holds(one.at)]
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Thread:
    """Decisions that belong together on both sides: of one incident, or about one input that is of none."""

    workload: str
    rule: str
    incident: IncidentKey | None
    before: Sequence[Chosen]
    after: Sequence[Chosen]

    @property
    def unanswered(self) -> Chosen | None:
        """Return what the other side asks last, if the log can have no answer to it: it never asked that."""
        asked = {_words(one) for one in self.before}
        last = next((one for one in reversed(self.after) if one.decision.reason is not Reason.REPEATED_FINDING), None)
        return last if last is not None and _asks(last) and _words(last) not in asked else None


def _threads_of(rehearsal: Rehearsal) -> list[_Thread]:
    before, after = _gathered(rehearsal.before), _gathered(rehearsal.after)
    return [_thread(place, before.get(place, []), after.get(place, [])) for place in {**before, **after}]


def _gathered(chosen: Iterable[Chosen]) -> dict[_Place, list[Chosen]]:
    places: defaultdict[_Place, list[Chosen]] = defaultdict(list)
    for one in chosen:
        places[_place_of(one)].append(one)
    return dict(places)


def _place_of(one: Chosen) -> _Place:
    """Return what a decision belongs to; one that only says that another rule's incident is open stands by itself."""
    decision = one.decision
    if one.incident is not None and decision.rule == one.incident[1]:
        return one.incident, True
    return (decision.workload.key, decision.rule, one.cause), False


def _thread(place: _Place, before: Sequence[Chosen], after: Sequence[Chosen]) -> _Thread:
    (workload, rule, cause), is_incident = place
    return _Thread(
        workload=workload,
        rule=rule,
        incident=(workload, rule, cause) if is_incident else None,
        before=before,
        after=_known(after, before),
    )


def _known(after: Sequence[Chosen], before: Sequence[Chosen]) -> Sequence[Chosen]:
    """Return a side up to where nothing came that could have come: there it is not known how it would have gone on."""
    asked, is_known = {_words(one) for one in before if _asks(one)}, True
    for place, one in enumerate(after):
        if _asks(one):
            is_known = _words(one) in asked
        elif one.decision.reason in _NOTHING_CAME and not is_known:
            return after[:place]
    return after


def _asks(one: Chosen) -> bool:
    """Tell whether a decision waits for a result, or for a person."""
    return one.action is not None or one.decision.reason is Reason.APPROVAL_REQUIRED


def _words(one: Chosen) -> _Words:
    decision = one.decision
    return decision.reason, decision.rule, decision.step, decision.attempt, one.action, decision.at


def _parted(threads: Iterable[_Thread]) -> dict[str, datetime]:
    """Return by workload from when on the cluster would have been another one, or cannot be known."""
    found: dict[str, datetime] = {}
    for thread in threads:
        for moment in _partings_of(thread):
            found[thread.workload] = min(moment, found.get(thread.workload, moment))
    return found


def _partings_of(thread: _Thread) -> Iterator[datetime]:
    before, after = ({_words(one) for one in side if one.action} for side in (thread.before, thread.after))
    for one in (*thread.before, *thread.after):
        if one.action and not (_words(one) in before and _words(one) in after):
            yield one.decision.at
    if thread.unanswered is not None:
        yield thread.unanswered.decision.at


def _differing(thread: _Thread, *, parted: datetime | None) -> Iterator[Divergence]:
    """Yield the differences of a thread; what both sides have in the same order is none."""
    before, after = thread.before, thread.after
    is_first = True
    for tag, begin, end, mine, mine_end in _compared(before, after):
        for one, other in _paired(before[begin:end], after[mine:mine_end]) if tag != "equal" else ():
            found = _divergence(thread, one, other)
            follows = not is_first or (parted is not None and found.at > parted)
            yield replace(found, follows=follows)
            is_first = False


def _compared(before: Sequence[Chosen], after: Sequence[Chosen]) -> Sequence[tuple[str, int, int, int, int]]:
    one, other = [_words(chosen) for chosen in before], [_words(chosen) for chosen in after]
    return SequenceMatcher(None, one, other, autojunk=False).get_opcodes()


def _paired(before: Sequence[Chosen], after: Sequence[Chosen]) -> Iterator[tuple[Chosen | None, Chosen | None]]:
    for place in range(max(len(before), len(after))):
        yield before[place] if place < len(before) else None, after[place] if place < len(after) else None


def _divergence(thread: _Thread, before: Chosen | None, after: Chosen | None) -> Divergence:
    return Divergence(
        change=_change(before, after),
        workload=thread.workload,
        rule=thread.rule,
        incident=thread.incident,
        before=before,
        after=after,
        follows=False,
    )


def _incident(thread: _Thread, key: IncidentKey) -> IncidentChange:
    first = [side[0].decision if side else None for side in (thread.before, thread.after)]
    return IncidentChange(
        change=_change(*first),
        incident=key,
        before=first[0].incident if first[0] else None,
        after=first[1].incident if first[1] else None,
        at=min(one.at for one in first if one is not None),
        unknown=thread.unanswered is not None,
    )


def _change(before: object | None, after: object | None) -> Change:
    if before is None:
        return Change.ADDED
    return Change.LOST if after is None else Change.CHANGED
