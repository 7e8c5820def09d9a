"""A store that forgets while it is led: it is wiped, or what it held before stands there again; tokens go on rising.

The store, the broker and the register are real, and the lease and the terms are what the remediator stands on; so many
terms follow each other as fast as they can.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from services.remediator.adapters.fencing import FencedCluster
from services.remediator.adapters.register import Register
from services.remediator.tenure import Tenure
from services.remediator.terms import Terms
from shared.contracts.actions.marks import marks_of
from shared.contracts.requests import PatchType
from shared.infra.kube import KubeError
from shared.infra.redis import Lease, Redis, Term, connect
from shared.kernel.errors import UnavailableError
from tests.cluster.rounds import DEPLOYMENTS, NEXT, Stage
from tests.integration.service_process import until

_LEASE = timedelta(milliseconds=500)
_KEY = "sre:lease:remediator"
_COPIED_EVERY = 10
_CONFLICT = 409
Copy = Mapping[str, tuple[str, int]]


@dataclass(frozen=True, slots=True)
class Forgotten:
    """One term after the store had forgotten: both tokens, and whether the one before could still renew or write."""

    how: str
    before: int
    after: int
    renewed: bool
    wrote: bool


async def forgotten(stage: Stage, times: int) -> list[Forgotten]:
    """Return what became of so many leaders whose store was wiped, or was given back an old copy, in turns."""
    async with connect(stage.redis_url) as redis:
        lease = Lease(redis, "remediator", ttl=_LEASE)
        begin = Terms(lease, Register(stage.remediator), stage.told.archive)
        term, copy = await _next(begin, lease, "leader-first"), await _copied(redis)
        found: list[Forgotten] = []
        for number in range(times):
            how, forget = [("wiped", _wipe), ("an old copy", _restorer(copy))][number % 2]
            while not await lease.renew(term):  # it is to be led when it forgets
                term = await _next(begin, lease, f"leader-{number}-before")
            await forget(redis)
            following = await _next(begin, lease, f"leader-{number}")
            found.append(await _compared(stage, lease, how, (term, following)))
            term = following
            if number % _COPIED_EVERY == 0:
                copy = await _copied(redis)
        return found


async def _next(terms: Terms, lease: Lease, owner: str) -> Term:
    taken: list[Term] = []

    async def is_taken() -> bool:
        term = await terms.next(owner) if await lease.is_free() else None
        taken.extend([term] if term is not None else [])
        return bool(taken)

    await until(is_taken)
    return taken[0]


async def _compared(stage: Stage, lease: Lease, how: str, terms: tuple[Term, Term]) -> Forgotten:
    """Let the next leader write, and then the one before, which does not know yet that it was followed."""
    before, after = terms
    await _write(stage, after)
    renewed = await lease.renew(before)
    return Forgotten(how, before.token, after.token, renewed, wrote=await _has_written(stage, before))


async def _has_written(stage: Stage, term: Term) -> bool:
    try:
        await _write(stage, term)
    except UnavailableError:
        return False
    return True


async def _write(stage: Stage, term: Term) -> None:
    """Mark a workload; read it again where a controller wrote meanwhile, so that its version stops nobody."""
    tenure = Tenure(term, until=asyncio.get_running_loop().time() + 60)
    fenced = FencedCluster(stage.remediator, tenure=tenure, register=Register(stage.remediator))

    async def is_answered() -> bool:
        version = (await stage.deployment(NEXT))["metadata"]["resourceVersion"]
        metadata: Any = {"resourceVersion": version, "annotations": marks_of("forgotten", term.token)}
        try:
            await fenced.patch(f"{DEPLOYMENTS}/{NEXT}", {"metadata": metadata}, kind=PatchType.MERGE)
        except KubeError as refused:
            if refused.status != _CONFLICT:
                raise
            return False
        return True

    await until(is_answered)


async def _copied(redis: Redis) -> Copy:
    """Return the lease and its count as they are, with what is left of their time."""
    found = {key: await redis.run("GET", key) for key in (_KEY, f"{_KEY}:token")}
    return {key: (str(value), int(await redis.run("PTTL", key))) for key, value in found.items() if value is not None}


async def _wipe(redis: Redis) -> None:
    await redis.run("FLUSHALL")


def _restorer(copy: Copy) -> Callable[[Redis], Awaitable[None]]:
    async def restore(redis: Redis) -> None:
        await _wipe(redis)
        for key, (value, left_ms) in copy.items():
            await redis.run("SET", key, value, *(("PX", left_ms) if left_ms > 0 else ()))

    return restore
