"""Incidents as they are shown to people: with the version that an answer to them names."""

from pydantic import Field

from shared.contracts.incidents import Incident


class IncidentShown(Incident):
    """An incident, and the version of what is shown of it."""

    shown_version: str = Field(serialization_alias="version", validation_alias="version")


def shown(incident: Incident) -> IncidentShown:
    """Return an incident with its version."""
    return IncidentShown.model_validate({**dict(incident), "version": incident.version})
