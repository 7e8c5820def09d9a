"""Playbooks as other services know them: the one in force, and what became of its file when it was last read."""

from enum import StrEnum
from typing import ClassVar

from shared.contracts.incidents import Mode, Severity
from shared.contracts.model import Message, Value


class RuleBrief(Value):
    """One rule in brief; `mode` is the one that holds after all that is around it, `promql` its own query, if any."""

    name: str
    description: str = ""
    signal: str
    severity: Severity
    mode: Mode
    promql: str = ""


class PlaybookInForce(Message):
    """The playbook in force, and since when (`at`); `text` is all of it."""

    TYPE: ClassVar[str] = "playbook.in-force"

    hash: str
    name: str
    mode: Mode
    rules: tuple[RuleBrief, ...]
    text: str

    @property
    def key(self) -> str:
        """Return the one key: the newest is the one in force."""
        return "in-force"


class PlaybookFault(Value):
    """One thing in a playbook that a person must mend; line and column count from 1, 0 where there is no place."""

    file: str
    line: int
    column: int
    path: str = ""
    expected: str
    hint: str = ""


class LoadOutcome(StrEnum):
    """Whether a playbook's file is fit for use."""

    ACCEPTED = "accepted"
    REJECTED = "rejected"


class PlaybookLoad(Message):
    """What became of the playbook's file when it was last read (`at`): a rejected one leaves that in force as it is.

    `hash` names the text that was read; it is empty where none could be.
    """

    TYPE: ClassVar[str] = "playbook.load"

    outcome: LoadOutcome
    hash: str = ""
    faults: tuple[PlaybookFault, ...] = ()

    @property
    def key(self) -> str:
        """Return the one key: only the last load counts."""
        return "load"
