"""The trail's chain: what was changed, taken out, put in or moved is found, and a late entry is told from it."""

import hashlib
import json
from collections.abc import Sequence
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.remediator.core.trail import Fault, Trail, compared, head_break
from services.remediator.trail_words import document_of, verdict_lines
from shared.contracts.audit import GENESIS, AuditEntry
from shared.contracts.inbox import Outcome
from tests.unit.services.remediator.build import NOW, chained, entry_bytes

chains = st.lists(st.integers(1, 4), min_size=3, max_size=8).map(lambda tokens: chained(*sorted(tokens)))


def followed(values: Sequence[bytes]) -> Trail:
    trail = Trail()
    for offset, value in enumerate(values):
        trail.follow(value, f"sre.audit/0/{offset}", is_first_ever=offset == 0)
    return trail


def faults(trail: Trail) -> list[Fault]:
    return [one.fault for one in trail.breaks]


def is_found(trail: Trail, head: str) -> bool:
    return bool(trail.breaks or trail.late or trail.repeated or head_break(trail, head))


def head_of(values: Sequence[bytes]) -> str:
    return hashlib.sha256(values[-1]).hexdigest()


@given(chains)
def test_what_leaders_wrote_one_after_the_other_is_whole(values: list[bytes]) -> None:
    trail = followed(values)
    assert not is_found(trail, head_of(values))
    assert len(trail.chain) == len(values)
    assert trail.head is not None
    assert trail.head.hash == head_of(values)


@given(chains, st.data())
def test_a_change_of_any_bit_is_found(values: list[bytes], data: st.DataObject) -> None:
    at = data.draw(st.integers(0, len(values) - 1))
    place = data.draw(st.integers(0, len(values[at]) - 1))
    bit = 1 << data.draw(st.integers(0, 7))
    changed = bytearray(values[at])
    changed[place] ^= bit
    assert is_found(followed([*values[:at], bytes(changed), *values[at + 1 :]]), head_of(values))


@given(chains, st.data())
def test_a_change_of_any_field_is_found_at_its_place_or_the_next_by_the_trail_alone(
    values: list[bytes], data: st.DataObject
) -> None:
    at = data.draw(st.integers(0, len(values) - 2))
    fields = json.loads(values[at])
    name = data.draw(st.sampled_from(("reason", "command", "requested_by", "message", "incident", "outcome")))
    fields[name] = "refused" if name == "outcome" else "another"
    trail = followed([*values[:at], json.dumps(fields).encode(), *values[at + 1 :]])
    assert {one.place for one in trail.breaks} == {f"sre.audit/0/{at + 1}"}


@given(chains, st.data())
def test_a_removal_is_found(values: list[bytes], data: st.DataObject) -> None:
    at = data.draw(st.integers(0, len(values) - 1))
    trail = followed([*values[:at], *values[at + 1 :]])
    assert is_found(trail, head_of(values))
    assert at == len(values) - 1 or trail.breaks, "the trail alone shows all but a cut at its end"


@given(chains, st.data())
def test_a_swap_is_found_by_the_trail_alone(values: list[bytes], data: st.DataObject) -> None:
    one, other = sorted(data.draw(st.lists(st.integers(0, len(values) - 1), min_size=2, max_size=2, unique=True)))
    values[one], values[other] = values[other], values[one]
    assert followed(values).breaks


@given(chains, st.data())
def test_an_insertion_is_found_whatever_it_says_of_itself(values: list[bytes], data: st.DataObject) -> None:
    at = data.draw(st.integers(0, len(values) - 1))
    fields = json.loads(values[data.draw(st.integers(0, len(values) - 1))])
    fields["command"] = "cmd-forged"
    fields["token"] = data.draw(st.integers(0, 5))
    fields["sequence"] = data.draw(st.integers(1, len(values) + 1))
    before = [GENESIS, *(hashlib.sha256(value).hexdigest() for value in values)]
    fields["before"] = data.draw(st.sampled_from(before))
    trail = followed([*values[:at], json.dumps(fields).encode(), *values[at:]])
    assert trail.breaks or trail.late


@given(chains, st.integers(0, 7), st.integers(0, 7))
def test_a_copy_is_told_and_is_no_part_of_the_chain(values: list[bytes], source: int, at: int) -> None:
    source, at = source % len(values), at % (len(values) + 1)
    trail = followed([*values[:at], values[source], *values[at:]])
    if at > source:
        assert (faults(trail), len(trail.repeated), len(trail.chain)) == ([], 1, len(values))
    else:
        assert trail.breaks or trail.repeated


def test_a_break_names_its_place_and_what_was_expected_and_found() -> None:
    first, _, third = chained(1, 1, 1)
    (one,) = followed([first, third]).breaks
    assert (one.fault, one.place) == (Fault.BEFORE_DIFFERS, "sre.audit/0/1")
    assert one.expected == f"{hashlib.sha256(first).hexdigest()}, of sre.audit/0/0"
    assert one.found == AuditEntry.model_validate_json(third).before


