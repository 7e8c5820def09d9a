"""Root-cause analysis: requests of the decider, reports of the rca service."""

from enum import StrEnum
from typing import ClassVar

from shared.contracts.inbox import EvidenceRef, Finding
from shared.contracts.incidents import Incident
from shared.contracts.model import Message, Value


class RcaRequest(Message):
    """Ask for the cause of an incident, as it stood when the evidence was at hand.

    `finding` is absent where a person's action opened the incident.
    """

    TYPE: ClassVar[str] = "rca.request"

    incident: Incident
    finding: Finding | None
    evidence: EvidenceRef | None = None

    @property
    def key(self) -> str:
        """Return the incident's id."""
        return self.incident.id


class Confidence(StrEnum):
    """How far the evidence carries the cause."""

    LOW = "low"
    MEDIUM = "medium"
    HIGH = "high"


class Claim(Value):
    """One statement, and the pieces of evidence that it rests on ("E1", "E2"…, ids of `Report.citations`)."""

    text: str
    cites: tuple[str, ...]


class Citation(Value):
    """One numbered piece of evidence, with the redacted text that the analysis was shown."""

    id: str
    source: str
    text: str


class Analyzer(StrEnum):
    """Who wrote a report."""

    GEMINI = "gemini"
    RULES = "rules"


class Report(Message):
    """The root-cause analysis of an incident. It explains and may propose; it never acts.

    `fallback` says why the rule-based analyzer wrote it, and is empty when the model did.
    """

    TYPE: ClassVar[str] = "rca.report"

    incident: str
    request: str
    analyzer: Analyzer
    model: str = ""
    fallback: str = ""
    summary: str
    root_cause: str
    confidence: Confidence
    claims: tuple[Claim, ...] = ()
    proposals: tuple[str, ...] = ()
    citations: tuple[Citation, ...] = ()
    redactions: int = 0

    @property
    def key(self) -> str:
        """Return the incident's id."""
        return self.incident
