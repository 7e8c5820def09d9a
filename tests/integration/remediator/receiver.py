"""A webhook's receiver: answers with given bytes over a real connection, and keeps what arrived."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field

from services.remediator.adapters.calling import Webhooks
from services.remediator.core.webhooks import Webhook
from shared.runtime.clock import SystemClock

KEY = bytes(range(32))


@dataclass(frozen=True)
class Request:
    """One request as it arrived."""

    line: str
    headers: dict[str, str]
    body: bytes


@dataclass
class Receiver:
    """Answers with these bytes, one after the other, and the last for ever; None is never answered."""

    answers: list[bytes | None]
    arrived: list[Request] = field(default_factory=list[Request])
    lines: list[asyncio.StreamWriter] = field(default_factory=list[asyncio.StreamWriter])

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.lines.append(writer)
        head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
        split = (line.split(": ", 1) for line in head[1:] if line)
        headers = {name.lower(): value for name, value in split}
        body = await reader.readexactly(int(headers["content-length"]))
        self.arrived.append(Request(head[0], headers, body))
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if answer is None:
            await reader.read()  # until the other side has had enough
        else:
            writer.write(answer)
        writer.close()

    async def hang_up(self) -> None:
        """Cut every line that is still there."""
        for line in self.lines:
            line.transport.abort()
            with suppress(ConnectionError):
                await line.wait_closed()


@asynccontextmanager
async def receiving(*answers: bytes | None) -> AsyncGenerator[tuple[Receiver, Webhooks]]:
    """Serve on a port of its own, and yield what calls it."""
    receiver = Receiver(list(answers))
    server = await asyncio.start_server(receiver.serve, "127.0.0.1", 0)
    async with server:
        yield receiver, known(server.sockets[0].getsockname()[1])
    await receiver.hang_up()


def known(port: int) -> Webhooks:
    url = f"http://127.0.0.1:{port}/heal?of=bank"
    return Webhooks({"pipeline": Webhook(url, KEY)}, clock=SystemClock())
