"""What stands above an incident's story: what it is, whose it is, where help is written, what people were told."""

from collections.abc import Iterator

from shared.contracts.incidents import Incident


def heading(incident: Incident) -> Iterator[tuple[str, str]]:
    """Yield the lines that say something, each with its word."""
    labels = ", ".join(f"{name}={value}" for name, value in incident.labels.items())
    said = {"summary": incident.summary, "owner": incident.owner, "runbook": incident.runbook, "labels": labels}
    yield "severity", incident.severity.value
    yield from ((word, text) for word, text in said.items() if text)
    yield from (("note", f"{note.at:%H:%M:%S} {note.message}") for note in incident.notes)
