"""A trouble that is laid for whoever passes a point: it strikes one process, once, at its passing."""

import signal
from pathlib import Path

from shared.infra.crashing import CrashPoint
from tests.cluster.armed import Fuse, Trouble, lay, taken_by

SETTLED, WRITTEN = CrashPoint.SETTLED, CrashPoint.WRITTEN


def trouble(number: int = 1, *, passing: int = 1) -> Trouble:
    return Trouble(number, SETTLED, passing, signal.SIGSTOP)


def test_without_a_trouble_nothing_happens(tmp_path: Path) -> None:
    struck: list[signal.Signals] = []
    Fuse(tmp_path / "trouble", "one", struck.append).burn(SETTLED)
    assert struck == []


def test_it_strikes_at_its_point_and_passing_and_is_gone(tmp_path: Path) -> None:
    struck: list[signal.Signals] = []
    fuse = Fuse(tmp_path / "trouble", "one", struck.append)
    lay(fuse.path, trouble(passing=2))
    for point in (SETTLED, WRITTEN):
        fuse.burn(point)
    assert struck == []
    for _ in range(3):
        fuse.burn(SETTLED)
    assert struck == [signal.SIGSTOP]
    assert taken_by(fuse.path, "one").exists()
    assert not fuse.path.exists()


def test_what_was_passed_before_it_was_laid_is_not_counted(tmp_path: Path) -> None:
    struck: list[signal.Signals] = []
    fuse = Fuse(tmp_path / "trouble", "one", struck.append)
    lay(fuse.path, trouble(1, passing=3))
    fuse.burn(SETTLED)
    lay(fuse.path, trouble(2, passing=2))
    fuse.burn(SETTLED)
    assert struck == []
    fuse.burn(SETTLED)
    assert struck == [signal.SIGSTOP]


def test_of_two_processes_it_strikes_the_first(tmp_path: Path) -> None:
    struck: list[str] = []
    path = tmp_path / "trouble"
    one, other = (Fuse(path, name, lambda _, name=name: struck.append(name)) for name in ("one", "other"))
    lay(path, trouble())
    one.burn(SETTLED)
    other.burn(SETTLED)
    assert struck == ["one"]
