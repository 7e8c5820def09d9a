"""A stand-in for Prometheus: answers every query with one sample of the front end, at the moment that it is asked."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from aiohttp import web


@dataclass
class FakePrometheus:
    """What it is asked."""

    asked: list[str] = field(default_factory=list[str])
    url: str = ""

    async def answer(self, request: web.Request) -> web.Response:
        """Give the next sample."""
        self.asked.append(request.query["query"])
        metric = {"namespace": "bank", "deployment": "frontend"}
        result = [{"metric": metric, "value": [1_893_456_000 + len(self.asked), "7"]}]
        return web.json_response({"status": "success", "data": {"resultType": "vector", "result": result}})


@asynccontextmanager
async def prometheus() -> AsyncGenerator[FakePrometheus]:
    """Serve while the context lasts."""
    fake = FakePrometheus()
    app = web.Application()
    app.router.add_get("/api/v1/query", fake.answer)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        fake.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        yield fake
    finally:
        await runner.cleanup()
