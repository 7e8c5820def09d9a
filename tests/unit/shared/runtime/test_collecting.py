"""Circles of objects are looked for seldom, and still found."""

import gc
import weakref
from collections.abc import Iterator

import pytest

from shared.runtime.collecting import collect_seldom


class Link:
    """One of a circle."""

    other: "Link"


@pytest.fixture(autouse=True)
def _as_it_was() -> Iterator[None]:
    before = gc.get_threshold()
    yield
    gc.set_threshold(*before)


def test_a_circle_goes_after_ten_thousand_objects_and_not_before() -> None:
    collect_seldom()
    gc.collect()
    link = Link()
    link.other = link
    found = weakref.ref(link)
    del link
    few = _lists(5_000)
    assert found() is not None
    many = _lists(10_000)
    assert found() is None
    assert len(few) < len(many)


def _lists(count: int) -> list[list[int]]:
    return [[number] for number in range(count)]
