"""Lists in pages: what a list asks for, one page of the answer, and the token that goes on after it."""

import base64
import binascii
import json
from dataclasses import dataclass, field

from sandbox.cluster.documents import Document, whole, words
from sandbox.cluster.errors import bad_request
from sandbox.cluster.selectors import Selection
from sandbox.cluster.store import Key, key_of

_ANY_VERSION = -1


@dataclass(frozen=True, slots=True)
class ListOptions:
    """What a list asks for."""

    selection: Selection = field(default_factory=Selection)
    limit: int = 0
    token: str = ""
    version: str = ""
    match: str = ""


@dataclass(frozen=True, slots=True)
class Page:
    """One answer to a list; `remaining` is None where it is not told."""

    items: list[Document]
    version: int
    token: str = ""
    remaining: int | None = None


@dataclass(frozen=True, slots=True)
class Place:
    """Where a page begins: after a key, at a version; None is the present one."""

    after: Key | None
    version: int | None


def page_of(chosen: list[Document], options: ListOptions, *, after: Key | None, version: int) -> Page:
    """Return the page of the chosen objects that begins after a key."""
    left = [document for document in chosen if after is None or key_of(document) > after]
    if not options.limit or len(left) <= options.limit:
        return Page(left, version)
    page = left[: options.limit]
    is_counted = not options.selection.labels and not options.selection.fields
    return Page(page, version, token_of(page[-1], version), len(left) - options.limit if is_counted else None)


def token_of(last: Document, version: int) -> str:
    """Return the token that goes on after an object."""
    return _token(version, key_of(last))


def lasting_token(place: Place) -> str:
    """Return the token that goes on at a place whatever has happened since."""
    return _token(_ANY_VERSION, place.after)


def place_of(token: str) -> Place:
    """Return the place that a token tells.

    Raises:
        StatusError: it cannot be read (400).
    """
    try:
        read: Document = json.loads(base64.urlsafe_b64decode(token + "=" * (-len(token) % 4)))
        start, version = words(read, "start"), whole(read, "rv")
    except (ValueError, binascii.Error, AttributeError) as exc:
        raise bad_request("continue key is not valid: illegal base64 data") from exc
    after = (start[0], start[1]) if len(start) > 1 else None
    return Place(after, None if version == _ANY_VERSION else version)


def _token(version: int, after: Key | None) -> str:
    written = json.dumps({"v": "meta.k8s.io/v1", "rv": version, "start": list(after or ())})
    return base64.urlsafe_b64encode(written.encode()).decode().rstrip("=")
