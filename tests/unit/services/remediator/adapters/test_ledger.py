"""The ledger: what was spent outlives its leader, and ends to be open when the incident tells so."""

from datetime import timedelta
from typing import Any

import pytest

from services.remediator.adapters.ledger import FRESH, Ledger
from services.remediator.core.brake import Place
from shared.contracts.codec import Record
from shared.contracts.incidents import Phase
from shared.contracts.signatures import Seal, record_seal, unsealed
from shared.contracts.spendings import Spending
from shared.contracts.topics import INCIDENTS, SPENDINGS
from shared.contracts.workloads import WorkloadRef
from shared.infra.memory import MemoryBroker
from tests.fakes.clock import FakeClock
from tests.keys import OTHER_KEY, RECORDS_KEY, RECORDS_SEAL
from tests.unit.services.remediator.build import NOW, OWN, WEB, command
from tests.unit.services.remediator.core.test_brake import incident

PLACE = Place(WEB, "n1")
NODE = WorkloadRef(kind="Node", name="n1")


def ledger(broker: MemoryBroker, clock: FakeClock, *, token: int = 1) -> Ledger:
    publisher = broker.publisher("remediator", seal=RECORDS_SEAL)
    return Ledger(publisher, broker.archive(), trust=OWN, token=token, clock=clock)


async def test_the_next_leader_counts_what_the_one_before_took() -> None:
    clock = FakeClock(NOW)
    broker = MemoryBroker(clock)
    first = ledger(broker, clock)
    await first.spend(command("a", incident="inc-a"), PLACE)
    await first.spend(command("b", incident="inc-b"), PLACE)
    await first.give_back(command("b", incident="inc-b"))
    second = await ledger(broker, clock, token=2).spendings()
    assert second == await first.spendings()
    assert [(one.command, one.at, one.place) for one in second.others("")] == [("a", NOW, PLACE)]


async def test_what_is_taken_twice_counts_once_at_the_later_moment() -> None:
    clock = FakeClock(NOW)
    broker = MemoryBroker(clock)
    await ledger(broker, clock).spend(command("a"), PLACE)
    await clock.sleep(timedelta(minutes=5))
    later = ledger(broker, clock, token=2)
    await later.spend(command("a"), PLACE)
    assert [(one.at, one.token) for one in (await later.spendings()).others("")] == [(NOW + timedelta(minutes=5), 2)]


async def test_only_what_oneself_took_is_given_back() -> None:
    clock = FakeClock(NOW)
    broker = MemoryBroker(clock)
    await ledger(broker, clock).spend(command("a"), PLACE)
    second = ledger(broker, clock, token=2)
    await second.give_back(command("a"))
    await second.give_back(command("of-nobody"))
    assert len(broker.log(SPENDINGS.name, 0)) == 1
    assert (await second.spendings()).open_count == 1


async def test_a_healing_ends_to_be_open_soon_after_its_incident_tells() -> None:
    clock = FakeClock(NOW)
    broker = MemoryBroker(clock)
    kept, decider = ledger(broker, clock), broker.publisher("decider")
    await decider.publish(incident("a", Phase.ACTING), topic=INCIDENTS)
    await kept.spend(command("a", incident="inc-a"), PLACE)
    assert (await kept.spendings()).open_count == 1
    await decider.publish(incident("b", Phase.HEALED), topic=INCIDENTS)
    await decider.publish(incident("a", Phase.HEALED), topic=INCIDENTS)
    await clock.sleep(FRESH)
    assert (await kept.spendings()).open_count == 0
    assert (await ledger(broker, clock, token=2).spendings()).open_count == 0


async def test_a_node_is_in_trouble_while_an_incident_is_open_on_it() -> None:
    clock = FakeClock(NOW)
    broker = MemoryBroker(clock)
    kept, decider = ledger(broker, clock), broker.publisher("decider")
    on_node = incident("n", Phase.ACTING).model_copy(update={"workload": NODE})
    await decider.publish(on_node, topic=INCIDENTS)
    await decider.publish(incident("a", Phase.ACTING), topic=INCIDENTS)
    await kept.spendings()
    assert kept.nodes_in_trouble == {"n1"}
    await decider.publish(on_node.model_copy(update={"phase": Phase.ESCALATED}), topic=INCIDENTS)
    await clock.sleep(FRESH)
    await kept.spendings()
    assert kept.nodes_in_trouble == frozenset()


async def test_what_nobody_can_read_is_passed_by() -> None:
    clock = FakeClock(NOW)
    broker = MemoryBroker(clock)
    await ledger(broker, clock).spend(command("a"), PLACE)
    broker.append(Record(SPENDINGS.name, 0, -1, 0, b"?", b"\x00"))
    broker.append(Record(INCIDENTS.name, 0, -1, 0, b"inc-1", b'"kind":"Node"'))
    assert (await ledger(broker, clock).spendings()).open_count == 1


def told(name: str, *, token: int = 9, given_back: bool = False) -> Spending:
    """Return what somebody says that a command took, or gave back."""
    place: Any = {"workload": WEB, "node": "n1"}
    return Spending(
        id=f"told-{name}", at=NOW, command=name, incident="inc-1", token=token, given_back=given_back, **place
    )


FORGERS: dict[str, Seal] = {
    "unsigned": unsealed,
    "key-unknown": record_seal(OTHER_KEY, "local"),
    "other-cluster": record_seal(RECORDS_KEY, "staging"),
}


@pytest.mark.parametrize("forger", FORGERS)
async def test_what_is_not_signed_by_a_remediator_of_this_cluster_neither_fills_a_budget_nor_frees_it(
    forger: str,
) -> None:
    clock = FakeClock(NOW)
    broker = MemoryBroker(clock)
    await ledger(broker, clock).spend(command("a"), PLACE)
    publisher = broker.publisher("remediator", seal=FORGERS[forger])
    for forged in (told("a", given_back=True), *(told(f"more-{number}") for number in range(100))):
        await publisher.publish(forged, topic=SPENDINGS, partition=0)
    next_leaders = ledger(broker, clock, token=2)
    assert [one.command for one in (await next_leaders.spendings()).others("")] == ["a"]
    await next_leaders.spend(command("a"), PLACE)  # no token that was made up stands above its own
    assert (await ledger(broker, clock, token=3).spendings()).by_command["a"].token == 2


async def test_a_copy_of_what_gave_back_frees_nothing_of_who_took_it_again() -> None:
    clock = FakeClock(NOW)
    broker = MemoryBroker(clock)
    kept = ledger(broker, clock)
    await kept.spend(command("a"), PLACE)
    await kept.give_back(command("a"))
    given_back = broker.log(SPENDINGS.name, 0)[-1]
    await clock.sleep(timedelta(seconds=1))
    await kept.spend(command("a"), PLACE)
    broker.append(given_back)
    assert (await ledger(broker, clock, token=2).spendings()).open_count == 1
