"""The decider's handlers on a broker in memory: wake-ups once, a playbook told until it is in force."""

from collections.abc import Iterator, Sequence
from datetime import timedelta
from pathlib import Path

import pytest
from prometheus_client import Counter

from services.decider.adapters.playbook_file import PlaybookFile
from services.decider.adapters.rows import States, offset_of
from services.decider.core.absorbing import Absorbed
from services.decider.core.playbook import Playbook, load_playbook
from services.decider.core.state import PartitionState, WorkloadState, workload_bytes
from services.decider.handlers import Activation, Deciding, InForce, Wakes
from shared.contracts.codec import Record, decode, encode
from shared.contracts.inbox import InboxEntry, PlaybookActivated, WakeUp
from shared.contracts.topics import INBOX
from shared.infra.contiguity import Following, Rows, Step, Table
from shared.infra.memory import MemoryBroker
from shared.kernel.errors import PoisonError, TransientError, UnavailableError
from shared.runtime.health import Check
from shared.runtime.metrics import INCIDENTS_TOLD, SCORED_DECISIONS
from tests.fakes.clock import FakeClock
from tests.unit.services.decider.core.build import FRONTEND, PLAYBOOK, START, activated, at, finding, gone
from tests.unit.services.decider.core.histories import Stored

OTHER = PLAYBOOK.replace("cooldown: 5m", "cooldown: 1m")


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock(START)


@pytest.fixture
def broker(clock: FakeClock) -> MemoryBroker:
    return MemoryBroker(clock)


def written(broker: MemoryBroker) -> Iterator[InboxEntry]:
    for number in range(INBOX.partitions):
        for record in broker.log(INBOX.name, number):
            yield decode(record).message  # type: ignore[misc] - the inbox holds nothing else


def waiting(due: float) -> Stored:
    return Stored({FRONTEND.key: workload_bytes(WorkloadState(offset=3, wake_at=at(due)))})


async def test_a_wake_up_is_written_once_for_its_moment(broker: MemoryBroker, clock: FakeClock) -> None:
    wakes = Wakes(broker.publisher("decider"), clock)
    wakes.set(FRONTEND.key, at(5))
    for _ in range(20):
        await wakes.send_due()
        clock.moment += timedelta(seconds=5)
    assert [entry.due for entry in written(broker) if isinstance(entry, WakeUp)] == [at(5)]


async def test_a_wake_up_that_a_fast_clock_wrote_too_early_is_written_again_when_that_time_has_passed(
    broker: MemoryBroker, clock: FakeClock
) -> None:
    wakes, ahead = Wakes(broker.publisher("decider"), clock), timedelta(seconds=40)
    wakes.set(FRONTEND.key, at(60))
    clock.moment = at(60)
    await wakes.send_due()
    (early,) = [entry for entry in written(broker) if isinstance(entry, WakeUp)]
    wakes.came(early, stamped=at(60) - ahead)
    wakes.set(FRONTEND.key, at(60))
    for seconds, times in ((60, 1), (99, 1), (100, 2), (200, 2)):
        clock.moment = at(seconds)
        await wakes.send_due()
        assert len(list(written(broker))) == times


async def woken(broker: MemoryBroker, clock: FakeClock, *, due: float) -> tuple[Wakes, WakeUp]:
    """Return what writes wake-ups, and the one that it has written when its clock came to a moment."""
    wakes = Wakes(broker.publisher("decider"), clock)
    wakes.set(FRONTEND.key, at(due))
    clock.moment = at(due)
    await wakes.send_due()
    (sent,) = [entry for entry in written(broker) if isinstance(entry, WakeUp)]
    return wakes, sent


async def test_a_fast_clock_is_looked_at_again_within_a_minute_for_it_may_be_put_right(
    broker: MemoryBroker, clock: FakeClock
) -> None:
    wakes, early = await woken(broker, clock, due=3_600)
    wakes.came(early, stamped=at(0))
    for seconds, times in ((3_659, 1), (3_660, 2)):
        clock.moment = at(seconds)
        await wakes.send_due()
        assert len(list(written(broker))) == times


