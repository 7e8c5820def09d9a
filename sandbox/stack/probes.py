"""Probes of programs that answer HTTP: they never raise, for what is coming up does not answer yet."""

import ssl
from typing import Any

import aiohttp

from sandbox.stack.process import Probe

_ANSWER_WITHIN = aiohttp.ClientTimeout(total=2)


def answers(url: str, context: ssl.SSLContext | None = None) -> Probe:
    """Return a probe that is content with an address that answers well."""

    async def is_ready() -> bool:
        return await asked(url, context) is not None

    return is_ready


async def asked(url: str, context: ssl.SSLContext | None = None) -> Any:  # noqa: ANN401 - another program's JSON
    """Return what an address answers, as text where it is no JSON; None while it does not answer well."""
    try:
        async with (
            aiohttp.ClientSession(timeout=_ANSWER_WITHIN) as session,
            session.get(url, ssl=context or True) as answer,
        ):
            if not answer.ok:
                return None
            return await (answer.json() if answer.content_type == "application/json" else answer.text())
    except (aiohttp.ClientError, OSError, TimeoutError):
        return None
