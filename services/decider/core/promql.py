"""Queries in PromQL, parsed when a playbook is loaded: what is no query, or does not answer with instant samples."""

import re

import promql_parser as promql

from services.decider.core.faults import TextError
from shared.contracts.labels import workload_of

MAX_CHARS = 2_000
MAX_DEPTH = 32
MAX_OPERATORS = 100
_GUESSES = 40
"""How many parts of a broken query are tried to find out where it breaks."""
_OPENING, _CLOSING = "([{", ")]}"
_QUOTED = re.compile(r"""\"(?:\\.|[^\"\\])*\"?|'(?:\\.|[^'\\])*'?|`[^`]*`?|#[^\n]*""")
_TOKEN = re.compile(rf"{_QUOTED.pattern}|[\w:.]+|\S")
_OPERATOR = re.compile(r"[-+*/%^]|\b(?:and|or|unless|atan2)\b|[<>=!]=?")
_NAMED = re.compile(r"'([^']+)'|syntax: (\S+)$|regex for (\S+)$")
_WRAP = "wrap it in a function that makes one value of it, as in rate(…[5m])"
_KEEPING = frozenset({"topk", "bottomk", "limitk", "limit_ratio"})
"""Aggregations that answer with some of their series as they are."""


class QueryError(TextError):
    """Signal that a query cannot be asked."""


def check_query(text: str) -> None:
    """See that a query can be asked, and answers with instant samples.

    Raises:
        QueryError: it does not.
    """
    kind = _value_type(_parsed(text))
    if kind == promql.ValueType.Matrix:
        raise QueryError("expected instant samples, found a range of them", hint=_WRAP)
    if kind != promql.ValueType.Vector:
        raise QueryError("expected samples with labels, found a single value: it is about no workload")


def names_no_workload(text: str) -> bool:
    """Tell whether the labels of a query's answer are known, and none of them can name a workload."""
    labels = _labels(_parsed(text))
    return labels is not None and workload_of(dict.fromkeys(labels, "some")) is None


def _parsed(text: str) -> promql.Expr:
    _bound(text)
    try:
        return promql.parse(text)
    except ValueError as wrong:
        offset = _offset_of(text, str(wrong))
        line, column = text.count("\n", 0, offset) + 1, offset - text.rfind("\n", 0, offset)
        raise QueryError(f"expected a query in PromQL: {wrong}", line=line, column=column) from wrong


def _bound(text: str) -> None:
    """Refuse what the parser should not be asked: its time grows with the square of a chain's length."""
    if len(text) > MAX_CHARS:
        raise QueryError(f"expected a query of at most {MAX_CHARS} characters, found {len(text)}")
    bare = _QUOTED.sub("", text)
    if len(_OPERATOR.findall(bare)) > MAX_OPERATORS:
        raise QueryError(f"expected at most {MAX_OPERATORS} operators")
    depth = 0
    for sign in bare:
        depth += (sign in _OPENING) - (sign in _CLOSING)
        if depth > MAX_DEPTH:
            raise QueryError(f"expected at most {MAX_DEPTH} levels of nesting")


def _offset_of(text: str, problem: str) -> int:
    """Return where a query breaks, as far as it can be told: at what is named, or behind what is still a query."""
    named = _NAMED.search(problem)
    word = next(filter(None, named.groups()), "") if named else ""
    found = re.search(rf"(?<![\w:]){re.escape(word)}(?![\w:])", text) if word else None
    if found:
        return found.start()
    quoted = [token.start() for token in _QUOTED.finditer(text)]
    if problem.startswith("unterminated") and quoted:
        return quoted[-1]
    tokens = [token.start() for token in _TOKEN.finditer(text)]
    if problem.startswith("un"):  # unclosed, unexpected end: what was opened and not closed
        opened = _opened(text)
        return opened[-1] if opened else 0
    return next((start for start in reversed(tokens[-_GUESSES:]) if _is_query(text[:start])), 0)


def _is_query(text: str) -> bool:
    """Tell whether a text is a query once what it has opened is closed."""
    closed = "".join(_CLOSING[_OPENING.index(text[start])] for start in reversed(_opened(text)))
    try:
        promql.parse(text + closed)
    except ValueError:
        return False
    return True


def _opened(text: str) -> list[int]:
    """Return where brackets were opened that are not closed."""
    opened: list[int] = []
    for token in _TOKEN.finditer(text):
        if token[0] in _OPENING:
            opened.append(token.start())
        elif token[0] in _CLOSING and opened:
            opened.pop()
    return opened


def _value_type(expr: promql.Expr) -> promql.ValueType:
    match expr:
        case promql.MatrixSelector() | promql.SubqueryExpr():
            return promql.ValueType.Matrix
        case promql.NumberLiteral():
            return promql.ValueType.Scalar
        case promql.StringLiteral():
            return promql.ValueType.String
        case promql.Call():
            return expr.func.return_type
        case promql.ParenExpr() | promql.UnaryExpr():
            return _value_type(expr.expr)
        case promql.BinaryExpr() if _value_type(expr.lhs) == _value_type(expr.rhs) == promql.ValueType.Scalar:
            return promql.ValueType.Scalar
        case _:
            return promql.ValueType.Vector


def _labels(expr: promql.Expr) -> frozenset[str] | None:
    """Return the labels that samples of an answer can have; None where the series' own are kept."""
    match expr:
        case promql.AggregateExpr() if str(expr.op) not in _KEEPING:
            return _aggregated(expr.modifier)
        case promql.ParenExpr() | promql.UnaryExpr():
            return _labels(expr.expr)
        case promql.BinaryExpr() if _value_type(expr.rhs) == promql.ValueType.Scalar:
            return _labels(expr.lhs)
        case promql.BinaryExpr() if _value_type(expr.lhs) == promql.ValueType.Scalar:
            return _labels(expr.rhs)
        case promql.Call() if expr.func.name == "vector":
            return frozenset()
        case _:
            return None


def _aggregated(modifier: promql.AggModifier | None) -> frozenset[str] | None:
    if modifier is None:
        return frozenset()
    return frozenset(modifier.labels) if modifier.type == promql.AggModifierType.By else None
