"""The Kubernetes API as raw JSON, by the official client's asynchronous half: typed objects cost a hundred times more.

The client brings configuration, authentication and TLS; paths, pages and watches are ours, as in
https://kubernetes.io/docs/reference/using-api/api-concepts/.
"""

import asyncio
import json
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from pathlib import Path
from typing import Any, Self, cast

import aiohttp
from kubernetes.aio import client, config

from shared.contracts.model import JsonObject, JsonValue
from shared.kernel.errors import ConfigError, SreAgentError, UnavailableError

ANSWER_WITHIN = timedelta(seconds=10)
_PAGE = 500
_GONE = 410
_CLIENT_ERRORS = range(400, 500)


class PatchType(StrEnum):
    """How a patch is written."""

    MERGE = "application/merge-patch+json"
    STRATEGIC = "application/strategic-merge-patch+json"
    JSON = "application/json-patch+json"


class KubeError(SreAgentError):
    """Signal that the API server understood and refused; `status` and `reason` are those of its Status object."""

    def __init__(self, status: int, reason: str, message: str) -> None:
        super().__init__(f"{status} {reason}: {message}")
        self.status, self.reason, self.message = status, reason, message


class WatchExpiredError(SreAgentError):
    """Signal that a resourceVersion is too old to watch from (410); list again."""


@dataclass(frozen=True, slots=True)
class WatchEvent:
    """One event of a watch: ADDED, MODIFIED, DELETED or BOOKMARK, and the object."""

    type: str
    object: JsonObject


@dataclass(frozen=True, slots=True)
class Listing:
    """All objects of a kind, and the version to watch from."""

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
        return _object(await self._ask("GET", path, query=query))

    async def list(self, path: str, **query: str) -> Listing:
        """Return all objects of a path, read in pages.

        Raises:
            KubeError: the server refuses.
            UnavailableError: it does not answer.
            WatchExpiredError: the pages expired while they were read.
        """
        items: list[JsonObject] = []
        following = ""
        while True:
            page = await self.get(path, **query, limit=str(_PAGE), **({"continue": following} if following else {}))
            items += cast("list[JsonObject]", page.get("items") or [])
            metadata = cast("JsonObject", page["metadata"])
            following = str(metadata.get("continue") or "")
            if not following:
                return Listing(items, str(metadata["resourceVersion"]))

    async def watch(self, path: str, *, resource_version: str, within: timedelta) -> AsyncIterator[WatchEvent]:
        """Yield what changes after a version, with bookmarks, until the server ends the watch after `within`.

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
        async with self._response("GET", path, query=query, within=within + ANSWER_WITHIN) as response:
            async for line in _lines(response):
                yield _watch_event(_object(line))

    async def create(self, path: str, body: Mapping[str, JsonValue], *, dry_run: bool = False) -> JsonObject:
        """Create an object, or a subresource such as an eviction.

        Raises:
            KubeError: the server refuses (429 is a disruption budget's answer to an eviction).
            UnavailableError: it does not answer; it may have done it.
        """
        return _object(await self._ask("POST", path, query=_dry(dry_run), body=body))

    async def patch(self, path: str, body: JsonValue, *, kind: PatchType, dry_run: bool = False) -> JsonObject:
        """Patch an object and return it.

        Raises:
            KubeError: the server refuses (409 where the patch names another resourceVersion).
            UnavailableError: it does not answer; it may have done it.
        """
        return _object(await self._ask("PATCH", path, query=_dry(dry_run), body=body, content_type=kind))

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
        except (config.ConfigException, OSError) as wrong:
            raise ConfigError(f"Kubernetes: no usable configuration: {wrong}") from wrong
        self._api = client.ApiClient(configuration)
        return self

    async def __aexit__(self, *_: object) -> None:
        """Close all connections."""
        await self._api.close()

    async def _ask(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str],
        body: JsonValue | Mapping[str, JsonValue] = None,
        content_type: str = "application/json",
    ) -> bytes:
        sent = self._response(method, path, query=query, within=ANSWER_WITHIN, body=body, content_type=content_type)
        async with sent as response:
            return await response.read()

    @asynccontextmanager
    async def _response(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str],
        within: timedelta,
        body: JsonValue | Mapping[str, JsonValue] = None,
        content_type: str = "application/json",
    ) -> AsyncGenerator[aiohttp.ClientResponse]:
        try:
            async with asyncio.timeout(within.total_seconds()):
                request = await self._api.param_serialize(
                    method=method,
                    resource_path=path,
                    query_params=list(query.items()),
                    header_params={"Accept": "application/json", "Content-Type": content_type},
                    body=body,
                    auth_settings=["BearerToken"],
                )
                raw = await self._api.call_api(
                    *request, _preload_content=False, _request_timeout=within.total_seconds()
                )
                response: aiohttp.ClientResponse = raw.response
                try:
                    await _check(response)
                    yield response
                finally:
                    response.release()
        except (aiohttp.ClientError, TimeoutError, OSError) as failed:
            raise UnavailableError(f"Kubernetes API: {method} {path}: {failed or type(failed).__name__}") from failed


def _dry(dry_run: bool) -> dict[str, str]:  # noqa: FBT001
    return {"dryRun": "All"} if dry_run else {}


async def _check(response: aiohttp.ClientResponse) -> None:
    if response.status < _CLIENT_ERRORS.start:
        return
    text = (await response.read()).decode(errors="replace")
    reason, message = _status_of(text)
    if response.status == _GONE:
        raise WatchExpiredError(message)
    is_refusal = response.status in _CLIENT_ERRORS
    if is_refusal:
        raise KubeError(response.status, reason, message)
    raise UnavailableError(f"Kubernetes API: {response.status} {reason}: {message}")


def _status_of(text: str) -> tuple[str, str]:
    try:
        status = _object(text)
    except (ValueError, UnavailableError):
        return "Unknown", text[:500]
    return str(status.get("reason") or "Unknown"), str(status.get("message") or "")


async def _lines(response: aiohttp.ClientResponse) -> AsyncIterator[bytes]:
    """Yield whole lines however long they are: aiohttp's own reader refuses lines beyond its buffer."""
    rest = b""
    async for chunk in response.content.iter_any():
        *whole, rest = (rest + chunk).split(b"\n")
        for line in whole:
            if line.strip():
                yield line


def _watch_event(event: JsonObject) -> WatchEvent:
    observed = cast("JsonObject", event["object"])
    if event["type"] != "ERROR":
        return WatchEvent(str(event["type"]), observed)
    if observed.get("code") == _GONE:
        raise WatchExpiredError(str(observed.get("message")))
    raise UnavailableError(f"Kubernetes API: watch: {observed.get('message')}")


def _object(raw: bytes | str) -> JsonObject:
    parsed: JsonValue = json.loads(raw)
    if not isinstance(parsed, dict):
        raise UnavailableError("Kubernetes API: the answer is not an object")
    return parsed
