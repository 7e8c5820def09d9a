"""Pauses of several people add up: all is paused while one of them holds, whatever the others end."""

import pytest

from services.decider.core.state import PartitionState, partition_bytes, partition_of
from shared.contracts.commands import Command
from shared.contracts.inbox import Pause, Resume
from shared.contracts.incidents import Decision, Reason
from tests.unit.services.decider.core.build import finding, history, pause, resume

ANA, BEN = pause(1, by="ana", cause="release"), pause(2, by="ben", cause="disk full")


@pytest.mark.parametrize(
    ("entries", "holding"),
    [
        ((ANA, BEN), ["ana", "ben"]),
        ((ANA, BEN, resume(3, of="ana")), ["ben"]),
        ((ANA, BEN, resume(3, of="ben")), ["ana"]),
        ((ANA, BEN, resume(3, of="ana"), resume(4, of="ben")), []),
        ((ANA, BEN, resume(3, of="eve")), ["ana", "ben"]),
        ((ANA, BEN, resume(3)), []),
        ((ANA, BEN, pause(3, by="ana", cause="another release")), ["ben", "ana"]),
    ],
)
def test_each_pause_holds_until_a_word_about_its_owner_or_about_all(
    entries: tuple[Pause | Resume, ...], holding: list[str]
) -> None:
    story = history()
    for number, entry in enumerate(entries, start=1):
        story.take(entry, seconds=number)
    assert [one.by for one in story.partition.pauses] == holding


def test_nothing_is_ordered_while_one_of_several_pauses_holds() -> None:
    story = history()
    for number, entry in enumerate((ANA, BEN, resume(3, of="ana")), start=1):
        story.take(entry, seconds=number)
    story.take(finding(), seconds=4)
    (told,) = [one for one in story.outputs if isinstance(one, Decision) and one.reason is Reason.PAUSED]
    assert told.detail == "disk full"
    assert not any(isinstance(one, Command) for one in story.outputs)


def test_pauses_are_stored_with_their_partition_and_read_again() -> None:
    state = PartitionState(offset=3, pauses=(ANA, BEN))
    assert partition_of(partition_bytes(state), lambda _: None) == state


def test_a_partition_that_was_stored_before_pauses_added_up_keeps_its_one() -> None:
    stored = b'{"offset":3,"playbook":null,"paused":' + ANA.model_dump_json().encode() + b"}"
    assert partition_of(stored, lambda _: None) == PartitionState(offset=3, pauses=(ANA,))
