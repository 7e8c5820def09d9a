"""The collector on a real API server with 50 nodes and 5,000 pods: memory, CPU, and how soon it tells what happens.

The control plane has no machine: KWOK plays the nodes and the kubelets. The collector is a process of its own, with
the rights that `deploy/` ships, on a real Kafka; this process breaks pods and reads what is told of them.
"""

import asyncio
import json
import os
import sys
import tempfile
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from statistics import median, quantiles
from typing import TYPE_CHECKING, Self, cast

import aiohttp
from rich.console import Console
from rich.table import Table

from bench.machine import machine
from sandbox.kubernetes.cluster import ClusterOptions, KubernetesCluster
from sandbox.kubernetes.control_plane import FAKE_NODE, ControlPlaneOptions
from sandbox.stack.kafka import KafkaBroker
from sandbox.stack.ports import free_port
from sandbox.stack.process import ChildProcess, ServiceSpec
from sandbox.stack.progress import to_stderr
from shared.contracts.codec import decode
from shared.contracts.signals import ContainerSignal
from shared.contracts.topics import SIGNALS_KUBERNETES
from shared.infra.kafka import AssignedConsumer, create_topics
from shared.infra.kube import KubeClient, KubeError, PatchType
from shared.kernel.errors import UnavailableError

if TYPE_CHECKING:
    from shared.contracts.model import JsonObject

NODES = 50
DEPLOYMENTS, REPLICAS = 50, 100
PODS = DEPLOYMENTS * REPLICAS
FAILURES = 250
EVERY_S = 0.1
BROKEN_AT_ONCE = 200
QUIET, DOWN = timedelta(seconds=60), timedelta(seconds=30)
WITHIN = timedelta(minutes=10)
_NAMESPACE = "bank"
_PODS = f"/api/v1/namespaces/{_NAMESPACE}/pods"
_DEPLOYMENTS = f"/apis/apps/v1/namespaces/{_NAMESPACE}/deployments"
_TICKS = os.sysconf("SC_CLK_TCK")
_ROOM = {"cpu": "64", "memory": "256Gi", "pods": "200"}


@dataclass(frozen=True, slots=True)
class Usage:
    """What a process has used so far."""

    cpu_s: float
    rss_mib: float
    peak_mib: float


class Told:
    """What stands on the topic, as this process reads it."""

    def __init__(self, consumer: AssignedConsumer) -> None:
        self._consumer = consumer
        self.signals = 0
        self.containers: set[str] = set()
        self.broken: dict[tuple[str, int], float] = {}

    async def read(self) -> None:
        """Read for ever."""
        while True:
            for record in await self._consumer.batch(within=timedelta(milliseconds=100)):
                self.signals += 1
                signal = decode(record).message
                if isinstance(signal, ContainerSignal):
                    self.containers.add(signal.object.uid)
                    self.broken.setdefault((signal.object.name, signal.restarts), time.time())

    @classmethod
    @asynccontextmanager
    async def reading(cls, bootstrap: str) -> AsyncGenerator[Self]:
        """Read the topic from its beginning while the context lasts."""
        async with AssignedConsumer(bootstrap, topics=[SIGNALS_KUBERNETES], group="bench", start={}) as consumer:
            told = cls(consumer)
            reading = asyncio.create_task(told.read())
            try:
                yield told
            finally:
                reading.cancel()
                await asyncio.gather(reading, return_exceptions=True)


@dataclass(frozen=True, slots=True)
class Stage:
    """Everything that runs."""

    cluster: KubernetesCluster
    client: KubeClient
    told: Told
    collector: ChildProcess
    console: Console

    async def break_pod(self, name: str, restarts: int) -> float:
        """Let a container be in CrashLoopBackOff; return when the server had answered."""
        waiting: JsonObject = {"waiting": {"reason": "CrashLoopBackOff", "message": "back-off 10s"}}
        container: JsonObject = {"name": "server", "image": "web:v1", "imageID": "", "ready": False}
        status: JsonObject = {"containerStatuses": [{**container, "state": waiting, "restartCount": restarts}]}
        await self.client.patch(f"{_PODS}/{name}/status", {"status": status}, kind=PatchType.MERGE)
        return time.time()

    def lists_of_pods(self) -> int:
        """Return how often the collector has listed all pods, by the API server's audit log."""
        asked = map(json.loads, self.cluster.plane.audit_log.read_text().splitlines())
        return sum(
            one["verb"] == "list"
            and "collector" in one["user"]["username"]
            and _is_first_page_of_pods(one["requestURI"])
            for one in asked
        )


