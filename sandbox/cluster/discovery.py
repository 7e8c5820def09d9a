"""What the API server tells of itself: version, groups, resources."""

from sandbox.cluster.documents import Document, Json
from sandbox.cluster.resources import PODS, Resource, Subresource, group_versions, served_in

MINOR = 35
_VERBS: list[Json] = ["create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"]
_SUB_KINDS = {
    Subresource.STATUS: None,
    Subresource.SCALE: ("autoscaling", "v1", "Scale"),
    Subresource.EVICTION: ("policy", "v1", "Eviction"),
    Subresource.LOG: None,
}
_SUB_VERBS: dict[Subresource, list[Json]] = {
    Subresource.STATUS: ["get", "patch", "update"],
    Subresource.SCALE: ["get", "patch", "update"],
    Subresource.EVICTION: ["create"],
    Subresource.LOG: ["get"],
}


def version() -> Document:
    """Return the answer of /version."""
    return {
        "major": "1",
        "minor": str(MINOR),
        "gitVersion": f"v1.{MINOR}.0+sandbox",
        "gitCommit": "",
        "gitTreeState": "clean",
        "buildDate": "2026-01-01T00:00:00Z",
        "goVersion": "none",
        "compiler": "none",
        "platform": "linux/amd64",
    }


def api_versions() -> Document:
    """Return the answer of /api."""
    addresses: list[Json] = [{"clientCIDR": "0.0.0.0/0", "serverAddress": "127.0.0.1"}]
    return {"kind": "APIVersions", "versions": ["v1"], "serverAddressByClientCIDRs": addresses}


def group_list() -> Document:
    """Return the answer of /apis."""
    groups: list[Json] = [group_of(group, number) for group, number in group_versions() if group]
    return {"kind": "APIGroupList", "apiVersion": "v1", "groups": groups}


def group_of(group: str, number: str) -> Document:
    """Return the answer of /apis/<group>."""
    served: Document = {"groupVersion": f"{group}/{number}", "version": number}
    return {"kind": "APIGroup", "apiVersion": "v1", "name": group, "versions": [served], "preferredVersion": served}


def resource_list(group: str, number: str) -> Document:
    """Return the answer of /api/v1 or /apis/<group>/<version>."""
    listed: list[Json] = []
    for resource in served_in(group, number):
        listed.append(_listed(resource))
        listed += [_sub(resource, one) for one in resource.subresources]
    version_of = f"{group}/{number}" if group else number
    return {"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": version_of, "resources": listed}


def _listed(resource: Resource) -> Document:
    told: Document = {
        "name": resource.plural,
        "singularName": resource.kind.lower(),
        "namespaced": resource.namespaced,
        "kind": resource.kind,
        "verbs": _VERBS,
    }
    if resource.short:
        told["shortNames"] = list(resource.short)
    if resource.aliases:
        told["categories"] = list(resource.aliases)
    return told


def _sub(resource: Resource, part: Subresource) -> Document:
    told: Document = {
        "name": f"{resource.plural}/{part.value}",
        "singularName": "",
        "namespaced": resource.namespaced,
        "kind": resource.kind if resource is not PODS or part is not Subresource.LOG else "Pod",
        "verbs": _SUB_VERBS[part],
    }
    other = _SUB_KINDS[part]
    if other is not None:
        told |= {"group": other[0], "version": other[1], "kind": other[2]}
    return told
