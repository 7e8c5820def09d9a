"""What a rule has counted so far about one subject, and whether that is enough; pure, in the signals' own time.

A window ends at the latest signal that was told, and reaches back `within`. What time alone decides (`for`, `without`)
is proven by signals, or by nothing else having been told for so long after the signal came.
"""

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from itertools import pairwise
from typing import NamedTuple

from services.decider.core.clauses import fact_of
from services.decider.core.grouping import object_of
from services.decider.core.language import MOST_COUNTED, Partner, RuleWords, Window
from shared.contracts.inbox import Finding, Observation
from shared.contracts.incidents import Reason
from shared.contracts.model import Moment
from shared.contracts.signals import facts_of
from shared.kernel.durations import format_duration

AHEAD = timedelta(minutes=5)
"""How far a signal's clock may be ahead of the inbox; one that is further counts as of when it came."""
LATE = timedelta(minutes=5)
"""How much later than what it belongs to a signal may be told and still find it."""
FRESH = timedelta(minutes=5)
"""How long a sample counts as what still is; Prometheus itself looks back as far."""
MOST_SHOWN = 64
"""Of how many objects or signals of a rule and group the finding is kept: each has one or two kilobytes, and all of
them are written with whatever changes one."""


@dataclass(frozen=True, slots=True)
class Hit:
    """One signal that counts: its moment, and when it came (inbox time) where that matters.

    `value` is what a distinct count counts, `amount` what a rate is of, `object` what the amount is a number of.
    `finding` is what told it, where an incident may open without being told anything more of it.
    """

    at: Moment
    signal: str
    told: Moment | None = None
    value: str = ""
    amount: float = 0.0
    object: str = ""
    finding: Finding | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """One object's trouble: `since` when it holds, until `at` by what was told; `told` is when that began to come.

    `told` is of the inbox's time, the others are the signals'. None where it does not hold; `over` is the latest moment
    of which that was told. `finding` is the newest that told of the trouble, and what is done about it.
    """

    object: str
    since: Moment | None = None
    at: Moment | None = None
    told: Moment | None = None
    over: Moment | None = None
    finding: Finding | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Tally:
    """What a rule has counted, under the words that `counting` names.

    An earlier version kept the newest `finding` here, whichever object it was of. `touched` is when it last changed
    (inbox time), None in what a former release kept.
    `barred` is why an incident that is due was not opened, once that was said, `suppressed_by` what held it back.
    """

    hits: tuple[Hit, ...] = ()
    partners: tuple[Hit, ...] = ()
    held: tuple[Held, ...] = ()
    counting: str = ""
    finding: Finding | None = None
    barred: Reason | None = None
    suppressed_by: str = ""
    touched: Moment | None = None

    @property
    def is_empty(self) -> bool:
        """Tell whether nothing would be lost with it."""
        return not (self.hits or self.partners or self.held)


@dataclass(frozen=True, slots=True)
class Lacking:
    """Why it is not enough; `until` is the moment (inbox time) at which time alone would make it enough."""

    reason: Reason
    detail: str = ""
    until: Moment | None = None


def is_spent(tally: Tally, *, words: RuleWords, now: datetime) -> bool:
    """Tell whether nothing that comes in time can still need what was counted.

    It is asked by the inbox' time alone: signals that come late together, as after an outage, still find each other.
    """
    if tally.touched is None or now - tally.touched <= _needed_for(words) + LATE:
        return False
    lasts = words.signal != "sample" and any(one.since is not None for one in tally.held)
    return not lasts and not (words.without is not None and tally.hits)


def touched(before: Tally, after: Tally, *, now: datetime) -> Tally:
    """Return a tally with the moment at which it has changed, if it has."""
    return after if after == before else replace(after, touched=now)


def key_of(rule: str, group: str) -> str:
    """Return what a rule's tally is known by: each group of a subject is counted apart."""
    return f"{rule}/{group}" if group else rule


def rule_of_key(key: str) -> str:
    """Return the rule whose tally is known by a key."""
    return key.partition("/")[0]


def with_finding(tally: Tally, finding: Finding, *, words: RuleWords, now: datetime) -> Tally:
    """Return the tally with a finding; one signal counts once, however often it came."""
    moment = finding.at
    if words.held_for is not None:
        return replace(tally, held=_held_with(tally.held, finding, moment, now=now, silence=_silence(words)))
    hit = _hit(finding, words=words, moment=moment, now=now)
    if hit is None:
        return tally
    hits = _with(tally.hits, hit)
    if words.without is not None:
        return _answered(replace(tally, hits=hits[:MOST_SHOWN]), words.without)
    counted = replace(tally, hits=_needed(_within(hits, words.window.within), words.window))
    return counted if words.after is None else _showing_least(counted, words.after)


