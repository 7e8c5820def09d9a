"""Two playbooks side by side: rules that came, went, changed (field by field) or moved, and where more is allowed."""

from bisect import bisect_left
from collections.abc import Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from enum import StrEnum
from typing import cast

from pydantic import BaseModel

from services.decider.core.ladder import mode_of
from services.decider.core.language import ActionRung, MaintenanceWords, Protected
from services.decider.core.playbook import Playbook, Rule
from services.decider.core.protecting import labels_of
from services.decider.core.source import Path, dotted
from services.decider.core.watching import watches_of
from shared.contracts.model import JsonValue
from shared.contracts.modes import Mode, strictest


class Change(StrEnum):
    """What became of a rule or a field; of a mode, whether it allows more or less than before.

    Of several rules that a signal meets the first opens the incident: one has moved where it comes before another, or
    after it, by now that looks at the same kind of signals.
    """

    ADDED = "added"
    REMOVED = "removed"
    CHANGED = "changed"
    WIDER = "wider"
    STRICTER = "stricter"
    MOVED = "moved"


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """One difference; `rule` is empty where it is about the playbook as a whole. None is where a side has nothing."""

    change: Change
    rule: str
    field: str = ""
    before: JsonValue = None
    after: JsonValue = None


def differences_between(before: Playbook, after: Playbook) -> list[Difference]:
    """Return what is different, first of the whole, then of the rules that went, came, changed and moved."""
    of_rules = (*_of_names(before, after), *_of_common(before, after), *_of_order(before, after))
    return [*_of_the_whole(before, after), *of_rules]


def _of_the_whole(before: Playbook, after: Playbook) -> Iterator[Difference]:
    one, other = before.words, after.words
    yield from _changed("", {"metadata": _json(one.metadata)}, {"metadata": _json(other.metadata)})
    yield from _mode_changed("", "spec.mode", before=one.spec.mode, after=other.spec.mode)
    earlier, later = one.spec.protected, other.spec.protected
    yield from _protected_changed("spec.protected.namespaces", before=earlier.namespaces, after=later.namespaces)
    yield from _protected_changed("spec.protected.labels", before=_labels(earlier), after=_labels(later))
    yield from _mode_changed("", "spec.manual.mode", before=one.spec.manual.mode, after=other.spec.manual.mode)
    allowed = (_json(words.spec.manual.approval) for words in (one, other))
    yield from _changed("", *({"spec.manual.approval": approval} for approval in allowed))
    yield from _windows_changed(one.spec.maintenance, other.spec.maintenance)


def _protected_changed(field: str, *, before: AbstractSet[str], after: AbstractSet[str]) -> Iterator[Difference]:
    """Yield what is protected no more (more is allowed), and what is by now (less is)."""
    for name in sorted(before - after):
        yield Difference(change=Change.WIDER, rule="", field=field, before=name)
    for name in sorted(after - before):
        yield Difference(change=Change.STRICTER, rule="", field=field, after=name)


def _labels(protected: Protected) -> AbstractSet[str]:
    return {f"{key}={value}" for key, value in labels_of(protected)}


def _windows_changed(before: Sequence[MaintenanceWords], after: Sequence[MaintenanceWords]) -> Iterator[Difference]:
    """Yield maintenance windows that went (more is allowed), came (less is), or changed, by their names."""
    earlier, later = ({one.name: one for one in windows} for windows in (before, after))
    for name in sorted(earlier.keys() | later.keys()):
        field = f"spec.maintenance.{name}"
        if name not in later:
            yield Difference(change=Change.WIDER, rule="", field=field, before=_json(earlier[name]))
        elif name not in earlier:
            yield Difference(change=Change.STRICTER, rule="", field=field, after=_json(later[name]))
        else:
            yield from _changed("", {field: _json(earlier[name])}, {field: _json(later[name])})


def _of_names(before: Playbook, after: Playbook) -> Iterator[Difference]:
    for name in before.rules:
        if name not in after.rules:
            yield Difference(change=Change.REMOVED, rule=name)
    for name in after.rules:
        if name not in before.rules:
            yield Difference(change=Change.ADDED, rule=name)


