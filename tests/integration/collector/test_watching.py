"""List and watch against a cluster: resumed by version, listed again after 410, nothing lost in between."""

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from sandbox.cluster.resources import CONFIG_MAPS, PODS
from sandbox.cluster.writes import Target
from services.collector.adapters.watching import Kind, Observation, Watching
from services.collector.handlers import Collecting
from shared.contracts.codec import decode
from shared.contracts.signals import ContainerSignal
from shared.contracts.topics import SIGNALS_KUBERNETES
from shared.infra.kube import KubeClient, WatchExpiredError
from shared.infra.memory import MemoryBroker
from shared.kernel.errors import UnavailableError
from tests.fakes.clock import FakeClock
from tests.integration.service_process import until
from tests.integration.small_cluster import SmallCluster, small_cluster

pytestmark = pytest.mark.integration
KIND = Kind("ConfigMap", "/api/v1/namespaces/bank/configmaps")


@dataclass(frozen=True)
class Stage(SmallCluster):
    """A cluster whose ConfigMaps come and go."""

    def create(self, name: str) -> None:
        self.simulation.api.create(Target(CONFIG_MAPS, "bank"), {"metadata": {"name": name}})

    def delete(self, name: str) -> None:
        self.simulation.api.delete(Target(CONFIG_MAPS, "bank", name), {})


@pytest.fixture
async def stage(tmp_path: Path) -> AsyncGenerator[Stage]:
    async with small_cluster(tmp_path) as cluster:
        yield Stage(cluster.simulation, cluster.runner, cluster.client)


class Reader:
    """Read a watching for ever, until the connection is broken off."""

    def __init__(self, client: KubeClient) -> None:
        self._watching = Watching(client, KIND, self._hear, on_answer=lambda: None)
        self.told: list[tuple[str, bool]] = []

    async def _hear(self, observations: Sequence[Observation]) -> None:
        self.told += [(str(_metadata(one)["name"]), one.deleted) for one in observations]

    async def _read(self) -> None:
        while True:
            with suppress(WatchExpiredError):
                await self._watching.observe()

    async def until_told(self, *expected: tuple[str, bool]) -> list[tuple[str, bool]]:
        """Read until all of these were told; then break the connection off, and return what was told."""
        self.told = []
        reading = asyncio.create_task(self._read())

        async def all_told() -> bool:
            return reading.done() or set(expected) <= set(self.told)

        await until(all_told)
        reading.cancel()
        with suppress(asyncio.CancelledError):
            await reading
        return self.told


def _metadata(observation: Observation) -> Any:
    return observation.object["metadata"]


@pytest.fixture
def reader(stage: Stage) -> Reader:
    return Reader(stage.client)


async def test_it_lists_then_watches_and_goes_on_by_version_after_a_broken_connection(
    stage: Stage, reader: Reader
) -> None:
    stage.create("one")
    await reader.until_told(("one", False))
    stage.create("two")
    stage.delete("one")
    told = await reader.until_told(("two", False), ("one", True))
    assert told == [("two", False), ("one", True)]
    stage.create("three")
    assert await reader.until_told(("three", False)) == [("three", False)]


async def test_after_410_it_lists_again_and_tells_only_what_has_changed_or_gone(stage: Stage, reader: Reader) -> None:
    stage.create("stays")
    stage.create("goes")
    await reader.until_told(("stays", False), ("goes", False))
    stage.delete("goes")
    stage.create("comes")
    stage.simulation.store.compact()
    stage.create("later")
    told = await reader.until_told(("comes", False), ("later", False), ("goes", True))
    assert told == [("comes", False), ("later", False), ("goes", True)]


async def test_after_410_one_that_took_the_name_of_another_is_told_after_that_ones_end(
    stage: Stage, reader: Reader
) -> None:
    stage.create("web-0")
    await reader.until_told(("web-0", False))
    stage.delete("web-0")
    stage.create("web-0")
    stage.simulation.store.compact()
    assert await reader.until_told(("web-0", True), ("web-0", False)) == [("web-0", True), ("web-0", False)]


async def test_a_server_that_is_away_is_named(stage: Stage, reader: Reader) -> None:
    await stage.runner.cleanup()
    with pytest.raises(UnavailableError, match="Kubernetes API"):
        await reader.until_told(("never", False))


async def test_a_pods_containers_are_told_under_their_deployment_though_its_replica_set_was_never_seen(
    stage: Stage,
) -> None:
    labels: Any = {"app": "web"}
    container: Any = {"name": "server", "image": "web:v1"}
    deployment: Any = {
        "metadata": {"name": "web"},
        "spec": {
            "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels}, "spec": {"containers": [container]}},
        },
    }
    await stage.client.create("/apis/apps/v1/namespaces/bank/deployments", deployment)
    broker, clock = MemoryBroker(FakeClock()), FakeClock()
    collecting = Collecting(broker.publisher("collector"), stage.client, cluster="test", clock=clock)
    kind = Kind("Pod", "/api/v1/pods")
    for pod in stage.simulation.plane.select(PODS, "bank"):
        for _ in range(2):  # told twice, news once
            await collecting.handle([Observation(kind, pod)])
    records = [one for number in range(6) for one in broker.log(SIGNALS_KUBERNETES.name, number)]
    signals = [decode(record).message for record in records]
    told = [(one.workload.key, one.labels["app"]) for one in signals if isinstance(one, ContainerSignal)]
    assert told == [("bank/Deployment/web", "web")]
