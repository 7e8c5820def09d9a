"""The stream, made to seek on a real broker while it fetches: aiokafka is no more thread-safe than asyncio is."""

import asyncio
import json
import sys
from asyncio.subprocess import PIPE
from datetime import UTC, datetime
from pathlib import Path

import pytest

from sandbox.stack.kafka import KafkaBroker
from shared.contracts.inbox import WakeUp
from shared.contracts.topics import INBOX
from shared.infra.kafka import KafkaPublisher, create_topics
from tests.unit.services.decider.core.build import FRONTEND

pytestmark = pytest.mark.integration


async def test_it_seeks_in_the_thread_that_fetches(tmp_path: Path) -> None:
    async with KafkaBroker(tmp_path / "kafka") as broker:
        await create_topics(broker.bootstrap)
        await _publish_one(broker.bootstrap)
        argv = [sys.executable, "-m", "tests.integration.decider.seeking", broker.bootstrap]
        process = await asyncio.create_subprocess_exec(*argv, stdout=PIPE, stderr=PIPE)
        async with asyncio.timeout(120):
            told, errors = await process.communicate()
    assert process.returncode == 0, errors.decode()
    threads = json.loads(told)
    assert threads["seeking"]
    because = "sought while another thread fetches, aiokafka ends with a KeyError sooner or later"
    assert set(threads["seeking"]) <= set(threads["fetching"]), because


async def _publish_one(bootstrap: str) -> None:
    now = datetime.now(UTC)
    async with KafkaPublisher(bootstrap, source="test") as publisher:
        await publisher.publish(WakeUp(id="wakeup-1", at=now, workload=FRONTEND, due=now), topic=INBOX)