def with_observation(tally: Tally, seen: Observation, *, words: RuleWords, now: datetime) -> Tally:
    """Return the tally with what a signal says beside the trouble."""
    moment, partner = seen.at, words.after or words.without
    if words.held_for is not None and not seen.holds:
        ended = (_ended(held, object_of(seen.signal), moment, now=now) for held in tally.held)
        return replace(tally, held=tuple(ended))
    return tally if partner is None or not seen.holds else _with_partner(tally, seen, words=words, moment=moment)


def lacking(tally: Tally, *, words: RuleWords, now: datetime) -> Lacking | None:
    """Return what is lacking for an incident; None where nothing is."""
    if words.held_for is not None:
        return _not_held(tally, words.held_for, silence=_silence(words), now=now)
    if words.without is not None:
        return _awaited(tally, words.without, now=now)
    if words.after is None:
        return _too_few(tally.hits, words.window)
    hits = _preceded(tally, words.after)
    return _too_few(hits, words.window) if any(hit.finding for hit in hits) else Lacking(Reason.NOT_PRECEDED)


def due(tally: Tally, *, words: RuleWords, now: datetime) -> list[Finding]:
    """Return the findings of all that is enough for an incident; first what was so first, of what is preceded the last.

    A window without a partner has none: it is the finding with which it is reached that opens.
    """
    if words.held_for is not None:
        runs = _runs(tally.held, silence=_silence(words), now=now)
        return [run.finding for run in runs if run.has_held(words.held_for, now=now)]
    if words.without is not None:
        return [one.finding for one in _questions(tally) if now >= one.told + words.without.within]
    if words.after is None or lacking(tally, words=words, now=now) is not None:
        return []
    return [hit.finding for hit in reversed(_preceded(tally, words.after)) if hit.finding is not None]


def due_next(tally: Tally, *, words: RuleWords, now: datetime) -> datetime | None:
    """Return the next moment (inbox time) at which time alone makes something more due."""
    if words.held_for is not None:
        runs = _runs(tally.held, silence=_silence(words), now=now)
        moments = [run.told + words.held_for for run in runs if not run.has_held(words.held_for, now=now)]
    else:
        moments = [one.told + words.without.within for one in _questions(tally)] if words.without is not None else []
    return min((moment for moment in moments if moment > now), default=None)


def acted_on(
    tallies: Iterable[Tally], before: Finding | None, told: Finding, *, words: RuleWords, now: datetime
) -> Finding:
    """Return what an open incident acts on once its rule is told again, which `tallies` have counted already.

    It is the newest that is told, but where time or a partner decides: then it is what was due as long as that goes
    on, after that what has held longest.
    """
    newest = told if before is None or told.at >= before.at else before
    if before is None:
        return newest
    if words.held_for is not None:
        return longest_held(tallies, before, words=words, now=now) or newest
    if words.without is not None:
        return newest if object_of(told.signal) == object_of(before.signal) else before
    if words.after is not None:
        return newest if any(_comes_after(told.at, one, words.after) for one in tallies) else before
    return newest


def longest_held(tallies: Iterable[Tally], before: Finding, *, words: RuleWords, now: datetime) -> Finding | None:
    """Return the newest finding of its object while that holds, else that of what has held longest, if anything."""
    held = [one for tally in tallies for one in tally.held]
    runs = _runs(held, silence=_silence(words), now=now)
    same = (run.finding for run in runs if run.object == object_of(before.signal))
    return next(same, runs[0].finding if runs else None)


def without_objects(tally: Tally, names: Collection[str]) -> Tally:
    """Return what lasts of other objects than those of these names and what is within them; nothing bars it yet."""
    held = (one for one in tally.held if not any(_is_within(one.object, name) for name in names))
    return Tally(held=tuple(held), counting=tally.counting, touched=tally.touched)


def with_its_finding(tally: Tally) -> Tally:
    """Return a tally of an earlier version with its newest finding where it belongs: at the object that it is of."""
    finding = tally.finding
    if finding is None:
        return tally
    held = (replace(one, finding=finding) if one.object == object_of(finding.signal) else one for one in tally.held)
    hits = (replace(hit, finding=finding) if hit.signal == finding.signal.id else hit for hit in tally.hits)
    return replace(tally, held=tuple(held), hits=tuple(hits), finding=None)


class _Run(NamedTuple):
    """What is told of one object, or of one question: all that `Held` or `Hit` say where there is trouble."""

    object: str
    since: datetime
    at: datetime
    told: datetime
    finding: Finding

    def has_held(self, length: timedelta, *, now: datetime) -> bool:
        return self.at - self.since >= length or now - self.told >= length


