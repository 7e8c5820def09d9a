"""An incident's story in the order of its moments: signal, decisions, evidence, report."""

from collections.abc import Iterable, Sequence
from enum import StrEnum
from operator import attrgetter

from pydantic import BaseModel

from shared.contracts.evidence import Evidence
from shared.contracts.incidents import Decision, Incident
from shared.contracts.model import Moment
from shared.contracts.reports import Report


class Happening(StrEnum):
    """What a line of a timeline is about."""

    SIGNAL = "signal"
    DECISION = "decision"
    EVIDENCE = "evidence"
    PREVIEW = "preview"
    CHANGE = "change"
    REPORT = "report"


class TimelineEntry(BaseModel):
    """One line; `seconds` counts from the signal that the incident began with."""

    at: Moment
    seconds: float
    happening: Happening
    reason: str
    detail: str = ""
    id: str = ""


def timeline(
    incident: Incident,
    decisions: Sequence[Decision],
    *,
    evidence: Sequence[Evidence] = (),
    report: Report | None = None,
) -> list[TimelineEntry]:
    """Return the lines of an incident in the order of their moments."""
    lines = [
        _line(incident, Happening.SIGNAL, at=incident.signal_at, reason=incident.rule, detail=incident.summary),
        *(_decided(incident, one) for one in decisions),
        *_changes(incident),
        *(_captured(incident, one) for one in evidence),
        *([_reported(incident, report)] if report else []),
    ]
    return sorted(lines, key=attrgetter("at"))


def _decided(incident: Incident, decision: Decision) -> TimelineEntry:
    return _line(
        incident,
        Happening.DECISION,
        at=decision.at,
        reason=decision.reason.value,
        detail=decision.detail,
        source=decision.id,
    )


def _changes(incident: Incident) -> Iterable[TimelineEntry]:
    for step in incident.steps:
        if step.finished_at is not None and step.changes:
            yield _line(
                incident,
                Happening.PREVIEW if step.dry_run else Happening.CHANGE,
                at=step.finished_at,
                reason=f"{step.action.kind} reverted" if step.reverts else step.action.kind,
                detail="\n".join(step.changes),
                source=step.command,
            )


def _captured(incident: Incident, evidence: Evidence) -> TimelineEntry:
    detail = f"{len(evidence.logs)} logs, {len(evidence.events)} events, {len(evidence.objects)} objects"
    notes = f"; {'; '.join(evidence.notes)}" if evidence.notes else ""
    return _line(
        incident,
        Happening.EVIDENCE,
        at=evidence.at,
        reason="evidence-captured",
        detail=detail + notes,
        source=evidence.id,
    )


def _reported(incident: Incident, report: Report) -> TimelineEntry:
    reason = f"explained-by-{report.analyzer.value}"
    return _line(incident, Happening.REPORT, at=report.at, reason=reason, detail=report.summary, source=report.id)


def _line(
    incident: Incident, happening: Happening, *, at: Moment, reason: str, detail: str, source: str = ""
) -> TimelineEntry:
    seconds = (at - incident.signal_at).total_seconds()
    return TimelineEntry(at=at, seconds=seconds, happening=happening, reason=reason, detail=detail, id=source)