def _of_common(before: Playbook, after: Playbook) -> Iterator[Difference]:
    for name, rule in before.rules.items():
        other = after.rules.get(name)
        if other is None:
            continue
        yield from _changed(name, _json(rule.words), _json(other.words))
        yield from _modes_changed(name, _modes(before, rule), _modes(after, other))


def _of_order(before: Playbook, after: Playbook) -> Iterator[Difference]:
    """Yield the fewest rules that have to be moved, each with the others that it has passed."""
    common = [name for name in before.rules if name in after.rules]
    now = {name: place for place, name in enumerate(after.rules)}
    staying = _longest_in_order(common, now)
    kinds = {name: _kinds_of(before.rules[name]) | _kinds_of(after.rules[name]) for name in common}
    for place, name in enumerate(common):
        if name in staying:
            continue
        alike = {other for other in common if kinds[other] & kinds[name]}
        up = [other for other in common[:place] if other in alike and now[name] < now[other]]
        down = [other for other in common[place + 1 :] if other in alike and now[other] < now[name]]
        if up or down:
            was, is_now = _beside(after=up, before=down), _beside(before=up, after=down)
            yield Difference(change=Change.MOVED, rule=name, field="order", before=was, after=is_now)


def _longest_in_order(names: Sequence[str], places: Mapping[str, int]) -> AbstractSet[str]:
    """Return as many of some names as there are whose places only grow."""
    ends: list[str] = []
    before: dict[str, str | None] = {}
    for name in names:
        at = bisect_left(ends, places[name], key=places.__getitem__)
        before[name] = ends[at - 1] if at else None
        ends[at : at + 1] = [name]
    found: set[str] = set()
    last = ends[-1] if ends else None
    while last is not None:
        found.add(last)
        last = before[last]
    return found


def _kinds_of(rule: Rule) -> AbstractSet[str]:
    return {watch.clause.kind for watch in watches_of(rule)}


def _beside(*, before: Sequence[str], after: Sequence[str]) -> str:
    said = (f"{word} {', '.join(names)}" for word, names in (("after", after), ("before", before)) if names)
    return "; ".join(said)


def _changed(rule: str, before: JsonValue, after: JsonValue, *, path: Path = ()) -> Iterator[Difference]:
    """Yield each field that differs, as deep as both sides have the same shape."""
    if before == after:
        return
    one, other = _members(before), _members(after)
    if not one or not other:
        yield Difference(change=Change.CHANGED, rule=rule, field=dotted(path), before=before, after=after)
        return
    for name in [*one, *(name for name in other if name not in one)]:
        yield from _changed(rule, one.get(name), other.get(name), path=(*path, name))


def _members(value: JsonValue) -> Mapping[str | int, JsonValue]:
    if isinstance(value, dict):
        return cast("Mapping[str | int, JsonValue]", value)
    is_nested = isinstance(value, list) and any(isinstance(item, dict) for item in value)
    return dict(enumerate(cast("list[JsonValue]", value))) if is_nested else {}


def _modes_changed(rule: str, before: Mapping[str, Mode], after: Mapping[str, Mode]) -> Iterator[Difference]:
    for place, mode in before.items():
        if place in after:
            yield from _mode_changed(rule, place, before=mode, after=after[place])


def _mode_changed(rule: str, field: str, *, before: Mode, after: Mode) -> Iterator[Difference]:
    if before is not after:
        change = Change.WIDER if after.strictness < before.strictness else Change.STRICTER
        yield Difference(change=change, rule=rule, field=field, before=before.value, after=after.value)


def _modes(playbook: Playbook, rule: Rule) -> Mapping[str, Mode]:
    """Return the modes that hold for a rule and its rungs, within all that is around them."""
    mode = mode_of(playbook, rule)
    rungs = {
        f"effective mode of step {step} ({rung.action})": strictest(mode, rung.mode)
        for step, rung in enumerate(rule.words.ladder)
        if isinstance(rung, ActionRung)
    }
    return {"effective mode": mode, **rungs}


def _json(words: BaseModel) -> JsonValue:
    return cast("JsonValue", words.model_dump(mode="json", by_alias=True))
