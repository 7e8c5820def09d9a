"""A stand-in for Gemini's REST API: answers `generateContent` on the path of either version, as it is told."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web


@dataclass
class FakeGemini:
    """What it is asked, and the answers that it gives, one after the other; the last one again and again."""

    answers: list[tuple[int, Any]]
    asked: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])
    url: str = ""

    async def answer(self, request: web.Request) -> web.Response:
        """Give the next answer."""
        self.asked.append({"path": request.path, "key": request.headers.get("x-goog-api-key"), **await request.json()})
        status, body = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        return web.json_response(body, status=status)

    async def describe(self, request: web.Request) -> web.Response:
        """Say that the model is there."""
        return web.json_response({"name": f"models/{request.match_info['model']}"})


def text(content: str) -> tuple[int, Any]:
    """Return an answer with a text."""
    return 200, {"candidates": [{"content": {"role": "model", "parts": [{"text": content}]}, "finishReason": "STOP"}]}


@asynccontextmanager
async def gemini(*answers: tuple[int, Any]) -> AsyncGenerator[FakeGemini]:
    """Serve while the context lasts."""
    fake = FakeGemini(list(answers))
    app = web.Application()
    for version in ("v1", "v1beta"):
        app.router.add_get(f"/{version}/models/{{model}}", fake.describe)
        app.router.add_post(f"/{version}/models/{{call}}", fake.answer)
    runner = web.AppRunner(app)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        fake.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        yield fake
    finally:
        await runner.cleanup()
