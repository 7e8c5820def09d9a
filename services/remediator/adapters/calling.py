"""Calls webhooks: by name, signed, again under the same id while it is not known whether a call has arrived.

No redirect is followed, no proxy of the environment asked, no cookie kept, and of an answer nothing is read but its
status: what the receiver says beside has no way into results, logs or reports.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, repeat

import aiohttp

from services.remediator.core.webhooks import Meaning, Webhook, body_of, headers_of, meaning_of, told_of
from shared.contracts.actions.base import RefusedError, StoppedError, UnansweredError
from shared.contracts.refusals import Refusal
from shared.contracts.requests import Call
from shared.kernel.clock import Clock

TRY_S = 5.0
"""How long one try may take."""
_WITHIN = aiohttp.ClientTimeout(total=None, connect=2.0)
"""Of one try, too: a connection that does not come about in that time has carried nothing."""
PAUSES_S = (0.25, 0.5, 1.0, 2.0)
"""How long to wait before another; the last for all further ones."""
Check = Callable[[], Awaitable[None]]
"""Raises where nothing may be sent now."""


@dataclass(frozen=True, slots=True)
class _Failed:
    """Why a try came to nothing, whether it may have arrived, and whether it is not to be tried again."""

    why: str
    may_have_arrived: bool
    is_final: bool = False


class Webhooks:
    """Call those webhooks that are known by their names."""

    def __init__(self, known: Mapping[str, Webhook], *, clock: Clock) -> None:
        self._known = known
        self._clock = clock

    async def call(self, call: Call, *, command: str, check: Check, dry_run: bool) -> None:
        """Send a call, once or until its time is over; a dry run only looks whether there is such a webhook.

        Raises:
            RefusedError: nothing was done.
            UnansweredError: it may have been done.
            UnavailableError: the check's: another leads by now, or whether a stop is in force cannot be told.
            StoppedError: the check's, before anything may have arrived.
        """
        webhook = self._known.get(call.webhook)
        if webhook is None:
            known = ", ".join(sorted(self._known)) or "none"
            raise RefusedError(Refusal.WEBHOOK_UNKNOWN, f"{call.webhook} is not among those of the settings: {known}")
        if not dry_run:
            await self._sent(webhook, call, command=command, check=check)

    async def _sent(self, webhook: Webhook, call: Call, *, command: str, check: Check) -> None:
        loop = asyncio.get_running_loop()
        until = loop.time() + call.within.total_seconds()
        failures: list[_Failed] = []
        for wait in chain(PAUSES_S, repeat(PAUSES_S[-1])):
            await _checked(check, failures)
            failed = await self._tried(webhook, call, command=command, within=min(TRY_S, until - loop.time()))
            if failed is None:
                return
            failures.append(failed)
            if failed.is_final or loop.time() + wait >= until:
                raise _verdict_of(failures)
            await asyncio.sleep(wait)

    async def _tried(self, webhook: Webhook, call: Call, *, command: str, within: float) -> _Failed | None:
        """Send it once; return None where it was done."""
        try:
            async with asyncio.timeout(within):
                status = await self._status(webhook, call, command=command)
        except (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError) as away:
            return _Failed(f"no connection: {type(away).__name__}", may_have_arrived=False)
        except TimeoutError:
            return _Failed("no answer in time", may_have_arrived=True)
        except (aiohttp.ClientError, ValueError) as broken:
            return _Failed(f"no answer that can be read: {type(broken).__name__}", may_have_arrived=True)
        match meaning_of(status):
            case Meaning.DONE:
                return None
            case Meaning.REFUSED:
                return _Failed(told_of(status), may_have_arrived=False, is_final=True)
            case Meaning.UNKNOWN:
                return _Failed(told_of(status), may_have_arrived=True)

    async def _status(self, webhook: Webhook, call: Call, *, command: str) -> int:
        body = body_of(call.body)
        headers = headers_of(body, key=webhook.key, name=command, at=self._clock.now())
        async with (
            aiohttp.ClientSession(
                timeout=_WITHIN, cookie_jar=aiohttp.DummyCookieJar(), auto_decompress=False
            ) as session,
            session.post(webhook.url, data=body, headers=headers, allow_redirects=False) as answer,
        ):
            return answer.status


async def _checked(check: Check, failures: Sequence[_Failed]) -> None:
    try:
        await check()
    except StoppedError as stopped:
        if any(one.may_have_arrived for one in failures):
            raise UnansweredError(f"{failures[-1].why}; then: {stopped}") from stopped
        raise


def _verdict_of(failures: Sequence[_Failed]) -> RefusedError | UnansweredError:
    """Return what the tries came to: a refusal tells nothing of an earlier one that may have arrived."""
    last, count = failures[-1], len(failures)
    told = f"{last.why}, after {count} {'try' if count == 1 else 'tries'}"
    if any(one.may_have_arrived for one in failures):
        return UnansweredError(told)
    return RefusedError(Refusal.WEBHOOK_REFUSES if last.is_final else Refusal.WEBHOOK_AWAY, told)
