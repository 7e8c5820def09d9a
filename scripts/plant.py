"""Plants known bugs one at a time into a copy of the source and expects the unit tests to catch each: `make plant`."""

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from resource import RLIMIT_CPU, setrlimit
from signal import SIGXCPU

import yaml

ROOT = Path(__file__).resolve().parent.parent
BUGS = ROOT / "scripts" / "planted.yaml"
DECIDER = Path("services") / "decider"
UNIT = Path("tests") / "unit"
SUITE = UNIT / "services" / "decider" / "core"
_COPIED = ("services", "shared", "sandbox", "scripts", "tests", "deploy", "pyproject.toml", "healing-playbook.yaml")
_ROOTS = ("services", "shared")
_PROCESSOR_S, _LIMIT_S = 180, 1_800
"""How much of a processor a suite may take, several times what it needs; and how long, where it stands still."""
_FAILED = 1
"""pytest's exit code where tests ran and some failed; any other code but 0 means that they did not run."""


@dataclass(frozen=True, slots=True)
class Bug:
    """One text to be put in place of another, and what a user would meet then.

    `file` is one of the decider's, unless it begins with `services/` or `shared/`.
    """

    file: str
    before: str
    after: str
    breaks: str

    @property
    def path(self) -> Path:
        """Return where the file lies, from the root."""
        return Path(self.file) if self.file.startswith(tuple(f"{root}/" for root in _ROOTS)) else DECIDER / self.file

    @property
    def suites(self) -> tuple[Path, ...]:
        """Return the tests that may catch it: those that mirror its file, and the decider's of what is shared."""
        mirrored = UNIT / self.path.parent
        if self.path.is_relative_to(DECIDER):
            return (SUITE,)
        return (mirrored, SUITE) if self.path.parts[0] == "shared" else (mirrored,)

    def planted(self, source: str) -> str:
        """Return a source with the bug.

        Raises:
            ValueError: what is to be replaced does not stand there exactly once.
        """
        found = source.count(self.before)
        if found != 1:
            raise ValueError(f"{self.file}: expected once, found {found} times: {self.before!r}")
        return source.replace(self.before, self.after)


def bugs() -> list[Bug]:
    """Return all bugs, in the order of their file."""
    return [Bug(**words) for words in yaml.safe_load(BUGS.read_text(encoding="utf-8"))]


def main() -> int:
    """Plant each bug, or those whose words are given; return 0 when the tests caught all of them."""
    wanted = [bug for bug in bugs() if not sys.argv[1:] or any(word in bug.breaks for word in sys.argv[1:])]
    with tempfile.TemporaryDirectory(prefix="planted-") as directory:
        tree = Path(directory)
        _copy(tree)
        for suite in dict.fromkeys(suite for bug in wanted for suite in bug.suites):
            if failed := _failure(tree, suite):
                print(f"the tests fail without any bug; nothing can be told\n{failed}")
                return 1
        caught = sum(_told(tree, wanted))
    print(f"{caught} of {len(wanted)} caught")
    return 0 if caught == len(wanted) else 1


def _copy(tree: Path) -> None:
    for name in _COPIED:
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, tree / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(ROOT / name, tree / name)


def _told(tree: Path, wanted: list[Bug]) -> Iterator[bool]:
    for bug in wanted:
        path = tree / bug.path
        sound = path.read_text(encoding="utf-8")
        path.write_text(bug.planted(sound), encoding="utf-8")
        caught = any(_failure(tree, suite, first=f"test_{bug.path.stem}") for suite in bug.suites)
        path.write_text(sound, encoding="utf-8")
        print(f"{'caught' if caught else 'NOT CAUGHT'}: {bug.breaks} ({bug.file})", flush=True)
        yield caught


def _failure(tree: Path, suite: Path, *, first: str = "") -> str:
    """Return what tests say that fail, empty if none does; a suite that comes to no end is no less of an alarm."""
    asked = [
        sys.executable,
        "-B",
        "-m",
        "pytest",
        *_files(tree / suite, first=first),
        "-q",
        "-x",
        "-p",
        "no:cacheprovider",
        "-p",
        "no:xdist",
    ]
    try:
        ran = subprocess.run(  # noqa: PLW1510 - the exit code is the answer
            asked,
            cwd=tree,
            env={**os.environ, "PYTHONPATH": str(tree)},
            capture_output=True,
            text=True,
            timeout=_LIMIT_S,
            preexec_fn=_bound,
        )
    except subprocess.TimeoutExpired:
        return f"not at its end within {_LIMIT_S} s"
    if ran.returncode == -SIGXCPU:
        return f"not at its end within {_PROCESSOR_S} s of a processor"
    if ran.returncode not in {0, _FAILED}:
        raise RuntimeError(f"the tests could not run:\n{ran.stdout[-2000:]}{ran.stderr[-2000:]}")
    return ran.stdout[-2000:] if ran.returncode == _FAILED else ""


def _bound() -> None:
    """Bound a suite by its own work: on a busy machine it is no alarm that others work, too."""
    setrlimit(RLIMIT_CPU, (_PROCESSOR_S, _PROCESSOR_S + 1))


def _files(suite: Path, *, first: str) -> list[str]:
    """Return the test files: first those that are most likely to tell; the properties last, which take longest."""
    found = sorted(
        suite.rglob("test_*.py"), key=lambda one: (one.stem == "test_properties", one.stem != first, one.stem)
    )
    return [str(path) for path in found]


if __name__ == "__main__":
    sys.exit(main())
