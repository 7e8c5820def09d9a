"""The verbs of the API server on the store, without HTTP: every refusal is a StatusError."""

import base64
import binascii
import json
from dataclasses import dataclass, field, replace
from datetime import timedelta
from enum import StrEnum
from http import HTTPStatus
from typing import TYPE_CHECKING

from sandbox.cluster import eviction, scales
from sandbox.cluster.clock import Clock
from sandbox.cluster.documents import (
    Document,
    Json,
    ReadOnly,
    copy_of,
    ensured,
    is_leaving,
    name_of,
    namespace_of,
    rows,
    section,
    stamp,
    text,
    uid_of,
    whole,
    words,
)
from sandbox.cluster.errors import (
    ExpiredListError,
    StatusError,
    already_exists,
    bad_request,
    forbidden,
    not_found,
    required,
    too_large,
    unprocessable,
)
from sandbox.cluster.names import Names
from sandbox.cluster.patches import PatchError, PatchTestError, json_patched, merged, strategically_merged
from sandbox.cluster.resources import BUDGETS, NAMESPACES, PODS, SERVICES, Resource, Subresource
from sandbox.cluster.selectors import Selection
from sandbox.cluster.store import Store, key_of
from sandbox.cluster.writes import Target, changed_object, check_preconditions, check_version, new_object

if TYPE_CHECKING:
    from collections.abc import Callable

Documents = list[Document]
_DONE_PHASES = frozenset({"Succeeded", "Failed"})
_DEFAULT_GRACE_SECONDS = 30
_SERVICE_NETWORK = "10.96"
_OCTET = 250


class PatchKind(StrEnum):
    """The media types of patches."""

    JSON = "application/json-patch+json"
    MERGE = "application/merge-patch+json"
    STRATEGIC = "application/strategic-merge-patch+json"
    APPLY = "application/apply-patch+yaml"


class Persistence(StrEnum):
    """Whether a write is kept or only answered."""

    KEEP = "keep"
    DRY_RUN = "dry-run"


@dataclass(frozen=True, slots=True)
class Patch:
    """A patch as it came in."""

    kind: PatchKind
    body: Json
    field_manager: str = ""


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
    """One answer to a list."""

    items: list[Document]
    version: int
    token: str = ""
    remaining: int = 0


@dataclass(frozen=True, slots=True)
class Deletion:
    """What a delete came to: the object's last state, and whether it is gone already."""

    document: Document
    gone: bool