@pytest.mark.parametrize("stamped", [59.5, 60, 70])
async def test_a_wake_up_that_came_in_time_is_not_written_again(
    broker: MemoryBroker, clock: FakeClock, stamped: float
) -> None:
    wakes, sent = await woken(broker, clock, due=60)
    wakes.came(sent, stamped=at(stamped))
    clock.moment = at(600)
    await wakes.send_due()
    assert len(list(written(broker))) == 1


async def test_another_moment_is_not_held_back_by_what_was_too_early_for_the_one_before(
    broker: MemoryBroker, clock: FakeClock
) -> None:
    wakes, early = await woken(broker, clock, due=60)
    wakes.came(early, stamped=at(10))
    wakes.set(FRONTEND.key, at(61))
    clock.moment = at(61)
    await wakes.send_due()
    assert [entry.due for entry in written(broker) if isinstance(entry, WakeUp)] == [at(60), at(61)]


async def test_a_decider_whose_clock_is_fast_waits_for_its_moment_by_the_log(
    broker: MemoryBroker, clock: FakeClock
) -> None:
    publisher, stored = broker.publisher("decider"), Stored()
    wakes = Wakes(publisher, clock)
    deciding = Deciding(publisher, InForce(), wakes=wakes, bury=unburied)
    for offset, entry in enumerate((activated(), finding())):
        stored.rows |= (await deciding.absorb(record(entry, offset), stored)).rows
    clock.moment = at(3_600)
    await wakes.send_due()
    (early,) = [entry for entry in written(broker) if isinstance(entry, WakeUp)]
    stored.rows |= (await deciding.absorb(record(early, 2), stored)).rows
    clock.moment += timedelta(minutes=1)
    await wakes.send_due()
    assert [one.due for one in written(broker) if isinstance(one, WakeUp)] == [early.due] * 2


async def test_a_moment_that_was_taken_back_and_comes_again_wakes_again(broker: MemoryBroker, clock: FakeClock) -> None:
    wakes = Wakes(broker.publisher("decider"), clock)
    for _ in range(2):
        wakes.set(FRONTEND.key, at(0))
        await wakes.send_due()
        wakes.set(FRONTEND.key, None)
        await wakes.send_due()
    assert [entry.due for entry in written(broker) if isinstance(entry, WakeUp)] == [at(0), at(0)]


@pytest.mark.parametrize(("moment_in_the_table", "times"), [(1, 1), (2, 2)])
async def test_what_was_written_is_known_after_a_change_of_partitions_for_the_same_moment_alone(
    broker: MemoryBroker, clock: FakeClock, moment_in_the_table: float, times: int
) -> None:
    wakes = Wakes(broker.publisher("decider"), clock)
    clock.moment = at(1)
    wakes.set(FRONTEND.key, at(1))
    await wakes.send_due()
    wakes.recover(waiting(moment_in_the_table))
    wakes.set(FRONTEND.key, at(1))
    await wakes.send_due()
    assert [entry.due for entry in written(broker) if isinstance(entry, WakeUp)] == [at(1)] * times


async def test_a_wake_up_that_could_not_be_written_is_written_at_the_next_look(
    broker: MemoryBroker, clock: FakeClock
) -> None:
    wakes = Wakes(broker.publisher("decider"), clock)
    wakes.set(FRONTEND.key, at(0))
    broker.away = True
    with pytest.raises(UnavailableError):
        await wakes.send_due()
    broker.away = False
    await wakes.send_due()
    assert len(list(written(broker))) == 1


