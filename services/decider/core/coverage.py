"""How much of a playbook its cases reach: rules that opened an incident, rungs that were taken."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from services.decider.core.judging import Made
from services.decider.core.ladder import mode_of
from services.decider.core.language import ActionRung
from services.decider.core.playbook import Playbook, Rule
from services.decider.core.trial import Trial
from shared.contracts.incidents import Reason
from shared.contracts.modes import Mode, strictest


@dataclass(frozen=True, slots=True, order=True)
class Part:
    """What can be reached: a rule, or (with a step) a rung of its ladder."""

    rule: str
    step: int | None = None

    def __str__(self) -> str:
        """Return the part in words."""
        return f"rule {self.rule}" if self.step is None else f"rule {self.rule}, step {self.step}"


@dataclass(frozen=True, slots=True)
class Coverage:
    """All that can be reached, and what of it was not."""

    parts: int
    missed: tuple[Part, ...]

    @property
    def percent(self) -> float:
        """Return the part that was reached, in percent; all of nothing is 100."""
        return 100 * (self.parts - len(self.missed)) / self.parts if self.parts else 100.0


def coverage_of(playbook: Playbook, trials: Iterable[Trial]) -> Coverage:
    """Return what the cases reached of a playbook; what is off cannot be reached and does not count."""
    parts = [part for rule in playbook.rules.values() for part in _parts_of(playbook, rule)]
    reached = {part for trial in trials for made in trial.made for part in _reached(made)}
    return Coverage(len(parts), tuple(part for part in parts if part not in reached))


def _parts_of(playbook: Playbook, rule: Rule) -> Iterator[Part]:
    mode = mode_of(playbook, rule)
    if mode is Mode.OFF:
        return
    yield Part(rule.name)
    for step, rung in enumerate(rule.words.ladder):
        if not isinstance(rung, ActionRung) or strictest(mode, rung.mode) is not Mode.OFF:
            yield Part(rule.name, step)


def _reached(made: Made) -> Iterator[Part]:
    decision = made.decision
    if decision.reason is Reason.INCIDENT_OPENED:
        yield Part(decision.rule)
    if made.action:
        yield Part(decision.rule, decision.step)
