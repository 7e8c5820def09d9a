"""Refusals as RFC 9457 problem documents, each with a named reason."""

from collections.abc import Sequence
from enum import StrEnum
from http import HTTPStatus

from pydantic import BaseModel, Field

MAX_FAULTS = 20
"""Who sends what is wrong in more places than these mends it by the first of them."""
MEDIA_TYPE = "application/problem+json"


class ProblemReason(StrEnum):
    """Why a request is refused."""

    NOT_FOUND = "not-found"
    INCIDENT_UNKNOWN = "incident-unknown"
    PLAYBOOK_UNKNOWN = "playbook-unknown"
    REPORT_NOT_WRITTEN = "report-not-written"
    METHOD_NOT_ALLOWED = "method-not-allowed"
    INVALID_REQUEST = "invalid-request"
    REQUEST_TOO_LARGE = "request-too-large"
    WORKLOAD_INVALID = "workload-invalid"
    NOT_AUTHENTICATED = "not-authenticated"
    NOT_ENTITLED = "not-entitled"
    NO_TOKEN_CONFIGURED = "no-token-configured"  # noqa: S105 - a reason's name
    APPROVAL_NOT_AWAITED = "approval-not-awaited"
    APPROVAL_STALE = "approval-stale"
    APPROVER_NOT_NAMED = "approver-not-named"
    APPROVER_ASKED_FOR_IT = "approver-asked-for-it"
    NOT_PAUSED = "not-paused"
    PAUSED_BY_ANOTHER = "paused-by-another"
    SILENCE_UNKNOWN = "silence-unknown"
    SILENCE_OVER = "silence-over"
    TOO_MANY_SILENCES = "too-many-silences"
    TOO_MANY_STREAMS = "too-many-streams"
    DEPENDENCY_UNAVAILABLE = "dependency-unavailable"


class FieldFault(BaseModel):
    """One fault of a request: where, and what was expected."""

    field: str
    expected: str


class Problem(BaseModel):
    """A problem document (RFC 9457); `reason` is stable, for programs, `detail` is for people."""

    type: str
    title: str
    status: int
    detail: str
    instance: str
    reason: ProblemReason
    faults: list[FieldFault] = Field(default_factory=list[FieldFault])


class ProblemError(Exception):
    """A request that is refused."""

    def __init__(
        self, status: HTTPStatus, reason: ProblemReason, detail: str, *, faults: Sequence[FieldFault] = ()
    ) -> None:
        super().__init__(detail)
        self.status, self.reason, self.detail, self.faults = status, reason, detail, list(faults[:MAX_FAULTS])

    def document(self, instance: str) -> Problem:
        """Return the document that answers the request."""
        return problem(self.status, self.reason, detail=self.detail, instance=instance, faults=self.faults)


def problem(
    status: HTTPStatus, reason: ProblemReason, *, detail: str, instance: str, faults: list[FieldFault] | None = None
) -> Problem:
    """Return a problem document."""
    return Problem(
        type=f"urn:sre-agent:problem:{reason.value}",
        title=status.phrase,
        status=status,
        detail=detail,
        instance=instance,
        reason=reason,
        faults=faults or [],
    )
