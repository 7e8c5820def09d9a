"""The life of a service: logs, health, its tasks side by side, an orderly stop, an exit code that says how it went."""

import asyncio
import signal
import sys
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import timedelta

from shared.infra.crashing import arm
from shared.kernel.clock import Clock
from shared.kernel.errors import ConfigError, SreAgentError
from shared.runtime.clock import SystemClock
from shared.runtime.collecting import collect_seldom
from shared.runtime.health import Health, health_server
from shared.runtime.log import configure, logger
from shared.runtime.settings import ServiceSettings

STOP_WITHIN = timedelta(seconds=10)
EXIT_CRASHED, EXIT_MISCONFIGURED = 1, 2


@dataclass(frozen=True, slots=True)
class Runtime:
    """What a service's parts are given: its name, the clock, its health, and the event that says to stop."""

    name: str
    clock: Clock
    health: Health
    stopping: asyncio.Event


Task = Callable[[], Awaitable[None]]
Wire = Callable[[Runtime], AbstractAsyncContextManager[Mapping[str, Task]]]


def run_service(name: str, settings: ServiceSettings, wire: Wire) -> int:
    """Run a service until SIGTERM or SIGINT, or until a task of it fails; return the exit code."""
    configure(
        service=name,
        instance=settings.instance,
        level=settings.log_level,
        console=settings.log_format == "console",
    )
    try:
        arm(settings.crash_at, settings.stop_at)
        if settings.crash_at or settings.stop_at:
            logger().warning("service.crash_armed", crash_at=settings.crash_at, stop_at=settings.stop_at)
        asyncio.run(_run(name, settings, wire))
    except ConfigError as wrong:
        print(f"{name}: {wrong}", file=sys.stderr)  # noqa: T201 - for the person who started it
        return EXIT_MISCONFIGURED
    except Exception:  # the last line before the process ends, to be restarted by its supervisor
        logger().exception("service.crashed")
        return EXIT_CRASHED
    logger().info("service.stopped")
    return 0


def run_or_explain(main: Callable[[], int]) -> int:
    """Return what `main` returns; settings that are wrong become one clear line and an exit code."""
    collect_seldom()
    try:
        return main()
    except ConfigError as wrong:
        print(wrong, file=sys.stderr)  # noqa: T201 - before there are logs
        return EXIT_MISCONFIGURED


async def _run(name: str, settings: ServiceSettings, wire: Wire) -> None:
    runtime = Runtime(name, SystemClock(), Health(name, settings.instance), asyncio.Event())
    _stop_on_signals(runtime.stopping)
    runtime.health.watch("service")
    async with health_server(runtime.health, host=settings.health_host, port=settings.health_port) as port:
        opening = asyncio.create_task(_open_and_run(runtime, wire, port))
        await _until_stopped(opening, runtime.stopping)


async def _open_and_run(runtime: Runtime, wire: Wire, port: int) -> None:
    async with wire(runtime) as tasks:
        logger().info("service.started", health_port=port, tasks=sorted(tasks))
        runtime.health.watch("service").ok()
        await _run_tasks(tasks, runtime.stopping)


async def _run_tasks(tasks: Mapping[str, Task], stopping: asyncio.Event) -> None:
    try:
        async with asyncio.TaskGroup() as group:
            for name, task in tasks.items():
                group.create_task(_guarded(name, task, stopping), name=name)
    except* SreAgentError as failed:
        raise failed.exceptions[0] from failed


async def _guarded(name: str, task: Task, stopping: asyncio.Event) -> None:
    await task()
    if not stopping.is_set():
        raise RuntimeError(f"task {name!r} ended though the service goes on")


async def _until_stopped(running: "asyncio.Task[None]", stopping: asyncio.Event) -> None:
    told = asyncio.create_task(stopping.wait())
    await asyncio.wait({running, told}, return_when=asyncio.FIRST_COMPLETED)
    told.cancel()
    if not running.done():
        await asyncio.wait({running}, timeout=STOP_WITHIN.total_seconds())
        running.cancel()
    try:
        await running
    except asyncio.CancelledError:
        logger().warning("service.stop_forced", within_s=STOP_WITHIN.total_seconds())


def _stop_on_signals(stopping: asyncio.Event) -> None:
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopping.set)
