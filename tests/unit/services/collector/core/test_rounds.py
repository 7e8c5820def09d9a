"""What is told at once: everything, in its order, and of no object two states."""

from hypothesis import given
from hypothesis import strategies as st

from services.collector.core.rounds import AT_ONCE, rounds

ITEMS = st.lists(st.tuples(st.sampled_from("abcde"), st.integers()))


@given(ITEMS)
def test_nothing_is_lost_nor_overtaken_and_no_name_comes_twice_at_once(items: list[tuple[str, int]]) -> None:
    parts = list(rounds(items, lambda item: item[0]))
    assert [item for part in parts for item in part] == items
    assert all(len({name for name, _ in part}) == len(part) > 0 for part in parts)


@given(st.integers(0, 3 * AT_ONCE))
def test_different_objects_are_told_together_up_to_a_bound(count: int) -> None:
    parts = list(rounds(range(count), str))
    assert [len(part) for part in parts[:-1]] == [AT_ONCE] * (len(parts) - 1)
    assert sum(map(len, parts)) == count
