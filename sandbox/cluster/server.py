"""The verbs of the API server on the store, without HTTP: every refusal is a StatusError."""

from dataclasses import replace
from enum import StrEnum
from http import HTTPStatus

from sandbox.cluster import eviction, scales
from sandbox.cluster.clock import Clock
from sandbox.cluster.deleting import Deletion, end_of, grace_of, held_by, leaving, may_go
from sandbox.cluster.documents import (
    Document,
    copy_of,
    ensured,
    is_leaving,
    name_of,
    namespace_of,
    section,
    text,
    words,
)
from sandbox.cluster.errors import (
    ExpiredListError,
    StatusError,
    already_exists,
    bad_request,
    namespace_terminating,
    not_found,
    too_large,
)
from sandbox.cluster.names import Names
from sandbox.cluster.paging import ListOptions, Page, Place, lasting_token, page_of, place_of
from sandbox.cluster.patching import Patch, PatchKind, patched
from sandbox.cluster.resources import BUDGETS, NAMESPACES, PODS, SERVICES, Resource, Subresource
from sandbox.cluster.selectors import Selection
from sandbox.cluster.store import Store, key_of
from sandbox.cluster.writes import Target, changed_object, check_preconditions, check_version, new_object

Documents = list[Document]
_SERVICE_NETWORK = "10.96"
_OCTET = 250


class Persistence(StrEnum):
    """Whether a write is kept or only answered."""

    KEEP = "keep"
    DRY_RUN = "dry-run"


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
        place = self._place(options)
        version = self.store.version if place.version is None else place.version
        try:
            chosen = self._chosen(resource, options.selection, version)
        except StatusError as exc:
            if options.token and exc.code == HTTPStatus.GONE:
                raise ExpiredListError(lasting_token(place)) from exc
            raise
        return page_of(chosen, options, after=place.after, version=version)

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
        after = changed_object(target, body, before=before)
        return self._keep(target.resource, after, before=before, persistence=persistence)

    def replace_or_create(
        self, target: Target, body: Document, persistence: Persistence = Persistence.KEEP
    ) -> tuple[Document, bool]:
        """Store a new state of an object and return it, and whether it was created by that (few kinds are).

        Raises:
            StatusError: it is not acceptable (400, 404, 409, 422).
        """
        is_there = self.store.get(target.resource, (target.namespace, target.name)) is not None
        if is_there or not target.resource.created_by_update or target.subresource is not None:
            return self.replace(target, body, persistence), False
        return self.create(target, _named(body, target), persistence), True

    def patch(self, target: Target, patch: Patch, persistence: Persistence = Persistence.KEEP) -> tuple[Document, bool]:
        """Change an object by a patch and return it, and whether it was created by the patch (apply only).

        Raises:
            StatusError: it is not acceptable (400, 404, 409, 422).
        """
        patch.check()
        before = self._patched_object(target)
        if before is None:
            if patch.kind is PatchKind.APPLY and isinstance(patch.body, dict):
                return self.create(target, _named(patch.body, target), persistence), True
            raise not_found(target.resource, target.name)
        after = patched(before, patch)
        check_version(target.resource, section(after, "metadata"), before=before)
        return self.replace(target, after, persistence), False

    def delete(self, target: Target, options: Document, persistence: Persistence = Persistence.KEEP) -> Deletion:
        """Delete an object, at once or after its grace period and its finalizers.

        Raises:
            StatusError: it is not there, or a precondition does not hold (404, 409).
        """
        before = self.get(replace(target, subresource=None))
        check_preconditions(target.resource, options, before=before)
        grace = grace_of(target.resource, options, before=before)
        held = held_by(options, before)
        if not grace and not held and target.resource is not NAMESPACES:
            gone = before if persistence is Persistence.DRY_RUN else self._remove(target.resource, before)
            return Deletion(gone, gone=True)
        end = end_of(self._clock.now(), grace, scale=self._clock.scale)
        after = leaving(target.resource, before, grace=grace, end=end, held=held)
        return Deletion(self._keep(target.resource, after, before=before, persistence=persistence), gone=False)

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
            StatusError: the budget does not allow it (429), a precondition does not hold (409), or it names another
                pod (400).
        """
        if name_of(body) not in {"", target.name}:
            raise bad_request("name in URL does not match name in Eviction object")
        pod = self.get(Target(PODS, target.namespace, target.name))
        options = section(body, "deleteOptions")
        check_preconditions(PODS, options, before=pod)
        if words(options, "dryRun"):
            persistence = Persistence.DRY_RUN
        verdict = eviction.judge(pod, self.store.select(BUDGETS, Selection(namespace=target.namespace)))
        if isinstance(verdict, StatusError):
            raise verdict
        if persistence is Persistence.KEEP:
            if verdict.budget is not None:
                self.store.put(BUDGETS, eviction.charged(verdict.budget, name_of(pod), now=self._clock.now()))
            self.store.put(PODS, eviction.disrupted(pod, now=self._clock.now()))
        self.delete(Target(PODS, target.namespace, target.name), _without_version(options), persistence)

    def finish(self, target: Target) -> None:
        """Take an object out now that its grace period is over, unless finalizers hold it."""
        self.delete(target, {"gracePeriodSeconds": 0})

    def finish_namespace(self, name: str) -> None:
        """Take an empty terminating namespace out."""
        if not any(namespace_of(document) == name for _, document in self.store.everything()):
            self.store.remove(NAMESPACES, ("", name))

    def _place(self, options: ListOptions) -> Place:
        """Return the version to read at, and the key to go on after."""
        if options.token:
            return place_of(options.token)
        wanted = int(options.version) if options.version.isdigit() else 0
        if wanted > self.store.version:
            raise too_large(wanted, self.store.version)
        return Place(None, wanted if options.match == "Exact" and wanted else None)

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
            raise namespace_terminating(target.resource, target.name, namespace=target.namespace)

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
        if is_leaving(document) and may_go(resource, document):
            return self._remove(resource, kept)
        return kept

    def _remove(self, resource: Resource, document: Document) -> Document:
        return self.store.remove(resource, key_of(document))

    def _patched_object(self, target: Target) -> Document | None:
        return self.store.get(target.resource, (target.namespace, target.name)) and self.get(target)

    def _write_scale(self, target: Target, body: Document, persistence: Persistence) -> Document:
        whole_target = replace(target, subresource=None)
        before = self.get(whole_target)
        check_version(target.resource, section(body, "metadata"), before=before)
        after = scales.scaled(before, body)
        return scales.scale_of(self.replace(whole_target, after, persistence))


def _named(body: Document, target: Target) -> Document:
    named = copy_of(body)
    ensured(named, "metadata")["name"] = target.name
    return named


def _without_version(options: Document) -> Document:
    """Leave the resourceVersion out: marking the pod as disrupted has moved it on since it was checked."""
    kept = copy_of(options)
    section(kept, "preconditions").pop("resourceVersion", None)
    return kept
