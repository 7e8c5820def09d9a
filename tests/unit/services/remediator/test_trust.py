"""What is not believed goes to the dead letters by its reason, and never as far as anything that tells of commands."""

import asyncio
import base64
from collections.abc import AsyncIterator, Iterator
from datetime import timedelta

import pytest
from prometheus_client import REGISTRY
from structlog.testing import capture_logs

from services.remediator.trust import OwnTrust, Trust
from shared.contracts.codec import Envelope, Record, decode, encode
from shared.contracts.deadletters import DeadLetter
from shared.contracts.signatures import KEY_ID, Seal, command_seal, record_seal, unsealed
from shared.contracts.spendings import Spending
from shared.contracts.topics import COMMANDS, DEAD_LETTERS, SPENDINGS
from shared.infra.memory import MemoryBroker
from shared.kernel.errors import PoisonError
from shared.runtime.consuming import consume
from shared.runtime.health import Health
from shared.runtime.lifecycle import Runtime
from tests.fakes.clock import FakeClock
from tests.keys import KEY, OTHER_KEY, RECORDS_KEY, RECORDS_SEAL, checks_of
from tests.unit.shared.contracts.test_signatures import COMMAND, NOW, read, with_header

TRUST = Trust(checks_of([KEY.public]), cluster="production")


def signed(key: object = KEY, cluster: str = "production") -> Record:
    return read(command_seal(key, cluster)(encode(COMMAND, topic=COMMANDS, source="decider")))  # type: ignore[arg-type]


CASES = {
    "unsigned": read(encode(COMMAND, topic=COMMANDS, source="decider")),
    "key-unknown": signed(OTHER_KEY),
    "signature-wrong": signed()._replace(value=(signed().value or b"").replace(b"true", b"false")),
    "other-cluster": signed(cluster="staging"),
}


def counted(verdict: str, key: str) -> float:
    return REGISTRY.get_sample_value("sre_command_signatures_total", {"verdict": verdict, "key": key}) or 0


def test_a_believed_command_is_counted_by_its_key() -> None:
    before = counted("good", KEY.key_id)
    TRUST.check(signed())
    assert counted("good", KEY.key_id) == before + 1


@pytest.mark.parametrize("reason", sorted(CASES))
def test_another_is_refused_by_its_reason_and_counted(reason: str) -> None:
    key = KEY.key_id if reason in {"signature-wrong", "other-cluster"} else "unknown"
    before = counted(reason, key)
    with pytest.raises(PoisonError, match=f"^{reason}: "):
        TRUST.check(CASES[reason])
    assert counted(reason, key) == before + 1


def test_what_a_forger_calls_its_key_is_told_in_part_and_names_no_metric() -> None:
    forged = with_header(signed(), KEY_ID, b"\n\xff" + b"x" * 10_000)
    with pytest.raises(PoisonError) as refused:
        TRUST.check(forged)
    assert len(str(refused.value)) < 150
    assert "\n" not in str(refused.value)


async def test_the_loop_buries_what_is_not_believed_says_where_it_lies_and_goes_on() -> None:
    clock = FakeClock(NOW)
    broker = MemoryBroker(clock)
    for record in (*CASES.values(), signed()):
        broker.append(record)
    with capture_logs() as logs:
        handled = await _consumed(broker, clock)
    letters = [one for one in _letters(broker) if isinstance(one, DeadLetter)]
    assert [letter.error.partition(":")[0] for letter in letters] == list(CASES)
    assert [(letter.topic, letter.partition, letter.offset) for letter in letters] == [
        (COMMANDS.name, 3, number) for number in range(len(CASES))
    ]
    assert [base64.b64decode(letter.value_base64 or "") for letter in letters] == [
        record.value for record in CASES.values()
    ]
    assert [one.record.offset for one in handled] == [len(CASES)]
    buried = [one for one in logs if one["event"] == "message.buried"]
    assert [(one["log_level"], one["place"]) for one in buried] == [
        ("error", f"sre.commands/3/{number}") for number in range(len(CASES))
    ]
    assert all(COMMAND.workload.name not in str(one.values()) for one in buried)


def _letters(broker: MemoryBroker) -> Iterator[object]:
    return (decode(record).message for record in broker.log(DEAD_LETTERS.name, 0))


async def _consumed(broker: MemoryBroker, clock: FakeClock) -> list[Envelope]:
    handled: list[Envelope] = []
    stopping = asyncio.Event()

    async def handle(envelope: Envelope) -> None:
        handled.append(envelope)
        stopping.set()

    runtime = Runtime("remediator", clock, Health("remediator", "one"), stopping)
    async with asyncio.timeout(timedelta(seconds=10).total_seconds()):
        await consume(
            broker.consumer([COMMANDS], "g"),
            TRUST.guarded(handle),
            publisher=broker.publisher("r"),
            runtime=runtime,
            name="command",
        )
    return handled


def spending(name: str, seal: Seal = unsealed) -> Record:
    told = Spending(id=name, at=NOW, command=name, incident="inc-1", workload=COMMAND.workload, token=1)
    return read(seal(encode(told, topic=SPENDINGS, source="remediator")))


def doubted(doubt: str) -> float:
    labels = {"topic": SPENDINGS.name, "doubt": doubt}
    return REGISTRY.get_sample_value("sre_records_doubted_total", labels) or 0


async def each(*records: Record) -> AsyncIterator[Record]:
    for record in records:
        yield record


async def test_of_records_those_are_yielded_that_are_believed_and_the_others_counted_by_why() -> None:
    trust = OwnTrust(checks_of([RECORDS_KEY.public]), cluster="local")
    signed = [spending(name, RECORDS_SEAL) for name in ("a", "b")]
    forged = spending("c", record_seal(OTHER_KEY, "local"))
    before = {doubt: doubted(doubt) for doubt in ("old", "unsigned", "key-unknown")}
    with capture_logs() as logs:
        read_back = trust.believed(
            each(spending("old"), spending("old"), signed[0], spending("d"), forged, forged, signed[1])
        )
        assert [record async for record in read_back] == signed
    after = {doubt: doubted(doubt) - count for doubt, count in before.items()}
    assert after == {"old": 2, "unsigned": 1, "key-unknown": 2}
    assert [(one["log_level"], one["doubt"]) for one in logs] == [
        ("info", "old"),
        ("error", "unsigned"),
        ("error", "key-unknown"),
    ]


async def test_what_was_signed_by_a_key_of_before_is_believed_as_long_as_that_is_named() -> None:
    old = spending("a", record_seal(OTHER_KEY, "local"))
    for keys, believed in (([RECORDS_KEY.public], []), ([RECORDS_KEY.public, OTHER_KEY.public], [old])):
        trust = OwnTrust(checks_of(keys), cluster="local")
        assert [record async for record in trust.believed(each(old))] == believed
