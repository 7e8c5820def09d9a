"""A TCP proxy on loopback that breaks by name: what can happen to the network between a client and its server."""

import asyncio
import socket
import struct
from enum import Enum, auto
from typing import Self

from sandbox.stack.ports import free_port

_HOST = "127.0.0.1"
_CHUNK = 16_384
_TRICKLE_BYTES, _TRICKLE_S = 1_024, 0.1
_RESET_AT_CLOSE = struct.pack("ii", 1, 0)


class _Passing(Enum):
    WELL = auto()
    SWALLOWED = auto()
    TORN = auto()
    SLOW = auto()


class _Connection:
    """A client's connection and the one to the server that was made for it."""

    def __init__(self, *ends: asyncio.StreamWriter) -> None:
        self._ends = ends
        for end in ends:  # whenever it is closed
            end.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_AT_CLOSE)
        self.goes_on = asyncio.Event()
        self.goes_on.set()
        self.is_forgotten = False

    def reset(self) -> None:
        """End it at both ends, without a farewell."""
        for end in self._ends:
            end.transport.abort()


class Proxy:
    """Forward to a local port as well as the present fault lets it; its own port stays the same."""

    def __init__(self, target: int) -> None:
        self._target = target
        self.port = free_port()
        self._passing = _Passing.WELL
        self._server: asyncio.Server | None = None
        self._connections: dict[asyncio.Task[None], _Connection] = {}

    async def refuse(self) -> None:
        """Reset all connections and refuse new ones, as a port on which nobody listens."""
        await self._close()
        for connection in self._connections.values():
            connection.reset()

    def swallow(self) -> None:
        """Take everything and pass nothing on, like a vanished route; healed, it passes on what it held back."""
        self._passing = _Passing.SWALLOWED
        for connection in self._connections.values():
            connection.goes_on.clear()

    def forget(self) -> None:
        """Pass nothing on for the connections there are, for ever; new ones are well: a balancer lost its state."""
        for connection in self._connections.values():
            connection.is_forgotten = True
            connection.goes_on.clear()

    def tear(self) -> None:
        """Pass on one half of whatever comes next, and reset."""
        self._passing = _Passing.TORN

    def slow(self) -> None:
        """Pass on some 10 KiB a second."""
        self._passing = _Passing.SLOW

    async def heal(self) -> None:
        """Pass everything on again."""
        self._passing = _Passing.WELL
        for connection in self._connections.values():
            if not connection.is_forgotten:
                connection.goes_on.set()
        if self._server is None:
            self._server = await asyncio.start_server(self._serve, _HOST, self.port)

    async def __aenter__(self) -> Self:
        """Listen."""
        await self.heal()
        return self

    async def __aexit__(self, *_: object) -> None:
        """Cut everything."""
        await self.refuse()
        for serving in self._connections:
            serving.cancel()
        await asyncio.gather(*self._connections, return_exceptions=True)

    async def _close(self) -> None:
        if self._server is not None:
            self._server.close()
            self._server = None
            await asyncio.sleep(0)  # lets the loop stop listening

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        serving = asyncio.current_task()
        assert serving is not None
        try:
            there_reader, there_writer = await asyncio.open_connection(_HOST, self._target)
        except OSError:  # the server is away: so is what stands before it
            _Connection(writer).reset()
            return
        connection = self._connections[serving] = _Connection(writer, there_writer)
        if self._passing is _Passing.SWALLOWED:
            connection.goes_on.clear()
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._pump(reader, there_writer, connection))
                group.create_task(self._pump(there_reader, writer, connection))
        except* (OSError, asyncio.IncompleteReadError):
            pass
        finally:
            connection.reset()
            del self._connections[serving]

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, connection: _Connection) -> None:
        while chunk := await reader.read(_CHUNK):
            await connection.goes_on.wait()
            if self._passing is _Passing.TORN:
                writer.write(chunk[: len(chunk) // 2])
                await writer.drain()
                break
            await self._pass_on(chunk, writer)
        raise ConnectionResetError  # one end has gone, so the other one goes

    async def _pass_on(self, chunk: bytes, writer: asyncio.StreamWriter) -> None:
        size = _TRICKLE_BYTES if self._passing is _Passing.SLOW else len(chunk)
        for start in range(0, len(chunk), size):
            writer.write(chunk[start : start + size])
            await writer.drain()
            if self._passing is _Passing.SLOW:
                await asyncio.sleep(_TRICKLE_S)
