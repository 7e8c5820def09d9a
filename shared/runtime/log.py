"""Structured logs: one line an event, its fields as keys; tracebacks without the values of local variables."""

import logging
import sys
from collections.abc import Sequence

import structlog
from structlog.typing import Processor

_QUIET = ("aiokafka", "faust", "mode", "kubernetes", "httpx", "httpcore", "google_genai", "aiohttp.access", "uvicorn")


def configure(*, service: str, instance: str, level: str, console: bool) -> None:
    """Log to stderr from now on; libraries' own records take the same way."""
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.ExceptionRenderer(
            structlog.tracebacks.ExceptionDictTransformer(show_locals=False)  # locals hold secrets
        ),
    ]
    renderer: Processor = structlog.dev.ConsoleRenderer() if console else structlog.processors.JSONRenderer()
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
    structlog.contextvars.bind_contextvars(service=service, instance=instance)
    _take_over_stdlib(shared, renderer, level)


def _take_over_stdlib(shared: Sequence[Processor], renderer: Processor, level: str) -> None:
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, renderer],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    for name in _QUIET:
        logging.getLogger(name).setLevel(logging.WARNING)


def logger() -> structlog.stdlib.BoundLogger:
    """Return the logger."""
    return structlog.stdlib.get_logger("sre")
