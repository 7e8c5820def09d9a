"""What stands above an incident's story: what it is, whose it is, where help is written, what people were told."""

from collections.abc import Iterator

from shared.contracts.approvals import Terms
from shared.contracts.incidents import Incident, Phase


def heading(incident: Incident) -> Iterator[tuple[str, str]]:
    """Yield the lines that say something, each with its word."""
    labels = ", ".join(f"{name}={value}" for name, value in incident.labels.items())
    said = {"summary": incident.summary, "owner": incident.owner, "runbook": incident.runbook, "labels": labels}
    yield "severity", incident.severity.value
    yield from ((word, text) for word, text in said.items() if text)
    if incident.phase is Phase.AWAITING_APPROVAL:
        yield "version", incident.version
        yield from (("change", change) for change in (incident.steps[-1].changes if incident.steps else ()))
        yield from (("approval", words) for words in approvers(incident.approval or Terms()))
    yield from (("note", f"{note.at:%H:%M:%S} {note.message}") for note in incident.notes)


def approvers(terms: Terms) -> Iterator[str]:
    """Yield who may approve, where that is said."""
    if terms.by:
        yield f"by {', '.join(terms.by)}"
    if terms.other_person and terms.asked_by:
        yield f"by another person than {terms.asked_by}"
