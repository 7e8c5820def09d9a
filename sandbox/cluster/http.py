"""The Kubernetes HTTP API in front of a simulation: paths to verbs, refusals to Status objects, writes to an audit log.

Paths and answers as in https://kubernetes.io/docs/reference/using-api/api-concepts/.
"""

import asyncio
import json
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING

from aiohttp import web

from sandbox.cluster import discovery, openapi
from sandbox.cluster.asking import (
    body_of,
    deletion_options_of,
    deletion_persistence_of,
    is_true,
    list_options_of,
    methods_of,
    object_of,
    patch_kind_of,
    persistence_of,
    selection_of,
    sends_initial_events,
    target_of,
    version_of,
)
from sandbox.cluster.deleting import deletion_status
from sandbox.cluster.documents import Document, Json, rows, text
from sandbox.cluster.errors import StatusError, UnservedPathError, bad_request, method_not_allowed
from sandbox.cluster.logs import bare, container_of, log_text
from sandbox.cluster.paging import Page
from sandbox.cluster.patching import Patch
from sandbox.cluster.resources import EVENTS, PODS, Subresource
from sandbox.cluster.server import Persistence
from sandbox.cluster.simulation import Simulation
from sandbox.cluster.views import View, listing, view_of
from sandbox.cluster.watching import Watch
from sandbox.cluster.writes import Target

if TYPE_CHECKING:
    from collections.abc import Callable

_MAX_BODY = 3 << 20
_WATCH_FOR = timedelta(minutes=30)
_FOLLOW_S = 0.2
_CHANGES = frozenset({"ADDED", "MODIFIED", "DELETED"})
_GROUP_PARTS = 3


@dataclass(frozen=True, slots=True)
class _Asked:
    """A request, understood."""

    request: web.Request
    target: Target
    body: Json
    persistence: Persistence

    @property
    def query(self) -> dict[str, str]:
        return dict(self.request.query)

    @property
    def view(self) -> View:
        return view_of(self.target.resource, self.request.headers.get("Accept", ""), self.query)


