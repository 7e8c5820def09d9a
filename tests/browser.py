"""A real Chromium without a window, driven by its DevTools protocol."""

import asyncio
import base64
import json
import shutil
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from datetime import timedelta
from itertools import count
from pathlib import Path
from typing import Any

import aiohttp

from tests.integration.service_process import until

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
_STARTED_WITHIN_S = 30.0
_ANSWERED_WITHIN_S = 10.0
_LARGEST_MESSAGE = 32 << 20


class Browser:
    """One page: what it shows, and a person's mouse and keys."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self._socket = socket
        self._numbers = count(1)

    async def evaluate(self, script: str) -> Any:
        """Return what a script returns, awaited where it is a promise."""
        words = {"expression": script, "awaitPromise": True, "returnByValue": True}
        told = await self._ask("Runtime.evaluate", **words)
        assert "exceptionDetails" not in told, told
        return told["result"].get("value")

    async def until(self, script: str) -> None:
        """Return once a script returns true.

        Raises:
            TimeoutError: it does not in time.
        """

        async def is_so() -> bool:
            return bool(await self.evaluate(script))

        await until(is_so, within=timedelta(seconds=_ANSWERED_WITHIN_S))

    async def point_at(self, selector: str) -> None:
        """Move the mouse to the middle of an element, or away to the corner where none is named."""
        x, y = await self._middle(selector) if selector else (1, 1)
        await self._ask("Input.dispatchMouseEvent", type="mouseMoved", x=x, y=y)

    async def click(self, selector: str) -> None:
        """Click into the middle of an element."""
        x, y = await self._middle(selector)
        for kind in ("mouseMoved", "mousePressed", "mouseReleased"):
            await self._ask("Input.dispatchMouseEvent", type=kind, x=x, y=y, button="left", clickCount=1)

    async def type(self, selector: str, text: str) -> None:
        """Click into a field and type."""
        await self.click(selector)
        await self._ask("Input.insertText", text=text)

    async def picture(self, path: Path) -> None:
        """Write what is seen as a PNG."""
        told = await self._ask("Page.captureScreenshot", format="png")
        path.write_bytes(base64.b64decode(told["data"]))  # noqa: ASYNC240 - once, at the end of a test

    async def _middle(self, selector: str) -> tuple[float, float]:
        box = "(({left, top, width, height}) => [left + width / 2, top + height / 2])"
        x, y = await self.evaluate(f"{box}(document.querySelector({json.dumps(selector)}).getBoundingClientRect())")
        return x, y

    async def _ask(self, method: str, **words: object) -> dict[str, Any]:
        number = next(self._numbers)
        await self._socket.send_json({"id": number, "method": method, "params": words})
        async with asyncio.timeout(_ANSWERED_WITHIN_S):
            while (told := await self._socket.receive_json()).get("id") != number:
                pass  # events, which nobody asked for
        assert "result" in told, told
        return told["result"]


@asynccontextmanager
async def browsing(url: str, directory: Path) -> AsyncGenerator[Browser]:
    """Open a page in a browser of its own while the context lasts."""
    assert CHROMIUM is not None, "no Chromium is installed: make browser"
    flags = ("--headless=new", "--no-sandbox", "--disable-gpu", "--window-size=1300,900", "--remote-debugging-port=0")
    process = await asyncio.create_subprocess_exec(
        CHROMIUM, *flags, f"--user-data-dir={directory}", url, stderr=asyncio.subprocess.PIPE
    )
    try:
        port = await _port_of(directory)
        async with aiohttp.ClientSession() as session:
            async with session.get(f"http://127.0.0.1:{port}/json/list") as answer:
                pages = [one for one in await answer.json(content_type=None) if one["type"] == "page"]
            async with session.ws_connect(pages[0]["webSocketDebuggerUrl"], max_msg_size=_LARGEST_MESSAGE) as socket:
                yield Browser(socket)
    finally:
        process.kill()
        await process.communicate()


async def _port_of(directory: Path) -> str:
    told = directory / "DevToolsActivePort"

    async def is_told() -> bool:
        return told.exists() and bool(told.read_text().strip())

    await until(is_told, within=timedelta(seconds=_STARTED_WITHIN_S))
    return told.read_text().split()[0]
