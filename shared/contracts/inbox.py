"""The inbox: everything that can change an incident, one ordered log per partition.

Findings, observations and results concern one workload; a playbook, a silence, and a pause of everything, is written
once into every partition under one id, so that the log itself says what was in force at which offset.
"""

from datetime import timedelta
from enum import StrEnum
from typing import Annotated, ClassVar, Self

from pydantic import Field, model_validator

from shared.contracts.actions import Action
from shared.contracts.model import Message, Moment, Value
from shared.contracts.predictions import Prediction
from shared.contracts.signals import NodeSignal, Signal, WorkloadSignal
from shared.contracts.workloads import KeyPart, WorkloadRef

LONGEST_SILENCE = timedelta(days=30)
"""Longer nobody remembers why; and as long as the inbox itself keeps the silence."""

EVERYBODY = "*"
"""The key of what concerns all workloads of a partition."""


class _Entry(Message):
    workload: WorkloadRef

    @property
    def key(self) -> str:
        """Return the key of the workload concerned."""
        return self.workload.key


class Finding(_Entry):
    """A rule's condition held on a signal.

    `workload` is what the rule groups by: the signal's own, or a node, a namespace or a group of them. `group` are the
    further facts by which it is counted apart.
    """

    TYPE: ClassVar[str] = "finding"

    rule: str
    playbook: str
    signal: Signal
    group: str = ""


class Observation(_Entry):
    """What a signal says about a rule beside its trouble: that it is over, that its partner came, that a cure shows.

    `part` names which part of the rule was asked, `holds` what the answer was.
    """

    TYPE: ClassVar[str] = "observation"

    rule: str
    playbook: str
    part: str
    holds: bool
    signal: Signal
    group: str = ""


class WakeUp(_Entry):
    """The moment that `decide` asked to be woken at has come."""

    TYPE: ClassVar[str] = "wakeup"

    due: Moment


class Outcome(StrEnum):
    """What became of a command; one that failed was begun, and could not be brought to its end."""

    APPLIED = "applied"
    DRY_RUN = "dry-run"
    REFUSED = "refused"
    FAILED = "failed"
    UNKNOWN = "unknown"


class EvidenceRef(Value):
    """Where a piece of evidence lies on its topic."""

    id: str
    partition: int
    offset: int


class Result(_Entry):
    """What became of a command, with the named reason; `changes` are the lines of a diff, before → after.

    `inverse` undoes what was applied, where only the object could tell what was there before. `retry_after` says that
    nothing is wrong with the command but its moment, and when to order it again. Of a dry run they say, too, what is
    predicted, and `prediction` holds it as it was before it was put in words.
    """

    TYPE: ClassVar[str] = "result"

    command: str
    incident: str
    action: Action
    outcome: Outcome
    reason: str
    message: str = ""
    changes: tuple[str, ...] = ()
    token: int = 0
    evidence: EvidenceRef | None = None
    retry_after: timedelta | None = None
    prediction: Prediction | None = None
    inverse: Action | None = Field(default=None, exclude_if=lambda inverse: inverse is None)


class Approval(_Entry):
    """A person allows or rejects the step that an incident waits with.

    `version` is that of the incident as it was shown, `roles` are those that the person had; what was written before
    there were any has neither.
    """

    TYPE: ClassVar[str] = "control.approval"

    incident: str
    step: int
    approved: bool
    by: str
    roles: tuple[str, ...] = ()
    version: str = ""
    note: str = ""


class ManualAction(_Entry):
    """A person asks for an action on a workload; it takes the same way, and the same limits, as the playbook's."""

    TYPE: ClassVar[str] = "control.action"

    action: Action
    dry_run: bool
    by: str
    note: str = ""


class _Broadcast(Message):
    @property
    def key(self) -> str:
        """Return the key of what concerns everybody; a broadcast is sent to each partition by number."""
        return EVERYBODY


class Pause(_Broadcast):
    """Order nothing more until resumed, each person's by itself.

    `cause` is shown wherever something did not happen because of it.
    """

    TYPE: ClassVar[str] = "control.pause"

    by: str
    cause: str = ""


class Resume(_Broadcast):
    """End the pause of one person, or all of them where `of` is not said."""

    TYPE: ClassVar[str] = "control.resume"

    by: str
    of: str = ""


class Matchers(Value):
    """What a silence is about: names, or globs of them (`*`, `?`); what is not said is met by anything."""

    namespace: KeyPart | None = None
    workload: KeyPart | None = None
    workload_kind: KeyPart | None = None
    rule: KeyPart | None = None

    @model_validator(mode="after")
    def _say_something(self) -> Self:
        if not any(self.said.values()):
            raise ValueError(f"expected at least one of: {', '.join(type(self).model_fields)}")
        return self

    @property
    def said(self) -> dict[str, str]:
        """Return the matchers that are said, by their names."""
        return {name: glob for name in type(self).model_fields if (glob := getattr(self, name)) is not None}


class Silence(_Broadcast):
    """Let no rule count or begin anything about what all matchers name, until it expires or is ended.

    `by` owns it, `cause` says why; both are shown wherever something did not happen because of it.
    """

    TYPE: ClassVar[str] = "control.silence"

    by: str = Field(min_length=1)
    cause: Annotated[str, Field(pattern=r"\S")]
    matchers: Matchers
    expires_at: Moment

    @model_validator(mode="after")
    def _expire_in_time(self) -> Self:
        if not self.at < self.expires_at <= self.at + LONGEST_SILENCE:
            raise ValueError(f"expected expires_at to be after {self.at}, by at most {LONGEST_SILENCE.days} days")
        return self


class SilenceEnded(_Broadcast):
    """End a silence before it expires."""

    TYPE: ClassVar[str] = "control.silence-ended"

    silence: str
    by: str


class PlaybookActivated(_Broadcast):
    """From here on this playbook is in force; `text` is all of it, so that a replay needs no other file."""

    TYPE: ClassVar[str] = "playbook.activated"

    hash: str
    text: str


WorkloadEntry = Finding | Observation | WorkloadSignal | NodeSignal | Result | Approval | ManualAction | WakeUp
Broadcast = Pause | Resume | Silence | SilenceEnded | PlaybookActivated
InboxEntry = WorkloadEntry | Broadcast
