"""What is not believed goes to the dead letters by its reason, and never as far as anything that tells of commands."""

import asyncio
import base64
from collections.abc import Iterator
from datetime import timedelta

import pytest
from prometheus_client import REGISTRY
from structlog.testing import capture_logs

from services.remediator.trust import Trust
from shared.contracts.codec import Envelope, Record, decode, encode
from shared.contracts.deadletters import DeadLetter
from shared.contracts.signatures import KEY_ID, CommandSeal
from shared.contracts.topics import COMMANDS, DEAD_LETTERS
from shared.infra.memory import MemoryBroker
from shared.kernel.errors import PoisonError
from shared.runtime.consuming import consume
from shared.runtime.health import Health
from shared.runtime.lifecycle import Runtime
from tests.fakes.clock import FakeClock
from tests.keys import KEY, OTHER_KEY, checks_of
from tests.unit.shared.contracts.test_signatures import COMMAND, NOW, read, with_header

TRUST = Trust(checks_of([KEY.public]), cluster="production")


def signed(key: object = KEY, cluster: str = "production") -> Record:
    return read(CommandSeal(key, cluster)(encode(COMMAND, topic=COMMANDS, source="decider")))  # type: ignore[arg-type]


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
