"""What a rule has counted so far about one subject, and whether that is enough; pure, in the signals' own time.

A window ends at the latest signal that was told, and reaches back `within`. What time alone decides (`for`, `without`)
is proven by signals, or by nothing else having been told for so long after the signal came.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from itertools import pairwise

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


@dataclass(frozen=True, slots=True)
class Hit:
    """One signal that counts: its moment, and when it came (inbox time) where that matters.

    `value` is what a distinct count counts, `amount` what a rate is of, `object` what the amount is a number of.
    """

    at: Moment
    signal: str
    told: Moment | None = None
    value: str = ""
    amount: float = 0.0
    object: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """One object's trouble: `since` when it holds, until `at` by what was told; `told` is when that began to come.

    `told` is of the inbox's time, the others are the signals'. None where it does not hold; `over` is the latest moment
    of which that was told.
    """

    object: str
    since: Moment | None = None
    at: Moment | None = None
    told: Moment | None = None
    over: Moment | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Tally:
    """What a rule has counted; `finding` is the newest, kept where its incident may open without another.

    `barred` is why an incident that is due was not opened, once that was said, `suppressed_by` what held it back.
    """

    hits: tuple[Hit, ...] = ()
    partners: tuple[Hit, ...] = ()
    held: tuple[Held, ...] = ()
    finding: Finding | None = None
    barred: Reason | None = None
    suppressed_by: str = ""

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


def key_of(rule: str, group: str) -> str:
    """Return what a rule's tally is known by: each group of a subject is counted apart."""
    return f"{rule}/{group}" if group else rule


def rule_of_key(key: str) -> str:
    """Return the rule whose tally is known by a key."""
    return key.partition("/")[0]


def with_finding(tally: Tally, finding: Finding, *, words: RuleWords, now: datetime) -> Tally:
    """Return the tally with a finding; one signal counts once, however often it came."""
    moment = _moment(finding, now)
    if words.held_for is not None:
        silence = FRESH if words.signal == "sample" else timedelta.max
        held = _held_with(tally.held, object_of(finding.signal), moment, now=now, silence=silence)
        return replace(_newest(tally, finding), held=held)
    hit = _hit(finding, words=words, moment=moment, now=now)
    if hit is None:
        return tally
    hits = _with(tally.hits, hit)
    if words.without is not None:
        return _answered(replace(_newest(tally, finding), hits=hits[:MOST_COUNTED]), words.without)
    counted = replace(tally, hits=_needed(_within(hits, words.window.within), words.window))
    return counted if words.after is None else _newest(counted, finding)


def with_observation(tally: Tally, seen: Observation, *, words: RuleWords, now: datetime) -> Tally:
    """Return the tally with what a signal says beside the trouble."""
    moment, partner = _moment(seen, now), words.after or words.without
    if words.held_for is not None and not seen.holds:
        ended = (_ended(held, object_of(seen.signal), moment, now=now) for held in tally.held)
        return replace(tally, held=tuple(ended))
    return tally if partner is None or not seen.holds else _with_partner(tally, seen, words=words, moment=moment)


def lacking(tally: Tally, *, words: RuleWords, now: datetime) -> Lacking | None:
    """Return what is lacking for an incident; None where nothing is."""
    if words.held_for is not None:
        return _not_held(tally, words.held_for, is_sampled=words.signal == "sample", now=now)
    if words.without is not None:
        return _awaited(tally, words.without, now=now)
    hits = tally.hits if words.after is None else _preceded(tally, words.after)
    if not hits:
        return Lacking(Reason.NOT_PRECEDED)
    return _too_few(hits, words.window)


def _moment(entry: Finding | Observation, now: datetime) -> datetime:
    return entry.at if entry.at <= now + AHEAD else now


def _with_partner(tally: Tally, seen: Observation, *, words: RuleWords, moment: datetime) -> Tally:
    counted = words.after.within + words.window.within if words.after else timedelta(0)
    waited = words.without.within if words.without else timedelta(0)
    partners = _within(_with(tally.partners, Hit(moment, seen.signal.id)), counted + waited + LATE)
    reached = replace(tally, partners=partners[-MOST_COUNTED:])
    return reached if words.without is None else _answered(reached, words.without)


def _newest(tally: Tally, finding: Finding) -> Tally:
    known = tally.finding
    return tally if known is not None and known.at > finding.at else replace(tally, finding=finding)


def _hit(finding: Finding, *, words: RuleWords, moment: datetime, now: datetime) -> Hit | None:
    """Return what a finding counts for; None where it is of an earlier wording, and carries no number for a rate."""
    window, signal = words.window, finding.signal
    hit = Hit(moment, signal.id, told=now if words.without else None)
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
    zero = timedelta(0)
    return [hit for hit in tally.hits if any(zero <= hit.at - partner.at <= after.within for partner in tally.partners)]


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
    if not tally.hits:
        return Lacking(Reason.CAME_IN_TIME)
    until = min(hit.told or hit.at for hit in tally.hits) + without.within
    if now >= until:
        return None
    return Lacking(Reason.STILL_AWAITED, f"within {format_duration(without.within)}", until)


def _held_with(
    held: Sequence[Held], name: str, moment: datetime, *, now: datetime, silence: timedelta
) -> tuple[Held, ...]:
    """Return what is held with one more moment of it; a longer silence than `silence` is the end of what held."""
    known = {one.object: one for one in held}
    known[name] = _held_on(known.get(name, Held(object=name)), moment, now=now, silence=silence)
    kept = sorted(_not_forgotten(known.values(), moment), key=lambda one: one.at or one.over or moment)
    return tuple(sorted(kept[-MOST_COUNTED:], key=lambda one: one.object))


def _held_on(held: Held, moment: datetime, *, now: datetime, silence: timedelta) -> Held:
    """Return what is held after it was told that there is trouble; a moment by which it was over says nothing."""
    if held.over is not None and moment <= held.over:
        return held
    if held.since is not None and held.since - moment > silence:
        return held
    if held.since is None or held.at is None or moment - held.at > silence:
        return replace(held, since=moment, at=moment, told=now)
    return replace(held, since=min(held.since, moment), at=max(held.at, moment))


def _ended(held: Held, name: str, moment: datetime, *, now: datetime) -> Held:
    """Return what is held after it was told that the trouble of an object, or of all within it, is over."""
    if held.object != name and not held.object.startswith(f"{name}/"):
        return held
    over = max(held.over or moment, moment)
    if held.since is None or held.at is None or moment < held.since:
        return replace(held, over=over)
    if moment >= held.at:
        return Held(object=held.object, over=over)
    return replace(held, since=held.at, told=now, over=over)  # told late: it has held again by then


def _not_forgotten(held: Iterable[Held], moment: datetime) -> Iterator[Held]:
    """Yield what holds, and what is over for so short a time that something late may be about it."""
    for one in held:
        if one.since is not None or (one.over is not None and moment - one.over < LATE):
            yield one


def _not_held(tally: Tally, holds_for: timedelta, *, is_sampled: bool, now: datetime) -> Lacking | None:
    runs = [(one.since, one.at, one.told) for one in tally.held if one.since and one.at and one.told]
    alive = [(since, at, told) for since, at, told in runs if not is_sampled or now - at <= FRESH]
    if not alive:
        return Lacking(Reason.NO_LONGER_HELD)
    if any(at - since >= holds_for or now - told >= holds_for for since, at, told in alive):
        return None
    begun = min(told for _, _, told in alive)
    detail = f"{format_duration(now - begun)} of {format_duration(holds_for)}"
    return Lacking(Reason.HELD_TOO_SHORT, detail, begun + holds_for)
