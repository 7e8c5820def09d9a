"""Which part of a log is meant."""

import pytest

from services.decider.core.announcing import in_force
from services.decider.core.playbook import load_playbook
from services.decider.core.replaying import Placed, Replay, Span, beginning_of
from shared.contracts.codec import Record
from shared.contracts.topics import INBOX
from tests.unit.services.decider.core.build import PLAYBOOK, History, activated, at, finding
from tests.unit.services.decider.core.histories import records_of


@pytest.mark.parametrize(
    ("span", "partition", "offset", "is_meant"),
    [
        (Span(), 0, 0, True),
        (Span(begin=at(10)), 0, 0, True),
        (Span(begin=at(11)), 0, 0, False),
        (Span(end=at(11)), 0, 0, True),
        (Span(end=at(10)), 0, 0, False),
        (Span(first={3: 5}), 3, 5, True),
        (Span(first={3: 5}), 3, 4, False),
        (Span(first={3: 5}), 2, 5, False),
        (Span(last={3: 5}), 3, 5, True),
        (Span(last={3: 5}), 3, 6, False),
        (Span(first={3: 5}, last={4: 9}), 4, 0, True),
        (Span(begin=at(11), first={3: 5}), 3, 5, False),
    ],
)
def test_a_part_holds_its_beginning_and_its_last_offset_and_not_its_end(
    span: Span, partition: int, offset: int, is_meant: bool
) -> None:
    assert span.holds(partition, offset=offset, moment=at(10)) is is_meant


def test_poison_is_passed_by_and_the_rest_decided() -> None:
    story = History()
    story.take(activated(), seconds=0)
    story.take(finding(seconds=1), seconds=1)
    first, second = records_of(story)
    replay = Replay()
    assert replay.take(first) == []
    assert replay.step(Record(INBOX.name, 0, 1, first.timestamp_ms, None, b"?")) is None
    moved = Record(INBOX.name, 0, 2, second.timestamp_ms, second.key, second.value, second.headers)
    assert [one.offset for one in _made(replay, moved)] == [2, 2]
    assert (replay.begins, replay.ends) == ({0: 0}, {0: 3})


def _made(replay: Replay, record: Record) -> list[Placed]:
    replay.take(record)
    return replay.within(Span())


@pytest.mark.parametrize(("since", "offset", "is_known"), [(0, 5, True), (10, 5, True), (11, 5, False), (0, 0, False)])
def test_where_a_beginning_is_lost_the_playbook_counts_that_was_in_force_by_then(
    since: int, offset: int, is_known: bool
) -> None:
    told = in_force(load_playbook(PLAYBOOK, file="test"), activated().model_copy(update={"at": at(since)}))
    found = beginning_of(told, offset=offset, moment=at(10)).playbook
    assert (found is not None) is is_known
    assert beginning_of(None, offset=5, moment=at(10)).playbook is None
