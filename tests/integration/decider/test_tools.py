"""The tools that look back, on a real broker: they replay, export, explain and rehearse what was decided."""

import asyncio
import json
from collections.abc import AsyncGenerator
from dataclasses import dataclass
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from sandbox.stack.kafka import KafkaBroker
from services.decider.commands import app
from shared.contracts.codec import decode
from shared.contracts.commands import Command
from shared.contracts.inbox import Outcome
from shared.contracts.incidents import Incident
from shared.contracts.playbooks import LoadOutcome, PlaybookInForce, PlaybookLoad
from shared.contracts.topics import COMMANDS, INBOX, INCIDENTS, PLAYBOOKS, SIGNALS_KUBERNETES, Topic
from shared.infra.kafka import KafkaArchive, KafkaPublisher, create_topics
from tests.integration.service_process import service, until
from tests.unit.services.decider.core.build import PLAYBOOK, container, health, result

pytestmark = pytest.mark.integration
SHORT = PLAYBOOK.replace("healthy_for: 30s", "healthy_for: 1s")
BROKEN = SHORT.replace("signal: container", "signal: tea leaves", 1)


@dataclass(frozen=True)
class Past:
    """A broker on which an incident was healed, and another playbook was refused."""

    bootstrap: str
    incident: Incident
    directory: Path


async def messages(archive: KafkaArchive, topic: Topic) -> list[object]:
    return [decode(record).message async for record in archive.read(topic)]


async def _heal(bootstrap: str, directory: Path) -> Incident:
    playbook = directory / "healing-playbook.yaml"
    playbook.write_text(SHORT, encoding="utf-8")
    env = {"SRE_KAFKA_BOOTSTRAP": bootstrap, "SRE_PLAYBOOK_FILE": str(playbook)}
    decider = service("decider", env=env, directory=directory)
    async with KafkaPublisher(bootstrap, source="test") as publisher, KafkaArchive(bootstrap) as archive:
        await decider.start()
        try:
            await decider.until_ready()
            await publisher.publish(container(seconds=1, reason="Unknown"), topic=SIGNALS_KUBERNETES)
            await publisher.publish(container(seconds=1), topic=SIGNALS_KUBERNETES)
            await until(lambda: _is_there(archive, COMMANDS))
            command = (await messages(archive, COMMANDS))[0]
            assert isinstance(command, Command)
            await publisher.publish(result(command, seconds=2, outcome=Outcome.APPLIED), topic=INBOX)
            await publisher.publish(health(healthy=True, seconds=3), topic=SIGNALS_KUBERNETES)
            await until(lambda: _is_ended(archive))
            playbook.write_text(BROKEN, encoding="utf-8")
            await until(lambda: _is_rejected(archive))
        finally:
            await decider.stop()
        return await _incident(archive)


async def _is_there(archive: KafkaArchive, topic: Topic) -> bool:
    return bool(await messages(archive, topic))


async def _is_ended(archive: KafkaArchive) -> bool:
    return (await _incident(archive)).phase.is_final


async def _incident(archive: KafkaArchive) -> Incident:
    found = (await messages(archive, INCIDENTS))[-1]
    assert isinstance(found, Incident)
    return found


async def _is_rejected(archive: KafkaArchive) -> bool:
    return any(getattr(one, "outcome", None) is LoadOutcome.REJECTED for one in await messages(archive, PLAYBOOKS))


@pytest.fixture
async def past(tmp_path: Path) -> AsyncGenerator[Past]:
    async with KafkaBroker(tmp_path / "kafka") as broker:
        await create_topics(broker.bootstrap)
        yield Past(broker.bootstrap, await _heal(broker.bootstrap, tmp_path), tmp_path)


async def run(*words: str | Path) -> Result:
    """Run a command beside this loop, as in a process of its own."""
    return await asyncio.to_thread(CliRunner().invoke, app, [*map(str, words)])


async def test_what_was_decided_is_replayed_exported_explained_and_rehearsed(past: Past) -> None:
    at, incident = ("--bootstrap", past.bootstrap), past.incident
    await _told_of_playbooks(past)
    checked = await run("replay", "--check", "-o", "json", *at)
    assert checked.exit_code == 0, checked.output
    opened = next(line for line in map(json.loads, checked.stdout.splitlines()) if line["reason"] == "incident-opened")
    later = await run("replay", "-o", "json", "--from", str(incident.steps[0].finished_at), *at)
    assert opened not in list(map(json.loads, later.stdout.splitlines()))
    assert later.stdout.splitlines()[-1] == checked.stdout.splitlines()[-1]

    explained = await run("explain", incident.id, "-o", "json", *at)
    signal = json.loads(explained.stdout)["opening"]["signal"]["id"]
    unmet = await run("explain", container(seconds=1, reason="Unknown").id, *at)
    assert unmet.stdout.splitlines()[-1] == "nothing was decided: no rule is met"

    file = past.directory / "incident.jsonl"
    exported = await run("export", incident.id, "-f", file, *at)
    assert exported.exit_code == 0, exported.output
    again = await run("replay", file, "-o", "json")
    assert (again.exit_code, again.stdout) == (0, checked.stdout)
    assert json.loads((await run("explain", signal, "-f", file, "-o", "json")).stdout)["rules"]

    same, other = past.directory / "same.yaml", past.directory / "other.yaml"
    same.write_text(SHORT + "# the same\n", encoding="utf-8")
    other.write_text(SHORT.replace("spec:", "spec:\n  mode: approval"), encoding="utf-8")
    assert (await run("replay", "--playbook", same, *at)).exit_code == 0
    rehearsed = await run("replay", "--playbook", other, "-o", "json", *at)
    assert rehearsed.exit_code == 1
    first = json.loads(rehearsed.stdout)["decisions"][0]
    assert (first["before"]["reason"], first["after"]["reason"]) == ("action-ordered", "preview-ordered")


async def _told_of_playbooks(past: Past) -> None:
    told = await messages(KafkaArchive(past.bootstrap), PLAYBOOKS)
    in_force = [one for one in told if isinstance(one, PlaybookInForce)]
    loads = [one for one in told if isinstance(one, PlaybookLoad)]
    assert {one.text for one in in_force} == {SHORT}
    assert [one.outcome for one in loads] == [LoadOutcome.ACCEPTED, LoadOutcome.REJECTED]
    assert (loads[-1].faults[0].line, loads[-1].faults[0].column) == (7, 15)
