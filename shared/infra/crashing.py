"""Crash points: named places at which a process ends itself as `kill -9` would, where its environment asks for it.

Tests ask for it, one place and one passing a process: `SRE_CRASH_AT=outputs-published:3`. Without the setting a point
is a comparison.
"""

import os
import signal
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


@dataclass(slots=True)
class _Fuse:
    point: CrashPoint | None = None
    passings: int = 0

    def burn(self) -> None:
        self.passings -= 1
        if self.passings <= 0:
            os.kill(os.getpid(), signal.SIGKILL)


_FUSE = _Fuse()


def arm(setting: str) -> None:
    """End this process at a point's n-th passing, as `point:n` says, or at its first; an empty setting never does.

    Raises:
        ConfigError: there is no such point, or n is no number above 0.
    """
    if not setting:
        return
    name, _, passings = setting.partition(":")
    if name not in set(CrashPoint) or not (passings or "1").isdecimal() or passings == "0":
        points = ", ".join(CrashPoint)
        raise ConfigError(f"SRE_CRASH_AT: {setting!r}: expected one of {points}, or with :n its n-th passing")
    _FUSE.point, _FUSE.passings = CrashPoint(name), int(passings or 1)


def armed() -> CrashPoint | None:
    """Return the point at which this process is to end; None, as in every run that is meant to last."""
    return _FUSE.point


def pass_by(point: CrashPoint) -> None:
    """Go on, unless this process is to end here."""
    if point is _FUSE.point:
        _FUSE.burn()