def _is_first_page_of_pods(uri: str) -> bool:
    return uri.startswith("/api/v1/pods?") and "continue=" not in uri


def main() -> None:
    """Measure and print."""
    with tempfile.TemporaryDirectory() as directory:
        asyncio.run(_measured(Path(directory)))


async def _measured(directory: Path) -> None:
    # while so much is created at once a small machine is late with everything, also with the life signs of nodes
    plane = ControlPlaneOptions(node_grace="5m")
    options = ClusterOptions(directory=directory / "cluster", plane=plane)
    async with (
        KubernetesCluster(options, report=to_stderr) as cluster,
        KafkaBroker(directory / "kafka", report=to_stderr) as broker,
        KubeClient(cluster.plane.kubeconfig) as client,
    ):
        await create_topics(broker.bootstrap)
        await _populate(client)
        collector = _collector(broker.bootstrap, cluster.accounts["collector"], directory)
        async with Told.reading(broker.bootstrap) as told:
            try:
                await _measure(Stage(cluster, client, told, collector, Console()))
            finally:
                await collector.stop()


async def _measure(stage: Stage) -> None:
    table = Table(
        "the collector", "", title=f"{PODS:,} pods of {DEPLOYMENTS} Deployments on {NODES} nodes; {machine()}"
    )
    await _start(stage, table)
    await _rest(stage, table)
    names = [_text(pod, "metadata", "name") for pod in (await stage.client.list(_PODS)).items]
    await _fail_one_by_one(stage, table, names[:FAILURES])
    await _fail_while_away(stage, table, names=names[-BROKEN_AT_ONCE:], away=DOWN)
    await _fail_while_away(stage, table, names=names[-2 * BROKEN_AT_ONCE : -BROKEN_AT_ONCE], away=timedelta())
    used = _usage(stage.collector.pid)
    table.add_row("at the end: memory now, at its peak", f"{used.rss_mib:.0f} MiB, {used.peak_mib:.0f} MiB")
    stage.console.print(table)


async def _start(stage: Stage, table: Table) -> None:
    began = time.monotonic()
    await stage.collector.start()
    await _until(lambda: len(stage.told.containers) >= PODS)
    all_told = time.monotonic() - began
    await stage.collector.until_ready()
    used = _usage(stage.collector.pid)
    table.add_row("start until all pods are told, with the start of Python", f"{all_told:.1f} s")
    table.add_row("signals told then", f"{stage.told.signals:,}")
    table.add_row("CPU until then", f"{used.cpu_s:.1f} s")
    table.add_row("memory then, at its peak", f"{used.rss_mib:.0f} MiB, {used.peak_mib:.0f} MiB")


async def _rest(stage: Stage, table: Table) -> None:
    await asyncio.sleep(5)  # what the start has left over is not quiet
    before, signals = _usage(stage.collector.pid), stage.told.signals
    await asyncio.sleep(QUIET.total_seconds())
    used = _usage(stage.collector.pid).cpu_s - before.cpu_s
    table.add_row("CPU a minute when all is quiet", f"{used:.2f} s")
    table.add_row("signals in that minute", f"{stage.told.signals - signals}")


async def _fail_one_by_one(stage: Stage, table: Table, names: Sequence[str]) -> None:
    answered: dict[str, float] = {}
    for name in names:
        answered[name] = await stage.break_pod(name, 1)
        await asyncio.sleep(EVERY_S)
    await _until(lambda: all((name, 1) in stage.told.broken for name in names))
    times = [(stage.told.broken[name, 1] - answered[name]) * 1000 for name in names]
    told = f"median {median(times):.0f} ms, p99 {quantiles(times, n=100)[98]:.0f} ms, worst {max(times):.0f} ms"
    table.add_row(f"from the answer to a pod's failure to its signal read from Kafka, {len(names)} failures", told)


