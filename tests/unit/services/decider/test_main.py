"""The decider as it is wired: it starts with what the file says, whatever an earlier release has stored."""

import asyncio
from dataclasses import dataclass, field
from pathlib import Path

from services.decider.adapters.rows import States
from services.decider.core.absorbing import Absorbed
from services.decider.core.playbook import load_playbook
from services.decider.core.state import PartitionState
from services.decider.main import Decider
from services.decider.settings import DeciderSettings
from shared.contracts.codec import decode
from shared.contracts.inbox import PlaybookActivated
from shared.contracts.topics import INBOX
from shared.infra.contiguity import Following
from shared.infra.memory import MemoryBroker
from shared.runtime.health import Health
from shared.runtime.lifecycle import Runtime
from tests.fakes.clock import FakeClock
from tests.unit.services.decider.core.build import FRONTEND, PLAYBOOK, finding
from tests.unit.services.decider.core.histories import Stored

STORED = load_playbook(PLAYBOOK, file="test")
REFUSED_BY_NOW = PLAYBOOK.replace("signal: container", "signal: tea leaves", 1)
"""What the stored text looks like to a stricter release: it was fit for use when it was stored, and is no more."""


@dataclass
class StandingStream:
    """A stream that has recovered its table, and carries nothing by itself."""

    following: Following
    rows: Stored = field(default_factory=Stored)
    is_recovered: bool = True
    partitions: frozenset[int] = frozenset({0})
    generation: int = 0

    async def start(self) -> None:
        return

    async def stop(self) -> None:
        return

    async def wait_until_stopped(self) -> None:
        return

    async def realign(self) -> None:
        return


class Stage:
    """A decider with the rows that an earlier release stored, and a file."""

    def __init__(self, path: Path, *, file: str, stored: str) -> None:
        path.write_text(file, encoding="utf-8")
        self.broker, self.health = MemoryBroker(FakeClock()), Health("decider", "test")
        runtime = Runtime("decider", FakeClock(), self.health, asyncio.Event())
        settings = DeciderSettings(playbook_file=path, signing_key_file=path)
        self.decider = Decider(settings, self.broker.publisher("decider"), runtime=runtime, stream=self._stream)
        absorbed = Absorbed(PartitionState(offset=-1, playbook=STORED))
        self.stream.rows.rows = States().changed(0, FRONTEND.key, absorbed, before=None)
        self.stream.rows.rows[f"@playbook/0/{STORED.hash}"] = stored.encode()

    def _stream(self, following: Following) -> StandingStream:
        self.stream = StandingStream(following)
        return self.stream

    @property
    def told(self) -> str:
        """Return what health says of stored playbooks; empty where all is well."""
        return self.health.watch("stored-playbook").state.reason

    async def absorb_all(self) -> None:
        """Let the stream carry the inbox's first partition."""
        for record in self.broker.log(INBOX.name, 0):
            step = await self.stream.following.absorb(record, self.stream.rows)
            self.stream.rows.rows |= step.rows


async def test_a_stored_playbook_that_a_stricter_release_refuses_gives_way_to_the_file(tmp_path: Path) -> None:
    stage = Stage(tmp_path / "p.yaml", file=PLAYBOOK.replace("5m", "6m"), stored=REFUSED_BY_NOW)
    await stage.decider.look()
    assert f"playbook {STORED.hash}" in stage.told
    assert "tea leaves" in stage.told
    assert not stage.health.is_ready
    (activated,) = [decode(record).message for record in stage.broker.log(INBOX.name, 0)]
    assert isinstance(activated, PlaybookActivated)
    assert "6m" in activated.text
    await stage.absorb_all()
    await stage.decider.look()
    assert stage.told == ""
    assert stage.health.is_ready


async def test_what_is_stored_and_fit_for_use_stays_in_force(tmp_path: Path) -> None:
    stage = Stage(tmp_path / "p.yaml", file=PLAYBOOK, stored=PLAYBOOK)
    await stage.decider.look()
    assert stage.told == ""
    assert stage.broker.log(INBOX.name, 0) == []


async def test_until_the_file_is_in_force_nothing_acts_and_the_refused_one_stays_named(tmp_path: Path) -> None:
    stage = Stage(tmp_path / "p.yaml", file=PLAYBOOK.replace("5m", "6m"), stored=REFUSED_BY_NOW)
    await stage.broker.publisher("decider").publish(finding(), topic=INBOX, partition=0)
    await stage.absorb_all()
    again = States().partition(0, stage.stream.rows)
    assert (again.offset, again.playbook) == (0, None)
    assert again.refused is not None
    assert again.refused.hash == STORED.hash
