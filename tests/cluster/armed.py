"""A remediator to which something happens at a point that is named while it runs: `python -m tests.cluster.armed FILE`.

`SRE_STOP_AT` is read once, at the start of a process. Here a file names a point, its passing and a signal, and whoever
is the first to pass it takes the file away and has the signal: so two processes may live through a hundred rounds.
"""

import os
import signal
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from services.remediator import main as remediator
from shared.infra.crashing import CrashPoint, at_points


@dataclass(frozen=True, slots=True)
class Trouble:
    """A signal for the process that passes a point for the n-th time; `number` tells rounds apart."""

    number: int
    point: CrashPoint
    passing: int
    signal: signal.Signals

    @property
    def told(self) -> str:
        """Return it as the file says it."""
        return f"{self.number} {self.point} {self.passing} {self.signal.name}"

    @classmethod
    def of(cls, told: str) -> "Trouble":
        """Return what a file says."""
        number, point, passing, name = told.split()
        return cls(int(number), CrashPoint(point), int(passing), signal.Signals[name])


def lay(path: Path, trouble: Trouble) -> None:
    """Let a trouble wait for who passes its point; whole at once, since others read it."""
    written = path.with_suffix(".written")
    written.write_text(trouble.told)
    written.replace(path)


def taken_by(path: Path, instance: str) -> Path:
    """Return the file that is there once a process has taken the trouble."""
    return path.with_name(f"{path.name}.{instance}")


@dataclass(slots=True)
class Fuse:
    """Counts what this process passes, and sends itself the signal where the file says so."""

    path: Path
    instance: str
    strike: Callable[[signal.Signals], None]
    _trouble: Trouble | None = None
    _passings: int = 0

    def burn(self, point: CrashPoint) -> None:
        """Look whether it is here."""
        trouble = self._read()
        if trouble is None or trouble.point is not point:
            return
        self._passings = self._passings + 1 if trouble == self._trouble else 1
        self._trouble = trouble
        if self._passings == trouble.passing and self._take():
            self.strike(trouble.signal)

    def _read(self) -> Trouble | None:
        try:
            return Trouble.of(self.path.read_text())
        except FileNotFoundError:
            return None

    def _take(self) -> bool:
        try:
            self.path.rename(taken_by(self.path, self.instance))
        except FileNotFoundError:  # the other was quicker
            return False
        return True


def main() -> int:
    """Run the remediator until it is told to stop, or worse; return its exit code."""
    fuse = Fuse(Path(sys.argv[1]), os.environ["SRE_INSTANCE"], lambda number: os.kill(os.getpid(), number))
    with at_points(fuse.burn):
        return remediator.main()


if __name__ == "__main__":
    sys.exit(main())
