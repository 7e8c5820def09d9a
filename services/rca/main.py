"""Wires the rca service: settings → adapters → handlers → the consume loop."""

from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from functools import partial

from services.rca.adapters.gemini import Gemini
from services.rca.handlers import NO_KEY, Explaining
from services.rca.settings import RcaSettings
from shared.contracts.topics import RCA_REQUESTS
from shared.infra.kafka import KafkaArchive, KafkaConsumer, KafkaPublisher, ask_broker
from shared.runtime.consuming import consume
from shared.runtime.dependencies import depending
from shared.runtime.lifecycle import Runtime, Task, run_service
from shared.runtime.log import logger
from shared.runtime.settings import read_settings

NAME = "rca"
_GROUP = "sre-rca"


@asynccontextmanager
async def wire(runtime: Runtime, settings: RcaSettings) -> AsyncGenerator[Mapping[str, Task]]:
    """Open the adapters and yield the task that runs on them."""
    async with (
        _model(settings) as model,
        depending(
            runtime,
            kafka=partial(ask_broker, settings.kafka_bootstrap),
            **({"model": model.answers} if model is not None else {}),
        ),
        KafkaPublisher(settings.kafka_bootstrap, source=NAME) as publisher,
        KafkaArchive(settings.kafka_bootstrap) as archive,
        KafkaConsumer(settings.kafka_bootstrap, topics=[RCA_REQUESTS], group=_GROUP) as requests,
    ):
        explaining = Explaining(publisher, archive, model, clock=runtime.clock)
        yield {
            "explain": lambda: consume(
                requests, explaining.handle, publisher=publisher, runtime=runtime, name="request"
            )
        }


@asynccontextmanager
async def _model(settings: RcaSettings) -> AsyncGenerator[Gemini | None]:
    key = settings.gemini_api_key
    if key is None or not key.get_secret_value():
        logger().info("analyzer.chosen", analyzer="rules", why=NO_KEY)
        yield None
        return
    logger().info("analyzer.chosen", analyzer="gemini", model=settings.gemini_model)
    model = Gemini(key, model=settings.gemini_model, base_url=settings.gemini_base_url, timeout=settings.gemini_timeout)
    try:
        yield model
    finally:
        await model.close()


def main() -> int:
    """Run the rca service until it is told to stop; return the exit code."""
    settings = read_settings(RcaSettings)
    return run_service(NAME, settings, lambda runtime: wire(runtime, settings))
