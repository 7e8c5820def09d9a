"""One turn: an input being decided. It gathers the new state and the outputs; nothing of it outlives the turn."""

from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from services.decider.core.holds import Hold, hold_on
from services.decider.core.ladder import (
    Step,
    as_reverted,
    is_met,
    mode_of,
    plan_of_person,
    rung_of,
    step_of_rung,
)
from services.decider.core.language import ActionRung, ManualWords, Rung
from services.decider.core.playbook import Playbook, Rule
from services.decider.core.protecting import protection_of
from services.decider.core.rungs import action_said
from services.decider.core.state import Foretold, Forgone, WorkloadState
from shared.contracts.commands import Command
from shared.contracts.inbox import Finding, Pause, Silence
from shared.contracts.incidents import Decision, Incident, Reason
from shared.contracts.modes import Mode, strictest
from shared.contracts.reports import RcaRequest
from shared.contracts.workloads import WorkloadRef
from shared.kernel.ids import derive

Output = Decision | Command | RcaRequest | Incident


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    """What is in force for a whole partition at this offset."""

    playbook: Playbook | None
    paused: Pause | None
    silences: tuple[Silence, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Cause:
    """The input: which entry, where in the log, and when (inbox time)."""

    entry: str
    workload: WorkloadRef
    offset: int
    now: datetime


class Turn:
    """The state as it becomes, and the outputs in the order in which they were chosen."""

    def __init__(self, state: WorkloadState, cause: Cause, world: World) -> None:
        self.state = replace(state, offset=cause.offset)
        self.cause = cause
        self.world = world
        self._before = state.incident
        self._outputs: list[Output] = []
        self._decided = 0

    @property
    def now(self) -> datetime:
        """Return the moment of the input."""
        return self.cause.now

    @property
    def incident(self) -> Incident:
        """Return the incident that this turn is about; only asked where there is one."""
        if self.state.incident is None:
            raise LookupError("no incident in this turn")
        return self.state.incident

    @property
    def rule(self) -> Rule | None:
        """Return the incident's rule as the playbook in force has it."""
        return self.rule_named(self.incident.rule)

    def rule_named(self, name: str) -> Rule | None:
        """Return a rule as the playbook in force has it; None where it has none of this name."""
        return self.world.playbook.rules.get(name) if self.world.playbook else None

    @property
    def playbook_in_force(self) -> str:
        """Return the hash of the playbook in force; empty where there is none."""
        return self.world.playbook.hash if self.world.playbook else ""

    @property
    def protection(self) -> str:
        """Return what is protected of what the incident is about, as its latest finding shows it; empty: nothing."""
        return self.protection_of(self.state.finding)

    def protection_of(self, finding: Finding | None) -> str:
        """Return what is protected of the workload and of what a finding shows; without a playbook all is."""
        playbook, signal = self.world.playbook, finding.signal if finding is not None else None
        if playbook is None:
            return "all, without a playbook in force"
        return protection_of(self.cause.workload, signal, playbook.words.spec.protected)

    @property
    def hold(self) -> Hold | None:
        """Return what the incident's next step must wait for; what a person asked for waits for nothing."""
        return self.hold_on(self.incident.rule) if self.state.manual is None else None

    def hold_on(self, rule: str) -> Hold | None:
        """Return what holds a rule back on the workload."""
        world = self.world
        windows = world.playbook.words.spec.maintenance if world.playbook else ()
        return hold_on(self.cause.workload, rule=rule, silences=world.silences, maintenance=windows, now=self.now)

    @property
    def plan(self) -> Step | Reason:
        """Return what the incident's present step is to do, or why nothing is left to do."""
        if self.state.manual is not None:
            words = self.world.playbook.words.spec.manual if self.world.playbook else ManualWords()
            return plan_of_person(self.state.manual, words) if self.incident.step == 0 else Reason.LADDER_EXHAUSTED
        playbook, rule, finding = self.world.playbook, self.rule, self.state.finding
        if playbook is None or rule is None or finding is None:
            return Reason.RULE_UNKNOWN
        if self.is_step_gone:
            return Reason.STEP_GONE
        rung = self._rung
        if rung is None:
            return Reason.LADDER_EXHAUSTED
        return step_of_rung(rung, as_reverted(finding, self.incident.steps), mode=mode_of(playbook, rule))

    @property
    def is_step_gone(self) -> bool:
        """Tell whether the ladder in force has the present step no more, so that its number means nothing there."""
        return self.state.climb is not None and bool(self.state.climb.gone)

    @property
    def said(self) -> str:
        """Return a name of the action that the playbook in force has at the present step; empty where it has none."""
        rung = self._rung
        return action_said(rung) if isinstance(rung, ActionRung) else ""

    @property
    def unmet(self) -> str:
        """Return the condition by which the latest finding bars the present step; empty if it may be taken."""
        rule, finding, step = self.rule, self.state.finding, self.incident.step
        if rule is None or finding is None or self.is_step_gone or is_met(rule, step, finding):
            return ""
        return rule.words.ladder[step].when

    @property
    def mode(self) -> Mode:
        """Return how far the present step may go by the playbook in force; it is off where that has no such rule."""
        playbook, rule = self.world.playbook, self.rule
        if playbook is None or rule is None:
            return Mode.OFF
        rung = self._rung
        return strictest(mode_of(playbook, rule), rung.mode if isinstance(rung, ActionRung) else Mode.LIVE)

    @property
    def _rung(self) -> Rung | None:
        """Return the present step's rung on the ladder in force; None where that has it no more, or ends before it."""
        rule = self.rule
        return rung_of(rule, self.incident.step) if rule is not None and not self.is_step_gone else None

    def remember(self, **fields: Any) -> None:  # noqa: ANN401 - checked by the dataclass it replaces
        """Change fields of the workload's state."""
        self.state = replace(self.state, **fields)

    def revise(self, **fields: Any) -> None:  # noqa: ANN401 - checked by the model's own tests
        """Change fields of the incident."""
        self.remember(incident=self.incident.model_copy(update={**fields, "at": self.now}))

    def suppress(self, hold: Hold, *, rule: str = "") -> None:
        """Note what did not happen because of a hold."""
        self.decide(hold.reason, rule=rule, detail=hold.detail, suppressed_by=hold.by)

    def decide(
        self, reason: Reason, *, rule: str = "", detail: str = "", command: str | None = None, suppressed_by: str = ""
    ) -> None:
        """Note a decision; about the incident, if one is open or has just ended in this turn."""
        incident = self.state.incident if self._concerns_incident else None
        self._note(
            reason,
            rule=rule or (incident.rule if incident else ""),
            incident=incident.id if incident else None,
            step=incident.step if incident else None,
            attempt=incident.attempt if incident else None,
            command=command,
            detail=detail,
            suppressed_by=suppressed_by,
        )

    def decide_about(self, past: Forgone | Foretold, reason: Reason, *, detail: str) -> None:
        """Note a decision about what was forgone, or predicted, in an incident that may have ended long ago."""
        self._note(reason, rule=past.rule, incident=past.incident, step=past.step, attempt=past.attempt, detail=detail)

    def emit(self, output: Command | RcaRequest) -> None:
        """Note an output that other services act on."""
        self._outputs.append(output)

    def begin(self, incident: Incident, **fields: Any) -> None:  # noqa: ANN401 - checked by the dataclass it replaces
        """Put a new incident in the place of the present one, which is told as it stands if it changed in this turn."""
        self._outputs += self._changed
        self.remember(incident=incident, explained=False, **fields)

    def outputs(self) -> tuple[Output, ...]:
        """Return all outputs; each incident that changed once, as it stood at the end or when the next one opened."""
        return (*self._outputs, *self._changed)

    def _note(self, reason: Reason, **about: Any) -> None:  # noqa: ANN401 - checked by the model
        self._outputs.append(
            Decision(
                id=derive("dec", self.cause.workload.key, self.cause.offset, self._decided),
                at=self.now,
                workload=self.cause.workload,
                cause=self.cause.entry,
                reason=reason,
                playbook=self.playbook_in_force,
                **about,
            )
        )
        self._decided += 1

    @property
    def _changed(self) -> tuple[Incident, ...]:
        """Return the incident, if this turn changed it."""
        incident = self.state.incident
        return (incident,) if incident is not None and incident != self._before else ()

    @property
    def _concerns_incident(self) -> bool:
        return self.state.open_incident is not None or bool(self._changed)
