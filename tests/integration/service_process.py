"""A service as a real process: started with an environment, killed or stopped, asked whether it is ready."""

import asyncio
import os
import sys
from collections.abc import Awaitable, Callable, Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

import aiohttp

from sandbox.stack.ports import free_port
from sandbox.stack.process import ChildProcess, ServiceSpec
from shared.contracts.signatures import command_seal
from shared.infra.kafka import KafkaPublisher
from shared.infra.keys import read_signing_key
from tests.keys import key_settings


def service(name: str, *, env: Mapping[str, str], directory: Path) -> ChildProcess:
    """Return the process of a service, not started yet; it is ready when `/readyz` says so.

    Those of one test run believe each other's commands, where `env` does not name other keys.
    """
    port = free_port()

    async def is_ready() -> bool:
        try:
            async with aiohttp.ClientSession() as session, session.get(f"http://127.0.0.1:{port}/readyz") as answer:
                return answer.status == 200
        except (aiohttp.ClientError, OSError):
            return False

    return ChildProcess(
        ServiceSpec(
            name=name,
            argv=[sys.executable, "-m", f"services.{name}"],
            log_path=directory / f"{name}.log",
            env={**key_settings(), **env, "SRE_HEALTH_PORT": str(port), "PYTHONPATH": os.getcwd()},  # noqa: PTH109
            ready=is_ready,
            ready_within=timedelta(seconds=60),
        )
    )


async def readiness(process: ChildProcess) -> Any:
    """Return what `/readyz` of a service's process says."""
    url = f"http://127.0.0.1:{process.spec.env['SRE_HEALTH_PORT']}/readyz"
    async with aiohttp.ClientSession() as session, session.get(url) as answer:
        return await answer.json()


async def until(condition: Callable[[], Awaitable[bool]], *, within: timedelta = timedelta(seconds=60)) -> None:
    """Return when a condition holds; fail at the deadline."""
    async with asyncio.timeout(within.total_seconds()):
        while not await condition():  # noqa: ASYNC110 - what is waited for happens in another process
            await asyncio.sleep(0.1)


def decider_publisher(bootstrap: str) -> KafkaPublisher:
    """Return a publisher whose commands are believed, as a decider's are."""
    key = read_signing_key(Path(key_settings()["SRE_SIGNING_KEY_FILE"]))
    return KafkaPublisher(bootstrap, source="decider", seal=command_seal(key, "local"))
