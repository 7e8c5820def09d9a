"""Stacks that go on without the terminal that started them: started, looked at, stopped by their state file."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from sandbox.stack.errors import StackError
from sandbox.stack.process import tail_of

STATE_FILE = "state.json"
READY_FILE = "ready"
_ROOT = Path(__file__).resolve().parents[2]
_STOP_WITHIN_S, _LOOK_S = 30, 0.1


def start(
    module: str, arguments: Sequence[str], directory: Path, *, within_s: float, tell: Callable[[str], None]
) -> None:
    """Run a module of ours in the background, until it has made its `ready` file; tell the lines it prints meanwhile.

    Raises:
        StackError: it ended, or was not ready in time; with the end of its log.
    """
    directory.mkdir(parents=True, exist_ok=True)
    log = directory / "stack.log"
    (directory / READY_FILE).unlink(missing_ok=True)
    command = [sys.executable, "-m", module, "--dir", str(directory.resolve()), *arguments]
    environment = {**os.environ, "PYTHONPATH": str(_ROOT)}
    with log.open("wb") as out:
        child = subprocess.Popen(
            command, stdout=out, stderr=out, stdin=subprocess.DEVNULL, start_new_session=True, env=environment
        )
    shown, deadline = 0, time.monotonic() + within_s
    while not (directory / READY_FILE).exists():
        lines = log.read_text(errors="replace").splitlines()
        for line in lines[shown:]:
            tell(line)
        shown = len(lines)
        if child.poll() is not None or time.monotonic() > deadline:
            child.kill()
            raise StackError(f"{module} did not start; the end of {log}:\n{tail_of(log)}")
        time.sleep(_LOOK_S)


def stop(directory: Path) -> bool:
    """Stop what runs in a directory; tell whether anything did."""
    pid = running(directory)
    if pid is None:
        return False
    os.kill(pid, signal.SIGTERM)
    deadline = time.monotonic() + _STOP_WITHIN_S
    while _is_alive(pid) and time.monotonic() < deadline:
        time.sleep(_LOOK_S)
    if _is_alive(pid):
        os.kill(pid, signal.SIGKILL)  # what it started dies with it
    return True


def refuse_if_running(directory: Path, *, cure: str) -> None:
    """Refuse to start beside another.

    Raises:
        StackError: one runs in that directory.
    """
    pid = running(directory)
    if pid is not None:
        raise StackError(f"a stack runs already in {directory} (pid {pid}); stop it first: {cure}")


def running(directory: Path) -> int | None:
    """Return the process that runs the stack of a directory; None when there is none."""
    try:
        pid = int(str(state(directory)["supervisor"]))
    except (FileNotFoundError, ValueError, KeyError):
        return None
    return pid if _is_alive(pid) else None


def state(directory: Path) -> Mapping[str, Mapping[str, str]]:
    """Return what the stack of a directory wrote down about itself.

    Raises:
        FileNotFoundError: none runs there.
    """
    return json.loads((directory / STATE_FILE).read_text())


def _is_alive(pid: int) -> bool:
    try:
        told = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False
    return told.rpartition(")")[2].split()[0] != "Z"  # one that only waits to be noticed has ended