def _runs(held: Iterable[Held], *, silence: timedelta, now: datetime) -> list[_Run]:
    """Return what holds by now, what began to be told first before all others."""
    runs = (
        _Run(one.object, one.since, one.at, one.told, one.finding)
        for one in held
        if one.since and one.at and one.told and one.finding and now - one.at <= silence
    )
    return sorted(runs, key=lambda run: (run.told, run.object))


def _questions(tally: Tally) -> list[_Run]:
    """Return what waits for an answer, what was told first before all others."""
    runs = (
        _Run(hit.object, hit.at, hit.at, hit.told or hit.at, hit.finding)
        for hit in tally.hits
        if hit.finding is not None
    )
    return sorted(runs, key=lambda run: (run.told, run.at, run.finding.signal.id))


def _needed_for(words: RuleWords) -> timedelta:
    """Return for how long what was counted may be needed: what lasts, and what waits for an answer, is not counted."""
    if words.held_for is not None:
        return FRESH
    if words.without is not None:
        return words.without.within
    return words.window.within + (words.after.within if words.after is not None else timedelta(0))


def _silence(words: RuleWords) -> timedelta:
    """Return for how long something holds of which nothing is told: for ever, but for samples."""
    return FRESH if words.signal == "sample" else timedelta.max


def _with_partner(tally: Tally, seen: Observation, *, words: RuleWords, moment: datetime) -> Tally:
    counted = words.after.within + words.window.within if words.after else timedelta(0)
    waited = words.without.within if words.without else timedelta(0)
    partners = _within(_with(tally.partners, Hit(moment, seen.signal.id)), counted + waited + LATE)
    reached = replace(tally, partners=partners[-MOST_COUNTED:])
    return reached if words.without is None else _answered(reached, words.without)


def _hit(finding: Finding, *, words: RuleWords, moment: datetime, now: datetime) -> Hit | None:
    """Return what a finding counts for; None where it is of an earlier wording, and carries no number for a rate."""
    window, signal = words.window, finding.signal
    shown = finding if words.without or words.after else None
    hit = Hit(moment, signal.id, told=now if words.without else None, finding=shown)
    if window.distinct:
        return replace(hit, value=str(fact_of(facts_of(signal), window.distinct)))
    if window.of:
        amount = _number(fact_of(facts_of(signal), window.of))
        return None if amount is None else replace(hit, amount=amount, object=object_of(signal))
    return hit


def _number(fact: object) -> float | None:
    try:
        return float(str(fact))
    except ValueError:
        return None


def _with(hits: Iterable[Hit], hit: Hit) -> tuple[Hit, ...]:
    known = {one.signal: one for one in hits}
    known.setdefault(hit.signal, hit)
    return tuple(sorted(known.values(), key=lambda one: (one.at, one.signal)))


def _within(hits: tuple[Hit, ...], within: timedelta) -> tuple[Hit, ...]:
    """Return the hits of the window that ends at the latest of them; one exactly as old as it is long is outside."""
    newest = max(hit.at for hit in hits)
    return tuple(hit for hit in hits if newest - hit.at < within)


def _needed(hits: tuple[Hit, ...], window: Window) -> tuple[Hit, ...]:
    """Return the hits that can still matter: of each different value the newest, and never more than are counted."""
    if window.distinct:
        hits = tuple(sorted({hit.value: hit for hit in hits}.values(), key=lambda hit: (hit.at, hit.signal)))
    return hits[-MOST_COUNTED:]


def _too_few(hits: Sequence[Hit], window: Window) -> Lacking | None:
    if window.rate is not None:
        found = _rate(hits, window)
        detail = f"{found:g} of {window.rate:g} per {format_duration(window.per)}"
        return None if found >= window.rate else Lacking(Reason.WINDOW_NOT_REACHED, detail)
    if len(hits) >= window.count:
        return None
    different = f" different {window.distinct}" if window.distinct else ""
    return Lacking(Reason.WINDOW_NOT_REACHED, f"{len(hits)} of {window.count}{different}")


def _rate(hits: Sequence[Hit], window: Window) -> float:
    total = sum(_increases(hits)) if window.of else float(len(hits))
    return total / (window.within / window.per)


def _increases(hits: Sequence[Hit]) -> Iterator[float]:
    """Yield by how much each object's number grew, as Prometheus counts `increase`: one that fell began anew at 0."""
    amounts: defaultdict[str, list[float]] = defaultdict(list)
    for hit in hits:
        amounts[hit.object].append(hit.amount)
    for told in amounts.values():
        for before, after in pairwise(told):
            yield after - before if after >= before else after


