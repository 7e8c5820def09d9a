"""Wires the API: the read model follows the topics while the application answers."""

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Generator, Mapping
from contextlib import asynccontextmanager
from functools import partial

import uvicorn
from fastapi import FastAPI

from services.api.adapters.read_model import ForgottenError, ReadModel
from services.api.adapters.tokens_file import read_holders
from services.api.core.people import Holder, holder_of
from services.api.handlers import Alerts, Interventions, Questions
from services.api.routes import build_app
from services.api.settings import ApiSettings
from services.api.silences import Silences
from shared.contracts.topics import DECISIONS, EVIDENCE, INBOX, INCIDENTS, PLAYBOOKS, RCA_REPORTS, STOPS
from shared.infra.kafka import AssignedConsumer, KafkaPublisher, ask_broker
from shared.infra.redis import connect
from shared.kernel.backoff import Backoff
from shared.kernel.errors import TransientError
from shared.runtime.consuming import consume
from shared.runtime.dependencies import depending
from shared.runtime.lifecycle import Runtime, Task, run_service
from shared.runtime.log import logger
from shared.runtime.settings import read_settings
from shared.runtime.tasks import pause

NAME = "api"
_TOPICS = (DECISIONS, INCIDENTS, EVIDENCE, RCA_REPORTS, PLAYBOOKS, STOPS, INBOX)
_GROUP = "sre-api"
_BACKOFF = Backoff()
_FINISH_WITHIN_S = 5
_LOOK_S = 0.02


class Projecting:
    """Follow the topics into the read model; begin anew where the store has lost it."""

    def __init__(self, model: ReadModel, settings: ApiSettings, *, publisher: KafkaPublisher, runtime: Runtime) -> None:
        self._model = model
        self._settings = settings
        self._publisher = publisher
        self._runtime = runtime
        self._check = runtime.health.watch("read-model")

    async def run(self) -> None:
        """Follow until the service stops."""
        failures = 0
        while not self._runtime.stopping.is_set():
            try:
                await self._follow()
                failures = 0
            except (TransientError, ForgottenError) as failed:
                failures += 1
                self._check.bad(str(failed))
                await pause(_BACKOFF.delay(failures, key=NAME), self._runtime)

    async def _follow(self) -> None:
        """Follow from where the store says until the service stops or the store has forgotten."""
        start = await self._model.begin(_TOPICS)
        self._check.ok()
        bootstrap = self._settings.kafka_bootstrap
        async with AssignedConsumer(bootstrap, topics=_TOPICS, group=_GROUP, start=start) as consumer:
            await consume(
                consumer, self._model.apply, publisher=self._publisher, runtime=self._runtime, name="projection"
            )


class _Server(uvicorn.Server):
    """A server that leaves the process' signals to the service's own lifecycle."""

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None]:
        """Capture none."""
        yield


async def serve(app: FastAPI, settings: ApiSettings, *, runtime: Runtime) -> None:
    """Answer requests until the service stops; those under way are let finish, within the lifecycle's deadline."""
    config = uvicorn.Config(
        app,
        host=settings.api_host,
        port=settings.api_port,
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=_FINISH_WITHIN_S,
    )
    server = _Server(config)

    async def stop() -> None:
        await runtime.stopping.wait()
        server.should_exit = True

    check = runtime.health.watch("http")
    async with asyncio.TaskGroup() as group:
        stopping = group.create_task(stop())
        serving = group.create_task(server.serve())
        await _until_started(server, serving)
        address = server.servers[0].sockets[0].getsockname()
        logger().info("api.serving", host=address[0], port=address[1])
        check.ok()
        await serving
        stopping.cancel()


async def _until_started(server: uvicorn.Server, serving: "asyncio.Task[None]") -> None:
    while not server.started:
        if serving.done():
            raise RuntimeError("the HTTP server ended before it served")
        await asyncio.sleep(_LOOK_S)


def _holders(settings: ApiSettings) -> list[Holder]:
    """Return who may change something.

    Raises:
        ConfigError: the tokens' file cannot be used.
    """
    by_setting = [holder_of(name, secret.get_secret_value()) for name, secret in settings.api_token.items()]
    return [*by_setting, *(read_holders(settings.api_tokens_file) if settings.api_tokens_file else [])]


@asynccontextmanager
async def wire(runtime: Runtime, settings: ApiSettings) -> AsyncGenerator[Mapping[str, Task]]:
    """Open the adapters and yield the tasks that run on them."""
    holders = _holders(settings)  # wrong ones are the operator's to mend, first of all
    async with (
        connect(settings.redis_url) as redis,
        depending(runtime, kafka=partial(ask_broker, settings.kafka_bootstrap), redis=redis.ask),
        KafkaPublisher(settings.kafka_bootstrap, source=NAME) as publisher,
    ):
        model = ReadModel(redis)
        app = build_app(
            Questions(model, settings.api_services),
            Interventions(model, publisher, runtime.clock),
            silences=Silences(model, publisher, runtime.clock),
            alerts=Alerts(publisher, cluster=settings.cluster, clock=runtime.clock),
            holders=holders,
            max_streams=settings.api_max_streams,
            is_stopping=runtime.stopping.is_set,
        )
        projecting = Projecting(model, settings, publisher=publisher, runtime=runtime)
        yield {"project": projecting.run, "serve": lambda: serve(app, settings, runtime=runtime)}


def main() -> int:
    """Run the API until it is told to stop; return the exit code."""
    settings = read_settings(ApiSettings)
    return run_service(NAME, settings, lambda runtime: wire(runtime, settings))
