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

import yaml
from aiohttp import web

from sandbox.cluster import discovery, openapi
from sandbox.cluster.documents import Document, Json, rows, section, text
from sandbox.cluster.errors import StatusError, bad_request, method_not_allowed, no_such_path, unsupported_media
from sandbox.cluster.resources import EVENTS, PODS, Resource, Subresource, resource_at
from sandbox.cluster.selectors import Selection, parse_fields, parse_labels
from sandbox.cluster.server import ListOptions, Page, Patch, PatchKind, Persistence, deletion_status
from sandbox.cluster.simulation import Simulation
from sandbox.cluster.tables import table_of
from sandbox.cluster.watching import Watch
from sandbox.cluster.writes import Target

if TYPE_CHECKING:
    from collections.abc import Callable

_MAX_BODY = 3 << 20
_WATCH_FOR = timedelta(minutes=30)
_FOLLOW_S = 0.2
_MEDIA = ("application/json", "application/yaml")


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
        asked = _Asked(request, target_of(request.path), await _body(request), _persistence(request))
        handlers = {
            "GET": self._read,
            "POST": self._create,
            "PUT": self._replace,
            "PATCH": self._patch,
            "DELETE": self._delete,
        }
        handler = handlers.get(request.method)
        if handler is None:
            raise method_not_allowed()
        answer = await handler(asked)
        self._note(request, answer.status, asked.body)
        return answer

    async def _read(self, asked: _Asked) -> web.StreamResponse:
        target = asked.target
        if target.subresource is Subresource.LOG:
            return await self._log(asked)
        if target.name:
            found = self._api.get(target)
            return web.json_response(self._shown(asked, [found], metadata={}) or found)
        if asked.query.get("watch") in {"1", "true"}:
            return await self._watch(asked)
        page = self._api.list(target.resource, _list_options(asked))
        metadata = _page_metadata(page)
        return web.json_response(
            self._shown(asked, page.items, metadata=metadata) or _listing(target.resource, page, metadata)
        )

    def _shown(self, asked: _Asked, documents: list[Document], *, metadata: Document) -> Document | None:
        """Return objects as the table that kubectl asks for; None if it asks for none."""
        if "as=Table" not in asked.request.headers.get("Accept", ""):
            return None
        return table_of(asked.target.resource, documents, metadata=metadata, now=self._simulation.clock.now())

    async def _watch(self, asked: _Asked) -> web.StreamResponse:
        if "sendInitialEvents" in asked.query:
            raise bad_request("sendInitialEvents is forbidden for watch unless the WatchList feature gate is enabled")
        selection = _selection(asked)
        watch = Watch(self._simulation.store, asked.target.resource, selection, version=_version(asked))
        response = web.StreamResponse(headers={"Content-Type": "application/json"})
        seconds = float(asked.query.get("timeoutSeconds") or _WATCH_FOR.total_seconds())
        bookmarks = asked.query.get("allowWatchBookmarks") in {"1", "true"}
        try:
            await response.prepare(asked.request)
            async for event in watch.events(bookmarks=bookmarks, within=timedelta(seconds=seconds)):
                shown = self._shown(asked, [event["object"]], metadata={}) if event["type"] in _CHANGES else None  # type: ignore[list-item]
                line = {**event, "object": shown} if shown else event
                await response.write(json.dumps(line).encode() + b"\n")
        except ConnectionResetError:
            return response  # the client has gone
        finally:
            watch.close()
        return response

    async def _log(self, asked: _Asked) -> web.StreamResponse:
        pod = self._api.get(Target(PODS, asked.target.namespace, asked.target.name))
        container = asked.query.get("container") or _only_container(pod)
        previous = asked.query.get("previous") == "true"
        lines = self._simulation.kubelet.log(pod, container, previous=previous)
        if lines is None:
            raise self._no_log(pod, container, previous=previous)
        response = web.StreamResponse(headers={"Content-Type": "text/plain"})
        await response.prepare(asked.request)
        await response.write(_log_text(lines, asked.query).encode())
        while asked.query.get("follow") == "true":
            await asyncio.sleep(_FOLLOW_S)
            now = self._simulation.kubelet.log(pod, container, previous=False)
            if now is None or now[: len(lines)] != lines:
                return response
            await response.write("".join(f"{_bare(line)}\n" for line in now[len(lines) :]).encode())
            lines = now
        return response

    def _no_log(self, pod: Document, container: str, *, previous: bool) -> StatusError:
        name = text(pod, "metadata", "name")
        if container not in {text(one, "name") for one in rows(pod, "spec", "containers")}:
            return bad_request(f"container {container} is not valid for pod {name}")
        if previous:
            return bad_request(f'previous terminated container "{container}" in pod "{name}" not found')
        reason = self._simulation.kubelet.waiting_reason(pod, container)
        return bad_request(f'container "{container}" in pod "{name}" is waiting to start: {reason}')

    async def _create(self, asked: _Asked) -> web.StreamResponse:
        target, body = asked.target, _object(asked.body)
        if target.subresource is Subresource.EVICTION:
            self._api.evict(target, body, asked.persistence)
            created: Document = {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "code": 201}
            return web.json_response(created, status=HTTPStatus.CREATED)
        if target.name or target.subresource is not None:
            raise method_not_allowed()
        return web.json_response(self._api.create(target, body, asked.persistence), status=HTTPStatus.CREATED)

    async def _replace(self, asked: _Asked) -> web.StreamResponse:
        if not asked.target.name:
            raise method_not_allowed()
        return web.json_response(self._api.replace(asked.target, _object(asked.body), asked.persistence))

    async def _patch(self, asked: _Asked) -> web.StreamResponse:
        media = asked.request.content_type
        if media not in set(PatchKind):
            raise unsupported_media([kind.value for kind in PatchKind])
        patch = Patch(PatchKind(media), asked.body, asked.query.get("fieldManager", ""))
        patched, created = self._api.patch(asked.target, patch, asked.persistence)
        return web.json_response(patched, status=HTTPStatus.CREATED if created else HTTPStatus.OK)

    async def _delete(self, asked: _Asked) -> web.StreamResponse:
        options, target = asked.body if isinstance(asked.body, dict) else {}, asked.target
        if asked.query.get("gracePeriodSeconds", "").isdecimal():
            options = options | {"gracePeriodSeconds": int(asked.query["gracePeriodSeconds"])}
        if not target.name:
            gone = self._api.delete_selected(
                target.resource, _selection(asked), options=options, persistence=asked.persistence
            )
            return web.json_response(_listing(target.resource, Page(gone, self._simulation.store.version), {}))
        deletion = self._api.delete(target, options, asked.persistence)
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


