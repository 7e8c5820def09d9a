"""Takes secrets and personal data out of texts before they leave the cluster; what is taken out is counted."""

import re
from collections.abc import Callable
from dataclasses import dataclass

_NAMES = r"pass(?:word|wd|phrase)?|pwd|secret|token|api[_-]?key|access[_-]?key|private[_-]?key|credentials?"
_KEEP = r"[^\s,;&'\"<>(){}\[\]]"


@dataclass(frozen=True, slots=True)
class Redacted:
    """A text without what must not leave, and how many pieces were taken out."""

    text: str
    count: int


@dataclass(frozen=True, slots=True)
class _Pattern:
    kind: str
    found: re.Pattern[str]
    keep: str = ""
    holds: Callable[[str], bool] = lambda _: True


def _is_card(text: str) -> bool:
    """Tell whether digits are a payment card's number by their check digit (ISO/IEC 7812-1, Luhn)."""
    digits = [int(one) for one in text if one.isdigit()]
    doubled = [sum(divmod(2 * one, 10)) for one in digits[-2::-2]]
    return (sum(digits[-1::-2]) + sum(doubled)) % 10 == 0


_PRIVATE_KEY = r"-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(?:-----END [A-Z ]*PRIVATE KEY-----|\Z)"
_URL = r"(?i)(?P<keep>\b[a-z][a-z0-9+.-]{0,31}://[^\s/:@]*+:)[^\s@/]++(?=@)"
_VALUE = rf"""(?:"[^"\n]*"|'[^'\n]*'|{_KEEP}+)"""
_WORD = rf"(?<![\w.-])(?=[\w.-]*?(?:{_NAMES}))[\w.-]++"
"""A word that holds one of the names, looked at once from its beginning: a long one takes no time by its square."""
_SECRET = rf"(?i)(?P<keep>{_WORD}[\"']?\s*+[=:]\s*+)(?!\[REDACTED){_VALUE}"

_PATTERNS = (
    _Pattern("private-key", re.compile(_PRIVATE_KEY, re.DOTALL)),
    _Pattern("jwt", re.compile(r"\beyJ[\w-]{8,2000}\.[\w-]{8,}\.[\w-]*")),
    _Pattern("authorization", re.compile(r"(?i)(?P<keep>\b(?:bearer|basic)\s+)[A-Za-z0-9+/._~=-]{8,}"), keep="keep"),
    _Pattern("url-password", re.compile(_URL), keep="keep"),
    _Pattern("secret", re.compile(_SECRET), keep="keep"),
    _Pattern("google-api-key", re.compile(r"\bAIza[\w-]{35}")),
    _Pattern("aws-access-key", re.compile(r"\b(?:AKIA|ASIA)[A-Z0-9]{16}\b")),
    _Pattern("github-token", re.compile(r"\bgh[pousr]_[A-Za-z0-9]{36,}")),
    _Pattern("email", re.compile(r"(?<![\w.+-])[\w.+-]++@[\w-]++(?:\.[\w-]++)++")),
    _Pattern("iban", re.compile(r"\b[A-Z]{2}\d{2}(?: ?[A-Z0-9]{4}){3,7}(?: ?[A-Z0-9]{1,3})?\b")),
    _Pattern("card", re.compile(r"(?<![\d.])\d(?:[ -]?\d){12,18}(?![\d.])"), holds=_is_card),
    _Pattern("ssn", re.compile(r"\b\d{3}-\d{2}-\d{4}\b")),
)


def redact(text: str) -> Redacted:
    """Return a text without secrets and personal data; a second pass changes nothing more."""
    count = 0
    for pattern in _PATTERNS:

        def replaced(found: re.Match[str], pattern: _Pattern = pattern) -> str:
            nonlocal count
            if not pattern.holds(found[0]):
                return found[0]
            count += 1
            kept = found[pattern.keep] if pattern.keep else ""
            return f"{kept}[REDACTED:{pattern.kind}]"

        text = pattern.found.sub(replaced, text)
    return Redacted(text, count)
