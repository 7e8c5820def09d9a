"""Requests, as values: what is asked of an API server, or of a webhook, is decided apart from the asking."""

from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum

from shared.contracts.model import JsonObject, JsonValue

OUR_MANAGER = "sre-agent"
"""The name under which we write, so that an object tells what of it is ours by now."""


class PatchType(StrEnum):
    """How a patch is written."""

    MERGE = "application/merge-patch+json"
    STRATEGIC = "application/strategic-merge-patch+json"
    JSON = "application/json-patch+json"


@dataclass(frozen=True, slots=True)
class Get:
    """Read one object; answered with it."""

    path: str


@dataclass(frozen=True, slots=True)
class ListAll:
    """Read all objects of a path, or those that a field selector names; answered with a list of them."""

    path: str
    fields: str = ""


@dataclass(frozen=True, slots=True)
class Patch:
    """Patch an object; answered with what it is then."""

    path: str
    body: JsonValue
    kind: PatchType


@dataclass(frozen=True, slots=True)
class Create:
    """Create an object, or a subresource such as an eviction; answered with it."""

    path: str
    body: JsonObject


@dataclass(frozen=True, slots=True)
class Delete:
    """Delete the object of that uid, and of that version where one is named; what it owns goes after it.

    `grace_seconds` is how long it may take to end, where that is not its own to say.
    """

    path: str
    uid: str
    resource_version: str = ""
    grace_seconds: int | None = None


Reading = Get | ListAll
Writing = Patch | Create | Delete


@dataclass(frozen=True, slots=True)
class Preview:
    """Ask what a write would come to, also where the command is live; answered like it, and kept by nobody."""

    writing: Writing


@dataclass(frozen=True, slots=True)
class Call:
    """Tell a webhook something, by the name that the remediator knows it under; answered with nothing.

    It is repeated under the same id while it is not known to have arrived, for as long as `within`. A dry run sends
    nothing.
    """

    webhook: str
    body: JsonObject
    within: timedelta


Request = Reading | Writing | Preview | Call
Answer = JsonObject | list[JsonObject]