async def _fail_while_away(stage: Stage, table: Table, *, names: Sequence[str], away: timedelta) -> None:
    lists, signals, before = stage.lists_of_pods(), stage.told.signals, _usage(stage.collector.pid)
    await stage.cluster.halt("kube-apiserver")
    await asyncio.sleep(away.total_seconds())
    await stage.cluster.resume("kube-apiserver")
    back = time.monotonic()
    for name in names:
        await _insist(lambda name=name: stage.break_pod(name, 7))
    broken = time.monotonic() - back
    await _until(lambda: all((name, 7) in stage.told.broken for name in names))
    all_told = time.monotonic() - back
    await _until_async(stage.collector.spec.ready)
    told, used = stage.told.signals - signals, _usage(stage.collector.pid).cpu_s - before.cpu_s
    listed = stage.lists_of_pods() - lists
    case = f"API server killed, back after {away.total_seconds():.0f} s, {len(names)} pods fail within {broken:.1f} s"
    table.add_row(
        f"{case}: all told, counted from its return",
        f"{all_told:.1f} s; pods listed {listed} times (410), {told:,} signals, {used:.1f} s CPU",
    )


async def _populate(client: KubeClient) -> None:
    for number in range(NODES):
        name = f"node-{number}"
        room: JsonObject = {"capacity": {**_ROOM}, "allocatable": {**_ROOM}}
        metadata: JsonObject = {"name": name, "annotations": {**FAKE_NODE}, "labels": {"kubernetes.io/hostname": name}}
        await client.create("/api/v1/nodes", {"metadata": metadata, "status": room})
    for number in range(DEPLOYMENTS):
        await client.create(_DEPLOYMENTS, _deployment(f"web-{number}"))
    to_stderr(f"Waiting for {PODS:,} pods to run")
    await _until_async(lambda: _all_ready(client))


def _deployment(name: str) -> "JsonObject":
    labels: JsonObject = {"app": name}
    container: JsonObject = {"name": "server", "image": "web:v1", "resources": {"limits": {"memory": "64Mi"}}}
    template: JsonObject = {"metadata": {"labels": {**labels}}, "spec": {"containers": [container]}}
    return {
        "metadata": {"name": name},
        "spec": {"replicas": REPLICAS, "selector": {"matchLabels": {**labels}}, "template": template},
    }


async def _all_ready(client: KubeClient) -> bool:
    await asyncio.sleep(2)
    try:
        found = (await client.list(_DEPLOYMENTS)).items
    except UnavailableError:  # so much at once is more than a small machine can answer in time
        return False
    return all(cast("JsonObject", one["status"]).get("readyReplicas") == REPLICAS for one in found)


def _collector(bootstrap: str, kubeconfig: Path, directory: Path) -> ChildProcess:
    port = free_port()

    async def is_ready() -> bool:
        try:
            async with aiohttp.ClientSession() as session, session.get(f"http://127.0.0.1:{port}/readyz") as answer:
                return answer.ok
        except (aiohttp.ClientError, OSError):
            return False

    env = {
        "SRE_KAFKA_BOOTSTRAP": bootstrap,
        "SRE_KUBECONFIG": str(kubeconfig),
        "SRE_CLUSTER": "bench",
        "SRE_HEALTH_PORT": str(port),
    }
    argv = [sys.executable, "-m", "services.collector"]
    return ChildProcess(
        ServiceSpec(name="collector", argv=argv, env=env, log_path=directory / "collector.log", ready=is_ready)
    )


def _usage(pid: int) -> Usage:
    told = dict(line.split(":", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines())
    times = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[11:13]
    rss, peak = (int(told[name].split()[0]) / 1024 for name in ("VmRSS", "VmHWM"))
    return Usage(sum(map(int, times)) / _TICKS, rss, peak)


def _text(source: "JsonObject", *path: str) -> str:
    found = source
    for name in path[:-1]:
        found = cast("JsonObject", found[name])
    return str(found[path[-1]])


async def _insist(change: Callable[[], Awaitable[object]]) -> None:
    """Make a change, however often a server that has only just come back refuses it."""
    async with asyncio.timeout(WITHIN.total_seconds()):
        while True:
            try:
                await change()
            except (UnavailableError, KubeError):
                await asyncio.sleep(0.2)
            else:
                return


async def _until(holds: Callable[[], bool]) -> None:
    async def is_so() -> bool:
        return holds()

    await _until_async(is_so)


async def _until_async(holds: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(WITHIN.total_seconds()):
        while not await holds():  # noqa: ASYNC110 - what is waited for happens in other processes
            await asyncio.sleep(0.02)


if __name__ == "__main__":
    main()
