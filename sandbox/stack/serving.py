"""The life of a stack that runs in the background: up, said to be ready, until it is told to stop."""

import asyncio
import signal
from contextlib import AbstractAsyncContextManager
from pathlib import Path

from sandbox.stack.detached import READY_FILE


async def serve(stack: AbstractAsyncContextManager[object], directory: Path) -> None:
    """Run a stack until SIGTERM or SIGINT; its directory has a `ready` file while it is up."""
    stopping = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stopping.set)
    async with stack:
        (directory / READY_FILE).touch()
        await stopping.wait()
