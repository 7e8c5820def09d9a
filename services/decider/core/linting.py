"""What a playbook that can be used says and cannot mean; only what is certain, each by its level."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum

from services.decider.core.faults import Fault
from services.decider.core.ladder import mode_of
from services.decider.core.language import ActionRung, EscalateRung, MaintenanceWords
from services.decider.core.playbook import Playbook, Rule
from services.decider.core.promql import names_no_workload
from services.decider.core.reaching import Grants, forbidden, overtaken, seldom_proven, unended, unproven, unreached
from services.decider.core.schedules import says_days_twice, shortest_interval
from services.decider.core.source import Path, Source
from shared.contracts.actions import KINDS
from shared.contracts.modes import Mode, strictest
from shared.contracts.signals import values_of
from shared.kernel.durations import format_duration


class Level(StrEnum):
    """How bad it is: an error can never do what it says, a warning seldom does what is meant."""

    ERROR = "error"
    WARNING = "warning"


@dataclass(frozen=True, slots=True)
class Remark:
    """One thing that a person should look at."""

    level: Level
    fault: Fault

    def __str__(self) -> str:
        """Return the fault with its level."""
        return f"{self.fault} [{self.level.value}]"


def remarks_on(playbook: Playbook, *, grants: Grants | None = None) -> list[Remark]:
    """Return the remarks on a playbook, in the order of its files; where grants are given, on what they forbid, too."""
    source = playbook.source
    found = [Remark(Level.WARNING, fault) for fault in overtaken(source, playbook)]
    for index, rule in enumerate(playbook.rules.values()):
        path: Path = ("spec", "rules", index)
        found += _of_rule(source, playbook, rule, path=path)
        if grants is not None:
            faults = forbidden(source, playbook, rule, grants=grants, path=path)
            found += [Remark(Level.ERROR, fault) for fault in faults]
    found += [
        remark
        for index, window in enumerate(playbook.words.spec.maintenance)
        for remark in _of_window(source, window, path=("spec", "maintenance", index))
    ]
    hints = [Remark(Level.WARNING, hint) for hint in source.hints]
    return sorted(dict.fromkeys([*found, *hints]), key=lambda remark: (remark.fault.file, remark.fault.mark))


def _of_rule(source: Source, playbook: Playbook, rule: Rule, *, path: Path) -> Iterator[Remark]:
    yield from _unmeetable(source, rule, path=path)
    yield from (Remark(Level.ERROR, fault) for fault in unreached(source, playbook, rule, path=path))
    yield from (Remark(Level.ERROR, fault) for fault in unended(source, rule, path=path))
    yield from _unnamed(source, rule, path=path)
    yield from _ending(source, rule, path=path)
    mode = mode_of(playbook, rule)
    if mode is Mode.OFF:
        return
    for step, rung in enumerate(rule.words.ladder):
        if not isinstance(rung, ActionRung):
            continue
        place = (*path, "ladder", step)
        yield from _powerless(source, rule, rung, path=place)
        if strictest(mode, rung.mode) is Mode.LIVE and rule.words.cooldown <= timedelta(0):
            expected = "expected a cooldown: without one an action may follow the last at once, again and again"
            yield _warning(source, (*path, "cooldown"), expected)
            return


def _unmeetable(source: Source, rule: Rule, *, path: Path) -> Iterator[Remark]:
    """Yield why no signal can ever open an incident by a rule."""
    for name, allowed in rule.where.items():
        place = (*path, "where", name)
        known = values_of(rule.words.signal, name)
        if not allowed.exact and not allowed.globs:
            yield _error(source, place, "no signal meets an empty list; expected at least one value")
        elif known and not any(value in allowed for value in known):
            yield _error(source, place, f"no signal has such a value; expected one of: {', '.join(sorted(known))}")


def _unnamed(source: Source, rule: Rule, *, path: Path) -> Iterator[Remark]:
    if rule.words.promql and names_no_workload(rule.words.promql):
        expected = "its samples name no workload, so nothing is told of them; expected labels that do"
        hint = "as in by (namespace, deployment); also statefulset, daemonset, job_name, pod, or node alone"
        yield Remark(Level.ERROR, source.fault((*path, "promql"), expected, hint=hint))


def _of_window(source: Source, window: MaintenanceWords, *, path: Path) -> Iterator[Remark]:
    interval = shortest_interval(window.schedule, timezone=window.timezone)
    if interval is not None and interval < window.duration:
        expected = f"it opens again after {format_duration(interval)}, while it is open; expected a shorter one"
        yield _warning(source, (*path, "duration"), expected)
    if says_days_twice(window.schedule):
        expected = "either the day of the month or that of the week is enough, as ever in cron; expected `*` for one"
        yield _warning(source, (*path, "schedule"), expected)


def _ending(source: Source, rule: Rule, *, path: Path) -> Iterator[Remark]:
    last = len(rule.words.ladder) - 1
    if not isinstance(rule.words.ladder[last], EscalateRung) or rule.words.ladder[last].when:
        expected = "expected `escalate` as the last rung, with a message to the person who takes over, and no `when`"
        yield _warning(source, (*path, "ladder", last), expected)


def _powerless(source: Source, rule: Rule, rung: ActionRung, *, path: Path) -> Iterator[Remark]:
    """Yield why an action can never do anything."""
    yield from (_error(source, (*path, word), expected) for word, expected in rung.senseless())
    kinds, able = _kinds_of(rule), KINDS[rung.action]
    if kinds and not kinds & able:
        expected = f"{rung.action} is done to a {_listed(able)}; this rule is about: {_listed(kinds)}"
        yield _error(source, (*path, "action"), expected)
    if not rung.verify.query:
        yield from (Remark(Level.ERROR, fault) for fault in unproven(source, kinds, path=path))
        yield from (Remark(Level.WARNING, fault) for fault in seldom_proven(source, rung, path=path))


def _listed(kinds: frozenset[str]) -> str:
    return ", ".join(sorted(kinds))


def _kinds_of(rule: Rule) -> frozenset[str]:
    """Return the kinds of workload that a rule is about; empty where it says nothing of them."""
    if rule.words.signal == "node":
        return frozenset({"Node"})
    allowed = rule.where.get("workload_kind")
    return frozenset(map(str, allowed.exact)) if allowed is not None and not allowed.globs else frozenset()


def _error(source: Source, path: Path, expected: str) -> Remark:
    return Remark(Level.ERROR, source.fault(path, expected))


def _warning(source: Source, path: Path, expected: str) -> Remark:
    return Remark(Level.WARNING, source.fault(path, expected))
