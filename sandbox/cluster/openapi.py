"""The little of OpenAPI v3 by which clients learn that the server itself checks fields (`fieldValidation`)."""

from sandbox.cluster.documents import Document
from sandbox.cluster.resources import Resource, group_versions, served_in


def index() -> Document:
    """Return the answer of /openapi/v3."""
    paths: Document = {
        path_of(group, version): {"serverRelativeURL": f"/openapi/v3/{path_of(group, version)}?hash=sandbox"}
        for group, version in group_versions()
    }
    return {"paths": paths}


def path_of(group: str, version: str) -> str:
    """Return the path of a group's documents."""
    return f"apis/{group}/{version}" if group else f"api/{version}"


def document_of(path: str) -> Document | None:
    """Return the answer of /openapi/v3/<path>; None where nothing is served."""
    found = next((one for one in group_versions() if path_of(*one) == path), None)
    if found is None:
        return None
    paths: Document = {f"/{path}/{_place(one)}": _operations(one) for one in served_in(*found)}
    return {
        "openapi": "3.0.0",
        "info": {"title": "Kubernetes", "version": "v1.35.0"},
        "paths": paths,
        "components": {"schemas": {}},
    }


def _place(resource: Resource) -> str:
    inside = "namespaces/{namespace}/" if resource.namespaced else ""
    return f"{inside}{resource.plural}/{{name}}"


def _operations(resource: Resource) -> Document:
    parameter: Document = {"name": "fieldValidation", "in": "query", "schema": {"type": "string"}}
    kind: Document = {"group": resource.group, "version": resource.version, "kind": resource.kind}
    operation: Document = {
        "parameters": [parameter],
        "responses": {"200": {"description": "OK"}},
        "x-kubernetes-group-version-kind": kind,
    }
    return {"patch": operation}
