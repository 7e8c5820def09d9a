"""The writer of the audit trail: it goes on from what the topic holds, and writes each command's entry once."""

from datetime import timedelta

import pytest

from services.remediator.adapters import auditing
from services.remediator.adapters.auditing import AuditTrail
from services.remediator.adapters.verifying import against_results, trail_of_topic
from services.remediator.core.trail import Fault, Link, Trail, next_entry
from shared.contracts.codec import body_of, encode
from shared.contracts.inbox import EvidenceRef, Outcome
from shared.contracts.model import Message
from shared.contracts.signatures import Doubt, Seal, doubt_about, record_seal, unsealed
from shared.contracts.topics import AUDIT, INBOX, Topic
from shared.infra.broker import Placement
from shared.infra.memory import MemoryBroker, MemoryPublisher
from shared.kernel.errors import UnavailableError
from tests.fakes.clock import FakeClock
from tests.keys import OTHER_KEY, RECORDS_KEY, RECORDS_SEAL, checks_of
from tests.unit.services.remediator.build import NOW, OWN, command, result


@pytest.fixture
def broker() -> MemoryBroker:
    return MemoryBroker(FakeClock(NOW))


def trail_under(token: int, broker: MemoryBroker) -> AuditTrail:
    publisher = broker.publisher("remediator", seal=RECORDS_SEAL)
    return AuditTrail(publisher, broker.archive(), trust=OWN, token=token)


async def note(trail: AuditTrail, name: str) -> None:
    asked = command(name)
    await trail.note(asked, result(asked))


async def read(broker: MemoryBroker) -> Trail:
    return await trail_of_topic(broker.archive())


async def test_a_leader_goes_on_from_the_last_entry_of_the_one_before(broker: MemoryBroker) -> None:
    await note(trail_under(3, broker), "cmd-1")
    later = trail_under(5, broker)
    await note(later, "cmd-2")
    await note(later, "cmd-3")
    found = await read(broker)
    assert found.breaks == []
    assert [(link.sequence, link.token, link.command) for link in found.chain] == [
        (1, 3, "cmd-1"),
        (2, 5, "cmd-2"),
        (3, 5, "cmd-3"),
    ]


async def test_a_command_has_one_entry_however_often_it_is_noted_by_whom(broker: MemoryBroker) -> None:
    first = trail_under(1, broker)
    await note(first, "cmd-1")
    await note(first, "cmd-1")
    await note(trail_under(2, broker), "cmd-1")
    assert len(broker.log(AUDIT.name, 0)) == 1


async def test_a_leader_whose_term_is_over_writes_nothing_after_its_successor(broker: MemoryBroker) -> None:
    await note(trail_under(7, broker), "cmd-1")
    with pytest.raises(UnavailableError, match="token 7, above ours, which is 6"):
        await note(trail_under(6, broker), "cmd-2")
    assert len(broker.log(AUDIT.name, 0)) == 1


async def test_what_a_woken_leader_writes_late_is_told_apart_and_the_chain_stays_whole(broker: MemoryBroker) -> None:
    stopped, successor = trail_under(1, broker), trail_under(2, broker)
    await note(stopped, "cmd-1")
    await note(successor, "cmd-2")
    await note(stopped, "cmd-3")
    await note(successor, "cmd-4")
    found = await read(broker)
    assert found.breaks == []
    assert [link.command for link in found.chain] == ["cmd-1", "cmd-2", "cmd-4"]
    assert [link.command for link in found.late] == ["cmd-3"]


async def test_what_was_only_told_late_is_told_again_by_the_next_leader(broker: MemoryBroker) -> None:
    stopped, successor = trail_under(1, broker), trail_under(2, broker)
    await note(stopped, "cmd-1")
    await note(successor, "cmd-2")
    await note(stopped, "cmd-3")
    await note(trail_under(3, broker), "cmd-3")
    assert [link.command for link in (await read(broker)).chain] == ["cmd-1", "cmd-2", "cmd-3"]