_GROUP_PARTS = 3
_CHANGES = frozenset({"ADDED", "MODIFIED", "DELETED"})


def _described(parts: list[str]) -> Document | None:
    """Return what is told of a group, of a group's version, or of its OpenAPI document."""
    if parts[:2] == ["openapi", "v3"]:
        return openapi.document_of("/".join(parts[2:]))
    if parts[0] == "apis" and len(parts) == _GROUP_PARTS:
        listed = discovery.resource_list(parts[1], parts[2])
        return listed if rows(listed, "resources") else None
    groups = rows(discovery.group_list(), "groups")
    return next((one for one in groups if parts == ["apis", text(one, "name")]), None)


def target_of(path: str) -> Target:
    """Return what a path names.

    Raises:
        StatusError: nothing (404).
    """
    parts = [part for part in path.split("/") if part]
    if len(parts) > 2 and parts[:2] == ["api", "v1"]:  # noqa: PLR2004
        return _target("", "v1", rest=parts[2:])
    if len(parts) > _GROUP_PARTS and parts[0] == "apis":
        return _target(parts[1], parts[2], rest=parts[3:])
    raise no_such_path()


def _target(group: str, version: str, *, rest: list[str]) -> Target:
    namespace = ""
    if rest[0] == "namespaces" and len(rest) > 2 and rest[2] not in {"status", "finalize"}:  # noqa: PLR2004
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


async def _body(request: web.Request) -> Json:
    raw = await request.read()
    if not raw:
        return None
    media = request.content_type
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


def _object(body: Json) -> Document:
    if not isinstance(body, dict):
        raise bad_request("the body of the request is not an object")
    return body


def _persistence(request: web.Request) -> Persistence:
    wanted = request.query.get("dryRun", "")
    if wanted not in {"", "All"}:
        raise bad_request(f'Invalid value: "{wanted}": supported values: "All"')
    return Persistence.DRY_RUN if wanted else Persistence.KEEP


def _selection(asked: _Asked) -> Selection:
    labels = parse_labels(asked.query.get("labelSelector", ""))
    fields = parse_fields(asked.query.get("fieldSelector", ""), asked.target.resource)
    return Selection(asked.target.namespace, labels, fields)


def _version(asked: _Asked) -> str:
    version = asked.query.get("resourceVersion", "")
    if version and not version.isdecimal():
        raise bad_request(f'resourceVersion: Invalid value: "{version}": strconv.ParseUint: invalid syntax')
    return version


def _list_options(asked: _Asked) -> ListOptions:
    limit = asked.query.get("limit") or "0"
    return ListOptions(
        selection=_selection(asked),
        limit=int(limit) if limit.isdecimal() else 0,
        token=asked.query.get("continue", ""),
        version=_version(asked),
        match=asked.query.get("resourceVersionMatch", ""),
    )


def _page_metadata(page: Page) -> Document:
    metadata: Document = {"resourceVersion": str(page.version)}
    if page.token:
        metadata |= {"continue": page.token, "remainingItemCount": page.remaining}
    return metadata


def _listing(resource: Resource, page: Page, metadata: Document) -> Document:
    items: list[Json] = [
        {name: value for name, value in one.items() if name not in {"kind", "apiVersion"}} for one in page.items
    ]
    told = metadata or {"resourceVersion": str(page.version)}
    return {"kind": f"{resource.kind}List", "apiVersion": resource.group_version, "metadata": told, "items": items}


def _only_container(pod: Document) -> str:
    names = [text(one, "name") for one in rows(section(pod, "spec"), "containers")]
    if len(names) != 1:
        pod_name = text(pod, "metadata", "name")
        raise bad_request(f"a container name must be specified for pod {pod_name}, choose one of: [{' '.join(names)}]")
    return names[0]


def _log_text(lines: list[str], query: dict[str, str]) -> str:
    tail = query.get("tailLines", "")
    shown = lines[-int(tail) :] if tail.isdecimal() and int(tail) else lines
    keep = query.get("timestamps") == "true"
    told = "".join(f"{line if keep else _bare(line)}\n" for line in shown)
    limit = query.get("limitBytes", "")
    return told[: int(limit)] if limit.isdecimal() else told


def _bare(line: str) -> str:
    return line.partition(" ")[2]
