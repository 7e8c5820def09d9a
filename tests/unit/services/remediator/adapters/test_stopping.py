"""Stops looked for before each write: each way holds by itself, and where it cannot be told nothing is written."""

import asyncio
from dataclasses import dataclass, field
from typing import Any

import pytest
from prometheus_client import REGISTRY

from sandbox.cluster.clock import manual_clock
from sandbox.cluster.patching import Patch, PatchKind
from sandbox.cluster.resources import CONFIG_MAPS, DEPLOYMENTS, NAMESPACES, NODES, Resource
from sandbox.cluster.simulation import Simulation
from sandbox.cluster.writes import Target
from services.remediator.adapters import stopping
from services.remediator.adapters.stopping import StoppableCluster, Stops
from services.remediator.core.stopping import places_over
from shared.contracts.actions.base import StoppedError
from shared.contracts.codec import Record, decode
from shared.contracts.stops import Stop, Way
from shared.contracts.topics import STOPS
from shared.contracts.workloads import WorkloadRef
from shared.infra.kube import KubeError, PatchType
from shared.infra.memory import MemoryBroker
from shared.kernel.errors import UnavailableError
from tests.fakes.clock import FakeClock
from tests.simulation.cluster import SimulatedCluster
from tests.simulation.weather import Weather
from tests.unit.services.remediator.build import NOW, WEB

PATH = "/apis/apps/v1/namespaces/bank/deployments/web"
NOTE: Any = {"metadata": {"annotations": {"sre-agent.dev/command": "cmd-1"}}}


@dataclass
class Stage:
    """A cluster with one Deployment, a broker, and the stops of a leader; what `is_denied` begins is forbidden."""

    broker: MemoryBroker = field(default_factory=lambda: MemoryBroker(FakeClock(NOW)))
    cluster: Simulation = field(default_factory=lambda: Simulation(manual_clock()))
    asked: list[str] = field(default_factory=list[str])
    denied: str = "nothing"
    awaited: asyncio.Event | None = None
    together: asyncio.Barrier | None = None

    def __post_init__(self) -> None:
        template: Any = {"metadata": {"labels": {"app": "web"}}, "spec": {"containers": [{"name": "a", "image": "a"}]}}
        spec: Any = {"replicas": 0, "selector": {"matchLabels": {"app": "web"}}, "template": template}
        self.cluster.api.create(Target(NAMESPACES), {"metadata": {"name": "bank"}})
        self.cluster.api.create(Target(DEPLOYMENTS, "bank"), {"metadata": {"name": "web"}, "spec": spec})
        self.weather = Weather()
        self._client = SimulatedCluster(self.cluster, weather=self.weather)
        self.stops = self.leader()

    def leader(self) -> Stops:
        asked: Any = self
        return Stops(asked, self.broker.archive(), self.broker.publisher("remediator"), clock=FakeClock(NOW))

    async def get(self, path: str) -> Any:
        self.asked.append(path)
        if self.together is not None:
            await self.together.wait()
        if self.awaited is not None:
            await self.awaited.wait()
        if path == self.denied:
            raise KubeError(403, "Forbidden", "not allowed")
        return await self._client.get(path)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._client, name)

    async def write(self, *, dry_run: bool = False) -> None:
        guarded = StoppableCluster(self._client, self.stops, WEB)
        await guarded.patch(PATH, NOTE, kind=PatchType.MERGE, dry_run=dry_run)

    @property
    def is_written(self) -> bool:
        """Tell whether `write` has written."""
        found: Any = self.cluster.api.get(Target(DEPLOYMENTS, "bank", "web"))
        return "sre-agent.dev/command" in found["metadata"].get("annotations", {})

    def annotate(self, resource: Resource, namespace: str, name: str, value: str | None) -> None:
        body: Any = {"metadata": {"annotations": {"sre-agent.dev/pause": value}}}
        self.cluster.api.patch(Target(resource, namespace, name), Patch(PatchKind.MERGE, body))

    def config_map(self) -> None:
        made: Any = {"metadata": {"name": "sre-agent-stop"}, "data": {"owner": "ann", "reason": "disk full"}}
        self.cluster.api.create(Target(CONFIG_MAPS, "sre-agent"), made)

    async def by_api(self, *, holds: bool = True, by: str = "ann") -> None:
        stop = Stop(id=f"s-{by}-{holds}", at=NOW, way=Way.API, holds=holds, by=by, cause="disk full")
        await self.broker.publisher("api").publish(stop, topic=STOPS, partition=0)

    def told(self) -> list[tuple[str, bool, str, str]]:
        messages = [decode(record).message for record in self.broker.log(STOPS.name, 0)]
        return [(one.key, one.holds, one.by, one.cause) for one in messages if isinstance(one, Stop)]


