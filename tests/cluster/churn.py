"""Somebody else at work in a cluster: an independent client, and changes of every kind that the collector watches."""

import asyncio
import json
import random
import ssl
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import aiohttp

from sandbox.kubernetes.control_plane import FAKE_NODE, ControlPlane

NAMESPACE = "bank"
PODS, EVENTS = f"/api/v1/namespaces/{NAMESPACE}/pods", f"/api/v1/namespaces/{NAMESPACE}/events"
DEPLOYMENTS, NODES = f"/apis/apps/v1/namespaces/{NAMESPACE}/deployments", "/api/v1/nodes"
_STEADY_NODES, _DEPLOYMENTS = 2, 4
_EVERY = timedelta(milliseconds=100)
_ROOM = {"cpu": "64", "memory": "256Gi", "pods": "250"}
_MERGE = "application/merge-patch+json"
_AWAY = (aiohttp.ClientError, OSError, TimeoutError)


class Admin:
    """Ask the API server and its store directly, as nobody of the project does."""

    def __init__(self, session: aiohttp.ClientSession, plane: ControlPlane) -> None:
        self._session = session
        self._plane = plane

    async def ask(self, method: str, path: str, body: Any = None) -> Any:
        """Return the answer of the API server."""
        kind = _MERGE if method == "PATCH" else "application/json"
        sent = self._session.request(
            method, self._plane.url + path, data=json.dumps(body) if body else None, headers={"Content-Type": kind}
        )
        async with sent as answer:
            answer.raise_for_status()
            return await answer.json()

    async def items(self, path: str) -> list[Any]:
        """Return all objects of a path."""
        return (await self.ask("GET", path))["items"]

    async def compact(self) -> None:
        """Let etcd forget all but the present."""
        present = await self._store("range", {"key": "AA=="})
        await self._store("compaction", {"revision": present["header"]["revision"]})

    async def _store(self, call: str, body: Any) -> Any:
        async with self._session.post(f"{self._plane.etcd_url}/v3/kv/{call}", json=body) as answer:
            return await answer.json()

    async def is_quiet(self) -> bool:
        """Tell whether everything that was asked for has come about, and nothing is on its way."""
        try:
            return not await self.on_its_way()
        except _AWAY:
            return False

    async def on_its_way(self) -> list[str]:
        """Return what has not come about yet."""
        deployments, pods, nodes = [await self.items(path) for path in (DEPLOYMENTS, PODS, NODES)]
        waiting = [*_all_but(_is_done, deployments), *_all_but(_is_running, pods), *_all_but(_is_ready, nodes)]
        return [f"{one['metadata']['name']}: {json.dumps(one['status'])}" for one in waiting]

    async def remind(self) -> None:
        """Touch each Deployment that is on its way, so that its controllers look at it again."""
        for one in _all_but(_is_done, await self.items(DEPLOYMENTS)):
            touched = {"metadata": {"annotations": {"reminded": datetime.now(UTC).isoformat()}}}
            await self.ask("PATCH", f"{DEPLOYMENTS}/{one['metadata']['name']}", touched)

    @classmethod
    @asynccontextmanager
    async def of(cls, plane: ControlPlane) -> AsyncGenerator["Admin"]:
        """Open a client with the administrator's certificate."""
        context = ssl.create_default_context(cafile=str(plane.keys.authority))
        context.load_cert_chain(plane.keys.certificate("admin"), plane.keys.key("admin"))
        connector, timeout = aiohttp.TCPConnector(ssl=context), aiohttp.ClientTimeout(total=5)
        async with aiohttp.ClientSession(connector=connector, timeout=timeout) as session:
            yield cls(session, plane)


def _all_but(has_come_about: Callable[[Any], bool], objects: list[Any]) -> list[Any]:
    return [one for one in objects if not has_come_about(one)]


def _is_done(deployment: Any) -> bool:
    wanted, status = deployment["spec"]["replicas"], deployment["status"]
    counts = ("replicas", "updatedReplicas", "readyReplicas", "availableReplicas")
    is_seen = status.get("observedGeneration") == deployment["metadata"]["generation"]
    return is_seen and all(status.get(one, 0) == wanted for one in counts)


def _is_running(pod: Any) -> bool:
    return pod["status"]["phase"] == "Running" and "deletionTimestamp" not in pod["metadata"]


