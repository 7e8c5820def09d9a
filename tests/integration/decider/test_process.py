"""The decider as a process on a real broker: killed at any moment, it decides the same, and its replay proves it."""

from collections.abc import AsyncGenerator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from aiokafka import AIOKafkaProducer

from sandbox.stack.kafka import KafkaBroker
from sandbox.stack.process import ChildProcess
from services.decider.adapters.replaying import differences, replay_inbox
from shared.contracts.codec import decode
from shared.contracts.incidents import Decision, Reason
from shared.contracts.topics import DEAD_LETTERS, DECISIONS, INBOX, SIGNALS_KUBERNETES
from shared.infra.kafka import KafkaArchive, KafkaPublisher, create_topics
from shared.kernel.ids import derive
from tests.integration.service_process import service, until
from tests.unit.services.decider.core.build import FRONTEND, PLAYBOOK, container, silence, silence_ended

pytestmark = pytest.mark.integration


@dataclass(frozen=True)
class Stage:
    """A broker of its own with all topics, and the environment of a decider on it."""

    bootstrap: str
    env: dict[str, str]
    directory: Path


@pytest.fixture
async def stage(tmp_path: Path) -> AsyncGenerator[Stage]:
    playbook = tmp_path / "healing-playbook.yaml"
    playbook.write_text(PLAYBOOK)
    async with KafkaBroker(tmp_path / "kafka") as broker:
        await create_topics(broker.bootstrap)
        env = {"SRE_KAFKA_BOOTSTRAP": broker.bootstrap, "SRE_PLAYBOOK_FILE": str(playbook)}
        yield Stage(broker.bootstrap, env, tmp_path)


async def _count_is(archive: KafkaArchive, expected: int) -> bool:
    return len({one.id for one in await decisions(archive)}) >= expected


async def _is_unready(process: ChildProcess) -> bool:
    return not await process.spec.ready()


async def decisions(archive: KafkaArchive) -> list[Decision]:
    messages = [decode(record).message async for record in archive.read(DECISIONS)]
    return [message for message in messages if isinstance(message, Decision)]


async def test_killed_again_and_again_it_loses_nothing_and_its_replay_is_the_same_byte_for_byte(stage: Stage) -> None:
    workloads, rounds = 40, 4
    decider = service("decider", env=stage.env, directory=stage.directory)
    async with KafkaPublisher(stage.bootstrap, source="test") as publisher, KafkaArchive(stage.bootstrap) as archive:
        for number in range(rounds):
            await decider.start()
            await decider.until_ready()
            await _publish_round(publisher, number, range(workloads // 2))
            if number < rounds - 1:
                await decider.kill()
            await _publish_round(publisher, number, range(workloads // 2, workloads))
        expected = workloads * (2 + rounds - 1)
        await until(lambda: _count_is(archive, expected))
        made = await decisions(archive)
        replayed = await replay_inbox(archive)
        assert await differences(archive, replayed) == []  # while it goes on: time alone may bring more decisions
        await decider.stop()
    opened = {one.workload.key for one in made if one.reason is Reason.INCIDENT_OPENED}
    assert len(opened) == workloads
    commands = {one.command for one in made if one.command}
    assert len(commands) == workloads


async def test_a_silence_outlives_the_process_that_absorbed_it_and_ends_where_it_is_told_to(stage: Stage) -> None:
    decider = service("decider", env=stage.env, directory=stage.directory)
    async with KafkaPublisher(stage.bootstrap, source="test") as publisher, KafkaArchive(stage.bootstrap) as archive:
        await decider.start()
        await decider.until_ready()
        held = silence(0, namespace="bank", workload="service-*").model_copy(update=_an_hour_from_now())
        await publisher.broadcast(held, topic=INBOX)
        await _publish_round(publisher, 0, range(10))
        await until(lambda: _count_is(archive, 10))
        await decider.kill()
        await decider.start()
        await _publish_round(publisher, 1, range(10))
        await until(lambda: _count_is(archive, 20))
        quiet = await decisions(archive)
        await publisher.broadcast(silence_ended(held.id, seconds=0), topic=INBOX)
        await _publish_round(publisher, 2, range(10))
        await until(lambda: _count_is(archive, 40))
        assert await differences(archive, await replay_inbox(archive)) == []
        await decider.stop()
    assert {(one.reason, one.suppressed_by) for one in quiet} == {(Reason.SILENCED, held.id)}
    assert len({one.id for one in quiet}) == 20


def _an_hour_from_now() -> dict[str, datetime]:
    now = datetime.now(UTC)
    return {"at": now, "expires_at": now + timedelta(hours=1)}


async def _publish_round(publisher: KafkaPublisher, number: int, workloads: range) -> None:
    for workload in workloads:
        signal = container(seconds=number).model_copy(
            update={
                "id": derive("signal", workload, number),
                "workload": FRONTEND.model_copy(update={"name": f"service-{workload}"}),
            }
        )
        await publisher.publish(signal, topic=SIGNALS_KUBERNETES)


async def test_garbage_goes_to_dead_letters_and_the_line_moves_on(stage: Stage) -> None:
    decider = service("decider", env=stage.env, directory=stage.directory)
    async with KafkaPublisher(stage.bootstrap, source="test") as publisher, KafkaArchive(stage.bootstrap) as archive:
        await _write_garbage(stage.bootstrap)
        await publisher.publish(container(), topic=SIGNALS_KUBERNETES)
        await decider.start()
        try:
            await until(lambda: _count_is(archive, 2))
        finally:
            await decider.stop()
        letters = [decode(record).message async for record in archive.read(DEAD_LETTERS)]
    places = sorted(letter.key for letter in letters)
    assert places == [f"{INBOX.name}/3/0", f"{SIGNALS_KUBERNETES.name}/3/0"]


async def _write_garbage(bootstrap: str) -> None:
    producer = AIOKafkaProducer(bootstrap_servers=bootstrap)
    await producer.start()
    try:
        for topic in (INBOX, SIGNALS_KUBERNETES):
            await producer.send_and_wait(  # pyright: ignore[reportUnknownMemberType] - the one raw write
                topic.name, b"\x00 not a message", partition=3
            )
    finally:
        await producer.stop()


async def test_a_broken_playbook_is_named_and_the_running_one_stays_in_force(stage: Stage) -> None:
    decider = service("decider", env=stage.env, directory=stage.directory)
    async with KafkaPublisher(stage.bootstrap, source="test") as publisher, KafkaArchive(stage.bootstrap) as archive:
        await decider.start()
        try:
            await decider.until_ready()
            Path(stage.env["SRE_PLAYBOOK_FILE"]).write_text(PLAYBOOK.replace("restart-pod", "restart-pods"))  # noqa: ASYNC240
            await until(lambda: _is_unready(decider))
            await publisher.publish(container(), topic=SIGNALS_KUBERNETES)
            await until(lambda: _count_is(archive, 2))
        finally:
            await decider.stop()
