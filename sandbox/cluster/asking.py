"""What a request asks: its path, its method, its body and its options, read and checked."""

import json
from collections.abc import Mapping

import yaml

from sandbox.cluster.documents import Document, Json, words
from sandbox.cluster.errors import (
    bad_request,
    forbidden_field,
    invalid,
    no_such_path,
    unprocessable,
    unsupported,
    unsupported_media,
)
from sandbox.cluster.paging import ListOptions
from sandbox.cluster.patching import PatchKind
from sandbox.cluster.resources import Resource, Subresource, resource_at
from sandbox.cluster.selectors import Selection, parse_fields, parse_labels
from sandbox.cluster.server import Persistence
from sandbox.cluster.writes import Target

Query = Mapping[str, str]

_MEDIA = ("application/json", "application/yaml")
_GROUP_PARTS = 3
_COLLECTION_PARTS = 2
_OF_COLLECTION = frozenset({"GET", "POST", "DELETE"})
_OF_OBJECT = frozenset({"GET", "PUT", "PATCH", "DELETE"})
_OF_PART = {
    Subresource.STATUS: frozenset({"GET", "PUT", "PATCH"}),
    Subresource.SCALE: frozenset({"GET", "PUT", "PATCH"}),
    Subresource.LOG: frozenset({"GET"}),
    Subresource.EVICTION: frozenset({"POST"}),
}


def target_of(path: str) -> Target:
    """Return what a path names.

    Raises:
        StatusError: nothing (404).
    """
    parts = [part for part in path.split("/") if part]
    if len(parts) > _COLLECTION_PARTS and parts[:2] == ["api", "v1"]:
        return _target("", "v1", rest=parts[2:])
    if len(parts) > _GROUP_PARTS and parts[0] == "apis":
        return _target(parts[1], parts[2], rest=parts[3:])
    raise no_such_path()


def methods_of(target: Target) -> frozenset[str]:
    """Return the HTTP methods that a path knows."""
    if target.subresource is not None:
        return _OF_PART[target.subresource]
    return _OF_OBJECT if target.name else _OF_COLLECTION


def body_of(raw: bytes, media: str) -> Json:
    """Return what a body says.

    Raises:
        StatusError: its form is not known (415), or it is broken (400).
    """
    if not raw:
        return None
    if media in {"application/yaml", PatchKind.APPLY.value}:
        try:
            return yaml.safe_load(raw)
        except yaml.YAMLError as wrong:
            raise bad_request(f"error decoding YAML: {wrong}") from wrong
    if not media.endswith("json") and media != "application/octet-stream":
        raise unsupported_media(_MEDIA)
    try:
        return json.loads(raw)
    except ValueError as wrong:
        raise bad_request(f"couldn't get version/kind; json parse error: {wrong}") from wrong


def object_of(body: Json) -> Document:
    """Return a body that is an object.

    Raises:
        StatusError: it is something else (400).
    """
    if not isinstance(body, dict):
        raise bad_request("the body of the request is not an object")
    return body


def patch_kind_of(media: str) -> PatchKind:
    """Return which kind of patch a body is.

    Raises:
        StatusError: none that is known (415).
    """
    if media not in set(PatchKind):
        raise unsupported_media([kind.value for kind in PatchKind])
    return PatchKind(media)


def persistence_of(query: Query) -> Persistence:
    """Return whether a write is to be kept.

    Raises:
        StatusError: `dryRun` says neither (422).
    """
    wanted = query.get("dryRun", "")
    if wanted not in {"", "All"}:
        raise unprocessable(_options("WriteOptions"), "", faults=[unsupported("dryRun", wanted, supported=["All"])])
    return Persistence.DRY_RUN if wanted else Persistence.KEEP


def deletion_persistence_of(query: Query, body: Json) -> Persistence:
    """Return whether a delete is to be kept: beside a body that tells its options the query counts for nothing.

    Raises:
        StatusError: `dryRun` says neither (422).
    """
    if not isinstance(body, dict) or not body:
        return persistence_of(query)
    return persistence_of({"dryRun": next(iter(words(body, "dryRun")), "")})


def deletion_options_of(query: Query, body: Json) -> Document:
    """Return the options of a delete, which the query may tell as well as the body."""
    options = dict(body) if isinstance(body, dict) else {}
    if query.get("gracePeriodSeconds", "").isdecimal():
        options["gracePeriodSeconds"] = int(query["gracePeriodSeconds"])
    if query.get("propagationPolicy"):
        options["propagationPolicy"] = query["propagationPolicy"]
    return options


def selection_of(query: Query, target: Target) -> Selection:
    """Return which objects are asked for.

    Raises:
        StatusError: a selector cannot be read (400).
    """
    labels = parse_labels(query.get("labelSelector", ""))
    fields = parse_fields(query.get("fieldSelector", ""), target.resource)
    return Selection(target.namespace, labels, fields)


def version_of(query: Query) -> str:
    """Return the resourceVersion that is asked for.

    Raises:
        StatusError: it is no number (400), or what is to match it is missing (422).
    """
    version, match = query.get("resourceVersion", ""), query.get("resourceVersionMatch", "")
    if version and not version.isdecimal():
        raise bad_request(f'resourceVersion: Invalid value: "{version}": strconv.ParseUint: invalid syntax')
    if match and not version and not sends_initial_events(query):
        told = "resourceVersionMatch is forbidden unless resourceVersion is provided"
        raise unprocessable(_options("ListOptions"), "", faults=[forbidden_field("resourceVersionMatch", told)])
    return version


def sends_initial_events(query: Query) -> bool:
    """Tell whether a watch is to begin with what is there, and say where that ends.

    Raises:
        StatusError: it does not say how fresh that must be (422).
    """
    if not is_true(query, "sendInitialEvents"):
        return False
    if query.get("resourceVersionMatch") != "NotOlderThan":
        told = "sendInitialEvents requires setting resourceVersionMatch to NotOlderThan"
        raise unprocessable(_options("ListOptions"), "", faults=[forbidden_field("resourceVersionMatch", told)])
    return True


def list_options_of(query: Query, target: Target) -> ListOptions:
    """Return the options of a list.

    Raises:
        StatusError: one of them cannot be (400, 422).
    """
    limit = query.get("limit") or "0"
    if not limit.isdecimal():
        raise unprocessable(_options("ListOptions"), "", faults=[invalid("limit", limit, "must be a number")])
    return ListOptions(
        selection=selection_of(query, target),
        limit=int(limit),
        token=query.get("continue", ""),
        version=version_of(query),
        match=query.get("resourceVersionMatch", ""),
    )


def is_true(query: Query, name: str) -> bool:
    """Tell whether a flag is set."""
    return query.get(name) in {"1", "true"}


def _target(group: str, version: str, *, rest: list[str]) -> Target:
    namespace = ""
    if rest[0] == "namespaces" and len(rest) > _COLLECTION_PARTS and rest[2] not in {"status", "finalize"}:
        namespace, rest = rest[1], rest[2:]
    resource = resource_at(group, version, plural=rest[0])
    if resource is None or len(rest) > _GROUP_PARTS:
        raise no_such_path()
    name = rest[1] if len(rest) > 1 else ""
    subresource = _subresource(resource, rest[2]) if len(rest) == _GROUP_PARTS else None
    return Target(resource, namespace, name, subresource)


def _subresource(resource: Resource, named: str) -> Subresource:
    found = next((one for one in resource.subresources if one.value == named), None)
    if found is None:
        raise no_such_path()
    return found


def _options(kind: str) -> Resource:
    return Resource("meta.k8s.io", "v1", "", kind)
