"""A condition taken apart where `&&` or `||` joins it, so that each part can be asked by itself."""

import re
from collections.abc import Iterator, Sequence

from services.decider.core.conditions import Condition, ConditionError, compile_condition

_AND, _OR, _CHOICE = "&&", "||", "?"
_TOKEN = re.compile(
    r"""(?P<text>[rRbB]{0,2}(?:\"{3}(?:\\.|(?!\"{3}).)*\"{3}|'{3}(?:\\.|(?!'{3}).)*'{3}|"(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])*'))"""
    r"""|(?P<comment>//[^\n]*)|(?P<open>[(\[{])|(?P<close>[)\]}])|(?P<join>&&|\|\||\?)|(?P<other>.)""",
    re.DOTALL,
)


def parts_of(condition: Condition, *, kind: str) -> list[Condition]:
    """Return the parts of a condition, in its order; none where it is one by itself.

    What `||` joins is taken apart there, since it binds less than `&&`; a choice (`a ? b : c`) is left whole.
    """
    texts = _split(condition.text)
    try:
        return [compile_condition(text.strip(), kind=kind) for text in texts]
    except ConditionError:  # a part that is no question by itself, as where a comment hides a sign
        return []


def _split(text: str) -> Sequence[str]:
    joins = [(sign, begin, end) for sign, begin, end in _joins(text)]
    signs = {sign for sign, _, _ in joins}
    if not signs or _CHOICE in signs:
        return ()
    wanted = _OR if _OR in signs else _AND
    edges = [(begin, end) for sign, begin, end in joins if sign == wanted]
    begins, ends = [0, *(end for _, end in edges)], [*(begin for begin, _ in edges), len(text)]
    return [text[begin:end] for begin, end in zip(begins, ends, strict=True)]


def _joins(text: str) -> Iterator[tuple[str, int, int]]:
    """Yield the signs that join what is not within brackets or texts."""
    depth = 0
    for token in _TOKEN.finditer(text):
        match token.lastgroup:
            case "open":
                depth += 1
            case "close":
                depth -= 1
            case "join" if depth == 0:
                yield token[0], token.start(), token.end()
            case _:
                pass
