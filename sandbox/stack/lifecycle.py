"""The life of one embedded server, whatever it serves: start, stop, kill, and start again on the same data."""

from collections.abc import Awaitable, Callable

from sandbox.stack.errors import StackError
from sandbox.stack.process import ChildProcess, ServiceSpec


class Lifecycle:
    """Run what `prepare` describes; it is asked once, so that every later start has the same port and data."""

    def __init__(self, prepare: Callable[[], Awaitable[ServiceSpec]]) -> None:
        self._prepare = prepare
        self._child: ChildProcess | None = None

    @property
    def pid(self) -> int:
        """Return the id of the server's process.

        Raises:
            StackError: it was never started.
        """
        if self._child is None:
            raise StackError("the server has not been started")
        return self._child.pid

    async def start(self) -> None:
        """Start and return when the server answers; leave nothing behind when it does not.

        Raises:
            StackError: it could not be started, or did not answer in time.
        """
        if self._child is None:
            self._child = ChildProcess(await self._prepare())
        await self._child.start()
        try:
            await self._child.until_ready()
        except BaseException:
            await self._child.kill()
            raise

    async def stop(self) -> None:
        """Stop in order; nothing happens when the server does not run."""
        if self._child is not None:
            await self._child.stop()

    async def kill(self) -> None:
        """Kill at once, as `kill -9` does."""
        if self._child is not None:
            await self._child.kill()
