"""The Kubernetes API as raw JSON, by the official client's asynchronous half: typed objects cost a hundred times more.

The client brings configuration, authentication and TLS; paths, pages and watches are ours, as in
https://kubernetes.io/docs/reference/using-api/api-concepts/. An answer that has not their form, whoever gave it (a
proxy's page, half a line), is a server that does not answer: it is asked again.
"""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Generator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from time import monotonic
from typing import Any, Self

import aiohttp
import yaml
from kubernetes.aio import client, config
from pydantic_core import from_json

from shared.contracts.model import JsonObject, JsonValue
from shared.contracts.objects import sections, text
from shared.contracts.requests import OUR_MANAGER, PatchType
from shared.kernel.errors import ConfigError, SreAgentError, UnavailableError

ANSWER_WITHIN = timedelta(seconds=10)
WATCH_GRACE = timedelta(seconds=5)
"""How long a watch may say nothing beyond the time at which the server was to end it."""
_PAGE = 500
_ALIVE_S = 1.0
_LINE_BYTES = 32 << 20
"""Longer than any object that a store of Kubernetes takes."""
_QUOTED_CHARS, _MESSAGE_CHARS = 200, 1_000
_UNREADABLE = (yaml.YAMLError, ValueError, TypeError, KeyError, AttributeError)
"""What the client's reader raises for a kubeconfig that is no YAML, or not of its form."""
_FORBIDDEN, _NOT_FOUND, _GONE, _TOO_MANY = 403, 404, 410, 429
_READS = "GET"
_FAILED = frozenset({500, 504})
"""What the API server answers where it, or what it asks about a request (a webhook, its store), fails at that."""
_BUDGET = "DisruptionBudget"
_UNSERVED = "404 page not found"
"""What the API server says, as plain text, where it serves no such path: a kind that nobody has installed."""
_CLIENT_ERRORS = range(400, 500)


class KubeError(SreAgentError):
    """Signal that the API server understood and refused; `status` and `reason` are those of its Status object."""

    def __init__(self, status: int, reason: str, message: str) -> None:
        super().__init__(f"{status} {reason}: {message}")
        self.status, self.reason, self.message = status, reason, message


class WriteFailedError(UnavailableError):
    """Signal that the API server failed at a write: it says so in its own form, or did not end it in time.

    It may be away as a whole, or failed at this one alone: whether it answers others tells. `message` is its own; what
    was to be changed may have been changed.
    """

    def __init__(self, said: str, message: str = "") -> None:
        super().__init__(f"Kubernetes API: {said}")
        self.message = message or said


class WatchExpiredError(KubeError):
    """Signal that a resourceVersion, or the rest of a list, is too old to be had (410); list again."""

    def __init__(self, message: str) -> None:
        super().__init__(_GONE, "Expired", message)


class _UnservedError(UnavailableError):
    """Signal that a path is not served; a proxy in front of the server may say the same of any."""


@dataclass(frozen=True, slots=True)
class WatchEvent:
    """One event of a watch: ADDED, MODIFIED, DELETED or BOOKMARK, and the object."""

    type: str
    object: JsonObject


@dataclass(frozen=True, slots=True)
class Listing:
    """Objects of a kind, all or a page of them, and the version to watch from."""

    items: list[JsonObject]
    resource_version: str


