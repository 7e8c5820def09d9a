"""Run a command that dies with the process that started it: `tether.py PARENT_PID COMMAND…`.

The kernel is asked to kill this process when its parent ends, however it ends; the request survives `exec`.
Run by path with `python -I -S`, so it imports nothing of the project.
"""

import ctypes
import os
import signal
import sys

_PR_SET_PDEATHSIG = 1
_ORPHANED = 125


def main(argv: list[str]) -> None:
    """Become the command in `argv[1:]`, bound to the life of the process `argv[0]`."""
    parent, command = int(argv[0]), argv[1:]
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent:  # it died before the request was made, so no signal would come
        sys.exit(_ORPHANED)
    os.execvp(command[0], command)  # noqa: S606 - to run a command is its purpose


if __name__ == "__main__":
    main(sys.argv[1:])
