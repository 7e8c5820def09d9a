"""Real Kafka and Redis for tests: embedded always, and containers as well where Docker answers.

A test that asks for `kafka_bootstrap` or `redis_url` runs once with each backend at hand. A backend that should
be there and is not makes the test fail; nothing is skipped.
"""

import asyncio
from collections.abc import Generator
from functools import cache
from pathlib import Path

import docker
import pytest
from docker.errors import DockerException
from testcontainers.kafka import KafkaContainer
from testcontainers.redis import RedisContainer

from sandbox.stack.jars import kafka_version, pinned_jars
from sandbox.stack.kafka import KafkaBroker
from sandbox.stack.process import Server
from sandbox.stack.progress import to_stderr
from sandbox.stack.valkey import ValkeyServer, valkey_version

EMBEDDED, CONTAINER = "embedded", "container"
