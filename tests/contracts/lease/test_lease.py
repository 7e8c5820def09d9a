"""The lease and the claims, on a real store and on a simulated one: one holder, tokens that only grow, one claim."""

import asyncio
from collections.abc import AsyncGenerator
from datetime import timedelta
from itertools import count, pairwise

import pytest

from sandbox.cluster.clock import manual_clock
from sandbox.cluster.simulation import Simulation
from services.remediator.adapters.register import Register
from services.remediator.terms import Terms
from shared.infra.memory import MemoryBroker
from shared.infra.redis import Lease, Redis, connect
from tests.fakes.clock import FakeClock
from tests.simulation.cluster import SimulatedCluster
from tests.simulation.store import SimulatedStore
from tests.simulation.weather import Weather
from tests.unit.services.remediator.build import NOW

pytestmark = pytest.mark.contract
TTL = timedelta(milliseconds=400)
NAMES = count()


@pytest.fixture(params=["real", "simulated"])
async def redis(request: pytest.FixtureRequest, redis_url: str) -> AsyncGenerator[Redis]:
    if request.param == "simulated":
        yield Redis(SimulatedStore())
        return
    async with connect(redis_url) as opened:
        await opened.run("FLUSHALL")
        yield opened


@pytest.fixture
def lease(redis: Redis) -> Lease:
    return Lease(redis, f"test-{next(NAMES)}", ttl=TTL)


async def until_free(lease: Lease) -> None:
    async with asyncio.timeout(5):
        while not await lease.is_free():  # noqa: ASYNC110 - the store counts the time
            await asyncio.sleep(0.02)


async def test_one_holds_it_and_the_others_stand_by(lease: Lease) -> None:
    first = await lease.acquire("a", floor=0)
    assert first is not None
    assert await lease.acquire("b", floor=0) is None
    assert await lease.renew(first)


async def test_it_passes_on_by_itself_when_it_is_not_renewed_and_the_old_holder_is_told(lease: Lease) -> None:
    first = await lease.acquire("a", floor=0)
    assert first is not None
    await until_free(lease)
    second = await lease.acquire("b", floor=0)
    assert second is not None
    assert second.token > first.token
    assert not await lease.renew(first)


async def test_released_it_is_free_at_once(lease: Lease) -> None:
    first = await lease.acquire("a", floor=0)
    assert first is not None
    await lease.release(first)
    assert await lease.acquire("b", floor=0) is not None


async def test_who_does_not_hold_it_cannot_release_it(lease: Lease) -> None:
    first = await lease.acquire("a", floor=0)
    assert first is not None
    await lease.release(first)
    second = await lease.acquire("b", floor=0)
    assert second is not None
    await lease.release(first)
    assert await lease.renew(second)


async def test_the_token_grows_also_after_the_store_was_wiped(redis: Redis, lease: Lease) -> None:
    token = 0
    for commands_written in range(5):
        term = await lease.acquire("a", floor=token + commands_written)
        assert term is not None
        assert term.token > token
        token = term.token
        await redis.run("FLUSHALL")


async def test_a_command_is_claimed_once_and_its_result_is_kept(lease: Lease) -> None:
    term = await lease.acquire("a", floor=0)
    assert term is not None
    first, again = await lease.claim(term, "cmd-1"), await lease.claim(term, "cmd-1")
    assert first is not None
    assert again is not None
    assert (first.is_new, again.is_new, again.result) == (True, False, "")
    assert await lease.settle(term, "cmd-1", "done") == "done"
    settled = await lease.claim(term, "cmd-1")
    assert settled is not None
    assert (settled.is_new, settled.result) == (False, "done")


async def test_who_lost_the_lease_can_claim_nothing(lease: Lease) -> None:
    old = await lease.acquire("a", floor=0)
    assert old is not None
    await until_free(lease)
    assert await lease.acquire("b", floor=0) is not None
    assert await lease.claim(old, "cmd-1") is None


async def test_what_a_command_came_to_is_noted_once_and_by_the_holder_alone(lease: Lease) -> None:
    old = await lease.acquire("a", floor=0)
    assert old is not None
    await lease.claim(old, "cmd-1")
    await until_free(lease)
    new = await lease.acquire("b", floor=0)
    assert new is not None
    assert await lease.settle(old, "cmd-1", "of the old") is None
    found = await lease.claim(new, "cmd-1")
    assert found is not None
    assert (found.is_new, found.result) == (False, "")
    assert await lease.settle(new, "cmd-1", "of the new") == "of the new"
    assert await lease.settle(new, "cmd-1", "of another mind") == "of the new"


async def test_a_token_never_goes_back_though_store_and_broker_are_lost_a_hundred_times(redis: Redis) -> None:
    cluster = SimulatedCluster(Simulation(manual_clock()), weather=Weather())
    tokens: list[int] = []
    for number in range(100):
        broker = MemoryBroker(FakeClock(NOW))  # set up anew each time
        if number % 3 == 0:
            await redis.run("FLUSHALL")
        elif number % 3 == 1:
            await redis.run("SET", "sre:lease:lost:token", "1")  # an old copy
        lost = Lease(redis, "lost", ttl=TTL)
        term = await Terms(lost, Register(cluster), broker.archive()).next("a")
        assert term is not None
        tokens.append(term.token)
        await lost.release(term)
    assert all(later > earlier for earlier, later in pairwise(tokens))


async def test_of_two_that_stand_on_different_stores_one_alone_begins_under_a_token(redis: Redis) -> None:
    cluster = SimulatedCluster(Simulation(manual_clock()), weather=Weather())
    archive = MemoryBroker(FakeClock(NOW)).archive()
    leases = (Lease(redis, "here", ttl=TTL), Lease(redis, "there", ttl=TTL))
    for _ in range(20):
        begun = await asyncio.gather(*(Terms(one, Register(cluster), archive).next("a") for one in leases))
        tokens = [term.token for term in begun if term is not None]
        assert tokens
        assert len(set(tokens)) == len(tokens)
        for lease, term in zip(leases, begun, strict=True):
            if term is not None:
                await lease.release(term)