def _is_ready(node: Any) -> bool:
    return any(one["type"] == "Ready" and one["status"] == "True" for one in node["status"].get("conditions", []))


class Churn:
    """Changes, one after the other, the same for the same seed; a server that is away misses some."""

    def __init__(self, admin: Admin, seed: int = 7) -> None:
        self._admin = admin
        self._random = random.Random(seed)
        self._passing_nodes: list[str] = []
        self.made = 0

    async def furnish(self) -> None:
        """Create what is there before anything goes wrong."""
        for number in range(_STEADY_NODES):
            await self._admin.ask("POST", NODES, node(f"steady-{number}"))
        for number in range(_DEPLOYMENTS):
            await self._admin.ask("POST", DEPLOYMENTS, deployment(f"web-{number}", replicas=3))

    @asynccontextmanager
    async def going_on(self) -> AsyncGenerator[None]:
        """Change something again and again while the context lasts."""
        changing = asyncio.create_task(self._run())
        try:
            yield
        finally:
            changing.cancel()
            await asyncio.gather(changing, return_exceptions=True)

    async def make(self, count: int) -> None:
        """Return when so many more changes were made."""
        goal = self.made + count
        async with asyncio.timeout(60):
            while self.made < goal:  # noqa: ASYNC110 - made by the task beside
                await asyncio.sleep(0.05)

    async def _run(self) -> None:
        while True:
            change = self._random.choice(
                [self._scale, self._scale, self._delete_pod, self._delete_pod, self._roll, self._node, self._event]
            )
            await self._try(change)
            await asyncio.sleep(_EVERY.total_seconds())

    async def _try(self, change: Callable[[], Awaitable[None]]) -> None:
        try:
            await change()
        except _AWAY:
            return
        self.made += 1

    def _some(self) -> str:
        return f"{DEPLOYMENTS}/web-{self._random.randrange(_DEPLOYMENTS)}"

    async def _scale(self) -> None:
        await self._admin.ask("PATCH", self._some(), {"spec": {"replicas": self._random.randrange(6)}})

    async def _roll(self) -> None:
        image = f"web:v{self._random.randrange(1_000)}"
        container = {"name": "server", "image": image}
        await self._admin.ask("PATCH", self._some(), {"spec": {"template": {"spec": {"containers": [container]}}}})

    async def _delete_pod(self) -> None:
        pods = await self._admin.items(PODS)
        if pods:
            await self._admin.ask("DELETE", f"{PODS}/{self._random.choice(pods)['metadata']['name']}")

    async def _node(self) -> None:
        if len(self._passing_nodes) > 2:
            await self._admin.ask("DELETE", f"{NODES}/{self._passing_nodes[0]}")
            self._passing_nodes.pop(0)
        name = f"passing-{self.made}"
        await self._admin.ask("POST", NODES, node(name, taints=[{"key": "passing", "effect": "NoSchedule"}]))
        self._passing_nodes.append(name)

    async def _event(self) -> None:
        await self._admin.ask("POST", EVENTS, event(f"churn-{self.made}", reason=f"Churn{self.made}"))


def node(name: str, *, taints: list[Any] | None = None) -> Any:
    """Return a node that KWOK keeps alive."""
    metadata = {"name": name, "annotations": FAKE_NODE, "labels": {"kubernetes.io/hostname": name}}
    return {"metadata": metadata, "spec": {"taints": taints or []}, "status": {"capacity": _ROOM, "allocatable": _ROOM}}


def deployment(name: str, *, replicas: int) -> Any:
    """Return a Deployment of one container."""
    labels = {"app": name}
    container = {"name": "server", "image": "web:v1", "resources": {"limits": {"memory": "64Mi"}}}
    template = {"metadata": {"labels": labels}, "spec": {"containers": [container], "terminationGracePeriodSeconds": 1}}
    spec = {"replicas": replicas, "selector": {"matchLabels": labels}, "template": template}
    return {"metadata": {"name": name}, "spec": spec}


def event(name: str, *, reason: str) -> Any:
    """Return an Event about a Deployment."""
    now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    about = {"apiVersion": "apps/v1", "kind": "Deployment", "namespace": NAMESPACE, "name": "web-0"}
    return {
        "metadata": {"name": name},
        "involvedObject": about,
        "reason": reason,
        "message": "somebody was here",
        "type": "Warning",
        "count": 1,
        "firstTimestamp": now,
        "lastTimestamp": now,
    }