def _preceded(tally: Tally, after: Partner) -> list[Hit]:
    """Return the hits before which the partner came, at the same moment or at most `within` earlier."""
    return [hit for hit in tally.hits if _comes_after(hit.at, tally, after)]


def _comes_after(moment: datetime, tally: Tally, after: Partner) -> bool:
    return any(timedelta(0) <= moment - partner.at <= after.within for partner in tally.partners)


def _showing_least(tally: Tally, after: Partner) -> Tally:
    """Return the tally without the findings that will hardly open anything: the newest that are preceded will."""
    preceded = {hit.signal for hit in _preceded(tally, after)}
    ranked = sorted(tally.hits, key=lambda hit: (hit.signal in preceded, hit.at, hit.signal), reverse=True)
    shown = {hit.signal for hit in ranked[:MOST_SHOWN]}
    return replace(tally, hits=tuple(hit if hit.signal in shown else replace(hit, finding=None) for hit in tally.hits))


def _answered(tally: Tally, without: Partner) -> Tally:
    """Return the tally without the hits after which the partner came in time."""
    zero = timedelta(0)
    left = (
        hit
        for hit in tally.hits
        if not any(zero <= partner.at - hit.at <= without.within for partner in tally.partners)
    )
    return replace(tally, hits=tuple(left))


def _awaited(tally: Tally, without: Partner, *, now: datetime) -> Lacking | None:
    questions = _questions(tally)
    if not questions:
        return Lacking(Reason.CAME_IN_TIME)
    until = questions[0].told + without.within
    if now >= until:
        return None
    return Lacking(Reason.STILL_AWAITED, f"within {format_duration(without.within)}", until)


def _held_with(
    held: Sequence[Held], finding: Finding, moment: datetime, *, now: datetime, silence: timedelta
) -> tuple[Held, ...]:
    """Return what is held with one more moment of it; a longer silence than `silence` is the end of what held."""
    known, name = {one.object: one for one in held}, object_of(finding.signal)
    known[name] = _held_on(known.get(name, Held(object=name)), finding, moment, now=now, silence=silence)
    kept = [one for one in known.values() if one.since is not None]
    kept.sort(key=lambda one: (one.finding is None, now - (one.at or now) > silence, one.told or now, one.object))
    over = sorted(_just_over(known.values(), moment), key=lambda one: one.over or moment)
    return tuple(sorted((*kept[:MOST_SHOWN], *over[-MOST_COUNTED:]), key=lambda one: one.object))


def _held_on(held: Held, finding: Finding, moment: datetime, *, now: datetime, silence: timedelta) -> Held:
    """Return what is held after it was told that there is trouble; a moment by which it was over says nothing."""
    if held.over is not None and moment <= held.over:
        return held
    if held.since is not None and held.since - moment > silence:
        return held
    if held.since is None or held.at is None or moment - held.at > silence:
        return replace(held, since=moment, at=moment, told=now, finding=finding)
    newest = finding if moment >= held.at or held.finding is None else held.finding
    return replace(held, since=min(held.since, moment), at=max(held.at, moment), finding=newest)


def _ended(held: Held, name: str, moment: datetime, *, now: datetime) -> Held:
    """Return what is held after it was told that the trouble of an object, or of all within it, is over."""
    if not _is_within(held.object, name):
        return held
    over = max(held.over or moment, moment)
    if held.since is None or held.at is None or moment < held.since:
        return replace(held, over=over)
    if moment >= held.at:
        return Held(object=held.object, over=over)
    return replace(held, since=held.at, told=now, over=over)  # told late: it has held again by then


def _is_within(name: str, outer: str) -> bool:
    """Tell whether an object is another, or a container of that pod."""
    return name == outer or name.startswith(f"{outer}/")


def _just_over(held: Iterable[Held], moment: datetime) -> Iterator[Held]:
    """Yield what is over for so short a time that something late may be about it."""
    for one in held:
        if one.since is None and one.over is not None and moment - one.over < LATE:
            yield one


def _not_held(tally: Tally, holds_for: timedelta, *, silence: timedelta, now: datetime) -> Lacking | None:
    runs = _runs(tally.held, silence=silence, now=now)
    if not runs:
        return Lacking(Reason.NO_LONGER_HELD)
    if any(run.has_held(holds_for, now=now) for run in runs):
        return None
    begun = runs[0].told
    detail = f"{format_duration(now - begun)} of {format_duration(holds_for)}"
    return Lacking(Reason.HELD_TOO_SHORT, detail, begun + holds_for)