@pytest.fixture(autouse=True)
def _nothing_is_fresh(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stopping, "FRESH", stopping.FRESH * 0)


async def put(stage: Stage, way: str) -> None:
    match way:
        case "api":
            await stage.by_api()
        case "config-map":
            stage.config_map()
        case "agent":
            stage.annotate(NAMESPACES, "", "sre-agent", "ann: disk full")
        case "namespace":
            stage.annotate(NAMESPACES, "", "bank", "ann: disk full")
        case _:
            stage.annotate(DEPLOYMENTS, "bank", "web", "ann: disk full")


WAYS = {"api": "*", "config-map": "*", "agent": "*", "namespace": "bank", "workload": WEB.key}


@pytest.mark.parametrize(("way", "scope"), WAYS.items())
async def test_each_way_holds_writes_by_itself_and_names_who_and_why(way: str, scope: str) -> None:
    stage = Stage()
    await stage.stops.over(WEB)
    await put(stage, way)
    stop = await stage.stops.over(WEB)
    assert stop is not None
    assert (stop.scope, stop.by, stop.cause) == (scope, "ann", "disk full")
    with pytest.raises(StoppedError, match=r"stopped by ann .*: disk full"):
        await stage.write()
    await stage.write(dry_run=True)
    assert not stage.is_written


async def test_a_stop_of_another_namespace_or_workload_holds_nothing_here() -> None:
    stage = Stage()
    stage.cluster.api.create(Target(NAMESPACES), {"metadata": {"name": "shop"}})
    stage.annotate(NAMESPACES, "", "shop", "ann: disk full")
    assert await stage.stops.over(WEB) is None


async def test_a_stop_on_a_node_holds_what_is_done_to_the_node() -> None:
    stage = Stage()
    node = WorkloadRef(kind="Node", namespace="-", name="node-1")
    assert await stage.stops.over(node) is None
    stage.annotate(NODES, "", "node-1", "ann: disk full")
    stop = await stage.stops.over(node)
    assert stop is not None
    assert (stop.scope, stop.by) == (node.key, "ann")
    assert await stage.stops.over(WEB) is None


async def test_a_stop_that_is_lifted_holds_nothing_any_more() -> None:
    stage = Stage()
    await stage.by_api()
    stage.annotate(NAMESPACES, "", "bank", "ann: disk full")
    await stage.by_api(holds=False)
    stage.annotate(NAMESPACES, "", "bank", None)
    await stage.write()
    assert stage.is_written


async def test_what_several_have_stopped_holds_until_each_has_lifted_it() -> None:
    stage = Stage()
    await stage.by_api(by="ann")
    await stage.by_api(by="ben")
    await stage.by_api(by="ann", holds=False)
    with pytest.raises(StoppedError, match="stopped by ben"):
        await stage.write()
    await stage.by_api(by="ben", holds=False)
    await stage.write()
    assert stage.is_written


async def test_a_leader_counts_the_stops_that_hold() -> None:
    stage = Stage()
    await stage.by_api(by="ann")
    await stage.by_api(by="ben")
    await stage.stops.tell()
    assert REGISTRY.get_sample_value("sre_stops_in_force") == 2
    await stage.by_api(by="ann", holds=False)
    await stage.stops.tell()
    assert REGISTRY.get_sample_value("sre_stops_in_force") == 1


async def test_a_word_on_the_topic_that_cannot_be_read_lets_nothing_be_written_until_one_of_its_key_can() -> None:
    stage = Stage()
    stage.broker.append(Record(STOPS.name, 0, -1, 0, b"api:*:ann", b"\x00", ()))
    with pytest.raises(UnavailableError, match=r"sre\.stops/0/0"):
        await stage.write()
    await stage.by_api(holds=False)
    await stage.write()
    stage.broker.append(Record(STOPS.name, 0, -1, 0, b"api:*:ann", None, ()))
    await stage.write()


@pytest.mark.parametrize("whom", ["broker", "API server"])
async def test_where_it_cannot_be_told_nothing_is_written(whom: str) -> None:
    stage = Stage()
    if whom == "broker":
        stage.broker.away = True
    else:
        stage.weather.away.add(whom)
    with pytest.raises(UnavailableError):
        await stage.write()
    assert not stage.is_written


