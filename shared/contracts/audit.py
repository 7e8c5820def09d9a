"""The audit trail: one entry for each attempt that ended, each with the hash of the entry before it."""

import hashlib
from datetime import timedelta
from typing import ClassVar

from pydantic import Field

from shared.contracts.actions import Action
from shared.contracts.inbox import EvidenceRef, Outcome
from shared.contracts.model import Message
from shared.contracts.predictions import Prediction
from shared.contracts.workloads import WorkloadRef

GENESIS = "0" * 64
"""Stands for the hash of what is before the first entry."""
_HASH = r"^[0-9a-f]{64}$"


class AuditEntry(Message):
    """What was asked of a workload, by whom, and what became of it; written by the leader under its `token`.

    `sequence` counts from 1. `before` is the hash of the entry before: the SHA-256, in small hexadecimal digits, of
    the value of its record, byte for byte as it lies on the topic (of a file: of its line without the line's end);
    64 zeros in the first. `at` is when the attempt ended, `acted_under` the token of the leader that made it.
    """

    TYPE: ClassVar[str] = "audit.entry"

    sequence: int = Field(ge=1)
    before: str = Field(pattern=_HASH)
    token: int = Field(ge=0)
    command: str
    requested_by: str
    approved_by: str = ""
    rule: str
    playbook: str
    incident: str
    workload: WorkloadRef
    action: Action
    reverts: str = ""
    outcome: Outcome
    reason: str
    message: str = ""
    changes: tuple[str, ...] = ()
    acted_under: int = 0
    evidence: EvidenceRef | None = None
    retry_after: timedelta | None = None
    prediction: Prediction | None = None
    inverse: Action | None = Field(default=None, exclude_if=lambda inverse: inverse is None)

    @property
    def key(self) -> str:
        """Return the key of the workload."""
        return self.workload.key


def entry_hash(value: bytes) -> str:
    """Return the hash of an entry, from the value of its record."""
    return hashlib.sha256(value).hexdigest()
