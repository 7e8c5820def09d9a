"""Crash points: named places at which a process ends or stands still, where its environment asks for it.

Tests ask for it: `SRE_CRASH_AT=outputs-published:3` ends the process at the third passing of a place, as `kill -9`
would; `SRE_STOP_AT=settled,before-write:2` lets it stand still at one place and, once it was continued, at the next, as
SIGSTOP does, or a machine that is short of memory. Without the settings a point is a look at an empty list.
"""

import os
import signal
from collections import deque
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum

from shared.kernel.errors import ConfigError


class CrashPoint(StrEnum):
    """A place between two effects, of which a crash would leave the first alone."""

    BEFORE_FINDINGS = "before-findings"
    FINDING_PUBLISHED = "finding-published"
    BEFORE_SIGNAL_COMMIT = "before-signal-commit"
    SIGNAL_COMMITTED = "signal-committed"
    BEFORE_OUTPUTS = "before-outputs"
    OUTPUT_PUBLISHED = "output-published"
    OUTPUTS_PUBLISHED = "outputs-published"
    ROW_SET = "row-set"
    ROWS_SET = "rows-set"
    ROW_WRITTEN = "row-written"
    BEFORE_COMMIT = "before-commit"
    COMMITTED = "committed"
    BEFORE_WAKE_UP = "before-wake-up"
    WAKE_UP_PUBLISHED = "wake-up-published"
    BEFORE_BROADCAST = "before-broadcast"
    BROADCAST_TO_ONE = "broadcast-to-one"
    BROADCAST_TO_ALL = "broadcast-to-all"
    LETTER_PUBLISHED = "letter-published"
    RECOVERED = "recovered"
    REALIGNED = "realigned"
    CLAIMED = "claimed"
    ADMITTED = "admitted"
    CAPTURED = "captured"
    BEFORE_WRITE = "before-write"
    WRITE_CHECKED = "write-checked"
    WRITTEN = "written"
    SETTLED = "settled"
    RESULT_PUBLISHED = "result-published"
    RECORDED = "recorded"


REMEDIATOR_POINTS = frozenset(
    {
        CrashPoint.CLAIMED,
        CrashPoint.ADMITTED,
        CrashPoint.CAPTURED,
        CrashPoint.BEFORE_WRITE,
        CrashPoint.WRITE_CHECKED,
        CrashPoint.WRITTEN,
        CrashPoint.SETTLED,
        CrashPoint.RESULT_PUBLISHED,
        CrashPoint.RECORDED,
    }
)
"""Those of the remediator alone; it passes those of the consume loop as well."""
Pass = Callable[[CrashPoint], None]


@dataclass(slots=True)
class _Place:
    point: CrashPoint
    passings: int


@dataclass(slots=True)
class _Fuse:
    """Sends a signal to this process at one place after the other."""

    number: signal.Signals
    places: deque[_Place]

    def burn(self, point: CrashPoint) -> None:
        if not self.places or point is not self.places[0].point:
            return
        self.places[0].passings -= 1
        if self.places[0].passings <= 0:
            self.places.popleft()
            os.kill(os.getpid(), self.number)


_AT_POINTS: list[Pass] = []


def arm(crash_at: str, stop_at: str = "") -> None:
    """End this process at a point's n-th passing, as `point:n` says, or at its first; an empty setting never does.

    `stop_at` names several, separated by commas: it stands still at each of them in their order.

    Raises:
        ConfigError: there is no such point, or n is no number above 0.
    """
    if crash_at:
        _AT_POINTS.append(_Fuse(signal.SIGKILL, deque([_place("SRE_CRASH_AT", crash_at)])).burn)
    if stop_at:
        places = deque(_place("SRE_STOP_AT", one) for one in stop_at.split(","))
        _AT_POINTS.append(_Fuse(signal.SIGSTOP, places).burn)


def is_armed() -> bool:
    """Tell whether this process is to end or to stand still somewhere; no run does that is meant to last."""
    return bool(_AT_POINTS)


@contextmanager
def at_points(happens: Pass) -> Generator[None]:
    """Let something else happen at points, as in a simulation whose processes are parts of one."""
    _AT_POINTS.append(happens)
    try:
        yield
    finally:
        _AT_POINTS.remove(happens)


def pass_by(point: CrashPoint) -> None:
    """Go on, unless something is to happen here."""
    for happens in _AT_POINTS:
        happens(point)


def _place(variable: str, setting: str) -> _Place:
    name, _, passings = setting.strip().partition(":")
    if name not in set(CrashPoint) or not (passings or "1").isdecimal() or passings == "0":
        points = ", ".join(CrashPoint)
        raise ConfigError(f"{variable}: {setting!r}: expected one of {points}, or with :n its n-th passing")
    return _Place(CrashPoint(name), int(passings or 1))
