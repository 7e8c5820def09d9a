"""Spendings: what each healing takes from the brake's budgets, so that no restart forgets it."""

from typing import ClassVar

from shared.contracts.model import Message
from shared.contracts.workloads import WorkloadRef


class Spending(Message):
    """One healing that is about to begin, or that did not: then what it took is given back.

    `at` is the moment of doing, `node` the one whose pod is touched; empty where it is no single one's. Of the messages
    about one command the latest of the highest `token` holds: a leader that is over gives nothing back of the next
    one's.
    """

    TYPE: ClassVar[str] = "spending"

    command: str
    incident: str
    workload: WorkloadRef
    node: str = ""
    token: int
    given_back: bool = False

    @property
    def key(self) -> str:
        """Return the command's id."""
        return self.command
