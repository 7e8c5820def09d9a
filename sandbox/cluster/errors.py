"""Refusals as the API server words them.

StatusError
└── every refusal is one StatusError: code, reason, message, details; the functions here are its vocabulary
"""

from collections.abc import Sequence
from dataclasses import dataclass
from http import HTTPStatus

from sandbox.cluster.documents import Document, Json
from sandbox.cluster.resources import Resource


class StatusError(Exception):
    """A request that ends with a Status object instead of an object."""

    def __init__(self, code: int, reason: str, message: str, *, details: Document | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.reason = reason
        self.message = message
        self.details = details

    def document(self, metadata: Document | None = None) -> Document:
        """Return the Status object that answers the request."""
        status: Document = {"kind": "Status", "apiVersion": "v1", "metadata": metadata or {}}
        status |= {"status": "Failure", "message": self.message}
        if self.reason:
            status["reason"] = self.reason
        if self.details:
            status["details"] = self.details
        return status | {"code": self.code}


class ExpiredListError(StatusError):
    """A continue token older than the history, with the token that goes on inconsistently."""

    def __init__(self, token: str) -> None:
        super().__init__(HTTPStatus.GONE, "Expired", _EXPIRED_CONTINUE)
        self.token = token

    def document(self, metadata: Document | None = None) -> Document:
        """Return the Status object, with the way on in its metadata."""
        return super().document((metadata or {}) | {"continue": self.token})


_EXPIRED_CONTINUE = (
    "The provided continue parameter is too old to display a consistent list result. You can start a new list "
    "without the continue parameter, or use the continue token in this response to retrieve the remainder of "
    "the results. Continuing with the provided token results in an inconsistent list - objects that were created, "
    "modified, or deleted between the time the first chunk was returned and now may show up in the list."
)


@dataclass(frozen=True, slots=True)
class FieldFault:
    """One fault of one field: how field.Error prints it, and its machine-readable reason."""

    field: str
    reason: str
    message: str


def required(field: str, detail: str = "") -> FieldFault:
    """Return the fault of a missing value."""
    return FieldFault(field, "FieldValueRequired", _joined("Required value", detail))


def invalid(field: str, value: str, detail: str) -> FieldFault:
    """Return the fault of a wrong value; `value` as the server prints it (strings quoted)."""
    return FieldFault(field, "FieldValueInvalid", f"Invalid value: {value}: {detail}")


def forbidden_field(field: str, detail: str) -> FieldFault:
    """Return the fault of a value that may not be there."""
    return FieldFault(field, "FieldValueForbidden", f"Forbidden: {detail}")


def unsupported(field: str, value: str, *, supported: Sequence[str]) -> FieldFault:
    """Return the fault of a value outside its list."""
    listed = ", ".join(f'"{one}"' for one in supported)
    return FieldFault(field, "FieldValueNotSupported", f'Unsupported value: "{value}": supported values: {listed}')


def duplicate(field: str, value: str) -> FieldFault:
    """Return the fault of a value that occurs twice."""
    return FieldFault(field, "FieldValueDuplicate", f'Duplicate value: "{value}"')


class UnservedPathError(StatusError):
    """Signal that nothing is served at a path; told as plain text, as the real server does."""


def not_found(resource: Resource, name: str) -> StatusError:
    """Return 404 for an object."""
    return StatusError(
        HTTPStatus.NOT_FOUND, "NotFound", f'{resource.qualified} "{name}" not found', details=_details(resource, name)
    )


def no_such_path() -> StatusError:
    """Return 404 for a path that means nothing here."""
    message = "the server could not find the requested resource"
    return UnservedPathError(HTTPStatus.NOT_FOUND, "NotFound", message, details={})


def already_exists(resource: Resource, name: str) -> StatusError:
    """Return 409 for a create of what is there."""
    message = f'{resource.qualified} "{name}" already exists'
    return StatusError(HTTPStatus.CONFLICT, "AlreadyExists", message, details=_details(resource, name))


def conflict(resource: Resource, name: str, *, because: str) -> StatusError:
    """Return 409 for a write that rests on something that has changed."""
    message = f'Operation cannot be fulfilled on {resource.qualified} "{name}": {because}'
    return StatusError(HTTPStatus.CONFLICT, "Conflict", message, details=_details(resource, name))


def stale(resource: Resource, name: str) -> StatusError:
    """Return 409 for a write with an old resourceVersion."""
    because = "the object has been modified; please apply your changes to the latest version and try again"
    return conflict(resource, name, because=because)


def wrong_precondition(resource: Resource, name: str, *, what: str, wanted: str, found: str) -> StatusError:
    """Return 409 for a precondition that does not hold."""
    because = f"Precondition failed: {what} in precondition: {wanted}, {what} in object meta: {found}"
    return conflict(resource, name, because=because)


def unprocessable(resource: Resource, name: str, *, faults: Sequence[FieldFault]) -> StatusError:
    """Return 422 with every fault of every field."""
    told = [f"{fault.field}: {fault.message}" for fault in faults]
    summary = told[0] if len(told) == 1 else f"[{', '.join(told)}]"
    causes: list[Json] = [{"reason": fault.reason, "message": fault.message, "field": fault.field} for fault in faults]
    group_kind = f"{resource.kind}.{resource.group}" if resource.group else resource.kind
    details: Document = {"name": name, "group": resource.group, "kind": resource.kind, "causes": causes}
    return StatusError(
        HTTPStatus.UNPROCESSABLE_ENTITY,
        "Invalid",
        f'{group_kind} "{name}" is invalid: {summary}',
        details={key: value for key, value in details.items() if value},
    )


def bad_request(message: str) -> StatusError:
    """Return 400."""
    return StatusError(HTTPStatus.BAD_REQUEST, "BadRequest", message)


def forbidden(resource: Resource, name: str, *, because: str) -> StatusError:
    """Return 403."""
    message = f'{resource.qualified} "{name}" is forbidden: {because}'
    return StatusError(HTTPStatus.FORBIDDEN, "Forbidden", message, details=_details(resource, name))


def namespace_terminating(resource: Resource, name: str, *, namespace: str) -> StatusError:
    """Return 403 for a create in a namespace that ends."""
    because = f"unable to create new content in namespace {namespace} because it is being terminated"
    refused = forbidden(resource, name, because=because)
    told = f"namespace {namespace} is being terminated"
    causes: list[Json] = [{"reason": "NamespaceTerminating", "message": told, "field": "metadata.namespace"}]
    details: Document = {**(refused.details or {}), "causes": causes}
    return StatusError(refused.code, refused.reason, refused.message, details=details)


def method_not_allowed() -> StatusError:
    """Return 405."""
    message = "the server does not allow this method on the requested resource"
    return StatusError(HTTPStatus.METHOD_NOT_ALLOWED, "MethodNotAllowed", message, details={})


def unsupported_media(accepted: Sequence[str]) -> StatusError:
    """Return 415."""
    message = f"the body of the request was in an unknown format - accepted media types include: {', '.join(accepted)}"
    return StatusError(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "UnsupportedMediaType", message)


def expired(wanted: int, oldest: int) -> StatusError:
    """Return 410 for a resourceVersion older than the history."""
    message = f"too old resource version: {wanted} ({oldest})"
    return StatusError(HTTPStatus.GONE, "Expired", message)


def too_large(wanted: int, current: int) -> StatusError:
    """Return 504 for a resourceVersion that has not happened yet."""
    message = f"Too large resource version: {wanted}, current: {current}"
    causes: list[Json] = [{"reason": "ResourceVersionTooLarge", "message": "Too large resource version"}]
    return StatusError(
        HTTPStatus.GATEWAY_TIMEOUT, "Timeout", f"Timeout: {message}", details={"causes": causes, "retryAfterSeconds": 1}
    )


def _details(resource: Resource, name: str) -> Document:
    details: Document = {"name": name, "group": resource.group, "kind": resource.plural}
    return {key: value for key, value in details.items() if value}


def _joined(head: str, detail: str) -> str:
    return f"{head}: {detail}" if detail else head
