"""Several deciders that come, go, die and stand still under load: they publish what one alone would have published."""

import asyncio
import signal
from pathlib import Path

import pytest

from sandbox.stack.kafka import KafkaBroker
from sandbox.stack.process import ChildProcess
from shared.infra.kafka import create_topics
from tests.integration.decider.load import PLAYBOOK, assert_exact, decider_env, loaded, until_all_is_answered
from tests.integration.service_process import service

pytestmark = pytest.mark.integration
_STANDS_STILL_S = 6.0
"""Longer than a session: the others have its partitions by then."""


async def test_deciders_that_join_leave_and_die_under_load_decide_as_one_alone(tmp_path: Path) -> None:
    playbook = tmp_path / "healing-playbook.yaml"
    playbook.write_text(PLAYBOOK)
    async with KafkaBroker(tmp_path / "kafka") as broker:
        await create_topics(broker.bootstrap)
        env = decider_env(broker.bootstrap, playbook)
        ann, ben, eve = (service("decider", env=env, directory=tmp_path / name) for name in ("ann", "ben", "eve"))
        try:
            async with loaded(broker.bootstrap):
                await _come_and_go(ann, ben, eve)
            await until_all_is_answered(broker.bootstrap)
        finally:
            await asyncio.gather(*(one.stop() for one in (ann, ben, eve)))
        await assert_exact(broker.bootstrap)


async def _come_and_go(ann: ChildProcess, ben: ChildProcess, eve: ChildProcess) -> None:
    await ann.start()
    await ann.until_ready()
    await asyncio.gather(ben.start(), eve.start())
    await asyncio.gather(ben.until_ready(), eve.until_ready())
    await ben.stop()
    await ann.kill()
    await ben.start()
    await ben.until_ready()
    eve.signal(signal.SIGSTOP)
    await asyncio.sleep(_STANDS_STILL_S)
    eve.signal(signal.SIGCONT)
    await ann.start()
    await ann.until_ready()
    await eve.stop()
    await ben.kill()
    await eve.start()
    await eve.until_ready()
