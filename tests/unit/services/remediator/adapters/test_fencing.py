"""The cluster behind a fence: nothing is written after the tenure, without its marks, or against a later leader."""

import asyncio
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest

from sandbox.cluster.clock import manual_clock
from sandbox.cluster.resources import DEPLOYMENTS, LEASES, NAMESPACES
from sandbox.cluster.simulation import Simulation
from sandbox.cluster.writes import Target
from services.remediator.adapters.fencing import FencedCluster
from services.remediator.adapters.register import NAME, NAMESPACE, Register
from services.remediator.core.fencing import Reading
from services.remediator.tenure import Tenure
from shared.contracts.actions.marks import TOKEN_ANNOTATION, marks_of
from shared.contracts.model import JsonObject
from shared.infra.kube import KubeError, PatchType
from shared.infra.redis import Term
from shared.kernel.errors import UnavailableError
from tests.simulation.cluster import SimulatedCluster
from tests.simulation.weather import Weather

if TYPE_CHECKING:
    from sandbox.cluster.documents import Document

WEB = "/apis/apps/v1/namespaces/bank/deployments/web"
LATER = float("inf")


@dataclass
class Stage:
    cluster: Simulation = field(default_factory=lambda: Simulation(manual_clock()))

    def __post_init__(self) -> None:
        template: Document = {
            "metadata": {"labels": {"app": "web"}},
            "spec": {"containers": [{"name": "a", "image": "a:1"}]},
        }
        spec: Document = {"replicas": 1, "selector": {"matchLabels": {"app": "web"}}, "template": template}
        self.cluster.api.create(Target(NAMESPACES), {"metadata": {"name": "bank"}})
        self.cluster.api.create(Target(DEPLOYMENTS, "bank"), {"metadata": {"name": "web"}, "spec": spec})

    @property
    def client(self) -> SimulatedCluster:
        return SimulatedCluster(self.cluster, weather=Weather())

    @property
    def register(self) -> Register:
        return Register(self.client)

    def fenced(self, tenure: Tenure) -> FencedCluster:
        return FencedCluster(self.client, tenure=tenure, register=self.register)

    async def patch(self, token: int) -> JsonObject:
        found: Any = await self.client.get(WEB)
        return {
            "metadata": {"resourceVersion": found["metadata"]["resourceVersion"], "annotations": marks_of("c", token)}
        }

    async def token_of_web(self) -> str | None:
        found: Any = await self.client.get(WEB)
        return found["metadata"].get("annotations", {}).get(TOKEN_ANNOTATION)


def tenure(token: int, *, until: float = LATER) -> Tenure:
    return Tenure(Term("one", token), until=until)


async def test_a_write_within_the_tenure_and_under_its_marks_is_sent() -> None:
    stage = Stage()
    await stage.fenced(tenure(7)).patch(WEB, await stage.patch(7), kind=PatchType.MERGE)
    assert await stage.token_of_web() == "7"


async def test_after_the_tenure_nothing_is_written() -> None:
    stage = Stage()
    over = stage.fenced(tenure(7, until=asyncio.get_running_loop().time()))
    with pytest.raises(UnavailableError):
        await over.patch(WEB, await stage.patch(7), kind=PatchType.MERGE)
    with pytest.raises(UnavailableError):
        await over.create("/api/v1/namespaces/bank/configmaps", {"metadata": {"name": "late"}})
    with pytest.raises(UnavailableError):
        await over.delete(WEB, uid="any")
    assert await stage.token_of_web() is None


async def test_a_deletion_within_the_tenure_is_sent_under_its_uid() -> None:
    stage = Stage()
    metadata: Any = (await stage.client.get(WEB))["metadata"]
    await stage.fenced(tenure(7)).delete(WEB, uid=metadata["uid"], resource_version=metadata["resourceVersion"])
    with pytest.raises(KubeError, match="404"):
        await stage.client.get(WEB)


async def test_what_lacks_its_marks_is_refused_by_us_before_anybody_is_asked() -> None:
    stage = Stage()
    with pytest.raises(KubeError, match="is not sent: it does not carry the token 7") as refused:
        await stage.fenced(tenure(7)).patch(WEB, await stage.patch(6), kind=PatchType.MERGE)
    assert refused.value.status == 403
    assert await stage.token_of_web() is None


class Denying(SimulatedCluster):
    async def patch(self, path: str, body: Any, *, kind: PatchType, dry_run: bool = False) -> JsonObject:
        raise KubeError(403, "Forbidden", "a policy denies it")


@pytest.mark.parametrize(("known", "is_over"), [(8, True), (7, False)])
async def test_what_is_denied_under_a_later_leader_ends_the_tenure_and_is_no_refusal(
    known: int, *, is_over: bool
) -> None:
    stage = Stage()
    assert await stage.register.raise_to(Term("two", known), over=Reading(0, ""))
    held = tenure(7)
    fenced = FencedCluster(Denying(stage.cluster, weather=Weather()), tenure=held, register=stage.register)
    with pytest.raises(UnavailableError if is_over else KubeError):
        await fenced.patch(WEB, await stage.patch(7), kind=PatchType.MERGE)
    assert held.is_held is not is_over


async def test_the_register_is_raised_from_what_was_read_and_by_one_leader_alone() -> None:
    register = Stage().register
    before = await register.read()
    assert before == Reading(0, "")
    assert await register.raise_to(Term("one", 4), over=before)
    assert not await register.raise_to(Term("two", 4), over=before)
    first = await register.read()
    assert first.token == 4
    assert await register.raise_to(Term("two", 9), over=first)
    assert not await register.raise_to(Term("one", 10), over=first)
    assert (await register.read()).token == 9


async def test_a_register_that_says_no_token_is_not_begun_anew() -> None:
    stage = Stage()
    document: Document = {"metadata": {"name": NAME, "annotations": {TOKEN_ANNOTATION: "high"}}, "spec": {}}
    stage.cluster.api.create(Target(LEASES, NAMESPACE), document)
    with pytest.raises(UnavailableError, match="'high', no token"):
        await stage.register.read()


async def test_where_the_namespace_of_the_register_is_not_there_nobody_leads() -> None:
    stage = Stage()
    stage.cluster.api.delete(Target(NAMESPACES, name=NAMESPACE), {})
    with pytest.raises(UnavailableError, match=rf"the register {NAMESPACE}/{NAME} cannot be written: 40[34]"):
        await stage.register.raise_to(Term("one", 1), over=Reading(0, ""))


async def test_a_tenure_that_is_over_stays_over_whatever_the_store_says_later() -> None:
    loop = asyncio.get_running_loop()
    held = tenure(7, until=loop.time() + 60)
    held.extend(loop.time() + 120)
    held.check()
    held.end()
    held.extend(LATER)
    assert not held.is_held
    lapsed = tenure(7, until=loop.time())
    lapsed.extend(LATER)
    with pytest.raises(UnavailableError):
        lapsed.check()
