"""Ids that derive from causes: the same cause gives the same id, on every machine and in every replay."""

import hashlib
from typing import NewType

SignalId = NewType("SignalId", str)
EntryId = NewType("EntryId", str)
IncidentId = NewType("IncidentId", str)
DecisionId = NewType("DecisionId", str)
CommandId = NewType("CommandId", str)
EvidenceId = NewType("EvidenceId", str)
ReportId = NewType("ReportId", str)

_DIGEST_CHARS = 20  # 80 bits: a collision among a billion ids has a chance below one in a million


def derive(prefix: str, *causes: str | int) -> str:
    """Return `prefix-<digest>` for the ordered causes; a separator keeps ("ab", "c") apart from ("a", "bc")."""
    digest = hashlib.sha256("\x1f".join(map(str, causes)).encode()).hexdigest()
    return f"{prefix}-{digest[:_DIGEST_CHARS]}"