async def test_where_the_look_is_forbidden_nothing_is_written() -> None:
    stage = Stage(denied="/api/v1/namespaces/sre-agent/configmaps/sre-agent-stop")
    with pytest.raises(KubeError, match="403"):
        await stage.write()
    assert not stage.is_written


async def test_all_places_are_asked_at_the_same_time() -> None:
    stage = Stage(together=asyncio.Barrier(len(places_over(WEB))))
    stage.annotate(DEPLOYMENTS, "bank", "web", "ann: disk full")
    async with asyncio.timeout(10):  # asked one after the other they would wait for each other for ever
        stop = await stage.stops.over(WEB)
    assert stop is not None
    assert stop.scope == WEB.key


async def test_a_stop_that_is_seen_holds_though_another_place_cannot_be_looked_at() -> None:
    stage = Stage(denied="/api/v1/namespaces/sre-agent/configmaps/sre-agent-stop")
    stage.annotate(NAMESPACES, "", "bank", "ann: disk full")
    with pytest.raises(StoppedError, match="stopped by ann"):
        await stage.write()


async def test_of_several_stops_the_widest_is_named() -> None:
    stage = Stage()
    for way in ("workload", "namespace", "config-map"):
        await put(stage, way)
        stop = await stage.stops.over(WEB)
        assert stop is not None
        assert stop.scope == WAYS[way]


async def test_a_stop_by_the_api_waits_for_no_place() -> None:
    stage = Stage(awaited=asyncio.Event())
    await stage.by_api()
    async with asyncio.timeout(10):
        stop = await stage.stops.over(WEB)
    assert stop is not None
    assert stop.way is Way.API
    assert asyncio.all_tasks() == {asyncio.current_task()}


async def test_a_look_that_is_given_up_leaves_nothing_behind_and_the_next_one_looks_anew() -> None:
    all_asked = asyncio.Barrier(len(places_over(WEB)) + 1)
    stage = Stage(together=all_asked, awaited=asyncio.Event())
    stage.annotate(DEPLOYMENTS, "bank", "web", "ann: disk full")
    looking = asyncio.create_task(stage.stops.over(WEB))
    await all_asked.wait()
    looking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await looking
    assert asyncio.all_tasks() == {asyncio.current_task()}
    stage.together = stage.awaited = None
    assert await stage.stops.over(WEB) is not None


async def test_what_was_asked_within_a_second_is_not_asked_again(monkeypatch: pytest.MonkeyPatch) -> None:
    moments = [10.0]
    monkeypatch.undo()
    monkeypatch.setattr(stopping, "_now", lambda: moments[0])
    stage = Stage()
    await stage.stops.over(WEB)
    asked = len(stage.asked)
    moments[0] += 0.9
    await stage.stops.over(WEB)
    assert len(stage.asked) == asked
    stage.config_map()
    moments[0] += 0.1
    assert await stage.stops.over(WEB) is not None
    assert stopping.FRESH.total_seconds() <= 1.0


async def test_what_the_cluster_says_is_told_once_and_again_when_it_is_over() -> None:
    stage = Stage()
    stage.config_map()
    stage.annotate(NAMESPACES, "", "bank", "ben: moving")
    for _ in range(2):
        await stage.stops.tell()
    assert stage.told() == [("config-map:*", True, "ann", "disk full")]  # no command has met the other one
    stage.cluster.api.delete(Target(CONFIG_MAPS, "sre-agent", "sre-agent-stop"), {})
    assert await stage.stops.over(WEB) is not None
    await stage.stops.tell()
    assert stage.told()[1:] == [
        ("annotation:bank", True, "ben", "moving"),
        ("config-map:*", False, "ann", "disk full"),
    ]


async def test_the_next_leader_tells_of_the_end_of_what_another_has_told() -> None:
    stage = Stage()
    stage.annotate(DEPLOYMENTS, "bank", "web", "ann: disk full")
    await stage.stops.over(WEB)
    await stage.stops.tell()
    stage.annotate(DEPLOYMENTS, "bank", "web", None)
    await stage.leader().tell()
    assert [(key, holds) for key, holds, *_ in stage.told()] == [
        (f"annotation:{WEB.key}", True),
        (f"annotation:{WEB.key}", False),
    ]


async def test_many_may_look_at_once() -> None:
    stage = Stage()
    await stage.by_api()
    found = await asyncio.gather(*(stage.stops.over(WEB) for _ in range(10)))
    assert all(one is not None and one.way is Way.API for one in found)