class ApiServer:
    """Read and write objects as the API server does; all writers go through it."""

    def __init__(self, store: Store, clock: Clock, *, names: Names) -> None:
        self.store = store
        self._clock = clock
        self._names = names
        self._addresses = 0

    def get(self, target: Target) -> Document:
        """Return one object.

        Raises:
            StatusError: it is not there (404).
        """
        found = self.store.get(target.resource, (target.namespace, target.name))
        if found is None:
            raise not_found(target.resource, target.name)
        if target.subresource is Subresource.SCALE:
            return scales.scale_of(found)
        return found

    def list(self, resource: Resource, options: ListOptions) -> Page:
        """Return the selected objects, or the next page of them.

        Raises:
            StatusError: the token or version is not acceptable (400, 410, 504).
        """
        version, after = self._place(options)
        try:
            chosen = self._chosen(resource, options.selection, version)
        except StatusError as exc:
            if options.token and exc.code == HTTPStatus.GONE:
                raise ExpiredListError(_token(-1, after)) from exc
            raise
        chosen = [document for document in chosen if after is None or key_of(document) > after]
        if not options.limit or len(chosen) <= options.limit:
            return Page(chosen, version)
        page = chosen[: options.limit]
        return Page(page, version, _token(version, key_of(page[-1])), len(chosen) - options.limit)

    def create(self, target: Target, body: Document, persistence: Persistence = Persistence.KEEP) -> Document:
        """Store a new object.

        Raises:
            StatusError: it is not acceptable (400, 403, 404, 409, 422).
        """
        target.check(body)
        self._check_namespace(target)
        document = new_object(target, body, names=self._names, now=self._clock.now())
        if self.store.get(target.resource, key_of(document)) is not None:
            raise already_exists(target.resource, name_of(document))
        if target.resource is SERVICES:
            self._assign_address(document)
        if persistence is Persistence.DRY_RUN:
            return document
        return self.store.put(target.resource, document)

    def replace(self, target: Target, body: Document, persistence: Persistence = Persistence.KEEP) -> Document:
        """Store a new state of an object.

        Raises:
            StatusError: it is not acceptable (400, 404, 409, 422).
        """
        if target.subresource is Subresource.SCALE:
            return self._write_scale(target, body, persistence)
        target.check(body)
        before = self.get(target)
        return self._keep(
            target.resource, changed_object(target, body, before=before), before=before, persistence=persistence
        )

    def patch(self, target: Target, patch: Patch, persistence: Persistence = Persistence.KEEP) -> tuple[Document, bool]:
        """Change an object by a patch and return it, and whether it was created by the patch (apply only).

        Raises:
            StatusError: it is not acceptable (400, 404, 409, 422).
        """
        if patch.kind is PatchKind.APPLY:
            _check_field_manager(patch)
        before = self._patched_object(target)
        if before is None:
            if patch.kind is PatchKind.APPLY and isinstance(patch.body, dict):
                return self.create(target, _named(patch.body, target), persistence), True
            raise not_found(target.resource, target.name)
        after = _patched(target, before, patch)
        check_version(target.resource, section(after, "metadata"), before=before)
        return self.replace(target, after, persistence), False

    def delete(self, target: Target, options: Document, persistence: Persistence = Persistence.KEEP) -> Deletion:
        """Delete an object, at once or after its grace period and its finalizers.

        Raises:
            StatusError: it is not there, or a precondition does not hold (404, 409).
        """
        before = self.get(replace(target, subresource=None))
        check_preconditions(target.resource, options, before=before)
        grace = self._grace(target.resource, options, before)
        waits = grace > 0 or bool(words(before, "metadata", "finalizers")) or target.resource is NAMESPACES
        if not waits:
            gone = before if persistence is Persistence.DRY_RUN else self._remove(target.resource, before)
            return Deletion(gone, gone=True)
        leaving = self._leaving(target.resource, before, grace)
        return Deletion(self._keep(target.resource, leaving, before=before, persistence=persistence), gone=False)

    def delete_selected(
        self, resource: Resource, selection: Selection, *, options: Document, persistence: Persistence
    ) -> Documents:
        """Delete every selected object and return their last states."""
        chosen = self.store.select(resource, selection)
        targets = [Target(resource, namespace_of(one), name_of(one)) for one in chosen]
        return [self.delete(target, options, persistence).document for target in targets]

    def evict(self, target: Target, body: Document, persistence: Persistence = Persistence.KEEP) -> None:
        """Delete a pod if its disruption budget lets it go.

        Raises:
            StatusError: the budget does not allow it (429), or a precondition does not hold (409).
        """
        pod = self.get(Target(PODS, target.namespace, target.name))
        options = section(body, "deleteOptions")
        check_preconditions(PODS, options, before=pod)
        if words(options, "dryRun"):
            persistence = Persistence.DRY_RUN
        verdict = eviction.judge(pod, self.store.select(BUDGETS, Selection(namespace=target.namespace)))
        if isinstance(verdict, StatusError):
            raise verdict
        if persistence is Persistence.KEEP:
            self._charge(verdict.budget, name_of(pod))
            self._mark_disrupted(pod)
        self.delete(Target(PODS, target.namespace, target.name), _without_version(options), persistence)

    def finish(self, target: Target) -> None:
        """Take an object out now that its grace period is over, unless finalizers hold it."""
        self.delete(target, {"gracePeriodSeconds": 0})

    def finish_namespace(self, name: str) -> None:
        """Take an empty terminating namespace out."""
        if not any(namespace_of(document) == name for _, document in self.store.everything()):
            self.store.remove(NAMESPACES, ("", name))

    def _place(self, options: ListOptions) -> tuple[int, tuple[str, str] | None]:
        """Return the version to read at, and the key to go on after."""
        current = self.store.version
        if options.token:
            version, after = _read_token(options.token)
            return (current if version < 0 else version), after
        wanted = int(options.version) if options.version.isdigit() else 0
        if wanted > current:
            raise too_large(wanted, current)
        exact = options.match == "Exact" and wanted
        return (wanted if exact else current), None

    def _chosen(self, resource: Resource, selection: Selection, version: int) -> Documents:
        if version == self.store.version:
            return self.store.select(resource, selection)
        return self.store.select_at(resource, selection, version=version)

    def _check_namespace(self, target: Target) -> None:
        if not target.resource.namespaced:
            return
        namespace = self.store.get(NAMESPACES, ("", target.namespace))
        if namespace is None:
            raise not_found(NAMESPACES, target.namespace)
        if is_leaving(namespace):
            because = f"unable to create new content in namespace {target.namespace} because it is being terminated"
            raise forbidden(target.resource, target.name, because=because)

    def _assign_address(self, service: Document) -> None:
        spec = ensured(service, "spec")
        if text(spec, "type") == "ExternalName" or "clusterIP" in spec:
            return
        self._addresses += 1
        address = f"{_SERVICE_NETWORK}.{self._addresses // _OCTET}.{self._addresses % _OCTET + 1}"
        spec["clusterIP"], spec["clusterIPs"] = address, [address]

    def _keep(self, resource: Resource, document: Document, *, before: Document, persistence: Persistence) -> Document:
        if persistence is Persistence.DRY_RUN:
            return document
        if document == before:
            return before
        kept = self.store.put(resource, document)
        if is_leaving(document) and self._may_go(resource, document):
            return self._remove(resource, kept)
        return kept

    def _may_go(self, resource: Resource, document: ReadOnly) -> bool:
        held = bool(words(document, "metadata", "finalizers"))
        graceful = resource is NAMESPACES or whole(document, "metadata", "deletionGracePeriodSeconds") > 0
        return not held and not graceful

    def _remove(self, resource: Resource, document: Document) -> Document:
        return self.store.remove(resource, key_of(document))

    def _grace(self, resource: Resource, options: Document, before: ReadOnly) -> int:
        if resource is not PODS:
            return 0
        if not text(before, "spec", "nodeName") or text(before, "status", "phase") in _DONE_PHASES:
            return 0
        default = whole(before, "spec", "terminationGracePeriodSeconds", default=_DEFAULT_GRACE_SECONDS)
        wanted = whole(options, "gracePeriodSeconds", default=default)
        if not is_leaving(before):
            return wanted
        return min(wanted, whole(before, "metadata", "deletionGracePeriodSeconds"))

    def _leaving(self, resource: Resource, before: Document, grace: int) -> Document:
        leaving = copy_of(before)
        metadata = ensured(leaving, "metadata")
        end = stamp(self._clock.now() + timedelta(seconds=grace) / self._clock.scale)
        if not is_leaving(before) or whole(metadata, "deletionGracePeriodSeconds") != grace:
            metadata["deletionTimestamp"], metadata["deletionGracePeriodSeconds"] = end, grace
        if resource is NAMESPACES:
            del metadata["deletionGracePeriodSeconds"]
            ensured(leaving, "status")["phase"] = "Terminating"
        return leaving

    def _charge(self, budget: Document | None, pod_name: str) -> None:
        if budget is None:
            return
        charged = copy_of(budget)
        status = ensured(charged, "status")
        status["disruptionsAllowed"] = whole(status, "disruptionsAllowed") - 1
        ensured(status, "disruptedPods")[pod_name] = stamp(self._clock.now())
        self.store.put(BUDGETS, charged)

    def _mark_disrupted(self, pod: Document) -> None:
        marked = copy_of(pod)
        condition: Document = {
            "type": "DisruptionTarget",
            "status": "True",
            "lastProbeTime": None,
            "lastTransitionTime": stamp(self._clock.now()),
            "reason": "EvictionByEvictionAPI",
            "message": "Eviction API: evicting",
        }
        others = [one for one in rows(pod, "status", "conditions") if text(one, "type") != "DisruptionTarget"]
        ensured(marked, "status")["conditions"] = [*others, condition]
        self.store.put(PODS, marked)

    def _patched_object(self, target: Target) -> Document | None:
        return self.store.get(target.resource, (target.namespace, target.name)) and self.get(target)

    def _write_scale(self, target: Target, body: Document, persistence: Persistence) -> Document:
        whole_target = replace(target, subresource=None)
        before = self.get(whole_target)
        check_version(target.resource, section(body, "metadata"), before=before)
        after = scales.scaled(before, body)
        return scales.scale_of(self.replace(whole_target, after, persistence))


