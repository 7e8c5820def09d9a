"""What an action changes, exactly: the patch, with the version it was made for, and the lines of the difference."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from services.remediator.core.refusals import Refusal
from shared.contracts.actions import Rollback, SetMemory
from shared.contracts.model import JsonObject, JsonValue
from shared.kernel.quantities import format_bytes, parse_bytes

COMMAND_ANNOTATION = "sre-agent.dev/command"
TOKEN_ANNOTATION = "sre-agent.dev/token"  # noqa: S105 - a fencing token is no secret
PROTECTED_LABEL = "sre-agent.dev/protected"
_REVISION = "deployment.kubernetes.io/revision"
_TEMPLATE_HASH = "pod-template-hash"


@dataclass(frozen=True, slots=True)
class Change:
    """A patch in JSON (strategic merge, or a list of JSON Patch operations) and its difference in words."""

    patch: JsonValue
    lines: tuple[str, ...]


def marks(command: str, token: int) -> dict[str, JsonValue]:
    """Return the annotations by which a change can be told to be ours, and by which leader's."""
    return {COMMAND_ANNOTATION: command, TOKEN_ANNOTATION: str(token)}


def memory_change(workload: JsonObject, action: SetMemory, *, command: str, token: int) -> Change | Refusal:
    """Return the change that sets a container's memory limit; its request follows where it would be above it."""
    container = next((one for one in containers(workload) if one.get("name") == action.container), None)
    if container is None:
        return Refusal.CONTAINER_UNKNOWN
    limit, request = (_memory(container, bound) for bound in ("limits", "requests"))
    if limit != action.from_bytes:
        return Refusal.CHANGED_MEANWHILE
    after = format_bytes(action.to_bytes)
    resources: JsonObject = {"limits": {"memory": after}}
    lines = [_line(action.container, "limits.memory", before=format_bytes(limit), after=after)]
    if request > action.to_bytes:
        resources["requests"] = {"memory": after}
        lines.append(_line(action.container, "requests.memory", before=format_bytes(request), after=after))
    return Change(
        {
            "metadata": {"resourceVersion": version_of(workload), "annotations": marks(command, token)},
            "spec": {"template": {"spec": {"containers": [{"name": action.container, "resources": resources}]}}},
        },
        tuple(lines),
    )


def rollback_change(
    deployment: JsonObject, replica_sets: Sequence[JsonObject], action: Rollback, *, command: str, token: int
) -> Change | Refusal:
    """Return the change that gives a Deployment the template of the revision before its present one."""
    history = sorted((one for one in replica_sets if _is_owned(one, deployment)), key=revision_of, reverse=True)
    if not history:
        return Refusal.NO_EARLIER_REVISION
    present, *earlier = history
    if action.from_template_hash not in {"", template_hash_of(present)}:
        return Refusal.CHANGED_MEANWHILE
    if not earlier:
        return Refusal.NO_EARLIER_REVISION
    target = earlier[0]
    template = _template_of(target)
    operations: list[JsonValue] = [
        {"op": "replace", "path": "/metadata/resourceVersion", "value": version_of(deployment)},  # another: 409
        {"op": "replace", "path": "/spec/template", "value": template},
        *(_annotate(name, value) for name, value in marks(command, token).items()),
    ]
    return Change(operations, tuple(_rollback_lines(deployment, present, target)))


def is_marked(source: JsonObject, command: str) -> bool:
    """Tell whether an object carries a command's mark: that change has happened."""
    return annotations_of(source).get(COMMAND_ANNOTATION) == command


def is_protected(source: JsonObject, by: Mapping[str, Sequence[str]]) -> bool:
    """Tell whether an object, or the pods of its template, are to be left alone.

    They are by the one label that holds whatever a command says, and `by` the labels that the playbook in force names.
    """
    carried = [_section(source, *path, "metadata", "labels") for path in ((), ("spec", "template"))]
    if any(one.get(PROTECTED_LABEL) == "true" for one in carried):
        return True
    return any(one.get(key) in values for one in carried for key, values in by.items())


def annotations_of(source: JsonObject) -> Mapping[str, JsonValue]:
    """Return an object's annotations."""
    return _section(source, "metadata", "annotations")


def version_of(source: JsonObject) -> str:
    """Return an object's resourceVersion."""
    return str(_section(source, "metadata").get("resourceVersion") or "")


def uid_of(source: JsonObject) -> str:
    """Return an object's uid."""
    return str(_section(source, "metadata").get("uid") or "")


def controller_of(source: JsonObject) -> JsonObject | None:
    """Return the owner reference of an object's controller."""
    owners = _section(source, "metadata").get("ownerReferences")
    for owner in owners if isinstance(owners, list) else []:
        if isinstance(owner, dict) and owner.get("controller") is True:
            return owner
    return None


def containers(workload: JsonObject) -> list[JsonObject]:
    """Return the containers of a workload's template."""
    found = _section(workload, "spec", "template", "spec").get("containers")
    return [one for one in (found if isinstance(found, list) else []) if isinstance(one, dict)]


def revision_of(replica_set: JsonObject) -> int:
    """Return the number of a ReplicaSet's revision; 0 if it has none."""
    told = str(annotations_of(replica_set).get(_REVISION) or "")
    return int(told) if told.isdecimal() else 0


def template_hash_of(replica_set: JsonObject) -> str:
    """Return the hash that labels a ReplicaSet's pods."""
    return str(_section(replica_set, "metadata", "labels").get(_TEMPLATE_HASH) or "")


def _section(parent: JsonObject, *path: str) -> JsonObject:
    found: JsonValue = parent
    for name in path:
        found = found.get(name) if isinstance(found, dict) else None
    return found if isinstance(found, dict) else {}


def _memory(container: JsonObject, bound: str) -> int:
    told = _section(container, "resources", bound).get("memory")
    try:
        return parse_bytes(str(told)) if told is not None else 0
    except ValueError:
        return 0


def _line(container: str, field: str, *, before: str, after: str) -> str:
    return f"container {container}: {field}: {before} → {after}"


def _is_owned(replica_set: JsonObject, deployment: JsonObject) -> bool:
    owner = controller_of(replica_set)
    return owner is not None and owner.get("uid") == uid_of(deployment)


def _template_of(replica_set: JsonObject) -> JsonObject:
    template = dict(_section(replica_set, "spec", "template"))
    metadata = dict(_section(template, "metadata"))
    labels = {name: value for name, value in _section(metadata, "labels").items() if name != _TEMPLATE_HASH}
    return {**template, "metadata": {**metadata, "labels": labels}}


def _annotate(name: str, value: JsonValue) -> JsonObject:
    return {"op": "add", "path": f"/metadata/annotations/{name.replace('/', '~1')}", "value": value}


def _rollback_lines(deployment: JsonObject, present: JsonObject, target: JsonObject) -> Iterator[str]:
    yield f"revision: {revision_of(present)} → template of revision {revision_of(target)}"
    before = {one.get("name"): one.get("image") for one in containers(deployment)}
    for container in containers(target):
        image = before.get(container.get("name"))
        if image != container.get("image"):
            yield _line(str(container.get("name")), "image", before=str(image), after=str(container.get("image")))
