"""The collector while its API server, the store behind it, or the way there breaks, and things change all the time.

Whatever was disturbed: what was told in the end is what a collector tells that has seen none of it.
"""

import asyncio
import json
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import aiohttp
import pytest

from sandbox.kubernetes.cluster import ClusterOptions, KubernetesCluster
from sandbox.kubernetes.control_plane import ControlPlaneOptions
from sandbox.stack.process import ChildProcess
from sandbox.stack.progress import silent
from shared.contracts.codec import decode
from shared.contracts.signals import ContainerSignal, EventSignal, NodeSignal, PodSignal, Signal, WorkloadSignal
from shared.contracts.topics import SIGNALS_KUBERNETES
from shared.infra.kafka import AssignedConsumer, create_topics
from tests.cluster.churn import DEPLOYMENTS, EVENTS, Admin, Churn, deployment, event
from tests.integration.service_process import readiness, service, until
from tests.proxy import Proxy

pytestmark = pytest.mark.cluster
NAMED_WITHIN = timedelta(seconds=10)
RECOVERED_WITHIN = timedelta(seconds=30)
NOTICED_WITHIN = timedelta(seconds=45)
QUIET_WITHIN = timedelta(seconds=180)
REMINDERS, REMINDED_EVERY = 8, timedelta(seconds=30)
UNCACHED = ("pods", "nodes", "deployments.apps", "replicasets.apps")
CHANGES = 25
MANY_EVENTS = 1_200
_VOLATILE = {"id": True, "at": True, "cluster": True, "object": {"resource_version"}}
Part = tuple[str, str, str]


@dataclass
class Fold:
    """The last signal of each object and container; of an event, how often it was counted."""

    last: dict[Part, str] = field(default_factory=dict[Part, str])
    events: dict[str, int] = field(default_factory=dict[str, int])

    def add(self, signal: Signal) -> None:
        """Take a signal in; that an object is gone takes all that was told of it out."""
        if isinstance(signal, EventSignal):
            place = f"{signal.object.name} {signal.reason} {signal.message}"
            self.events[place] = max(signal.count, self.events.get(place, 0))
        elif isinstance(signal, ContainerSignal):
            self.last[signal.object.uid, signal.kind, signal.container] = _content(signal)
        elif isinstance(signal, PodSignal | NodeSignal | WorkloadSignal):
            self.last[signal.object.uid, signal.kind, ""] = _content(signal)
            if signal.deleted:
                self.last = {part: said for part, said in self.last.items() if part[0] != signal.object.uid}

    def differences(self, other: "Fold") -> list[str]:
        """Return what this one says and the other does not, and the other way round; old events are told once only."""
        parts = sorted(self.last.keys() | other.last.keys())
        found = [
            f"{part}:\n  {self.last.get(part)}\n  {other.last.get(part)}"
            for part in parts
            if self.last.get(part) != other.last.get(part)
        ]
        missing = [place for place, count in other.events.items() if self.events.get(place, 0) < count]
        return [*found, *(f"event {place} was not told" for place in missing)]


def _content(signal: Signal) -> str:
    return signal.model_dump_json(exclude=_VOLATILE)


class Told:
    """What every collector has told, by the cluster's name that it was given."""

    def __init__(self, consumer: AssignedConsumer) -> None:
        self._consumer = consumer
        self._folds: dict[str, Fold] = {}

    def by(self, cluster: str) -> Fold:
        """Return what was told under a cluster's name."""
        return self._folds.setdefault(cluster, Fold())

    async def read(self) -> None:
        """Read for ever."""
        while True:
            for record in await self._consumer.batch(within=timedelta(milliseconds=100)):
                signal: Any = decode(record).message
                self.by(signal.cluster).add(signal)


@dataclass(frozen=True)
class Stage:
    """A control plane with somebody at work in it, a proxy before it, and a collector behind the proxy."""

    name: str
    cluster: KubernetesCluster
    proxy: Proxy
    admin: Admin
    churn: Churn
    collector: ChildProcess
    told: Told

    async def is_named(self) -> None:
        """Return when `/readyz` says that the API server is away; fail when it does not say so in time."""

        async def says_so() -> bool:
            report = await readiness(self.collector)
            checks = report["checks"]
            return any(not checks[name]["ok"] for name in checks if name == "kubernetes" or name.startswith("watch-"))

        await until(says_so, within=NAMED_WITHIN)

    async def is_told(self, marker: str, *, within: timedelta) -> None:
        """Return when something that happens now is told by its watch, of two kinds."""
        await _insist(lambda: self.admin.ask("POST", EVENTS, event(marker, reason=f"Marker-{marker}")))
        await _insist(lambda: self.admin.ask("POST", DEPLOYMENTS, deployment(marker, replicas=0)))
        fold = self.told.by(self.name)

        async def both() -> bool:
            has_event = any(f"Marker-{marker}" in place for place in fold.events)
            return has_event and any(f'"name":"{marker}"' in said for said in fold.last.values())

        await until(both, within=within)

    async def recovers(self) -> None:
        """Return when the collector is well again and tells what happens; fail when that takes too long."""
        async with asyncio.timeout(RECOVERED_WITHIN.total_seconds()):
            await self.is_told("recovered", within=RECOVERED_WITHIN)
            await until(self.collector.spec.ready, within=RECOVERED_WITHIN)

    def asked(self, verb: str, path: str, code: int = 200) -> int:
        """Return how often the collector got this answer, by the API server's audit log."""
        entries: Sequence[Any] = [json.loads(line) for line in self.cluster.plane.audit_log.read_text().splitlines()]
        return len([one for one in entries if _is_asked(one, verb, path) and one["responseStatus"]["code"] == code])


