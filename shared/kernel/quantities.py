"""Kubernetes resource quantities ("128Mi", "250m"), as defined by k8s.io/apimachinery/pkg/api/resource."""

import math
import re
from decimal import Decimal

_QUANTITY = re.compile(r"([+-]?(?:\d+\.?\d*|\.\d+))([eE][+-]?\d+|[numkKMGTPE]|[KMGTPE]i)?")
_BINARY = {f"{letter}i": Decimal(1024) ** power for power, letter in enumerate("KMGTPE", start=1)}
_DECIMAL = {letter: Decimal(1000) ** power for power, letter in enumerate("kMGTPE", start=1)}
_SMALL = {"n": Decimal(10) ** -9, "u": Decimal(10) ** -6, "m": Decimal(10) ** -3, "": Decimal(1)}
_FACTORS = _BINARY | _DECIMAL | _SMALL
_MOST = Decimal(2**63 - 1)
_DIGITS = 18


def parse_whole(text: str) -> int | None:
    """Return a whole number as objects write counts and percentages; None of anything else, or beyond all of these."""
    return int(text) if text.isdecimal() and len(text) <= _DIGITS else None


def parse_quantity(text: str) -> Decimal:
    """Return the exact value of a quantity in its base unit (bytes, cores).

    Raises:
        ValueError: the text is no quantity.
    """
    matched = _QUANTITY.fullmatch(text.strip())
    suffix = matched[2] or "" if matched else ""
    if matched is None or (suffix not in _FACTORS and suffix[0] not in "eE"):
        raise ValueError(f"{text!r} is not a quantity such as 128Mi, 1.5Gi or 250m")
    try:
        return Decimal(matched[1]) * _FACTORS[suffix] if suffix in _FACTORS else Decimal(matched[1] + suffix)
    except ArithmeticError as beyond:
        raise ValueError(f"{text!r} is beyond all quantities") from beyond


def parse_bytes(text: str) -> int:
    """Return a memory quantity as whole bytes, rounded up and capped at 2^63-1 as the API server does.

    Raises:
        ValueError: the text is no quantity.
    """
    return math.ceil(max(-_MOST, min(parse_quantity(text), _MOST)))  # capped first: 1e999999 has a million digits


def format_bytes(size_bytes: int) -> str:
    """Return the shortest exact quantity for a number of bytes ("256Mi", not "268435456")."""
    for suffix, factor in reversed(_BINARY.items()):
        if size_bytes and size_bytes % int(factor) == 0:
            return f"{size_bytes // int(factor)}{suffix}"
    return str(size_bytes)


def parse_millis(text: str) -> int:
    """Return a CPU quantity as whole thousandths of a core, rounded up and capped as bytes are.

    Raises:
        ValueError: the text is no quantity.
    """
    return math.ceil(max(-_MOST, min(parse_quantity(text) * 1000, _MOST)))


def format_millis(millis: int) -> str:
    """Return the shortest exact quantity for thousandths of a core ("2", not "2000m")."""
    return f"{millis}m" if millis % 1000 else str(millis // 1000)
