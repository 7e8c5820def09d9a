"""Real Kafka and Redis for tests: embedded always, and containers as well where Docker answers.

A test that asks for `kafka_bootstrap` or `redis_url` runs once with each backend at hand. A backend that should
be there and is not makes the test fail; nothing is skipped.
"""

import asyncio
import os
from collections.abc import Generator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import TypeVar

import docker
import pytest
from docker.errors import DockerException
from testcontainers.community.kafka import KafkaContainer
from testcontainers.community.redis import RedisContainer

from sandbox.stack.jars import kafka_version, pinned_jars
from sandbox.stack.kafka import KafkaBroker
from sandbox.stack.progress import to_stderr
from sandbox.stack.valkey import ValkeyServer, valkey_version

EMBEDDED, CONTAINER = "embedded", "container"
_DOCKER_SOCKET = Path("/var/run/docker.sock")
_DOCKER_API = "1.43"


@cache
def _has_docker() -> bool:
    if "DOCKER_HOST" not in os.environ and not _DOCKER_SOCKET.is_socket():
        return False  # docker's client would leave its socket open when nobody answers
    client = docker.from_env(timeout=3, version=_DOCKER_API)  # with a version it does not connect, so it can be closed
    try:
        return bool(client.ping())  # pyright: ignore[reportUnknownMemberType] - untyped in its package
    except (DockerException, OSError):
        return False
    finally:
        client.close()


def _backends() -> list[str]:
    return [EMBEDDED, CONTAINER] if _has_docker() else [EMBEDDED]


def pytest_report_header() -> list[str]:
    """Say which backends the tests meet."""
    also = "and in containers" if _has_docker() else "(no Docker engine answers, so none in containers)"
    return [
        f"backends: embedded Apache Kafka {kafka_version(pinned_jars())}, embedded Valkey {valkey_version()} {also}"
    ]


S = TypeVar("S", KafkaBroker, ValkeyServer)


@contextmanager
def _running(server: S) -> Generator[S]:
    """Run a server on a loop of its own: session fixtures outlive the loops of the tests."""
    with asyncio.Runner() as runner:
        runner.run(server.start())
        try:
            yield server
        finally:
            runner.run(server.stop())


@pytest.fixture(scope="session", params=_backends())
def kafka_bootstrap(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Generator[str]:
    """Yield the address of a real broker without topics."""
    if request.param == CONTAINER:
        with KafkaContainer().with_kraft() as container:
            yield container.get_bootstrap_server()
        return
    with _running(KafkaBroker(tmp_path_factory.mktemp("kafka"), report=to_stderr)) as broker:
        yield broker.bootstrap


@pytest.fixture(scope="session", params=_backends())
def redis_url(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Generator[str]:
    """Yield the address of a real, empty store."""
    if request.param == CONTAINER:
        with RedisContainer() as container:
            yield f"redis://{container.get_container_host_ip()}:{container.get_exposed_port(6379)}/0"
        return
    with _running(ValkeyServer(tmp_path_factory.mktemp("valkey"))) as server:
        yield server.url
