"""Asks what a service depends on whether it answers, from its first moment on: `/readyz` names what is away.

The work itself finds out, too, but late: it may have nothing to ask for, or wait for an answer that is long in coming.
"""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import timedelta

from shared.kernel.errors import SreAgentError, TransientError, UnavailableError
from shared.runtime.health import Check
from shared.runtime.lifecycle import Runtime
from shared.runtime.log import logger

ASK_EVERY = timedelta(seconds=2)
ANSWER_WITHIN = timedelta(seconds=4)
Question = Callable[[], Awaitable[None]]
"""Returns where there is an answer; raises `TransientError` where there is none."""


@asynccontextmanager
async def depending(runtime: Runtime, **questions: Question) -> AsyncGenerator[None]:
    """Ask the dependencies, by their names, as long as the context lasts; each has a check of its name."""
    try:
        async with asyncio.TaskGroup() as group:
            asking = [group.create_task(_ask_again(runtime, name, asked)) for name, asked in questions.items()]
            yield
            for one in asking:
                one.cancel()
    except* SreAgentError as failed:  # of whoever runs in the context: what it means must be seen from outside
        raise failed.exceptions[0] from failed


async def _ask_again(runtime: Runtime, name: str, question: Question) -> None:
    check = runtime.health.watch(name)
    while True:
        await _ask(check, question)
        await runtime.clock.sleep(ASK_EVERY)


async def _ask(check: Check, question: Question) -> None:
    try:
        async with asyncio.timeout(ANSWER_WITHIN.total_seconds()):
            await question()
    except TimeoutError:
        _note(check, UnavailableError(f"{check.name}: no answer within {ANSWER_WITHIN.total_seconds():.0f} s"))
    except TransientError as failed:
        _note(check, failed)
    else:
        if not check.state.ok:
            logger().info("dependency.answers", dependency=check.name)
        check.ok()


def _note(check: Check, failed: TransientError) -> None:
    if check.state.ok:
        logger().warning("dependency.away", dependency=check.name, reason=str(failed))
    check.bad(str(failed))
