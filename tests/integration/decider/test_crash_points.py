"""The decider, killed at each of its crash points on a real broker under load: nothing is lost, nothing said twice."""

import asyncio
import signal
from pathlib import Path

import pytest
from aiokafka import AIOKafkaProducer

from sandbox.stack.kafka import KafkaBroker
from sandbox.stack.process import tail_of
from shared.contracts.topics import INBOX
from shared.infra.crashing import REMEDIATOR_POINTS, CrashPoint
from shared.infra.kafka import create_topics
from tests.integration.decider.load import PLAYBOOK, assert_exact, decider_env, loaded, until_all_is_answered
from tests.integration.service_process import service

pytestmark = pytest.mark.integration
PASSINGS = {
    CrashPoint.BEFORE_FINDINGS: 20,
    CrashPoint.FINDING_PUBLISHED: 21,
    CrashPoint.BEFORE_SIGNAL_COMMIT: 5,
    CrashPoint.SIGNAL_COMMITTED: 5,
    CrashPoint.BEFORE_OUTPUTS: 20,
    CrashPoint.OUTPUT_PUBLISHED: 20,
    CrashPoint.OUTPUTS_PUBLISHED: 20,
    CrashPoint.ROW_SET: 21,
    CrashPoint.ROWS_SET: 20,
    CrashPoint.ROW_WRITTEN: 21,
    CrashPoint.BEFORE_COMMIT: 4,
    CrashPoint.COMMITTED: 4,
    CrashPoint.BEFORE_WAKE_UP: 3,
    CrashPoint.WAKE_UP_PUBLISHED: 3,
    CrashPoint.BROADCAST_TO_ONE: 2,
}
"""Which passing ends the process, where the first would be before there is load; else the first."""


async def test_killed_at_each_crash_point_it_loses_nothing_and_publishes_nothing_under_a_second_id(
    tmp_path: Path,
) -> None:
    playbook = tmp_path / "healing-playbook.yaml"
    async with KafkaBroker(tmp_path / "kafka") as broker:
        await create_topics(broker.bootstrap)
        env = decider_env(broker.bootstrap, playbook)
        async with loaded(broker.bootstrap) as load:
            for number, point in enumerate(one for one in CrashPoint if one not in REMEDIATOR_POINTS):
                playbook.write_text(f"{PLAYBOOK}# {number}: another text is another playbook\n")
                await _write_garbage(broker.bootstrap)
                await _killed_at(point, env=env, directory=tmp_path)
            decider = service("decider", env=env, directory=tmp_path)
            await decider.start()
            load.stop()
        try:
            await until_all_is_answered(broker.bootstrap)
        finally:
            await decider.stop()
        await assert_exact(broker.bootstrap)


async def _killed_at(point: CrashPoint, *, env: dict[str, str], directory: Path) -> None:
    armed = env | {"SRE_CRASH_AT": f"{point}:{PASSINGS.get(point, 1)}"}
    decider = service("decider", env=armed, directory=directory)
    await decider.start()
    try:
        async with asyncio.timeout(60):
            code = await decider.wait()
            assert code == -signal.SIGKILL, f"{point}: {tail_of(decider.spec.log_path)}"
    except TimeoutError:
        pytest.fail(f"{point} was not passed")
    finally:
        await decider.kill()


async def _write_garbage(bootstrap: str) -> None:
    producer = AIOKafkaProducer(bootstrap_servers=bootstrap)
    await producer.start()
    try:
        await producer.send_and_wait(  # pyright: ignore[reportUnknownMemberType] - the one raw write
            INBOX.name, b"\x00 not a message", partition=3
        )
    finally:
        await producer.stop()
