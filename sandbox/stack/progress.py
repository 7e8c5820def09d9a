"""How a long step tells what it is doing while it does it."""

import sys
from collections.abc import Callable

Report = Callable[[str], None]


def silent(step: str) -> None:
    """Say nothing."""
    del step


def to_stderr(step: str) -> None:
    """Say it on standard error, a line a step."""
    print(step, file=sys.stderr, flush=True)  # noqa: T201 - the reporter of command lines
