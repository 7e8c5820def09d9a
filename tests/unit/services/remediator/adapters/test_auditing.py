"""The writer of the audit trail: it goes on from what the topic holds, and writes each command's entry once."""

from datetime import timedelta

import pytest

from services.remediator.adapters.auditing import AuditTrail
from services.remediator.adapters.verifying import against_results, trail_of_topic
from services.remediator.core.trail import Fault, Trail
from shared.contracts.codec import body_of, encode
from shared.contracts.inbox import EvidenceRef, Outcome
from shared.contracts.model import Message
from shared.contracts.topics import AUDIT, INBOX, Topic
from shared.infra.broker import Placement
from shared.infra.memory import MemoryBroker, MemoryPublisher
from shared.kernel.errors import UnavailableError
from tests.fakes.clock import FakeClock
from tests.unit.services.remediator.build import NOW, command, result


@pytest.fixture
def broker() -> MemoryBroker:
    return MemoryBroker(FakeClock(NOW))


def trail_under(token: int, broker: MemoryBroker) -> AuditTrail:
    return AuditTrail(broker.publisher("remediator"), broker.archive(), token=token)


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
        super().__init__(broker, "remediator")
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
    trail = AuditTrail(Unacknowledged(broker, times=2, is_written=is_written), broker.archive(), token=1)
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
