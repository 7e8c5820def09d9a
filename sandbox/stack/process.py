"""One child process: started on a tether, ready by its own probe, ended with its whole group."""

import asyncio
import os
import signal
import sys
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

from sandbox.stack.errors import NotReadyError, ProcessDiedError, StackError

Probe = Callable[[], Awaitable[bool]]

_TETHER = Path(__file__).with_name("tether.py")
_POLL_S = 0.05
_TAIL_LINES = 20
_TAIL_BYTES = 16_384


async def always_ready() -> bool:
    """Answer for a process that is ready as soon as it runs."""
    return True


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceSpec:
    """What to run, how to tell that it is ready, and what must be ready before it.

    `env` is added to this process' own environment. `urls` are what people call it by; they go into the
    state file. `ready` is asked until it answers True; it must not raise while the process is coming up.
    """

    name: str
    argv: Sequence[str]
    log_path: Path
    env: Mapping[str, str] = field(default_factory=dict[str, str])
    cwd: Path | None = None
    ready: Probe = always_ready
    depends: Sequence[str] = ()
    urls: Mapping[str, str] = field(default_factory=dict[str, str])
    ready_within: timedelta = timedelta(seconds=60)
    stop_within: timedelta = timedelta(seconds=15)


class ChildProcess:
    """Start, watch and end the one process of a spec; start again after it ended."""

    def __init__(self, spec: ServiceSpec) -> None:
        self.spec = spec
        self._process: asyncio.subprocess.Process | None = None
        self._group_gone = True

    @property
    def pid(self) -> int:
        """Return the id of the running (or last) process.

        Raises:
            StackError: it was never started.
        """
        if self._process is None:
            raise StackError(f"{self.spec.name} has not been started")
        return self._process.pid

    @property
    def is_running(self) -> bool:
        """Tell whether the process was started and has not ended."""
        return self._process is not None and self._process.returncode is None

    async def start(self) -> None:
        """Start the process; its output is appended to the log. Return before it is ready.

        Raises:
            StackError: it runs already.
        """
        if self.is_running:
            raise StackError(f"{self.spec.name} runs already (pid {self.pid})")
        self.spec.log_path.parent.mkdir(parents=True, exist_ok=True)
        tether = [sys.executable, "-I", "-S", str(_TETHER), str(os.getpid())]
        with self.spec.log_path.open("ab") as log:
            self._process = await asyncio.create_subprocess_exec(
                *tether,
                *self.spec.argv,
                env={**os.environ, **self.spec.env},
                cwd=self.spec.cwd,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,  # Ctrl-C reaches the supervisor alone, which then stops them in order
            )
        self._group_gone = False

    async def until_ready(self) -> None:
        """Return once the probe says ready.

        Raises:
            ProcessDiedError: the process ended first.
            NotReadyError: `ready_within` passed first.
        """
        try:
            async with asyncio.timeout(self.spec.ready_within.total_seconds()):
                await self._poll_until_ready()
        except TimeoutError as exc:
            raise NotReadyError(
                f"{self.spec.name} was not ready within {self.spec.ready_within.total_seconds():.0f} s; "
                f"the end of {self.spec.log_path}:\n{tail_of(self.spec.log_path)}"
            ) from exc

    async def wait(self) -> int:
        """Return the exit code once the process has ended; minus the signal's number if one killed it."""
        if self._process is None:
            raise StackError(f"{self.spec.name} has not been started")
        return await self._process.wait()

    async def stop(self) -> None:
        """Ask the group to end (SIGTERM), make it end at the deadline (SIGKILL); return when it is gone."""
        if self._process is None:
            return
        self.signal(signal.SIGTERM)
        try:
            async with asyncio.timeout(self.spec.stop_within.total_seconds()):
                await self._process.wait()
        except TimeoutError:
            pass
        finally:
            await asyncio.shield(self._end())

    async def kill(self) -> None:
        """End the whole group at once, as `kill -9` does; return when it is gone."""
        if self._process is not None:
            await self._end()

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to the process' whole group; nothing happens when it is gone."""
        if self._process is None or self._group_gone:  # by now its id may be another's
            return
        try:
            os.killpg(self._process.pid, number)  # its own session: the group's id is the process' id
        except ProcessLookupError:
            return

    async def _poll_until_ready(self) -> None:
        while True:
            if not self.is_running:
                raise ProcessDiedError(
                    f"{self.spec.name} ended with {await self.wait()} before it was ready; "
                    f"the end of {self.spec.log_path}:\n{tail_of(self.spec.log_path)}"
                )
            if await self.spec.ready():
                return
            await asyncio.sleep(_POLL_S)

    async def _end(self) -> None:
        self.signal(signal.SIGKILL)  # also what is left of the group after its leader ended by itself
        await self.wait()
        self._group_gone = True


def tail_of(log_path: Path) -> str:
    """Return the last lines of a log, indented; a word about it when there are none."""
    try:
        with log_path.open("rb") as log:
            log.seek(max(0, log_path.stat().st_size - _TAIL_BYTES))
            lines = log.read().decode(errors="replace").splitlines()
    except FileNotFoundError:
        lines = []
    return "\n".join(f"    {line}" for line in lines[-_TAIL_LINES:]) or "    (nothing was logged)"