def _patched(target: Target, before: Document, patch: Patch) -> Document:
    readers: dict[PatchKind, Callable[[], Json]] = {
        PatchKind.JSON: lambda: json_patched(before, patch.body),
        PatchKind.MERGE: lambda: merged(before, patch.body),
        PatchKind.STRATEGIC: lambda: _strategic(before, patch.body),
        PatchKind.APPLY: lambda: _strategic(before, patch.body),
    }
    try:
        after = readers[patch.kind]()
    except PatchTestError as exc:
        message = "the server rejected our request due to an error in our request"
        raise StatusError(HTTPStatus.UNPROCESSABLE_ENTITY, "Invalid", message, details={}) from exc
    except PatchError as exc:
        raise bad_request(f"error decoding patch: {exc}") from exc
    if not isinstance(after, dict):
        raise bad_request(f"the patch leaves no {target.resource.kind}")
    return after


def _strategic(before: Document, body: Json) -> Document:
    if not isinstance(body, dict):
        raise PatchError("a strategic merge patch is an object")
    return strategically_merged(before, body)


def _named(body: Document, target: Target) -> Document:
    named = copy_of(body)
    ensured(named, "metadata")["name"] = target.name
    return named


def _check_field_manager(patch: Patch) -> None:
    if patch.field_manager:
        return
    options = Resource("meta.k8s.io", "v1", "", "PatchOptions")
    raise unprocessable(options, "", faults=[required("fieldManager", "is required for apply patch")])


def _without_version(options: Document) -> Document:
    """Leave the resourceVersion out: marking the pod as disrupted has moved it on since it was checked."""
    kept = copy_of(options)
    section(kept, "preconditions").pop("resourceVersion", None)
    return kept


def _token(version: int, after: tuple[str, str] | None) -> str:
    written = json.dumps({"v": "meta.k8s.io/v1", "rv": version, "start": list(after or ())})
    return base64.urlsafe_b64encode(written.encode()).decode().rstrip("=")


def _read_token(token: str) -> tuple[int, tuple[str, str] | None]:
    try:
        read: Document = json.loads(base64.urlsafe_b64decode(token + "=" * (-len(token) % 4)))
        start = words(read, "start")
        version = whole(read, "rv")
    except (ValueError, binascii.Error, AttributeError) as exc:
        raise bad_request("continue key is not valid: illegal base64 data") from exc
    return version, (start[0], start[1]) if len(start) > 1 else None


def deletion_status(resource: Resource, document: Document) -> Document:
    """Return the Status that answers a finished delete."""
    details: Document = {"name": name_of(document), "group": resource.group, "kind": resource.plural}
    details["uid"] = uid_of(document)
    shown: Document = {key: value for key, value in details.items() if value}
    return {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "details": shown}