class ClusterHttp:
    """Answer requests; every write is noted in the audit log, with what came of it."""

    def __init__(self, simulation: Simulation, audit: Path) -> None:
        self._simulation = simulation
        self._api = simulation.api
        self._audit = audit

    def app(self) -> web.Application:
        """Return the application."""
        app = web.Application(client_max_size=_MAX_BODY)
        app.router.add_route("*", "/{path:.*}", self._answer)
        return app

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        try:
            return self._about_itself(request) or await self._about_objects(request)
        except UnservedPathError as unserved:
            self._note(request, unserved.code)
            return web.Response(text="404 page not found\n", status=unserved.code)
        except StatusError as refused:
            self._note(request, refused.code)
            return web.json_response(refused.document(), status=refused.code)

    def _about_itself(self, request: web.Request) -> web.Response | None:
        path = request.path.rstrip("/")
        parts = path.split("/")[1:]
        if path in {"/healthz", "/readyz", "/livez"}:
            return web.Response(text="ok")
        fixed: dict[str, Callable[[], Document]] = {
            "/version": discovery.version,
            "/api": discovery.api_versions,
            "/apis": discovery.group_list,
            "/openapi/v3": openapi.index,
            "/api/v1": lambda: discovery.resource_list("", "v1"),
        }
        if path in fixed:
            return web.json_response(fixed[path]())
        found = _described(parts)
        return web.json_response(found) if found else None

    async def _about_objects(self, request: web.Request) -> web.StreamResponse:
        target = target_of(request.path)
        if request.method not in methods_of(target):
            raise method_not_allowed()
        body = body_of(await request.read(), request.content_type)
        asked = _Asked(request, target, body, persistence_of(request.query))
        handlers = {
            "GET": self._read,
            "POST": self._create,
            "PUT": self._replace,
            "PATCH": self._patch,
            "DELETE": self._delete,
        }
        answer = await handlers[request.method](asked)
        self._note(request, answer.status, asked.body)
        return answer

    async def _read(self, asked: _Asked) -> web.StreamResponse:
        target, now = asked.target, self._simulation.clock.now()
        if target.subresource is Subresource.LOG:
            return await self._log(asked)
        if target.name:
            return web.json_response(asked.view.of_object(self._api.get(target), now=now))
        if is_true(asked.query, "watch"):
            return await self._watch(asked)
        page = self._api.list(target.resource, list_options_of(asked.query, target))
        return web.json_response(asked.view.of_page(page, now=now))

    async def _watch(self, asked: _Asked) -> web.StreamResponse:
        watch = Watch(
            self._simulation.store,
            asked.target.resource,
            selection_of(asked.query, asked.target),
            version=version_of(asked.query),
            marks_the_start=sends_initial_events(asked.query),
        )
        response = web.StreamResponse(headers={"Content-Type": "application/json"})
        seconds = float(asked.query.get("timeoutSeconds") or _WATCH_FOR.total_seconds())
        bookmarks = is_true(asked.query, "allowWatchBookmarks")
        try:
            await response.prepare(asked.request)
            async for event in watch.events(bookmarks=bookmarks, within=timedelta(seconds=seconds)):
                await response.write(json.dumps(self._seen(asked.view, event)).encode() + b"\n")
        except ConnectionResetError:
            return response  # the client has gone
        finally:
            watch.close()
        return response

    def _seen(self, view: View, event: Document) -> Document:
        seen = event["object"]
        if event["type"] not in _CHANGES or not isinstance(seen, dict):
            return event
        return {**event, "object": view.of_object(seen, now=self._simulation.clock.now())}

    async def _log(self, asked: _Asked) -> web.StreamResponse:
        pod = self._api.get(Target(PODS, asked.target.namespace, asked.target.name))
        container = container_of(pod, asked.query.get("container", ""))
        previous = asked.query.get("previous") == "true"
        lines = self._simulation.kubelet.log(pod, container, previous=previous)
        if lines is None:
            raise self._no_log(pod, container, previous=previous)
        response = web.StreamResponse(headers={"Content-Type": "text/plain"})
        await response.prepare(asked.request)
        await response.write(log_text(lines, asked.query).encode())
        while asked.query.get("follow") == "true":
            await asyncio.sleep(_FOLLOW_S)
            now = self._simulation.kubelet.log(pod, container, previous=False)
            if now is None or now[: len(lines)] != lines:
                return response
            await response.write("".join(f"{bare(line)}\n" for line in now[len(lines) :]).encode())
            lines = now
        return response

    def _no_log(self, pod: Document, container: str, *, previous: bool) -> StatusError:
        name = text(pod, "metadata", "name")
        if previous:
            return bad_request(f'previous terminated container "{container}" in pod "{name}" not found')
        reason = self._simulation.kubelet.waiting_reason(pod, container)
        return bad_request(f'container "{container}" in pod "{name}" is waiting to start: {reason}')

    async def _create(self, asked: _Asked) -> web.StreamResponse:
        target, body = asked.target, object_of(asked.body)
        if target.subresource is Subresource.EVICTION:
            self._api.evict(target, body, asked.persistence)
            created: Document = {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "code": 201}
            return web.json_response(created, status=HTTPStatus.CREATED)
        return web.json_response(self._api.create(target, body, asked.persistence), status=HTTPStatus.CREATED)

    async def _replace(self, asked: _Asked) -> web.StreamResponse:
        written, created = self._api.replace_or_create(asked.target, object_of(asked.body), asked.persistence)
        return web.json_response(written, status=HTTPStatus.CREATED if created else HTTPStatus.OK)

    async def _patch(self, asked: _Asked) -> web.StreamResponse:
        kind = patch_kind_of(asked.request.content_type)
        patch = Patch(kind, asked.body, asked.query.get("fieldManager", ""))
        patched, created = self._api.patch(asked.target, patch, asked.persistence)
        return web.json_response(patched, status=HTTPStatus.CREATED if created else HTTPStatus.OK)

    async def _delete(self, asked: _Asked) -> web.StreamResponse:
        options, target = deletion_options_of(asked.query, asked.body), asked.target
        persistence = deletion_persistence_of(asked.query, asked.body)
        if not target.name:
            gone = self._api.delete_selected(
                target.resource, selection_of(asked.query, target), options=options, persistence=persistence
            )
            return web.json_response(listing(target.resource, Page(gone, self._simulation.store.version)))
        deletion = self._api.delete(target, options, persistence)
        if deletion.gone and not target.resource.returns_deleted:
            return web.json_response(deletion_status(target.resource, deletion.document))
        return web.json_response(deletion.document)

    def _note(self, request: web.Request, code: int, body: Json = None) -> None:
        """Write what was asked for, if it was to change something, and how it was answered."""
        if request.method == "GET":
            return
        entry = {
            "at": datetime.now(UTC).isoformat(),
            "verb": request.method,
            "path": request.path,
            "query": request.query_string,
            "code": code,
            "agent": request.headers.get("User-Agent", ""),
            "body": body if EVENTS.plural not in request.path else None,
        }
        with self._audit.open("a", encoding="utf-8") as log:
            log.write(json.dumps(entry) + "\n")


def _described(parts: list[str]) -> Document | None:
    """Return what is told of a group, of a group's version, or of its OpenAPI document."""
    if parts[:2] == ["openapi", "v3"]:
        return openapi.document_of("/".join(parts[2:]))
    if parts[0] == "apis" and len(parts) == _GROUP_PARTS:
        listed = discovery.resource_list(parts[1], parts[2])
        return listed if rows(listed, "resources") else None
    groups = rows(discovery.group_list(), "groups")
    return next((one for one in groups if parts == ["apis", text(one, "name")]), None)