class KubeClient:
    """Ask an API server; every wait has a deadline."""

    def __init__(self, kubeconfig: Path | None) -> None:
        self._kubeconfig = kubeconfig
        self._api: Any = None

    async def get(self, path: str, **query: str) -> JsonObject:
        """Return one object.

        Raises:
            KubeError: the server refuses (404, 403…).
            UnavailableError: it does not answer.
        """
        return _api_object(await self._ask("GET", path, query=query))

    async def list(self, path: str, **query: str) -> Listing:
        """Return all objects of a path, read in pages.

        Raises:
            KubeError: the server refuses.
            UnavailableError: it does not answer.
            WatchExpiredError: the pages expired while they were read.
        """
        items: list[JsonObject] = []
        version = ""
        async for page in self.pages(path, **query):
            items += page.items
            version = page.resource_version
        return Listing(items, version)

    async def pages(self, path: str, **query: str) -> AsyncIterator[Listing]:
        """Yield all objects of a path page by page, for who need not hold them all; each page has the list's version.

        Raises:
            KubeError: the server refuses.
            UnavailableError: it does not answer.
            WatchExpiredError: the pages expired while they were read.
        """
        asked: set[str] = set()
        following = ""
        while following not in asked:
            asked.add(following)
            page = await self._page(path, following, query)
            yield Listing(page.items, page.resource_version)
            if not page.following:
                return
            following = page.following
        raise UnavailableError(f"Kubernetes API: {path}: the list leads back to a page of it that was read")

    @asynccontextmanager
    async def watch(
        self, path: str, *, resource_version: str, within: timedelta
    ) -> AsyncGenerator[AsyncIterator[Sequence[WatchEvent]]]:
        """Open a watch of what changes after a version; yield its events as they come, with bookmarks.

        It ends when the server ends it, after `within`. One that is silent for longer, by a little grace, has broken
        unnoticed.

        Raises:
            WatchExpiredError: the version is too old.
            KubeError: the server refuses.
            UnavailableError: it does not answer, or the connection broke.
        """
        query = {
            "watch": "1",
            "allowWatchBookmarks": "true",
            "resourceVersion": resource_version,
            "timeoutSeconds": str(int(within.total_seconds())),
        }
        # bounds the silence and not the whole: the caller may take long over an event, while more of them come
        silence = within + WATCH_GRACE
        deadline = aiohttp.ClientTimeout(sock_read=silence.total_seconds())
        with _translated(f"watch {path}"):
            response = await self._opened("GET", path, query=query, deadline=deadline)
        try:
            with _translated(f"watch {path}"):
                await _check(response)
            yield _events(response, path, silence=silence)
        finally:
            response.release()

    async def create(self, path: str, body: Mapping[str, JsonValue], *, dry_run: bool = False) -> JsonObject:
        """Create an object, or a subresource such as an eviction.

        Raises:
            KubeError: the server refuses (429 is a disruption budget's answer to an eviction).
            UnavailableError: it does not answer; it may have done it.
        """
        return _api_object(await self._ask("POST", path, query=_writing(dry_run), body=body))

    async def patch(self, path: str, body: JsonValue, *, kind: PatchType, dry_run: bool = False) -> JsonObject:
        """Patch an object and return it.

        Raises:
            KubeError: the server refuses (409 where the patch names another resourceVersion).
            UnavailableError: it does not answer; it may have done it.
        """
        return _api_object(await self._ask("PATCH", path, query=_writing(dry_run), body=body, content_type=kind))

    async def ask(self) -> None:
        """Ask whether the server is ready, which its store is part of.

        Raises:
            UnavailableError: it does not answer, is not ready, or knows us no more.
        """
        try:
            told = await self._ask("GET", "/readyz", query={})
        except KubeError as refused:
            if refused.status == _FORBIDDEN:
                return  # it answers; that it is ready is told to others
            raise UnavailableError(f"Kubernetes API: {refused}") from refused
        if told.strip() != b"ok":
            raise UnavailableError(f"Kubernetes API: what answers is no API server: {_quoted(told)}")

    async def delete(
        self,
        path: str,
        *,
        uid: str,
        resource_version: str = "",
        grace_seconds: int | None = None,
        dry_run: bool = False,
    ) -> JsonObject:
        """Delete the object of that uid, and of that version where one is named; what it owns goes after it.

        `grace_seconds` is how long it may take to end, where that is not its own to say.

        Raises:
            KubeError: the server refuses (409 where another object, or another version of it, is there by now).
            UnavailableError: it does not answer; it may have done it.
        """
        held: JsonObject = {"uid": uid, **({"resourceVersion": resource_version} if resource_version else {})}
        options: JsonObject = {
            "apiVersion": "v1",
            "kind": "DeleteOptions",
            "preconditions": held,
            "propagationPolicy": "Background",  # of a Job's pods the server would make orphans
            **({"gracePeriodSeconds": grace_seconds} if grace_seconds is not None else {}),
            **({"dryRun": ["All"]} if dry_run else {}),  # of a query the server takes no notice beside a body
        }
        return _object(await self._ask("DELETE", path, query=_dry(dry_run), body=options))

    async def logs(self, path: str, **query: str) -> str:
        """Return the end of a container's log, as text whatever bytes it holds.

        Raises:
            KubeError: the server refuses.
            UnavailableError: it does not answer.
        """
        return (await self._ask("GET", path, query=query)).decode(errors="replace")

    async def __aenter__(self) -> Self:
        """Read the configuration: a kubeconfig's, or that of the pod this runs in."""
        configuration = client.Configuration()
        try:
            if self._kubeconfig is not None:
                await config.load_kube_config(  # pyright: ignore[reportUnknownMemberType]
                    config_file=str(self._kubeconfig), client_configuration=configuration
                )
            else:
                config.load_incluster_config(configuration)  # pyright: ignore[reportUnknownMemberType]
        except (config.ConfigException, OSError, *_UNREADABLE) as wrong:
            raise ConfigError(f"Kubernetes: no usable configuration: {str(wrong) or type(wrong).__name__}") from wrong
        self._api = client.ApiClient(configuration)
        return self

    async def __aexit__(self, *_: object) -> None:
        """Close all connections."""
        await self._api.close()

    async def _page(self, path: str, following: str, query: Mapping[str, str]) -> "_Page":
        asked = {**query, "limit": str(_PAGE), **({"continue": following} if following else {})}
        try:
            return _page(await self.get(path, **asked), path)
        except _UnservedError as unserved:  # no list of a kind that is not installed; of an object it says nothing
            raise KubeError(_NOT_FOUND, "NotFound", f"{path}: the server has no such kind") from unserved

    async def _ask(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str],
        body: JsonValue | Mapping[str, JsonValue] = None,
        content_type: str = "application/json",
    ) -> bytes:
        deadline = aiohttp.ClientTimeout(ANSWER_WITHIN.total_seconds())
        with _translated(f"{method} {path}", is_write=method != _READS):
            response = await self._opened(method, path, query=query, deadline=deadline, body=body, kind=content_type)
            try:
                await _check(response)
                return await response.read()
            finally:
                response.release()

    async def _opened(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str],
        deadline: aiohttp.ClientTimeout,
        body: JsonValue | Mapping[str, JsonValue] = None,
        kind: str = "application/json",
    ) -> aiohttp.ClientResponse:
        async with asyncio.timeout(ANSWER_WITHIN.total_seconds()):
            request = await self._api.param_serialize(
                method=method,
                resource_path=path,
                query_params=list(query.items()),
                header_params={"Accept": "application/json", "Content-Type": kind},
                body=body,
                auth_settings=["BearerToken"],
            )
            raw = await self._api.call_api(*request, _request_timeout=deadline)
            return raw.response


