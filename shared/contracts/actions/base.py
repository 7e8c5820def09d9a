"""What every action is: a value of the wire, how it is carried out, and how it can be told whether that happened.

Both are conversations with an API server: generators that yield requests, are sent the answers, and do nothing
themselves. What the server refuses is raised at the request that it refuses.
"""

from abc import ABC, abstractmethod
from collections.abc import Generator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, ClassVar

from shared.contracts.actions.marks import Change, is_marked, mark_of, marks_of
from shared.contracts.model import JsonObject, Value
from shared.contracts.objects import version_of
from shared.contracts.paths import path_of
from shared.contracts.refusals import Refusal
from shared.contracts.requests import Answer, Get, ListAll, Patch, Reading, Request, Writing
from shared.contracts.rights import Right
from shared.contracts.signals import Signal
from shared.contracts.workloads import WorkloadRef
from shared.kernel.errors import SreAgentError

if TYPE_CHECKING:
    from shared.contracts.actions import Action


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """What a course is told of its command, ordered `at` that moment; a dry run's writes are asked for like any other.

    Nothing may be touched that carries a protected label, nor what lies in a protected namespace.
    `reverts` is the command that it is to undo; empty where it undoes none, or where a person asks to. `is_approved`
    tells that a person wants it: who approved it, or asked for it. `incident` and `rule` are for whoever is told of it
    outside of the cluster.
    """

    command: str
    at: datetime
    workload: WorkloadRef
    protected_labels: Mapping[str, tuple[str, ...]]
    protected_namespaces: frozenset[str]
    token: int
    dry_run: bool
    reverts: str = ""
    is_approved: bool = False
    incident: str = ""
    rule: str = ""

    @property
    def marks(self) -> JsonObject:
        """Return the annotations that a change for this command carries."""
        return marks_of(self.command, self.token)

    def metadata_for(self, source: JsonObject, marks: JsonObject | None = None) -> JsonObject:
        """Return the metadata of a patch: the marks, and the version that was read, so that no other is changed."""
        return {"resourceVersion": version_of(source), "annotations": self.marks if marks is None else marks}

    def marks_with(self, field: str, *, before: str, after: str) -> JsonObject:
        """Return the marks of a change that somebody may undo: with what it changes, from what to what."""
        return self.marks | mark_of(Change(command=self.command, field=field, before=before, after=after))


@dataclass(frozen=True, slots=True)
class Written:
    """A request that changes something, and what the API server answered: the object as it is then, or would be."""

    request: Writing
    answer: JsonObject


@dataclass(frozen=True, slots=True)
class Done:
    """What was changed (or, in a dry run, would be), in words; `inverse` undoes it where only the object could tell.

    `written` is noted by whoever asks the API server.
    """

    changes: tuple[str, ...]
    inverse: "Action | None" = None
    written: tuple[Written, ...] = ()


class RefusedError(SreAgentError):
    """Signal from any depth of a course that nothing is changed; `message` is the API server's, if it was that."""

    def __init__(self, refusal: Refusal, message: str = "") -> None:
        super().__init__(f"{refusal}: {message}" if message else refusal)
        self.refusal, self.message = refusal, message

    @property
    def why(self) -> str:
        """Return what a person is told within words of another's: the message, or the bare reason."""
        return self.message or self.refusal


class HalfDoneError(SreAgentError):
    """Signal from any depth of a course that it was begun and cannot be ended; `changes` say what was done by then."""

    def __init__(self, refusal: Refusal, message: str, *, changes: tuple[str, ...]) -> None:
        super().__init__(f"{refusal}: {message}")
        self.refusal, self.message, self.changes = refusal, message, changes


class StoppedError(SreAgentError):
    """Signal that a stop is in force over what was to be written; what was written before it stays."""


class UnsettledError(SreAgentError):
    """Signal that the API server failed at a write, which may have been done all the same: the object tells."""


class UnansweredError(SreAgentError):
    """Signal that a call outside of the cluster may have arrived, and that nothing tells whether it was done."""


class OvertakenError(RefusedError):
    """Signal that the object was written between reading and changing; all may be read and judged again."""

    def __init__(self, message: str) -> None:
        super().__init__(Refusal.CHANGED_MEANWHILE, message)


Course = Generator[Request, Answer, Done]
"""How an action is carried out; it raises `RefusedError` where it is not."""
Inquiry = Generator[Reading, Answer, bool]
"""Whether an action was carried out."""


class ActionBase(Value, ABC):
    """One thing that may be done to a cluster, with all that is particular to it."""

    HEALS: ClassVar[str]
    """What it is good for, to people."""
    KINDS: ClassVar[frozenset[str]]
    """The kinds of workload that it is done to; it is refused on others."""
    RIGHTS: ClassVar[frozenset[Right]]
    """What the remediator must be allowed to do for it, where the workload lies."""
    EASES: ClassVar[bool] = False
    """Whether it only takes back what was done for a time, so that no brake may hold it up."""
    PARTIAL: ClassVar[bool] = False
    """Whether it is done to the one pod or volume that a signal names, and leaves the workload's others as they are."""
    TOLD_BY_ABSENCE: ClassVar[bool] = False
    """Whether it is told by an object that is gone, which does not say who took it away."""
    TRACELESS: ClassVar[bool] = False
    """Whether nothing in the cluster tells that it was done: what a leader of before has sent is not known, then."""
    QUIET: ClassVar[bool] = False
    """Whether a workload that was well may tell nothing after it, since neither its counts nor its object changes."""

    @abstractmethod
    def course(self, order: Order) -> Course:
        """Read what is there, check it, and change it under its version."""

    def happened(self, order: Order) -> Inquiry:
        """Tell from the live object whether a command was carried out: by its mark, where nothing tells it better."""
        found = yield from find(self.target(order.workload))
        return found is not None and is_marked(found, order.command)

    def inverse(self) -> "Action | None":
        """Return what undoes it; None where nothing does."""
        return None

    def target(self, workload: WorkloadRef) -> WorkloadRef:
        """Return the object that it changes: the workload, or what of it the action names."""
        return workload

    def is_told_by(self, signal: Signal) -> bool:  # noqa: ARG002 - most are told by the workload's own health
        """Tell whether a signal tells that it was done, besides the workload's own health."""
        return False

    def told_after(self, signal: Signal) -> Signal:
        """Return a signal as it would be told once this was done."""
        return signal

    @abstractmethod
    def in_words(self) -> str:
        """Return it in words for people."""


def read(path: str) -> Generator[Get, Answer, JsonObject]:
    """Ask for one object."""
    answer = yield Get(path)
    return answer if isinstance(answer, dict) else {}


def read_all(path: str, *, fields: str = "") -> Generator[ListAll, Answer, list[JsonObject]]:
    """Ask for all objects of a path, or those that a field selector names; a kind that is not known has none."""
    try:
        answer = yield ListAll(path, fields)
    except RefusedError as refused:
        if refused.refusal is Refusal.TARGET_GONE:
            return []
        raise
    return answer if isinstance(answer, list) else []


def change(patch: Patch) -> Generator[Patch, Answer, JsonObject]:
    """Ask for a change, and return what the object is then."""
    answer = yield patch
    return answer if isinstance(answer, dict) else {}


def find(ref: WorkloadRef) -> Generator[Get, Answer, JsonObject | None]:
    """Ask for an object that may be gone; None where it is, or where its kind cannot be read."""
    path = path_of(ref)
    if path is None:
        return None
    try:
        return (yield from read(path))
    except RefusedError as refused:
        if refused.refusal is Refusal.TARGET_GONE:
            return None
        raise
