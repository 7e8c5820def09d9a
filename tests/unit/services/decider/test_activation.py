"""A playbook's file: taken up, refused with all that is wrong, and never lost on the way."""

from dataclasses import dataclass, field
from pathlib import Path

import pytest
from prometheus_client import REGISTRY

from services.decider.adapters.playbook_file import PlaybookFile
from services.decider.handlers import Activation, Deciding, InForce, Wakes
from shared.contracts.codec import Record, decode
from shared.contracts.model import Message
from shared.contracts.playbooks import LoadOutcome, PlaybookInForce, PlaybookLoad
from shared.contracts.topics import INBOX, PLAYBOOKS, Topic
from shared.infra.memory import MemoryBroker
from shared.kernel.errors import PoisonError, UnavailableError
from shared.runtime.health import Health
from tests.fakes.clock import FakeClock
from tests.unit.services.decider.core.build import PLAYBOOK, activated
from tests.unit.services.decider.core.histories import Stored

BROKEN = PLAYBOOK.replace("signal: container", "signal: tea leaves", 1)


@dataclass
class Stage:
    """A playbook's file, and the decider's part that looks at it."""

    path: Path
    broker: MemoryBroker = field(default_factory=lambda: MemoryBroker(FakeClock()))
    in_force: InForce = field(default_factory=InForce)
    activation: Activation = field(init=False)

    def __post_init__(self) -> None:
        self.check = Health("decider", "test").watch("playbook")
        publisher = self.broker.publisher("decider")
        self.activation = Activation(PlaybookFile(self.path), publisher, clock=FakeClock(), check=self.check)

    def write(self, text: str) -> None:
        """Change the file."""
        self.path.write_text(text, encoding="utf-8")

    async def look(self) -> None:
        """Look at the file as the decider does each second."""
        await self.activation.look(self.in_force, [None])

    def loads(self) -> list[PlaybookLoad]:
        """Return what was told of the file."""
        return [one for one in self.written(PLAYBOOKS) if isinstance(one, PlaybookLoad)]

    def written(self, topic: Topic) -> list[Message]:
        """Return what was written to a topic's first partition."""
        return [decode(record).message for record in self.broker.log(topic.name, 0)]


@pytest.fixture
def stage(tmp_path: Path) -> Stage:
    return Stage(tmp_path / "playbook.yaml")


async def test_a_good_file_is_broadcast_once_and_told_as_accepted(stage: Stage) -> None:
    stage.write(PLAYBOOK)
    await stage.look()
    await stage.look()
    assert [one.id for one in stage.written(INBOX)] == [one.id for one in stage.written(INBOX)][:1]
    assert [(one.outcome, one.hash) for one in stage.loads()] == [(LoadOutcome.ACCEPTED, activated().hash)]
    assert stage.check.state.ok
    assert REGISTRY.get_sample_value("sre_playbook_load_successful") == 1
    assert REGISTRY.get_sample_value("sre_playbook_in_force", {"hash": activated().hash, "name": "test"}) == 1


async def test_a_broken_file_is_told_once_with_its_hash_and_places_until_a_good_one_comes(stage: Stage) -> None:
    for text in (PLAYBOOK, BROKEN, BROKEN):
        stage.write(text)
        await stage.look()
    rejected = stage.loads()[-1]
    assert [one.outcome for one in stage.loads()] == [LoadOutcome.ACCEPTED, LoadOutcome.REJECTED]
    assert rejected.hash == activated(BROKEN).hash
    assert [(fault.line, fault.column, fault.path) for fault in rejected.faults] == [(7, 15, "spec.rules[0].signal")]
    assert f"; {activated().hash} stays in force" in stage.check.state.reason
    assert REGISTRY.get_sample_value("sre_playbook_load_successful") == 0
    stage.write(PLAYBOOK + "# mended\n")
    await stage.look()
    assert stage.loads()[-1].outcome is LoadOutcome.ACCEPTED
    assert stage.check.state.ok


async def test_a_playbook_that_no_message_can_hold_is_rejected_and_does_not_stop_the_decider(stage: Stage) -> None:
    stage.write(PLAYBOOK + "# a line of words\n" * 50_000)
    await stage.look()
    assert stage.written(INBOX) == []
    assert stage.loads()[0].outcome is LoadOutcome.REJECTED
    assert stage.loads()[0].faults[0].expected.startswith("expected a playbook that fits into a message of the broker")


async def test_a_file_that_is_gone_is_told_once_and_is_news_when_it_is_there_again(stage: Stage) -> None:
    stage.write(PLAYBOOK)
    await stage.look()
    stage.path.unlink()
    await stage.look()
    await stage.look()
    gone = stage.loads()[-1]
    assert (len(stage.loads()), gone.outcome, gone.hash, gone.faults[0].line) == (2, LoadOutcome.REJECTED, "", 0)
    assert "expected a readable playbook" in gone.faults[0].expected
    stage.write(PLAYBOOK)
    await stage.look()
    assert (stage.loads()[-1].outcome, stage.check.state.ok) == (LoadOutcome.ACCEPTED, True)


@pytest.mark.parametrize("text", [PLAYBOOK, BROKEN])
async def test_what_a_file_says_is_not_lost_while_the_broker_is_away(stage: Stage, text: str) -> None:
    stage.write(text)
    stage.broker.away = True
    with pytest.raises(UnavailableError):
        await stage.look()
    stage.broker.away = False
    await stage.look()
    assert len(stage.loads()) == 1
    assert len(stage.written(INBOX)) == (text == PLAYBOOK)


async def test_what_comes_into_force_is_told_with_its_rules_and_since_when(stage: Stage) -> None:
    publisher = stage.broker.publisher("decider")
    deciding = Deciding(publisher, stage.in_force, wakes=Wakes(publisher, FakeClock()), bury=_refuse)
    rows = Stored()
    for entry in (activated(), activated()):
        await publisher.publish(entry, topic=INBOX, partition=0)
    for record in stage.broker.log(INBOX.name, 0):
        rows.rows |= (await deciding.absorb(record, rows)).rows
    told = stage.written(PLAYBOOKS)
    assert len(told) == 1
    found = told[0]
    assert isinstance(found, PlaybookInForce)
    assert (found.hash, found.at, found.text) == (activated().hash, activated().at, PLAYBOOK)
    assert [(rule.name, rule.signal, rule.mode) for rule in found.rules][:1] == [("crash", "container", "live")]


async def _refuse(record: Record, poison: PoisonError) -> None:
    raise poison