@contextmanager
def _translated(doing: str, *, is_write: bool = False) -> Generator[None]:
    try:
        yield
    except (aiohttp.ClientError, TimeoutError, OSError, config.ConfigException) as failed:
        if is_write and isinstance(failed, TimeoutError):
            raise WriteFailedError(f"{doing}: no answer in time") from failed
        # a configuration that was read once may still fail: its token's file, or the program that gives it
        raise UnavailableError(f"Kubernetes API: {doing}: {str(failed) or type(failed).__name__}") from failed


def _dry(dry_run: bool) -> dict[str, str]:  # noqa: FBT001
    return {"dryRun": "All"} if dry_run else {}


def _writing(dry_run: bool) -> dict[str, str]:  # noqa: FBT001
    """Return the query of a write: under a name of our own, or every client of this library would have written it."""
    return {"fieldManager": OUR_MANAGER, **_dry(dry_run)}


async def _check(response: aiohttp.ClientResponse) -> None:
    if response.status < _CLIENT_ERRORS.start:
        return
    said = (await response.read()).decode(errors="replace")
    status = _status_of(said)
    if response.status == _NOT_FOUND and said.strip() == _UNSERVED:
        raise _UnservedError(f"Kubernetes API: {response.status} {said.strip()}")
    if status is None:
        # also "too many requests" from a server with no time to say it in its own form: no word about the object
        raise UnavailableError(f"Kubernetes API: {response.status} {said[:_QUOTED_CHARS]!r}")
    raise error_of(response.status, status, is_write=response.method != _READS)


def error_of(code: int, status: JsonObject, *, is_write: bool) -> SreAgentError:
    """Return what a Status object with such a code means."""
    reason = str(status.get("reason") or "Unknown")
    message = str(status.get("message") or "")[:_MESSAGE_CHARS]
    if is_write and code in _FAILED:
        return WriteFailedError(f"{code} {reason}: {message}", message)
    if code not in _CLIENT_ERRORS or (code == _TOO_MANY and not _is_by_budget(status)):
        return UnavailableError(f"Kubernetes API: {code} {reason}: {message}")  # it has no time for anybody
    return WatchExpiredError(message) if code == _GONE else KubeError(code, reason, message)


