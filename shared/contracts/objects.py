"""Careful reading of raw Kubernetes objects: whatever a cluster says, a field has its type, or a default."""

from collections.abc import Iterator
from datetime import UTC, datetime

from shared.contracts.model import JsonObject, JsonValue
from shared.contracts.workloads import CLUSTER_SCOPE, ObjectRef
from shared.kernel.quantities import parse_bytes

_MOST = 2**63 - 1
OUR_COMPONENT = "sre-agent"
"""Who the Kubernetes Events that we write ourselves say that they are from."""
MOST_LABELS = 64
_LABEL_CHARS, _LABEL_VALUE_CHARS = 317, 63
"""What Kubernetes takes for a label at the longest: 253 of a prefix, its slash and 63; and for the value of one."""


def section(parent: JsonObject, *path: str) -> JsonObject:
    """Return a nested object; an empty one where there is none."""
    found: JsonValue = parent
    for name in path:
        found = found.get(name) if isinstance(found, dict) else None
    return found if isinstance(found, dict) else {}


def sections(parent: JsonObject, *path: str) -> Iterator[JsonObject]:
    """Return the objects of a nested list."""
    found = section(parent, *path[:-1]).get(path[-1])
    yield from (one for one in (found if isinstance(found, list) else []) if isinstance(one, dict))


def text(parent: JsonObject, name: str) -> str:
    """Return a text; an empty one where there is none."""
    found = parent.get(name)
    return found if isinstance(found, str) else ""


def number(parent: JsonObject, name: str, default: int = 0) -> int:
    """Return a whole number of at most 64 bits, as Kubernetes' are."""
    found = parent.get(name)
    if isinstance(found, int) and not isinstance(found, bool) and abs(found) <= _MOST:
        return found
    return default


def flag(parent: JsonObject, name: str) -> bool:
    """Return a boolean; False where there is none."""
    return parent.get(name) is True


def moment(parent: JsonObject, name: str) -> datetime | None:
    """Return an RFC 3339 time, in UTC; None where there is none that can be read."""
    try:
        found = datetime.fromisoformat(text(parent, name))
        return found.astimezone(UTC) if found.tzinfo else found.replace(tzinfo=UTC)
    except (ValueError, OverflowError):
        return None


def labels_of(source: JsonObject) -> dict[str, str]:
    """Return an object's labels in the order of their names: the first 64, without what cannot be one."""
    told = section(source, "metadata", "labels").items()
    held = ((name, value) for name, value in told if isinstance(value, str) and len(value) <= _LABEL_VALUE_CHARS)
    return dict(sorted(label for label in held if len(label[0]) <= _LABEL_CHARS)[:MOST_LABELS])


def size_bytes(parent: JsonObject, name: str) -> int:
    """Return a memory quantity in bytes; 0 where there is none that can be read."""
    try:
        return parse_bytes(text(parent, name))
    except ValueError:
        return 0


def condition(parent: JsonObject, kind: str) -> JsonObject:
    """Return a status condition by its type; an empty one where it is not told."""
    nothing: JsonObject = {}
    return next((one for one in sections(parent, "status", "conditions") if text(one, "type") == kind), nothing)


def annotations_of(source: JsonObject) -> JsonObject:
    """Return an object's annotations."""
    return section(source, "metadata", "annotations")


def version_of(source: JsonObject) -> str:
    """Return an object's resourceVersion."""
    return text(section(source, "metadata"), "resourceVersion")


def uid_of(source: JsonObject) -> str:
    """Return an object's uid."""
    return text(section(source, "metadata"), "uid")


def controller_of(source: JsonObject) -> JsonObject | None:
    """Return the owner reference of an object's controller."""
    owners = sections(source, "metadata", "ownerReferences")
    return next((one for one in owners if flag(one, "controller")), None)


def containers_of(workload: JsonObject) -> list[JsonObject]:
    """Return the containers of a workload's template."""
    return list(sections(workload, "spec", "template", "spec", "containers"))


def reference(source: JsonObject, kind: str) -> ObjectRef:
    """Return the identity of an object."""
    metadata = section(source, "metadata")
    return ObjectRef(
        kind=kind,
        namespace=text(metadata, "namespace") or CLUSTER_SCOPE,
        name=text(metadata, "name"),
        uid=text(metadata, "uid"),
        resource_version=text(metadata, "resourceVersion"),
    )