def test_an_entry_that_counts_wrongly_is_a_break() -> None:
    first, second = chained(1, 1)
    miscounted = second.replace(b'"sequence":2', b'"sequence":7')
    assert faults(followed([first, miscounted])) == [Fault.SEQUENCE_DIFFERS]


def test_a_topic_that_lost_nothing_begins_with_entry_one() -> None:
    assert faults(followed(chained(1, 1)[1:])) == [Fault.BEGINNING_MISSING]


def test_a_beginning_that_has_left_the_topic_is_no_break() -> None:
    trail = Trail()
    trail.follow(chained(1, 1)[1], "sre.audit/0/1")
    assert not trail.breaks
    assert any(line.startswith("begins with entry 2") for line in verdict_lines(trail, ()))


def test_what_is_no_entry_is_a_break_and_the_chain_goes_on_around_it() -> None:
    first, second = chained(1, 1)
    trail = followed([first, b"{}", second])
    assert faults(trail) == [Fault.UNREADABLE]
    assert len(trail.chain) == 2


def test_an_older_leaders_entry_after_a_newer_ones_is_late() -> None:
    first, of_older = chained(1, 1)
    of_newer = chained(1, 2)[1]
    trail = followed([first, of_newer, of_older])
    assert (faults(trail), [link.token for link in trail.late]) == ([], [1])
    assert trail.head is not None
    assert trail.head.token == 2


def test_an_older_leaders_entry_that_a_newer_one_did_not_see_yet_is_late() -> None:
    first, of_older = chained(1, 1)
    of_newer = chained(1, 2)[1]
    trail = followed([first, of_older, of_newer])
    assert (faults(trail), [link.token for link in trail.late]) == ([], [1])
    assert [link.token for link in trail.chain] == [1, 2]


def test_also_the_first_entry_of_all_may_be_overtaken() -> None:
    trail = followed([*chained(1), *chained(2)])
    assert (faults(trail), [link.token for link in trail.chain]) == ([], [2])


def test_a_leader_whose_token_is_over_cannot_be_late_twice() -> None:
    first, *of_older = chained(1, 1, 1)
    of_newer = chained(1, 2)[1]
    assert faults(followed([first, of_newer, *of_older])) == [Fault.LATE_AGAIN]


def test_a_high_token_does_not_make_a_leaders_work_late() -> None:
    values = chained(1, 1, 1)
    forged = chained(1, 9)[1]
    assert faults(followed([*values, forged])) == [Fault.BEFORE_DIFFERS]


def test_an_end_that_was_cut_off_is_found_by_the_hash_that_was_noted() -> None:
    values = chained(1, 1, 1)
    trail = followed(values[:2])
    assert not trail.breaks
    assert head_break(trail, head_of(values[:1])) is None
    found = head_break(trail, head_of(values))
    assert found is not None
    assert found.fault is Fault.HEAD_MISSING


def test_an_empty_trail_has_no_head() -> None:
    assert head_break(Trail(), GENESIS) is not None
    assert "no entries" in list(verdict_lines(Trail(), ()))


@pytest.mark.parametrize(
    ("results", "fault"),
    [
        ({"cmd-0": [Outcome.APPLIED], "cmd-1": [Outcome.APPLIED], "cmd-2": [Outcome.REFUSED]}, "result-without-entry"),
        ({"cmd-0": [Outcome.APPLIED]}, "entry-without-result"),
        ({"cmd-0": [Outcome.APPLIED], "cmd-1": [Outcome.REFUSED]}, "outcome-differs"),
        ({"cmd-0": [Outcome.APPLIED], "cmd-1": [Outcome.REFUSED, Outcome.APPLIED]}, None),
    ],
)
def test_entries_and_results_are_compared(results: dict[str, list[Outcome]], fault: str | None) -> None:
    found = compared(followed(chained(1, 1)), results, since=None)
    assert [one.fault for one in found] == ([fault] if fault else [])


def test_an_entry_older_than_the_inbox_needs_no_result() -> None:
    assert compared(followed(chained(1)), {}, since=NOW + timedelta(seconds=1)) == []


def test_the_document_tells_first_last_head_and_each_break() -> None:
    first, _, third = chained(1, 1, 1)
    trail = followed([first, third])
    document = document_of(trail, trail.breaks)
    assert (document["whole"], document["entries"], document["head"]) == (False, 2, head_of([third]))
    assert json.loads(json.dumps(document))["breaks"][0]["place"] == "sre.audit/0/1"


def test_a_later_version_of_the_entry_is_hashed_as_it_was_written() -> None:
    """A field that this version does not know is a part of the hash: nothing is written anew to be hashed."""
    newer = json.dumps({**json.loads(chained(1)[0]), "signature": "later"}).encode()
    head = followed([newer]).head
    assert not followed([newer, entry_bytes(1, after=head)]).breaks
