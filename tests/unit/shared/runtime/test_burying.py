"""Dead letters: whoever wrote the record, its letter is one that the broker takes."""

import asyncio

import pytest

from shared.contracts.codec import Record, decode
from shared.contracts.deadletters import DeadLetter
from shared.contracts.topics import COMMANDS, DEAD_LETTERS
from shared.infra.memory import MemoryBroker
from shared.kernel.errors import PoisonError
from shared.runtime.consuming import bury
from shared.runtime.health import Health
from shared.runtime.lifecycle import Runtime
from tests.fakes.clock import FakeClock
from tests.unit.shared.contracts.test_signatures import NOW

TAKEN_BYTES = 1_000_000
"""A little below what a broker takes by default."""
LARGE = b"x" * 950_000


def record(*, key: bytes = b"key", value: bytes = b"value", header: bytes = b"header") -> Record:
    return Record(COMMANDS.name, 3, 7, 0, key, value, (("name", header),))


async def letter_of(buried: Record, error: str = "wrong") -> tuple[Record, DeadLetter]:
    clock = FakeClock(NOW)
    broker = MemoryBroker(clock)
    runtime = Runtime("remediator", clock, Health("remediator", "one"), asyncio.Event())
    await bury(buried, PoisonError(error), publisher=broker.publisher("remediator"), runtime=runtime)
    written = broker.log(DEAD_LETTERS.name, 0)[0]
    letter = decode(written).message
    assert isinstance(letter, DeadLetter)
    return written, letter


@pytest.mark.parametrize("large", [record(key=LARGE), record(value=LARGE), record(header=LARGE)])
async def test_what_is_too_large_is_left_where_it_lies(large: Record) -> None:
    written, letter = await letter_of(large)
    assert len(written.value or b"") < TAKEN_BYTES
    assert letter.key == "sre.commands/3/7"
    assert (letter.key_base64, letter.value_base64, letter.headers_base64) == (None, None, ())
    assert letter.error.startswith("wrong; its 950")


async def test_the_largest_that_is_kept_fits_and_is_kept_whole() -> None:
    written, letter = await letter_of(record(key=b"", value=b"x" * ((512 << 10) - 10), header=b"header"))
    assert len(written.value or b"") < TAKEN_BYTES
    assert letter.value_base64 is not None
    assert letter.error == "wrong"


async def test_a_long_error_is_cut() -> None:
    written, letter = await letter_of(record(), error="\x00" * 1_000_000)
    assert len(letter.error) == 2_000
    assert len(written.value or b"") < TAKEN_BYTES
