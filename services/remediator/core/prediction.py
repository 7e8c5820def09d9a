"""Prediction: what a change would bring about, from what was asked of a cluster and what it holds. Pure.

What could not be read is not judged, and said so: nothing is said to fit because nothing was known.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from services.remediator.core.bounding import (
    Size,
    barred_by,
    budgets_left,
    defaults_of,
    is_scoped,
    quotas_left,
    words_of_quota,
)
from services.remediator.core.evidence import name_of
from services.remediator.core.fitting import held_by, needs_of, not_judged, room_on, told
from services.remediator.core.rollouts import Rollout, eviction, is_ready, lowest_available, rollout
from shared.contracts.actions.base import Written
from shared.contracts.actions.ownership import scaler_of
from shared.contracts.model import JsonObject
from shared.contracts.objects import section, text
from shared.contracts.predictions import MOST_NAMED, Prediction, QuotaLeft, Room
from shared.contracts.requests import Create, Delete, Patch
from shared.contracts.workloads import WorkloadRef

_EVICTION = "eviction"


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """What was read of a cluster for a prediction; None is what could not be read, and `notes` say why."""

    workload: JsonObject | None = None
    pods: Sequence[JsonObject] | None = None
    sets: Sequence[JsonObject] = ()
    nodes: Sequence[JsonObject] | None = None
    everywhere: Sequence[JsonObject] | None = None
    budgets: Sequence[JsonObject] | None = None
    quotas: Sequence[JsonObject] | None = None
    ranges: Sequence[JsonObject] | None = None
    scalers: Sequence[JsonObject] | None = None
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class _Change:
    """Which pods go, and of what specification they are before and after; `is_asked` where budgets must allow it."""

    rollout: Rollout
    before: JsonObject
    after: JsonObject
    is_asked: bool


def predicted(ref: WorkloadRef, written: Sequence[Written], seen: Seen) -> Prediction | None:
    """Return what writes would bring about; None where they touch no pod, or the pods are not known."""
    changes = [change for one in written if (change := _change(ref, one, seen)) is not None]
    return _foretold(ref, changes[-1], seen) if changes else None


def lines_of(prediction: Prediction) -> list[str]:
    """Return a prediction in words, line by line."""
    return [
        *(f"predicts: {line}" for line in _lines(prediction)),
        *(f"not judged: {note}" for note in prediction.notes),
    ]


def _change(ref: WorkloadRef, written: Written, seen: Seen) -> _Change | None:
    match written.request:
        case Create(path) if path.endswith(f"/{_EVICTION}"):
            return _gone(path.split("/")[-2], seen, is_asked=True)
        case Delete(path) if path.rpartition("/")[0].endswith("/pods"):
            return _gone(path.rpartition("/")[2], seen, is_asked=False)
        case Patch():
            return _released(ref, written.answer, seen)
        case _:
            return None


def _gone(name: str, seen: Seen, *, is_asked: bool) -> _Change | None:
    pod = next((one for one in seen.pods or () if name_of(one) == name), None)
    if pod is None:
        return None
    spec = section(seen.workload or {}, "spec", "template", "spec") or section(pod, "spec")
    return _Change(rollout=eviction(pod), before=spec, after=spec, is_asked=is_asked)


def _released(ref: WorkloadRef, after: JsonObject, seen: Seen) -> _Change | None:
    if seen.workload is None or seen.pods is None:
        return None
    before, template = (section(one, "spec", "template") for one in (seen.workload, after))
    found = rollout(ref, after, pods=seen.pods, sets=seen.sets) if before != template else None
    if found is None:
        return None
    return _Change(rollout=found, before=section(before, "spec"), after=section(template, "spec"), is_asked=True)


def _foretold(ref: WorkloadRef, change: _Change, seen: Seen) -> Prediction:
    going, spec = change.rollout, change.after
    pods = seen.pods or ()
    available, lowest = sum(is_ready(pod) for pod in pods), lowest_available(going, pods)
    needs = needs_of(spec, defaults=defaults_of(seen.ranges or (), "defaultRequest"))
    scaler = scaler_of(ref, seen.scalers or ())
    return Prediction(
        replaces=tuple(name_of(pod) for pod in going.pods[:MOST_NAMED]),
        replaced=len(going.pods),
        away=min(going.away, len(going.pods)),
        ordered=going.is_ordered,
        surge=min(going.surge, len(going.pods)),
        available=available,
        lowest=lowest,
        wave=going.wave,
        rooms=_rooms(change, seen),
        needs=", ".join(f"{name} {told(name, amount)}" for name, amount in needs.items()),
        budgets=tuple(budgets_left(seen.budgets or (), going.pods, fewer=available - lowest, asked=change.is_asked)),
        quotas=_quotas(change, seen),
        barred=tuple(barred_by(seen.ranges or (), spec)) if going.pods else (),
        owners=(f"replicas: {scaler}",) if scaler else (),
        notes=tuple(_notes(change, seen)),
    )


def _rooms(change: _Change, seen: Seen) -> tuple[Room, ...] | None:
    if seen.nodes is None or seen.everywhere is None:
        return None
    going, held = change.rollout, held_by(seen.everywhere, without=change.rollout.freed)
    needs = needs_of(change.after, defaults=defaults_of(seen.ranges or (), "defaultRequest"))
    pinned = {text(section(pod, "spec"), "nodeName") for pod in going.pods} if going.is_pinned else None
    rooms: list[Room] = []
    for node in seen.nodes:
        name = name_of(node)
        if pinned is None or name in pinned:
            room = room_on(node, change.after, needs=needs, held=held.get(name, ()))
            rooms.append(Room(node=name, pods=min(room, going.wave if pinned is None else 1)))
    return tuple(sorted((one for one in rooms if one.pods), key=lambda one: (-one.pods, one.node))[:MOST_NAMED])


def _quotas(change: _Change, seen: Seen) -> tuple[QuotaLeft, ...]:
    requested, limited = (defaults_of(seen.ranges or (), part) for part in ("defaultRequest", "default"))
    before, after = (words_of_quota(one, defaults=requested, limits=limited) for one in (change.before, change.after))
    return tuple(quotas_left(seen.quotas or (), change.rollout, Size(before, after)))


def _notes(change: _Change, seen: Seen) -> Iterator[str]:
    yield from filter(None, (change.rollout.note, *seen.notes))
    yield from (f"room: {what}" for what in not_judged(change.after))
    yield from (f"quota {name_of(one)}: it has scopes" for one in seen.quotas or () if is_scoped(one))


def _lines(prediction: Prediction) -> Iterator[str]:
    yield _replaces(prediction)
    yield f"available: {prediction.available} now, {prediction.lowest} at the lowest"
    for budget in prediction.budgets:
        below = "" if budget.lowest >= budget.wanted else ", below it" + ("" if budget.asked else "; nobody asks it")
        yield f"budget {budget.name}: wants {budget.wanted} healthy, {budget.lowest} at the lowest{below}"
    if prediction.rooms is not None and prediction.wave:
        where = ", ".join(f"{room.node} {room.pods}" for room in prediction.rooms) or "no node"
        of = f"{prediction.fitting} of {prediction.wave} new pods at once ({prediction.needs or 'no requests'})"
        yield f"room for {of}: {where}"
    for quota in prediction.quotas:
        short = "" if quota.suffices else ": too little, new pods are refused"
        yield f"quota {quota.name}: {quota.needed} of {quota.resource} needed, {quota.left} left{short}"
    yield from prediction.barred
    yield from prediction.owners


def _replaces(prediction: Prediction) -> str:
    if not prediction.replaced:
        return "replaces no pod"
    surge = f", {prediction.surge} beyond the wanted number" if prediction.surge else ""
    order = " in this order" if prediction.ordered and prediction.replaced > 1 else ""
    more = prediction.replaced - len(prediction.replaces)
    names = ", ".join(prediction.replaces) + (f" and {more} more" if more else "")
    return f"replaces {prediction.replaced}, at most {prediction.away} away at once{surge}{order}: {names}"