def _is_by_budget(status: JsonObject) -> bool:
    """Tell whether a budget is why an eviction comes too soon; all else comes too soon for the server."""
    return any(text(one, "reason") == _BUDGET for one in sections(status, "details", "causes"))


def _status_of(said: str) -> JsonObject | None:
    """Return a refusal in the API server's own form; None for anybody else's words."""
    try:
        status = _object(said)
    except UnavailableError:
        return None
    return status if status.get("kind") == "Status" else None


async def _events(
    response: aiohttp.ClientResponse, path: str, *, silence: timedelta
) -> AsyncIterator[Sequence[WatchEvent]]:
    began, is_silent = monotonic(), True
    async for lines in _lines(response, path, silence=silence):
        yield [_watch_event(_object(line)) for line in lines]
        is_silent = False
    if is_silent and monotonic() - began < _ALIVE_S:  # or the next would follow at once, and so on for ever
        raise UnavailableError(f"Kubernetes API: {path}: the watch ended as soon as it began")


async def _lines(response: aiohttp.ClientResponse, path: str, *, silence: timedelta) -> AsyncIterator[Sequence[bytes]]:
    """Yield lines as they come, up to a bound: aiohttp's own reader refuses lines beyond its buffer."""
    rest = b""
    while chunk := await _chunk(response, path, silence=silence):
        *whole, rest = (rest + chunk).split(b"\n")
        if lines := [line for line in whole if line.strip()]:
            yield lines
        if len(rest) > _LINE_BYTES:
            raise UnavailableError(f"Kubernetes API: watch: a line is longer than {_LINE_BYTES} bytes")
    if rest.strip():
        yield [rest]


async def _chunk(response: aiohttp.ClientResponse, path: str, *, silence: timedelta) -> bytes:
    with _translated(f"watch {path}"):
        # aiohttp 3.14 has no deadline any more, and never ends, where the chunks' own framing is garbage
        async with asyncio.timeout(silence.total_seconds()):
            return await response.content.readany()


@dataclass(frozen=True, slots=True)
class _Page:
    items: list[JsonObject]
    following: str
    resource_version: str


def _page(raw: JsonObject, path: str) -> _Page:
    items, metadata = raw.get("items"), raw.get("metadata")
    version = metadata.get("resourceVersion") if isinstance(metadata, dict) else None
    if not isinstance(metadata, dict) or not isinstance(version, str) or not isinstance(items, list | None):
        raise UnavailableError(f"Kubernetes API: {path}: the answer is no list of objects with a version")
    objects = [one for one in items or [] if isinstance(one, dict)]
    if len(objects) != len(items or []):
        raise UnavailableError(f"Kubernetes API: {path}: the list holds what is no object")
    return _Page(objects, str(metadata.get("continue") or ""), version)


def _watch_event(event: JsonObject) -> WatchEvent:
    kind, observed = event.get("type"), event.get("object")
    if not isinstance(kind, str) or not isinstance(observed, dict):
        raise UnavailableError("Kubernetes API: watch: a line is no event with a type and an object")
    if kind != "ERROR":
        return WatchEvent(kind, observed)
    if observed.get("code") == _GONE:
        raise WatchExpiredError(str(observed.get("message")))
    raise UnavailableError(f"Kubernetes API: watch: {observed.get('message')}")


def _api_object(raw: bytes) -> JsonObject:
    """Return an answer that has what every object, list and Status has; of another nothing may be concluded."""
    answer = _object(raw)
    if not isinstance(answer.get("metadata"), dict):
        raise UnavailableError(f"Kubernetes API: the answer is no object with metadata: {_quoted(raw)}")
    return answer


def _object(raw: bytes | str) -> JsonObject:
    try:
        # unlike the standard library's it bounds the nesting, and refuses half a surrogate pair
        parsed: JsonValue = from_json(raw, allow_inf_nan=False)
    except ValueError as broken:
        raise UnavailableError(f"Kubernetes API: the answer is no JSON: {_quoted(raw)}") from broken
    if not isinstance(parsed, dict):
        raise UnavailableError(f"Kubernetes API: the answer is no object: {_quoted(raw)}")
    return parsed


def _quoted(raw: bytes | str) -> str:
    said = raw.decode(errors="replace") if isinstance(raw, bytes) else raw
    return repr(said[:_QUOTED_CHARS])