async def test_after_a_change_of_partitions_the_table_says_whom_to_wake_and_when(
    broker: MemoryBroker, clock: FakeClock
) -> None:
    wakes = Wakes(broker.publisher("decider"), clock)
    wakes.set(FRONTEND.key, at(1))
    wakes.set("bank/Deployment/lost", at(1))
    wakes.recover(waiting(2))
    clock.moment = at(3)
    await wakes.send_due()
    assert [(entry.workload, entry.due) for entry in written(broker) if isinstance(entry, WakeUp)] == [
        (FRONTEND, at(2))
    ]


class Stage:
    """An activation on a file, in a process that has two partitions."""

    def __init__(self, broker: MemoryBroker, clock: FakeClock, path: Path) -> None:
        self.broker, self.clock, self.path = broker, clock, path
        self.in_force = InForce()
        self.partitions: list[Playbook | None] = [None, None]
        path.write_text(PLAYBOOK)
        check = Check("decider", "playbook")
        self.activation = Activation(PlaybookFile(path), broker.publisher("decider"), clock=clock, check=check)

    async def look(self) -> list[str]:
        """Return the hashes that one look writes into a partition."""
        before = len(self.broker.log(INBOX.name, 0))
        await self.activation.look(self.in_force, self.partitions)
        told = [decode(record).message for record in self.broker.log(INBOX.name, 0)[before:]]
        return [one.hash for one in told if isinstance(one, PlaybookActivated)]


@pytest.fixture
def stage(broker: MemoryBroker, clock: FakeClock, tmp_path: Path) -> Stage:
    return Stage(broker, clock, tmp_path / "healing-playbook.yaml")


def known(text: str) -> Playbook:
    return load_playbook(text, file="known")


async def test_nothing_is_matched_with_a_playbook_that_the_log_does_not_hold(stage: Stage) -> None:
    stage.broker.away = True
    with pytest.raises(UnavailableError):
        await stage.look()
    assert stage.in_force.index is None
    stage.broker.away = False
    assert stage.partitions
    assert known(PLAYBOOK).hash in await stage.look()
    assert stage.in_force.playbook is not None


async def test_a_new_playbook_is_told_again_when_it_could_not_be_told(stage: Stage) -> None:
    stage.partitions = [known(PLAYBOOK)]
    stage.in_force.set(known(PLAYBOOK))
    assert await stage.look() == []
    stage.path.write_text(OTHER)
    stage.broker.away = True
    with pytest.raises(UnavailableError):
        await stage.look()
    stage.broker.away = False
    assert await stage.look() == [known(OTHER).hash]


async def test_partitions_that_another_process_left_behind_are_told(stage: Stage) -> None:
    stage.partitions = [known(PLAYBOOK)]
    stage.in_force.set(known(PLAYBOOK))
    assert await stage.look() == []
    stage.partitions = [known(OTHER)]
    assert await stage.look() == []
    stage.activation.doubt()
    assert await stage.look() == [known(PLAYBOOK).hash]


async def test_what_put_another_playbook_in_force_is_noticed_within_half_a_minute(stage: Stage) -> None:
    stage.partitions = [known(PLAYBOOK)]
    stage.in_force.set(known(PLAYBOOK))
    assert await stage.look() == []
    stage.partitions = [known(OTHER)]
    stage.clock.moment += timedelta(seconds=30)
    assert await stage.look() == [known(PLAYBOOK).hash]


async def test_outputs_that_cannot_be_published_are_a_transient_error_and_change_no_row(
    broker: MemoryBroker, clock: FakeClock
) -> None:
    async def bury(record: Record, poison: PoisonError) -> None:
        pytest.fail(f"{record} is no poison: {poison}")

    publisher, stored = broker.publisher("decider"), Stored()
    deciding = Deciding(publisher, InForce(), wakes=Wakes(publisher, clock), bury=bury)
    step = await deciding.absorb(record(activated(), 0), stored)
    stored.rows |= step.rows
    broker.away = True
    with pytest.raises(TransientError):
        await deciding.absorb(record(finding(), 1), stored)
    assert deciding.position(0, stored) == 0


