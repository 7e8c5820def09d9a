"""Pages and their tokens."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from sandbox.cluster.paging import ListOptions, lasting_token, page_of, place_of


@given(st.sets(st.text(st.characters(categories=["Ll"]), min_size=1), max_size=12), st.integers(1, 5))
def test_pages_together_are_the_whole_list(names: set[str], limit: int) -> None:
    objects: list[Any] = [{"metadata": {"namespace": "bank", "name": name}} for name in sorted(names)]
    seen: list[Any] = []
    token = ""
    while True:
        after = place_of(token).after if token else None
        page = page_of(objects, ListOptions(limit=limit), after=after, version=7)
        assert len(page.items) <= limit
        seen += page.items
        token = page.token
        if not token:
            break
        assert page.remaining == len(objects) - len(seen)
        assert place_of(token).version == 7
    assert seen == objects


def test_a_lasting_token_tells_no_version() -> None:
    page = page_of([{"metadata": {"name": name}} for name in ("a", "b")], ListOptions(limit=1), after=None, version=7)
    place = place_of(page.token)
    lasting = place_of(lasting_token(place))
    assert (lasting.after, lasting.version) == (place.after, None)
