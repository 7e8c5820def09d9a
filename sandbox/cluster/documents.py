"""JSON documents as Kubernetes writes them: the types, and typed ways to read and write inside one."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import TypeAlias

Json: TypeAlias = "bool | int | float | str | list[Json] | dict[str, Json] | None"
Document: TypeAlias = dict[str, Json]
ReadOnly: TypeAlias = Mapping[str, Json]


def copied(value: Json) -> Json:
    """Return a deep copy."""
    if isinstance(value, dict):
        return {key: copied(child) for key, child in value.items()}
    if isinstance(value, list):
        return [copied(child) for child in value]
    return value


def copy_of(document: ReadOnly) -> Document:
    """Return a deep copy of a document, to be changed freely."""
    return {key: copied(child) for key, child in document.items()}


def at(document: ReadOnly, *path: str) -> Json:
    """Return what lies at `path`, or None."""
    here: Json = dict(document) if not path else document.get(path[0])
    for key in path[1:]:
        if not isinstance(here, dict):
            return None
        here = here.get(key)
    return here


def section(document: ReadOnly, *path: str) -> Document:
    """Return the mapping at `path` itself, or a new empty one."""
    found = at(document, *path)
    return found if isinstance(found, dict) else {}


def rows(document: ReadOnly, *path: str) -> list[Document]:
    """Return the mappings of the list at `path`."""
    found = at(document, *path)
    return [row for row in found if isinstance(row, dict)] if isinstance(found, list) else []


def words(document: ReadOnly, *path: str) -> list[str]:
    """Return the strings of the list at `path`."""
    found = at(document, *path)
    return [word for word in found if isinstance(word, str)] if isinstance(found, list) else []


def texts(document: ReadOnly, *path: str) -> dict[str, str]:
    """Return the mapping of strings at `path`: labels, annotations, node selectors."""
    return {key: value for key, value in section(document, *path).items() if isinstance(value, str)}


def text(document: ReadOnly, *path: str, default: str = "") -> str:
    """Return the string at `path`."""
    found = at(document, *path)
    return found if isinstance(found, str) else default


def whole(document: ReadOnly, *path: str, default: int = 0) -> int:
    """Return the whole number at `path`."""
    found = at(document, *path)
    return found if isinstance(found, int) and not isinstance(found, bool) else default


def truth(document: ReadOnly, *path: str, default: bool = False) -> bool:
    """Return the boolean at `path`."""
    found = at(document, *path)
    return found if isinstance(found, bool) else default


def ensured(document: Document, *path: str) -> Document:
    """Return the mapping at `path`, made on the way where it is missing."""
    here = document
    for key in path:
        child = here.get(key)
        if not isinstance(child, dict):
            child = {}
            here[key] = child
        here = child
    return here


def name_of(document: ReadOnly) -> str:
    """Return metadata.name."""
    return text(document, "metadata", "name")


def namespace_of(document: ReadOnly) -> str:
    """Return metadata.namespace; empty for what has none."""
    return text(document, "metadata", "namespace")


def uid_of(document: ReadOnly) -> str:
    """Return metadata.uid."""
    return text(document, "metadata", "uid")


def labels_of(document: ReadOnly) -> dict[str, str]:
    """Return metadata.labels."""
    return texts(document, "metadata", "labels")


def annotations_of(document: ReadOnly) -> dict[str, str]:
    """Return metadata.annotations."""
    return texts(document, "metadata", "annotations")


def is_leaving(document: ReadOnly) -> bool:
    """Tell whether the object is being deleted."""
    return bool(text(document, "metadata", "deletionTimestamp"))


def controller_of(document: ReadOnly) -> Document:
    """Return the owner reference that is the controller, or an empty document."""
    owners = rows(document, "metadata", "ownerReferences")
    found = [owner for owner in owners if truth(owner, "controller")]
    return found[0] if found else {}


def without_nothing(document: ReadOnly) -> Document:
    """Return the document without null, zero, empty and false values at its top, as `omitempty` writes it."""
    return {key: value for key, value in document.items() if value not in (None, 0, "", [], {})}


def stamp(moment: datetime) -> str:
    """Return a moment as Kubernetes' Time, in whole seconds."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def fine_stamp(moment: datetime) -> str:
    """Return a moment as Kubernetes' MicroTime."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def moment_of(written: str) -> datetime | None:
    """Return the moment of a Time or MicroTime, or None where there is none."""
    return datetime.fromisoformat(written) if written else None
