"""Keeps processes running: started in the order of what they need, restarted when they end, stopped in reverse."""

import asyncio
import contextlib
import json
import os
from collections.abc import Callable, Sequence
from datetime import timedelta
from pathlib import Path

from sandbox.stack.errors import StackError
from sandbox.stack.process import ChildProcess, ServiceSpec
from sandbox.stack.progress import Report
from shared.kernel.backoff import Backoff

_BACKOFF = Backoff(base=timedelta(milliseconds=300), cap=timedelta(seconds=10))
_STEADY = timedelta(seconds=30)


class Supervisor:
    """Run the processes of some specs until it is stopped; what dies is started again."""

    def __init__(self, state_file: Path, *, report: Report) -> None:
        self._state_file = state_file
        self._report = report
        self._children: dict[str, ChildProcess] = {}
        self._keepers: dict[str, asyncio.Task[None]] = {}
        self._on_failed: Callable[[str], None] = report
        self.restarts: dict[str, int] = {}

    async def start(self, specs: Sequence[ServiceSpec]) -> None:
        """Start processes side by side, those that need another after it; return when all are ready.

        Raises:
            StackError: one of them ended, or was not ready in time.
        """
        ready = {spec.name: asyncio.Event() for spec in specs}
        for name in self._children:
            ready.setdefault(name, asyncio.Event()).set()
        try:
            async with asyncio.TaskGroup() as group:
                for spec in specs:
                    group.create_task(self._start_one(spec, ready))
        except* StackError as failed:
            raise failed.exceptions[0] from failed
        self._write_state()

    def pid(self, name: str) -> int:
        """Return the id of a process that runs now."""
        return self._children[name].pid

    def watch(self, on_failed: Callable[[str], None]) -> None:
        """Restart from now on what ends; tell the name of each that does."""
        self._on_failed = on_failed
        for name in self._children:
            self._keep_running(name)

    async def halt(self, name: str) -> None:
        """Kill a process as `kill -9` does, and leave it down."""
        keeper = self._keepers.pop(name, None)
        if keeper is not None:
            keeper.cancel()
        await self._children[name].kill()

    async def resume(self, name: str) -> None:
        """Start a process that was halted, and keep it running again; return when it is ready.

        Raises:
            StackError: it ended, or was not ready in time.
        """
        child = self._children[name]
        await child.start()
        self._write_state()
        await child.until_ready()
        self._keep_running(name)

    async def stop(self) -> None:
        """Stop everything: side by side what nothing else needs any more, then what that needed, and so on."""
        for keeper in self._keepers.values():
            keeper.cancel()
        await asyncio.gather(*self._keepers.values(), return_exceptions=True)
        running = dict(self._children)
        while running:
            needed = {name for child in running.values() for name in child.spec.depends}
            leaves = [name for name in running if name not in needed]
            await asyncio.gather(*(running.pop(name).stop() for name in leaves))
        with contextlib.suppress(FileNotFoundError):
            self._state_file.unlink()

    async def _start_one(self, spec: ServiceSpec, ready: dict[str, asyncio.Event]) -> None:
        for needed in spec.depends:
            await ready[needed].wait()
        child = self._children[spec.name] = ChildProcess(spec)
        await child.start()
        await child.until_ready()
        ready[spec.name].set()

    def _keep_running(self, name: str) -> None:
        self._keepers[name] = asyncio.create_task(self._keep(self._children[name]))

    async def _keep(self, child: ChildProcess) -> None:
        name, failures = child.spec.name, 0
        loop = asyncio.get_running_loop()
        while True:
            began = loop.time()
            code = await child.wait()
            failures = 1 if loop.time() - began > _STEADY.total_seconds() else failures + 1
            self.restarts[name] = self.restarts.get(name, 0) + 1
            self._on_failed(f"{name} ended with {code}; it is started again")
            await asyncio.sleep(_BACKOFF.delay(failures, key=name).total_seconds())
            await child.kill()  # whatever is left of its group
            await self._start_again(child)

    async def _start_again(self, child: ChildProcess) -> None:
        try:
            await child.start()
            self._write_state()
            await child.until_ready()
        except StackError as failed:
            self._report(str(failed))

    def _write_state(self) -> None:
        """Write who runs where, for `down` and for whoever looks; whole, or not at all."""
        told = {
            "supervisor": os.getpid(),
            "pids": {name: child.pid for name, child in self._children.items()},
            "urls": {name: url for child in self._children.values() for name, url in child.spec.urls.items()},
            "logs": {name: str(child.spec.log_path) for name, child in self._children.items()},
        }
        fresh = self._state_file.with_suffix(".new")
        fresh.write_text(json.dumps(told, indent=2))
        fresh.replace(self._state_file)