class Unacknowledged(MemoryPublisher):
    """Writes, or loses, a message and tells neither, as often as it is said; then it works."""

    def __init__(self, broker: MemoryBroker, *, times: int, is_written: bool) -> None:
        super().__init__(broker, "remediator", seal=RECORDS_SEAL)
        self._left, self._is_written = times, is_written

    async def publish(
        self, message: Message, *, topic: Topic, traceparent: str | None = None, partition: int | None = None
    ) -> Placement:
        if self._left == 0:
            return await super().publish(message, topic=topic, traceparent=traceparent, partition=partition)
        self._left -= 1
        if self._is_written:
            await super().publish(message, topic=topic, traceparent=traceparent, partition=partition)
        raise UnavailableError("no acknowledgement")


@pytest.mark.parametrize("is_written", [True, False])
async def test_an_entry_that_was_not_acknowledged_is_written_again_before_any_other(
    broker: MemoryBroker, is_written: bool
) -> None:
    publisher = Unacknowledged(broker, times=2, is_written=is_written)
    trail = AuditTrail(publisher, broker.archive(), trust=OWN, token=1)
    for name in ("cmd-1", "cmd-2"):
        with pytest.raises(UnavailableError):
            await note(trail, name)
    await note(trail, "cmd-2")
    await note(trail, "cmd-1")
    found = await read(broker)
    assert found.breaks == []
    assert [link.command for link in found.chain] == ["cmd-1", "cmd-2"]
    assert len(found.repeated) == (2 if is_written else 0)


async def test_a_trail_that_was_garbled_is_gone_on_with_from_its_last_entry(broker: MemoryBroker) -> None:
    await note(trail_under(1, broker), "cmd-1")
    garbage = encode(command("cmd-x"), topic=AUDIT, source="nobody")
    await broker.publisher("nobody").publish(command("cmd-x"), topic=AUDIT)
    await note(trail_under(2, broker), "cmd-2")
    found = await read(broker)
    assert [one.fault for one in found.breaks] == [Fault.UNREADABLE]
    assert found.breaks[0].found.startswith(repr(garbage.value[:20])[:-1])
    assert [link.sequence for link in found.chain] == [1, 2]


async def test_the_trail_is_held_against_the_results_of_the_inbox(broker: MemoryBroker) -> None:
    publisher, trail = broker.publisher("remediator"), trail_under(1, broker)
    for name in ("cmd-1", "cmd-2"):
        await publisher.publish(result(command(name), outcome=Outcome.APPLIED), topic=INBOX)
    for name in ("cmd-2", "cmd-3"):
        await note(trail, name)
    _, differing = await against_results(broker.archive())
    assert [(one.fault, one.place) for one in differing] == [
        (Fault.RESULT_WITHOUT_ENTRY, "cmd-1"),
        (Fault.ENTRY_WITHOUT_RESULT, "sre.audit/0/1"),
    ]


async def test_what_became_of_a_command_is_recalled_as_it_was_by_the_next_leader(broker: MemoryBroker) -> None:
    asked = command("cmd-1")
    ref = EvidenceRef(id="evidence-1", partition=2, offset=7)
    why = {"reason": "budget-workload", "message": "1 of 1", "retry_after": timedelta(hours=1)}
    told = result(asked, outcome=Outcome.REFUSED, token=4, evidence=ref, **why)
    await trail_under(5, broker).note(asked, told)
    recalled = await trail_under(6, broker).recall(asked)
    assert recalled is not None
    assert body_of(recalled) == body_of(told)
    assert await trail_under(6, broker).recall(command("cmd-2")) is None


FORGERS: dict[str, Seal] = {
    "unsigned": unsealed,
    "key-unknown": record_seal(OTHER_KEY, "local"),
    "other-cluster": record_seal(RECORDS_KEY, "staging"),
}


async def forge(
    broker: MemoryBroker, name: str, *, seal: Seal = unsealed, token: int = 99, after: Link | None = None
) -> None:
    """Write an entry that says that a command was applied."""
    asked = command(name)
    entry = next_entry(asked, result(asked, outcome=Outcome.APPLIED), after=after, token=token)
    await broker.publisher("remediator", seal=seal).publish(entry, topic=AUDIT, partition=0)


