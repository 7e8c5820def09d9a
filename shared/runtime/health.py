"""Health: named checks that say why, and the small server that tells them (`/healthz`, `/readyz`, `/metrics`)."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from aiohttp import web
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from shared.runtime.metrics import CHECKS

_REASON_CHARS = 500


@dataclass(frozen=True, slots=True)
class CheckState:
    """Whether a part is well, and why it is not."""

    ok: bool
    reason: str


class Check:
    """One named part of a service; not well until it says so."""

    def __init__(self, service: str, name: str) -> None:
        self.name = name
        self.state = CheckState(ok=False, reason="starting")
        self._gauge = CHECKS.labels(service=service, check=name)
        self._gauge.set(0)

    def ok(self) -> None:
        """Say that the part is well."""
        self.state = CheckState(ok=True, reason="")
        self._gauge.set(1)

    def bad(self, reason: str) -> None:
        """Say that the part is not well, and why."""
        self.state = CheckState(ok=False, reason=reason[:_REASON_CHARS])
        self._gauge.set(0)


class Health:
    """All checks of a service."""

    def __init__(self, service: str, instance: str) -> None:
        self._service = service
        self._instance = instance
        self._checks: dict[str, Check] = {}

    def watch(self, name: str) -> Check:
        """Return the check of a name; the same one each time."""
        if name not in self._checks:
            self._checks[name] = Check(self._service, name)
        return self._checks[name]

    @property
    def is_ready(self) -> bool:
        """Tell whether every part is well."""
        return all(check.state.ok for check in self._checks.values())

    def report(self) -> dict[str, object]:
        """Return what `/readyz` answers."""
        checks = {
            name: {"ok": check.state.ok, "reason": check.state.reason} for name, check in sorted(self._checks.items())
        }
        return {"service": self._service, "instance": self._instance, "ready": self.is_ready, "checks": checks}


@asynccontextmanager
async def health_server(health: Health, *, host: str, port: int) -> AsyncGenerator[int]:
    """Serve health and metrics while the context lasts; yield the port, which 0 lets the system choose."""
    runner = web.AppRunner(_app(health), access_log=None)
    await runner.setup()
    try:
        site = web.TCPSite(runner, host, port)
        await site.start()
        yield int(runner.addresses[0][1])
    finally:
        await runner.cleanup()


def _app(health: Health) -> web.Application:
    async def healthz(_: web.Request) -> web.Response:
        return web.json_response({"alive": True})

    async def readyz(_: web.Request) -> web.Response:
        return web.json_response(health.report(), status=200 if health.is_ready else 503)

    async def metrics(_: web.Request) -> web.Response:
        return web.Response(body=generate_latest(), headers={"Content-Type": CONTENT_TYPE_LATEST})

    app = web.Application()
    app.router.add_get("/healthz", healthz)
    app.router.add_get("/readyz", readyz)
    app.router.add_get("/metrics", metrics)
    return app
