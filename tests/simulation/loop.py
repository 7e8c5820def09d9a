"""An event loop of virtual time: a seed chooses which process goes on, and processes die or stand still at any await.

Every handle belongs to a process, by the context in which it was made. Those of one process run in their order, as on
a loop of its own; among processes the seed chooses. A process that is killed runs nothing any more, not even what
`finally` says: so it is with `kill -9`.
"""

import asyncio
import heapq
import inspect
from collections import deque
from collections.abc import Callable, Coroutine
from contextlib import suppress
from contextvars import Context, ContextVar, copy_context
from datetime import datetime, timedelta
from random import Random
from typing import Any, TypeVar

from shared.kernel.clock import EPOCH

START = datetime(2026, 1, 1, 12, tzinfo=EPOCH.tzinfo)
_MOST_TASKS = 512
T = TypeVar("T")


class StuckError(Exception):
    """Signal that nothing will ever happen again, though what was waited for has not come."""


class Process:
    """What dies as a whole; `stopping` asks it to end in order."""

    def __init__(self, name: str, loop: "SimulatedLoop") -> None:
        self.name = name
        self.stopping = asyncio.Event()
        self.is_dead = False
        self.ended = asyncio.Event()
        self.crash: BaseException | None = None
        self.lives = -1
        self.stalled_until = 0.0
        self.ready: deque[_Handle] = deque()
        self._loop = loop
        self._main: Coroutine[Any, Any, None] | None = None
        self._tasks: list[asyncio.Task[Any]] = []

    def start(self, main: Coroutine[Any, Any, None]) -> None:
        """Begin."""
        self._main = main
        context = copy_context()
        context.run(_PROCESS.set, self)
        task = self._loop.create_task(self._live(main), context=context)
        self._tasks.append(task)

    def kill(self) -> None:
        """End now, as `kill -9` does."""
        if not self.is_dead:
            self.is_dead = True
            self.ready.clear()
            self.ended.set()
            self._loop.bury(self, [task for task in self._tasks if not task.done()])
            if self._main is not None and inspect.getcoroutinestate(self._main) == inspect.CORO_CREATED:
                self._main.close()

    def kill_after(self, handles: int) -> None:
        """Let it die at an await that is so many ahead."""
        self.lives = handles

    def stall(self, seconds: float) -> None:
        """Stand still for a time, as SIGSTOP makes it, or a machine that is short of memory."""
        self.stalled_until = self._loop.time() + seconds

    def remember(self, task: "asyncio.Task[Any]") -> None:
        """Hold a task: one that nobody holds would be closed, and run what `finally` says, when memory is collected."""
        if len(self._tasks) > _MOST_TASKS:
            self._tasks = [one for one in self._tasks if not one.done()]
        self._tasks.append(task)

    async def _live(self, main: Coroutine[Any, Any, None]) -> None:
        try:
            await main
        except Exception as crash:  # noqa: BLE001 - the end of a process, whatever it was
            self.crash = crash
        self.is_dead = True
        self.ended.set()
        self._loop.bury(self, [task for task in self._tasks if not task.done()])


_PROCESS: ContextVar[Process | None] = ContextVar("process", default=None)


def present_process() -> Process | None:
    """Return the process that runs now; None for the world around it."""
    return _PROCESS.get()


class _Handle(asyncio.TimerHandle):
    """A callback that is due; of a process, if it was made in one."""

    def __init__(
        self,
        when: float,
        callback: Callable[..., object],
        arguments: tuple[Any, ...],
        *,
        loop: "SimulatedLoop",
        context: Context | None,
    ) -> None:
        own = context if context is not None else copy_context()
        super().__init__(when, callback, arguments, loop, own)
        self.process = own.get(_PROCESS)

    def ring(self) -> None:
        """Call back, unless it was called off."""
        if not self.cancelled():
            self._run()


