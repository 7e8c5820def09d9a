"""How much is told at once: as much as came, but of each object one state, so that its states stay in their order."""

from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

AT_ONCE = 500
T = TypeVar("T")


def rounds(items: Iterable[T], name_of: Callable[[T], str]) -> Iterator[list[T]]:
    """Split items, in their order, so that no name comes twice in a part, and no part is longer than `AT_ONCE`."""
    some: dict[str, T] = {}
    for item in items:
        name = name_of(item)
        if name in some or len(some) == AT_ONCE:
            yield list(some.values())
            some = {}
        some[name] = item
    if some:
        yield list(some.values())
