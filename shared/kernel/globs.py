"""Globs: `*` stands for any characters, also for none, `?` for exactly one, and every other sign for itself."""

import re
from dataclasses import dataclass

_WILD = frozenset("*?")


@dataclass(frozen=True, slots=True)
class Glob:
    """A compiled glob; a match costs at most the length of the text times that of the glob, whatever they hold."""

    text: str
    pattern: re.Pattern[str]

    def matches(self, text: str) -> bool:
        """Tell whether the whole of a text is what the glob stands for; case matters."""
        return self.pattern.fullmatch(text) is not None


def is_glob(text: str) -> bool:
    """Tell whether a text stands for more than itself."""
    return not _WILD.isdisjoint(text)


def compile_glob(text: str) -> Glob:
    """Return the glob of a text; one without `*` and `?` stands for that text alone."""
    first, *others = (_literal(part) for part in re.split(r"\*+", text))
    if not others:
        return Glob(text, re.compile(first, re.DOTALL))
    *inner, last = others
    # The first place that fits is taken for good: trying the others, too, would change no answer, only the time.
    held = "".join(f"(?>.*?{part})" for part in inner)
    return Glob(text, re.compile(f"{first}{held}.*{last}", re.DOTALL))


def _literal(part: str) -> str:
    return "".join("." if sign == "?" else re.escape(sign) for sign in part)
