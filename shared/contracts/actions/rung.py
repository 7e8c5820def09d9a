"""The words of a step of a ladder that acts: what all such steps may say, whatever their action."""

from abc import ABC, abstractmethod
from collections.abc import Iterator
from datetime import timedelta
from typing import TYPE_CHECKING, ClassVar

from pydantic import Field

from shared.contracts.modes import Mode
from shared.contracts.signals import Signal
from shared.contracts.words import Approvers, Duration, SignalKind, Words

if TYPE_CHECKING:
    from shared.contracts.actions import Action
    from shared.contracts.reasons import Reason


class Verify(Words):
    """A cure is proven when the workload was healthy for `healthy_for`, at the latest `within` after the action.

    With a `query` its samples prove it instead, each of which must meet `when`.
    """

    query: str = Field(default="", max_length=200)
    """A query by its name, whose samples about the workload prove the cure instead of the workload's own health."""
    when: str = ""
    """What each of these samples must meet: a condition over the facts of a sample, in CEL."""
    healthy_for: Duration = timedelta(seconds=30)
    """How long the workload must be healthy, or the samples must meet the condition, without a break."""
    within: Duration = timedelta(minutes=5)
    """By when, after the action; else the next attempt follows, then the next rung."""


class Approval(Words):
    """Who may approve an action, and how long it may wait for a person."""

    by: Approvers = Field(
        default=(), description="Names and roles of those who may approve it; each approver where nothing is said."
    )
    other_person: bool = False
    """Whether it takes another person than the one who asked for the action."""
    expires: Duration = timedelta(minutes=30)
    """After this without an answer the incident is escalated."""


class RungBase(Words):
    """A step of a ladder."""

    when: str = ""
    """A condition in CEL over the facts of the latest signal; where it does not hold the rung is passed."""


class ActionRungBase(RungBase, ABC):
    """A step that acts; each action's own stands beside it."""

    TELLERS: ClassVar[tuple[SignalKind, ...]] = ()
    """Which kinds of signal name what the action is done to; any does where it is done to the workload as a whole."""

    ENDS_POD: ClassVar[bool] = False
    """Whether the end of the pod tells that it was done, so that this is listened for."""

    mode: Mode = Mode.LIVE
    """How far this rung may go; never further than its rule and its playbook."""
    attempts: int = Field(default=1, ge=1, le=10)
    """How often it is tried before the next rung."""
    backoff: Duration = timedelta(seconds=10)
    """How long to wait before the second attempt; twice as long before each further one."""
    verify: Verify = Verify.model_construct()  # a default that needs no model of its own to be built at the start
    """What proves the cure."""
    approval: Approval = Approval.model_construct()
    """Who may say yes, and how long they may take, where the mode is `approval`."""

    @abstractmethod
    def aimed(self, signal: Signal) -> "Action | Reason":
        """Return the action on what a signal is about, or why it cannot be one."""

    @abstractmethod
    def in_words(self) -> str:
        """Return what the step does, for people."""

    @property
    def is_undone(self) -> bool:
        """Tell whether the action's inverse is ordered where its cure is not proven."""
        return False

    def if_unproven(self) -> str:
        """Return what then becomes of what was done, for people; empty where nothing can."""
        return ""

    def senseless(self) -> Iterator[tuple[str, str]]:
        """Yield each word that is well-formed and cannot be meant, with what was expected."""
        yield from ()
