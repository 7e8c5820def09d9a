"""A patch as it comes in, and what it makes of an object: each media type by its own rules."""

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from http import HTTPStatus

from sandbox.cluster.documents import Document, Json
from sandbox.cluster.errors import StatusError, bad_request, required, unprocessable
from sandbox.cluster.patches import PatchError, PatchTestError, json_patched, merged, strategically_merged
from sandbox.cluster.resources import Resource

_OPTIONS = Resource("meta.k8s.io", "v1", "", "PatchOptions")


class PatchKind(StrEnum):
    """The media types of patches."""

    JSON = "application/json-patch+json"
    MERGE = "application/merge-patch+json"
    STRATEGIC = "application/strategic-merge-patch+json"
    APPLY = "application/apply-patch+yaml"


@dataclass(frozen=True, slots=True)
class Patch:
    """A patch as it came in."""

    kind: PatchKind
    body: Json
    field_manager: str = ""

    def check(self) -> None:
        """Refuse an apply that does not say for whom.

        Raises:
            StatusError: the field manager is missing (422).
        """
        if self.kind is PatchKind.APPLY and not self.field_manager:
            raise unprocessable(_OPTIONS, "", faults=[required("fieldManager", "is required for apply patch")])


def patched(before: Document, patch: Patch) -> Document:
    """Return the object after a patch.

    Raises:
        StatusError: the patch cannot be read (400), or does not fit the object (422).
    """
    try:
        after = _READERS[patch.kind](before, patch.body)
    except PatchTestError as exc:
        message = "the server rejected our request due to an error in our request"
        raise StatusError(HTTPStatus.UNPROCESSABLE_ENTITY, "Invalid", message, details={}) from exc
    except PatchError as exc:
        raise bad_request(f"error decoding patch: {exc}") from exc
    if not isinstance(after, dict):
        raise bad_request("the patch leaves no object")
    return after


def _strategic(before: Document, body: Json) -> Document:
    if not isinstance(body, dict):
        raise PatchError("a strategic merge patch is an object")
    return strategically_merged(before, body)


_READERS: dict[PatchKind, Callable[[Document, Json], Json]] = {
    PatchKind.JSON: json_patched,
    PatchKind.MERGE: merged,
    PatchKind.STRATEGIC: _strategic,
    PatchKind.APPLY: _strategic,
}
