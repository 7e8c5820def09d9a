"""Events of commands on a cluster: written once, on what is there, and never in the way of anything."""

from collections.abc import AsyncGenerator, Mapping
from pathlib import Path
from typing import Any

import pytest

from services.remediator.adapters.eventing import Events
from shared.contracts.inbox import Outcome
from shared.contracts.model import JsonObject, JsonValue
from shared.contracts.workloads import WorkloadRef
from shared.infra.kube import KubeClient, KubeError, Listing, PatchType
from shared.kernel.errors import UnavailableError
from shared.runtime.metrics import EVENTS_LOST
from tests.integration.small_cluster import small_cluster
from tests.unit.services.remediator.build import command, result

pytestmark = pytest.mark.integration
EVENTS = "/api/v1/namespaces/bank/events"


@pytest.fixture
async def client(tmp_path: Path) -> AsyncGenerator[KubeClient]:
    container = {"name": "server", "image": "web:v1"}
    template = {"metadata": {"labels": {"app": "web"}}, "spec": {"containers": [container]}}
    spec: Any = {"replicas": 0, "selector": {"matchLabels": {"app": "web"}}, "template": template}
    async with small_cluster(tmp_path) as cluster:
        body: Any = {"metadata": {"name": "web"}, "spec": spec}
        await cluster.client.create("/apis/apps/v1/namespaces/bank/deployments", body)
        yield cluster.client


def events(client: Any, *protected: str) -> Events:
    return Events(lambda _: client, instance="host-1", protected_namespaces=frozenset(protected))


async def ours(client: KubeClient, path: str = EVENTS) -> list[Any]:
    found: list[Any] = list((await client.list(path)).items)
    return [one for one in found if one["reportingComponent"] == "sre-agent"]


async def test_an_event_is_written_once_however_often_it_is_told_and_found_by_what_describe_asks(
    client: KubeClient,
) -> None:
    asked, lost = command(), EVENTS_LOST._value.get()  # type: ignore[attr-defined] # noqa: SLF001
    for _ in range(2):
        await events(client).tell(asked, result(asked))
    (event,) = await ours(client)
    uid: Any = (await client.get("/apis/apps/v1/namespaces/bank/deployments/web"))["metadata"]
    selector = f"involvedObject.name=web,involvedObject.kind=Deployment,involvedObject.uid={uid['uid']}"
    described = (await client.list(EVENTS, fieldSelector=selector)).items
    assert event in described
    assert (event["reason"], event["type"]) == ("RollbackApplied", "Normal")
    assert EVENTS_LOST._value.get() == lost  # type: ignore[attr-defined] # noqa: SLF001


async def test_a_nodes_event_is_written_where_nodes_events_live(client: KubeClient) -> None:
    asked = command(workload=WorkloadRef(kind="Node", name="node-1"))
    await events(client).tell(asked, result(asked, outcome=Outcome.REFUSED, reason="kind-not-supported"))
    (event,) = await ours(client, "/api/v1/namespaces/default/events")
    assert event["involvedObject"]["name"] == "node-1"


@pytest.mark.parametrize(
    ("workload", "outcome", "protected"),
    [
        ("web", Outcome.DRY_RUN, ()),
        ("web", Outcome.REFUSED, ("bank",)),
        ("gone", Outcome.REFUSED, ()),
    ],
    ids=["a dry run", "a protected namespace", "what is gone"],
)
async def test_no_event_is_written_of(
    client: KubeClient, workload: str, outcome: Outcome, protected: tuple[str, ...]
) -> None:
    asked = command(workload=WorkloadRef(kind="Deployment", namespace="bank", name=workload))
    await events(client, *protected).tell(asked, result(asked, outcome=outcome))
    assert await ours(client) == []


class Refusing:
    """A cluster that has the object, and takes no Event of it."""

    def __init__(self, error: Exception) -> None:
        self._error = error

    async def get(self, path: str) -> JsonObject:
        return {"apiVersion": "apps/v1", "metadata": {"uid": "u"}}

    async def list(self, path: str, **query: str) -> Listing:
        raise AssertionError(path)

    async def create(self, path: str, body: Mapping[str, JsonValue], *, dry_run: bool = False) -> JsonObject:
        raise self._error

    async def patch(self, path: str, body: JsonValue, *, kind: PatchType, dry_run: bool = False) -> JsonObject:
        raise AssertionError(path)

    async def logs(self, path: str, **query: str) -> str:
        raise AssertionError(path)


@pytest.mark.parametrize("error", [KubeError(403, "Forbidden", "no"), UnavailableError("away")])
async def test_an_event_that_cannot_be_written_is_counted_and_stops_nothing(error: Exception) -> None:
    lost = EVENTS_LOST._value.get()  # type: ignore[attr-defined] # noqa: SLF001
    await events(Refusing(error)).tell(command(), result(command()))
    assert EVENTS_LOST._value.get() == lost + 1  # type: ignore[attr-defined] # noqa: SLF001