async def test_a_hindsight_is_counted_by_its_rule_when_it_is_published(broker: MemoryBroker, clock: FakeClock) -> None:
    publisher, stored = broker.publisher("decider"), Stored()
    deciding = Deciding(publisher, InForce(), wakes=Wakes(publisher, clock), bury=unburied)
    counter = SCORED_DECISIONS.labels(rule="crash", reason="untold")
    before = counter_value(counter)
    shadow = PLAYBOOK.replace("spec:", "spec:\n  mode: shadow")
    for offset, entry in enumerate((activated(shadow), finding(), gone(seconds=1))):
        stored.rows |= (await deciding.absorb(record(entry, offset), stored)).rows
    assert counter_value(counter) == before + 1
    await deciding.absorb(record(gone(seconds=1), 2), stored)
    assert counter_value(counter) == before + 1


async def test_an_incident_is_counted_by_its_phase_when_it_is_told(broker: MemoryBroker, clock: FakeClock) -> None:
    publisher, stored = broker.publisher("decider"), Stored()
    deciding = Deciding(publisher, InForce(), wakes=Wakes(publisher, clock), bury=unburied)
    counter = INCIDENTS_TOLD.labels(phase="acting")
    before = counter_value(counter)
    for offset, entry in enumerate((activated(), finding())):
        stored.rows |= (await deciding.absorb(record(entry, offset), stored)).rows
    assert counter_value(counter) == before + 1


async def unburied(record: Record, poison: PoisonError) -> None:
    raise AssertionError(poison)


def counter_value(counter: Counter) -> float:
    return next(sample.value for metric in counter.collect() for sample in metric.samples)


def record(entry: InboxEntry, offset: int) -> Record:
    out = encode(entry, topic=INBOX, source="test")
    return Record(INBOX.name, 0, offset, int(START.timestamp() * 1000), out.key, out.value, out.headers)


def rows_at(offset: int, playbook: str) -> dict[str, bytes]:
    state = PartitionState(offset=offset, playbook=known(playbook))
    absorbed = Absorbed(state, WorkloadState(offset=offset))
    return States().changed(0, FRONTEND.key, absorbed, before=None)


def read(changelog: Sequence[Rows]) -> Stored:
    """Return the table that a changelog gives."""
    stored, following = Stored(), Following(absorb=_nothing, position=_nowhere, on_gap=_unheard, offset_of=offset_of)
    for rows in changelog:
        for key, row in rows.items():
            if following.is_newer(row, stored.get(key)):
                stored.rows[key] = row
    return stored


async def _nothing(_: Record, __: Table) -> Step:
    return Step({})


def _nowhere(_: int, __: Table) -> int:
    return -1


def _unheard(*_: int) -> None:
    return


def test_rows_that_a_process_wrote_after_it_had_lost_the_partition_do_not_take_it_back() -> None:
    newest, late = rows_at(9, OTHER), rows_at(7, PLAYBOOK)
    stored = read([rows_at(6, PLAYBOOK), newest, late])
    state = States().partition(0, stored)
    assert (state.offset, state.playbook and state.playbook.hash) == (9, known(OTHER).hash)
    assert stored.get(FRONTEND.key) == newest[FRONTEND.key]


def test_a_partition_has_the_playbook_that_its_own_row_names() -> None:
    rows = rows_at(7, PLAYBOOK) | {key: row for key, row in rows_at(9, OTHER).items() if key.startswith("@playbook")}
    state = States().partition(0, Stored(rows))
    assert (state.offset, state.playbook and state.playbook.hash) == (7, known(PLAYBOOK).hash)


def test_the_text_that_an_older_version_stored_is_read() -> None:
    rows = {
        key.rpartition("/")[0] if key.startswith("@playbook") else key: row for key, row in rows_at(7, PLAYBOOK).items()
    }
    state = States().partition(0, Stored(rows))
    assert state.playbook is not None
    assert state.playbook.hash == known(PLAYBOOK).hash
