"""What an analysis rests on: the incident and its evidence as numbered, redacted, bounded citations."""

from collections.abc import Iterator
from dataclasses import dataclass

from shared.contracts.evidence import ContainerLog, Evidence
from shared.contracts.inbox import Finding
from shared.contracts.incidents import Incident
from shared.contracts.reports import Citation, RcaRequest
from shared.contracts.signals import facts_of
from shared.kernel.redaction import redact

_LOG_CHARS = 4_000
_MAX_EVENTS = 20
_TEXT_CHARS = 1_000


@dataclass(frozen=True, slots=True)
class Bundle:
    """The citations "E1", "E2"… of an incident, and how many pieces were redacted in them."""

    incident: Incident
    citations: tuple[Citation, ...]
    redactions: int


def bundle_of(request: RcaRequest, evidence: Evidence | None) -> Bundle:
    """Return what is known of an incident, the same for the same messages."""
    citations: list[Citation] = []
    redactions = 0
    for source, text in _pieces(request, evidence):
        cleaned = redact(text)
        redactions += cleaned.count
        citations.append(Citation(id=f"E{len(citations) + 1}", source=source, text=cleaned.text))
    return Bundle(request.incident, tuple(citations), redactions)


def _pieces(request: RcaRequest, evidence: Evidence | None) -> Iterator[tuple[str, str]]:
    if request.finding is not None:
        yield "finding", _finding(request.finding)
    for step in request.incident.steps:
        told = "; ".join(step.changes) or step.message or step.reason
        yield f"step {step.step}", f"{step.action.kind}: {step.outcome.value if step.outcome else 'ordered'}: {told}"
    if evidence is None:
        return
    for log in evidence.logs:
        if log.lines:
            yield _source_of(log), "\n".join(log.lines)[-_LOG_CHARS:]
    for event in evidence.events[-_MAX_EVENTS:]:
        yield (
            f"event on {event.object}",
            f"{event.type} {event.reason} ({event.count} times): {event.message}"[:_TEXT_CHARS],
        )


def _finding(finding: Finding) -> str:
    facts = {name: value for name, value in sorted(facts_of(finding.signal).items()) if value not in ("", 0)}
    return f"rule {finding.rule}: " + ", ".join(f"{name}={value}" for name, value in facts.items())[:_TEXT_CHARS]


def _source_of(log: ContainerLog) -> str:
    which = "previous log" if log.previous else "log"
    return f"{which} of {log.pod}/{log.container}"
