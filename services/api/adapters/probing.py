"""The other services' health, asked of their own health servers."""

import asyncio
from collections.abc import Mapping
from datetime import timedelta

import aiohttp
from pydantic import BaseModel, Field, ValidationError

_ANSWER_WITHIN = timedelta(seconds=2)


class CheckStatus(BaseModel):
    """One named part of a service."""

    ok: bool
    reason: str = ""


class ServiceStatus(BaseModel):
    """One service; `reason` says why nothing is known about its parts."""

    service: str
    instance: str = ""
    ready: bool
    checks: dict[str, CheckStatus] = Field(default_factory=dict[str, CheckStatus])
    reason: str = ""


async def probe(services: Mapping[str, str]) -> list[ServiceStatus]:
    """Return the status of each service, asked side by side; one that does not answer is not ready."""
    timeout = aiohttp.ClientTimeout(total=_ANSWER_WITHIN.total_seconds())
    async with aiohttp.ClientSession(timeout=timeout) as session:
        return await asyncio.gather(*(_ask(session, name, url) for name, url in services.items()))


async def _ask(session: aiohttp.ClientSession, name: str, url: str) -> ServiceStatus:
    try:
        async with session.get(f"{url}/readyz") as answer:
            told = ServiceStatus.model_validate_json(await answer.text())
    except (aiohttp.ClientError, TimeoutError, ValidationError) as failed:
        return ServiceStatus(service=name, ready=False, reason=f"does not answer: {type(failed).__name__}")
    return told.model_copy(update={"service": name})