def _is_asked(entry: Any, verb: str, path: str) -> bool:
    parts = urlsplit(str(entry["requestURI"]))
    is_observing = parse_qs(parts.query).get("limit") != ["1"]  # else it only asks whether it is answered
    return entry["verb"] == verb and parts.path == path and is_observing and "collector" in entry["user"]["username"]


async def _insist(change: Callable[[], Awaitable[object]]) -> None:
    """Make a change, however often a server that has only just come back refuses it."""

    async def is_made() -> bool:
        with suppress(aiohttp.ClientError, OSError, TimeoutError):
            await change()
            return True
        return False

    await until(is_made)


Disturbance = Callable[[Stage], Awaitable[None]]


async def api_server_killed(stage: Stage) -> None:
    await stage.cluster.halt("kube-apiserver")
    await stage.is_named()
    await stage.cluster.resume("kube-apiserver")


async def api_server_killed_again_and_again(stage: Stage) -> None:
    for _ in range(3):
        await api_server_killed(stage)
        await stage.churn.make(5)


async def etcd_killed(stage: Stage) -> None:
    await stage.cluster.halt("etcd")
    await stage.is_named()
    await stage.cluster.resume("etcd")


async def connections_refused(stage: Stage) -> None:
    await stage.proxy.refuse()
    await stage.is_named()
    await stage.churn.make(CHANGES)
    await stage.proxy.heal()


async def everything_swallowed(stage: Stage) -> None:
    stage.proxy.swallow()
    await stage.is_named()
    await stage.churn.make(CHANGES)
    await stage.proxy.heal()


async def connections_forgotten(stage: Stage) -> None:
    stage.proxy.forget()
    await stage.is_named()
    await stage.is_told("after-silence", within=NOTICED_WITHIN)


async def lines_torn(stage: Stage) -> None:
    stage.proxy.tear()
    await stage.is_named()
    await stage.churn.make(CHANGES)
    await stage.proxy.heal()


async def everything_slow(stage: Stage) -> None:
    stage.proxy.slow()
    await stage.churn.make(4 * CHANGES)
    await stage.proxy.heal()


async def watches_expired(stage: Stage) -> None:
    lists = stage.asked("list", "/api/v1/pods")
    await stage.proxy.refuse()
    await stage.is_named()
    await stage.churn.make(CHANGES)
    await stage.admin.compact()
    await stage.proxy.heal()
    await stage.is_told("after-410", within=RECOVERED_WITHIN)
    assert stage.asked("list", "/api/v1/pods") > lists


async def pages_expired(stage: Stage) -> None:
    await _make_events(stage.admin)
    await stage.proxy.refuse()
    await stage.is_named()
    compacting = asyncio.create_task(_compact_for_ever(stage.admin))
    await stage.proxy.heal()

    async def a_page_has_expired() -> bool:
        return stage.asked("list", "/api/v1/events", 410) > 0

    await until(a_page_has_expired)
    compacting.cancel()


async def _make_events(admin: Admin) -> None:
    for start in range(0, MANY_EVENTS, 50):
        some = (event(f"many-{number}", reason=f"Many{number}") for number in range(start, start + 50))
        await asyncio.gather(*(admin.ask("POST", EVENTS, one) for one in some))


async def _compact_for_ever(admin: Admin) -> None:
    while True:
        await admin.compact()


@pytest.mark.parametrize(
    "disturb",
    [
        api_server_killed,
        api_server_killed_again_and_again,
        etcd_killed,
        connections_refused,
        everything_swallowed,
        connections_forgotten,
        lines_torn,
        everything_slow,
        pages_expired,
    ],
)
async def test_disturbed_it_ends_like_one_that_was_not(
    tmp_path: Path, kafka_bootstrap: str, disturb: Disturbance
) -> None:
    async with staged(tmp_path, kafka_bootstrap, name=disturb.__name__) as stage:
        await _disturbed(stage, disturb)
        await _same_as_undisturbed(stage, kafka_bootstrap, tmp_path)


