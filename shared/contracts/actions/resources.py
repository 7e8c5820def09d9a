"""What a container of a workload's template is given, and the patch that gives it something else."""

from collections.abc import Mapping

from shared.contracts.actions.base import RefusedError
from shared.contracts.model import JsonObject
from shared.contracts.objects import containers_of, section
from shared.contracts.refusals import Refusal


def container_named(workload: JsonObject, name: str) -> JsonObject:
    """Return a container of a workload's template.

    Raises:
        RefusedError: it has none of that name.
    """
    found = next((one for one in containers_of(workload) if one.get("name") == name), None)
    if found is None:
        raise RefusedError(Refusal.CONTAINER_UNKNOWN)
    return found


def told(container: JsonObject, bound: str, resource: str) -> str:
    """Return a limit or a request as it is written; an empty text where there is none."""
    found = section(container, "resources", bound).get(resource)
    return "" if found is None else str(found)


def template_with(container: str, resource: str, bounds: Mapping[str, str]) -> JsonObject:
    """Return the spec of a strategic patch that sets these bounds of one container's resource, and no more."""
    resources: JsonObject = {bound: {resource: quantity} for bound, quantity in bounds.items()}
    return {"template": {"spec": {"containers": [{"name": container, "resources": resources}]}}}