async def checked(broker: MemoryBroker) -> Trail:
    """Return the trail as who has the public key reads it."""
    keys = checks_of([RECORDS_KEY.public])
    return await trail_of_topic(broker.archive(), doubtful=lambda one: doubt_about(one, keys, cluster="local"))


@pytest.mark.parametrize("forger", FORGERS)
async def test_an_entry_that_no_remediator_signed_neither_stops_a_leader_nor_answers_a_command(
    broker: MemoryBroker, forger: str
) -> None:
    await note(trail_under(1, broker), "cmd-1")
    await forge(broker, "cmd-2", seal=FORGERS[forger], token=10**6)
    leader = trail_under(2, broker)
    assert await leader.recall(command("cmd-2")) is None
    await note(leader, "cmd-2")
    found = await checked(broker)
    assert [link.command for link in found.chain] == ["cmd-1", "cmd-2"]
    assert [(one.fault, one.place, one.found) for one in found.breaks] == [
        (Fault.NOT_BELIEVED, "sre.audit/0/1", forger)
    ]


async def test_the_chain_goes_on_from_what_was_written_before_records_were_signed(broker: MemoryBroker) -> None:
    old = AuditTrail(broker.publisher("remediator"), broker.archive(), trust=OWN, token=1)
    await note(old, "cmd-1")
    await note(old, "cmd-2")
    leader = trail_under(2, broker)
    assert await leader.recall(command("cmd-2")) is None  # it goes on from there, and believes nothing of it
    await note(leader, "cmd-3")
    await note(trail_under(3, broker), "cmd-4")
    for found in (await read(broker), await checked(broker)):
        assert found.breaks == []
        assert [link.sequence for link in found.chain] == [1, 2, 3, 4]
    assert (await checked(broker)).unsigned == 2


async def test_whoever_writes_more_than_a_leader_reads_of_the_end_hides_nothing(
    broker: MemoryBroker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(auditing, "_TAIL", 5)
    await note(trail_under(1, broker), "cmd-1")
    for number in range(20):
        await forge(broker, f"forged-{number}")
    leader = trail_under(2, broker)
    assert await leader.recall(command("cmd-1")) is not None
    await note(leader, "cmd-2")
    assert [(link.sequence, link.command) for link in (await checked(broker)).chain] == [(1, "cmd-1"), (2, "cmd-2")]


async def test_a_copy_of_an_old_entry_leads_nobody_back(broker: MemoryBroker, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(auditing, "_TAIL", 2)
    for name in ("cmd-1", "cmd-2", "cmd-3"):
        await note(trail_under(1, broker), name)
    broker.append(broker.log(AUDIT.name, 0)[0])
    await note(trail_under(1, broker), "cmd-4")
    found = await checked(broker)
    assert [(link.sequence, link.command) for link in found.chain][-1] == (4, "cmd-4")
    assert [link.command for link in found.repeated] == ["cmd-1"]


async def test_an_entry_that_was_changed_is_not_believed(broker: MemoryBroker) -> None:
    await note(trail_under(1, broker), "cmd-1")
    whole = broker.log(AUDIT.name, 0)[0]
    broker.append(whole._replace(value=(whole.value or b"").replace(b"cmd-1", b"cmd-2")))
    (fault,) = (await checked(broker)).breaks
    assert (fault.fault, fault.found) == (Fault.NOT_BELIEVED, Doubt.SIGNATURE_WRONG)


async def test_where_nothing_is_signed_yet_a_token_that_was_made_up_is_gone_past(broker: MemoryBroker) -> None:
    old = AuditTrail(broker.publisher("remediator"), broker.archive(), trust=OWN, token=1)
    await note(old, "cmd-1")
    await forge(broker, "cmd-2", token=10**6)
    await note(trail_under(2, broker), "cmd-2")
    found = await checked(broker)
    assert [(link.sequence, link.token, link.command) for link in found.chain] == [(1, 1, "cmd-1"), (2, 2, "cmd-2")]
    assert [(one.fault, one.place) for one in found.breaks] == [(Fault.NOT_BELIEVED, "sre.audit/0/1")]
    assert (found.unsigned, found.late) == (1, [])