class SimulatedLoop(asyncio.AbstractEventLoop):
    """Run all processes of a world, one handle after the other."""

    def __init__(self, chance: Random) -> None:
        self.chance = chance
        self.steps = 0
        self._now = 0.0
        self._timers: list[tuple[float, int, _Handle]] = []
        self._count = 0
        self._world: deque[_Handle] = deque()
        self._processes: list[Process] = []
        self._graves: list[asyncio.Task[Any]] = []
        self._errors: list[BaseException] = []

    def process(self, name: str) -> Process:
        """Return a new process, which has not begun."""
        process = Process(name, self)
        self._processes.append(process)
        return process

    def fail(self, error: BaseException) -> None:
        """End the run with an error after the present step."""
        self._errors.append(error)

    async def guard(self, work: Coroutine[Any, Any, None]) -> None:
        """Do a part of the world; its errors end the run."""
        try:
            await work
        except Exception as failed:  # noqa: BLE001 - whatever it was, the run is worth nothing
            self.fail(failed)

    def bury(self, process: Process, tasks: "list[asyncio.Task[Any]]") -> None:
        """Run nothing of a process any more."""
        if process in self._processes:
            self._processes.remove(process)
        self._graves += tasks

    def run(self, main: Coroutine[Any, Any, T]) -> T:
        """Return what the world comes to.

        Raises:
            StuckError: everybody waits for ever.
        """
        asyncio._set_running_loop(self)  # noqa: SLF001 - what a loop is to call, by its documentation
        try:
            whole = asyncio.Task(main, loop=self)
            while not whole.done():
                self._step()
            return whole.result()
        finally:
            self._end()
            asyncio._set_running_loop(None)  # noqa: SLF001

    def moment(self) -> datetime:
        """Return the present moment."""
        return START + timedelta(seconds=round(self._now, 3))

    def time(self) -> float:
        return self._now

    def call_soon(self, callback: Callable[..., object], *args: Any, context: Context | None = None) -> asyncio.Handle:
        handle = _Handle(self._now, callback, args, loop=self, context=context)
        self._enqueue(handle)
        return handle

    def call_later(
        self, delay: float, callback: Callable[..., object], *args: Any, context: Context | None = None
    ) -> asyncio.TimerHandle:
        return self.call_at(self._now + delay, callback, *args, context=context)

    def call_at(
        self, when: float, callback: Callable[..., object], *args: Any, context: Context | None = None
    ) -> asyncio.TimerHandle:
        handle = _Handle(when, callback, args, loop=self, context=context)
        self._count += 1
        heapq.heappush(self._timers, (when, self._count, handle))
        return handle

    def create_future(self) -> "asyncio.Future[Any]":
        return asyncio.Future(loop=self)

    def create_task(
        self, coro: Any, *, name: str | None = None, context: Context | None = None, **_: Any
    ) -> "asyncio.Task[Any]":
        task = asyncio.Task(coro, loop=self, name=name, context=context)
        process = context.get(_PROCESS) if context is not None else _PROCESS.get()
        if process is not None:
            process.remember(task)
        return task

    def call_exception_handler(self, context: dict[str, Any]) -> None:
        if (error := context.get("exception")) is not None:
            self._errors.append(error)

    def get_debug(self) -> bool:
        return False

    def is_running(self) -> bool:
        return True

    def is_closed(self) -> bool:
        return False

    def _timer_handle_cancelled(self, handle: asyncio.TimerHandle) -> None:
        """Leave a cancelled timer where it is; it does nothing when it is due."""

    def _enqueue(self, handle: _Handle) -> None:
        if handle.process is None:
            self._world.append(handle)
        elif not handle.process.is_dead:
            handle.process.ready.append(handle)

    def _step(self) -> None:
        self.steps += 1
        while self._timers and self._timers[0][0] <= self._now:
            self._enqueue(heapq.heappop(self._timers)[2])
        queues = [one.ready for one in self._processes if one.ready and one.stalled_until <= self._now]
        if self._world:
            queues.append(self._world)
        if queues:
            queue = queues[int(self.chance.random() * len(queues))] if len(queues) > 1 else queues[0]
            self._ring(queue.popleft())
            if self._errors:
                raise self._errors[0]
        else:
            self._pass_time()

    def _ring(self, handle: _Handle) -> None:
        process = handle.process
        if process is not None and process.lives >= 0:
            process.lives -= 1
            if process.lives < 0:
                process.kill()
                return
        handle.ring()

    def _pass_time(self) -> None:
        moments = [self._timers[0][0]] if self._timers else []
        moments += [one.stalled_until for one in self._processes if one.ready]
        if not moments:
            raise StuckError("everybody waits for what nobody will do")
        self._now = max(self._now, min(moments))

    def _end(self) -> None:
        """Close what was killed, now that nothing it does can be seen any more."""
        for process in list(self._processes):
            process.kill()
        for task in self._graves:
            coroutine = task.get_coro()
            if isinstance(coroutine, Coroutine):
                with suppress(RuntimeError, Exception):
                    coroutine.close()


class LoopClock:
    """Tell a simulated loop's time."""

    def __init__(self, loop: SimulatedLoop) -> None:
        self._loop = loop

    def now(self) -> datetime:
        """Return the present moment."""
        return self._loop.moment()

    async def sleep(self, delay: timedelta) -> None:
        """Return after `delay`."""
        await asyncio.sleep(delay.total_seconds())