async def test_after_410_it_ends_like_one_that_never_met_it(tmp_path: Path, kafka_bootstrap: str) -> None:
    async with staged(tmp_path, kafka_bootstrap, name="watches_expired", uncached=UNCACHED) as stage:
        await _disturbed(stage, watches_expired)
        await _same_as_undisturbed(stage, kafka_bootstrap, tmp_path)


async def test_a_broken_way_costs_no_second_list(tmp_path: Path, kafka_bootstrap: str) -> None:
    async with staged(tmp_path, kafka_bootstrap, name="no_second_list") as stage:
        await _disturbed(stage, connections_refused)
        assert stage.asked("list", "/api/v1/pods") == 1


async def _disturbed(stage: Stage, disturb: Disturbance) -> None:
    async with stage.churn.going_on():
        await stage.churn.make(CHANGES)
        await disturb(stage)
        await stage.recovers()
        await stage.churn.make(CHANGES)
    await _comes_to_rest(stage)


async def _comes_to_rest(stage: Stage) -> None:
    """Return when nothing is on its way any more.

    A controller whose order of a pod was lost with the API server expects it for 5 minutes (`ExpectationsTimeout` in
    Kubernetes' controller_utils.go), and then looks again when it is reminded: that is none of the collector's matters.
    """
    for within in (QUIET_WITHIN, *[REMINDED_EVERY] * REMINDERS):
        with suppress(TimeoutError):
            await until(stage.admin.is_quiet, within=within)
            return
        await stage.admin.remind()
    pytest.fail("\n".join(["still on its way:", *await stage.admin.on_its_way()]))


async def _same_as_undisturbed(stage: Stage, bootstrap: str, directory: Path) -> None:
    disturbed, undisturbed = stage.told.by(stage.name), stage.told.by(f"{stage.name}-undisturbed")
    env = {**stage.collector.spec.env, "SRE_CLUSTER": f"{stage.name}-undisturbed"}
    reference = service("collector", env=env, directory=directory / "undisturbed")
    await reference.start()
    try:
        await reference.until_ready()
        await _agree(disturbed, undisturbed)
    finally:
        await reference.stop()
    assert undisturbed.last
    assert disturbed.differences(undisturbed) == []


async def _agree(disturbed: Fold, undisturbed: Fold) -> None:
    """Give what is written time to be read; whether they agree is asked once more by whoever called."""

    async def agree() -> bool:
        return bool(undisturbed.last) and not disturbed.differences(undisturbed)

    with suppress(TimeoutError):
        await until(agree, within=timedelta(seconds=20))


@asynccontextmanager
async def staged(directory: Path, bootstrap: str, *, name: str, uncached: Sequence[str] = ()) -> AsyncGenerator[Stage]:
    plane = ControlPlaneOptions(uncached=tuple(uncached), etcd_compaction="0")
    options = ClusterOptions(directory=directory / "cluster", plane=plane)
    await create_topics(bootstrap)
    async with AsyncExitStack() as stack:
        cluster = await stack.enter_async_context(KubernetesCluster(options, report=silent))
        proxy = await stack.enter_async_context(Proxy(urlsplit(cluster.plane.url).port or 0))
        admin = await stack.enter_async_context(Admin.of(cluster.plane))
        told = await stack.enter_async_context(_reading(bootstrap))
        churn = Churn(admin)
        await churn.furnish()
        kubeconfig = _through(proxy, cluster, directory)
        env = {"SRE_KAFKA_BOOTSTRAP": bootstrap, "SRE_KUBECONFIG": str(kubeconfig), "SRE_CLUSTER": name}
        collector = service("collector", env=env, directory=directory)
        stack.push_async_callback(collector.stop)
        await collector.start()
        await collector.until_ready()
        yield Stage(name, cluster, proxy, admin, churn, collector, told)


@asynccontextmanager
async def _reading(bootstrap: str) -> AsyncGenerator[Told]:
    async with AssignedConsumer(bootstrap, topics=[SIGNALS_KUBERNETES], group="disturbance", start={}) as consumer:
        told = Told(consumer)
        reading = asyncio.create_task(told.read())
        try:
            yield told
        finally:
            reading.cancel()
            await asyncio.gather(reading, return_exceptions=True)


def _through(proxy: Proxy, cluster: KubernetesCluster, directory: Path) -> Path:
    """Return the collector's kubeconfig, with the proxy in the place of the API server."""
    path = directory / "through-proxy.kubeconfig"
    text = cluster.accounts["collector"].read_text()
    path.write_text(text.replace(cluster.plane.url, f"https://127.0.0.1:{proxy.port}"))
    return path
