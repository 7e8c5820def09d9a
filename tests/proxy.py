"""A TCP proxy on loopback that breaks by name: what can happen to the network between a client and its server."""

import asyncio
import random
import socket
import struct
from enum import Enum, auto
from typing import Self

from sandbox.stack.ports import free_port

_HOST = "127.0.0.1"
_CHUNK = 16_384
_TRICKLE_BYTES, _TRICKLE_S = 1_024, 0.1
_RESET_AT_CLOSE = struct.pack("ii", 1, 0)
_PAGE = b"HTTP/1.1 404 Not Found\r\nContent-Type: text/html\r\nContent-Length: 28\r\n\r\n<h1>no such backend here</h1>"
"""What a balancer says in the place of the server that it has lost."""


class _Passing(Enum):
    WELL = auto()
    SWALLOWED = auto()
    UNANSWERED = auto()
    TORN = auto()
    SLOW = auto()
    GARBLED = auto()


class _Way(Enum):
    THERE = auto()
    BACK = auto()


_HELD = {_Passing.SWALLOWED: tuple(_Way), _Passing.UNANSWERED: (_Way.BACK,)}


class _Connection:
    """A client's connection and the one to the server that was made for it."""

    def __init__(self, *ends: asyncio.StreamWriter) -> None:
        self._ends = ends
        for end in ends:  # whenever it is closed
            end.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_AT_CLOSE)
        self._open = {way: asyncio.Event() for way in _Way}
        self.is_forgotten = False
        self.let_pass()

    def hold(self, *ways: _Way) -> None:
        """Let nothing pass on some ways from now on; what comes is kept."""
        for way in ways:
            self._open[way].clear()

    def let_pass(self) -> None:
        """Let everything pass, first of all what was kept."""
        for way in _Way:
            self._open[way].set()

    async def is_open(self, way: _Way) -> None:
        """Return when something may pass."""
        await self._open[way].wait()

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
        self._chance = random.Random(self.__class__.__name__)
        self._garbled = 0

    async def refuse(self) -> None:
        """Reset all connections and refuse new ones, as a port on which nobody listens."""
        await self._close()
        for connection in self._connections.values():
            connection.reset()

    def swallow(self) -> None:
        """Take everything and pass nothing on, like a vanished route; healed, it passes on what it held back."""
        self._passing = _Passing.SWALLOWED
        for connection in self._connections.values():
            connection.hold(*_Way)

    def hush(self) -> None:
        """Pass on what clients say and no answer to it, so that what they ask for is done; healed, they are told."""
        self._passing = _Passing.UNANSWERED
        for connection in self._connections.values():
            connection.hold(_Way.BACK)

    def forget(self) -> None:
        """Pass nothing on for the connections there are, for ever; new ones are well: a balancer lost its state."""
        for connection in self._connections.values():
            connection.is_forgotten = True
            connection.hold(*_Way)

    def tear(self) -> None:
        """Pass on one half of whatever comes next, and reset."""
        self._passing = _Passing.TORN

    def slow(self) -> None:
        """Pass on some 10 KiB a second."""
        self._passing = _Passing.SLOW

    def garble(self) -> None:
        """Answer each with as many random bytes, or with somebody else's page, by turns."""
        self._passing = _Passing.GARBLED

    async def heal(self) -> None:
        """Pass everything on again."""
        self._passing = _Passing.WELL
        for connection in self._connections.values():
            if not connection.is_forgotten:
                connection.let_pass()
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
        connection.hold(*_HELD.get(self._passing, ()))
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._pump(reader, there_writer, connection, _Way.THERE))
                group.create_task(self._pump(there_reader, writer, connection, _Way.BACK))
        except* (OSError, asyncio.IncompleteReadError):
            pass
        finally:
            connection.reset()
            del self._connections[serving]

    async def _pump(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, connection: _Connection, way: _Way
    ) -> None:
        while chunk := await reader.read(_CHUNK):
            await connection.is_open(way)
            if self._passing is _Passing.TORN:
                writer.write(chunk[: len(chunk) // 2])
                await writer.drain()
                break
            is_garbled = self._passing is _Passing.GARBLED and way is _Way.BACK
            await self._pass_on(self._garbage(len(chunk)) if is_garbled else chunk, writer)
        raise ConnectionResetError  # one end has gone, so the other one goes

    def _garbage(self, size: int) -> bytes:
        self._garbled += 1
        return self._chance.randbytes(size) if self._garbled % 2 else _PAGE

    async def _pass_on(self, chunk: bytes, writer: asyncio.StreamWriter) -> None:
        size = _TRICKLE_BYTES if self._passing is _Passing.SLOW else len(chunk)
        for start in range(0, len(chunk), size):
            writer.write(chunk[start : start + size])
            await writer.drain()
            if self._passing is _Passing.SLOW:
                await asyncio.sleep(_TRICKLE_S)
