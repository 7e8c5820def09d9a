"""Tasks that come round again and again, and waits that end when the service is told to stop."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import suppress
from datetime import timedelta

from shared.kernel.errors import TransientError
from shared.runtime.lifecycle import Runtime


async def every(interval: timedelta, action: Callable[[], Awaitable[None]], *, runtime: Runtime) -> None:
    """Run an action at an interval until the service stops; a transient error waits for the next turn."""
    check = runtime.health.watch(getattr(action, "__name__", "periodic"))
    while not runtime.stopping.is_set():
        try:
            await action()
            check.ok()
        except TransientError as failed:
            check.bad(str(failed))
        await pause(interval, runtime)


async def pause(delay: timedelta, runtime: Runtime) -> None:
    """Return after `delay`, or as soon as the service is told to stop."""
    try:
        async with asyncio.timeout(delay.total_seconds()):
            await runtime.stopping.wait()
    except TimeoutError:
        return


async def until_stopping(work: Coroutine[None, None, None], runtime: Runtime) -> None:
    """Return when the work ends, or cancel it when the service is told to stop; its errors are raised."""
    working = asyncio.create_task(work)
    stopping = asyncio.create_task(runtime.stopping.wait())
    try:
        await asyncio.wait({working, stopping}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        stopping.cancel()
        working.cancel()
    with suppress(asyncio.CancelledError):
        await working
