"""Documents as nobody should write them: valid ones in which anything may stand anywhere."""

from copy import deepcopy
from typing import Any

from hypothesis import strategies as st

JSON: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8) | st.just("x" * 2_000),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
_ODD_TEXTS = st.sampled_from(
    ["", "a/b", "1e999999999", "9" * 5_000, "0001-01-01T00:00:00+23:59", "9999-12-31T23:59:59-23:59", "\0", "💥"]
)
_Path = tuple[str | int, ...]


@st.composite
def spoiled(draw: st.DrawFn, document: Any) -> Any:
    """Return a document with up to three of its parts replaced by any JSON, or taken away."""
    found = deepcopy(document)
    for path in draw(st.lists(st.sampled_from(sorted(_paths(document), key=str)), max_size=3)):
        if draw(st.booleans()):
            _replace(found, path, draw(JSON | _ODD_TEXTS))
        else:
            _remove(found, path)
    return found


def _paths(document: Any, at: _Path = ()) -> list[_Path]:
    members: list[tuple[str | int, Any]] = []
    if isinstance(document, dict):
        members = list(document.items())  # pyright: ignore[reportUnknownArgumentType]
    elif isinstance(document, list):
        members = list(enumerate(document))  # pyright: ignore[reportUnknownArgumentType]
    inner = [path for name, member in members for path in _paths(member, (*at, name))]
    return [at, *inner] if at else inner


def _replace(document: Any, path: _Path, value: Any) -> None:
    *parents, last = path
    try:
        for name in parents:
            document = document[name]
        document[last] = value
    except (LookupError, TypeError):
        return  # an earlier change has taken the place away


def _remove(document: Any, path: _Path) -> None:
    *parents, last = path
    try:
        for name in parents:
            document = document[name]
        del document[last]
    except (LookupError, TypeError):
        return
