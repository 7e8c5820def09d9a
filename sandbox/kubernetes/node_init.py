"""The first process of a real node's namespaces: containerd and kubelet under it, whose end is the end of them all.

Run by path with `python -I -S` and a JSON file that says what to run, so it imports nothing of the project:
{"masked": {PATH: TEXT}, "files": DIR, "bound": {PATH: DIR}, "containerd": [ARGV], "import": [ARGV], "kubelet": [ARGV]}
"""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

_CONTAINERD_WITHIN_S, _LOOK_S = 30, 0.1


def main(configuration: Path) -> int:
    """Run the node until one of its two programs ends; return that one's exit code."""
    told = json.loads(configuration.read_text())
    _mount("-t", "tmpfs", "tmpfs", "/run")  # sockets and network namespaces: gone with us
    for place, directory in told["bound"].items():
        Path(place).mkdir()
        _mount("--bind", directory, place)
    _mask(told["masked"], Path(told["files"]))
    containerd = subprocess.Popen(told["containerd"])
    _import_images(told["import"])
    kubelet = subprocess.Popen(told["kubelet"])
    return _until_one_ends({containerd.pid: "containerd", kubelet.pid: "kubelet"})


def _mask(masked: dict[str, str], files: Path) -> None:
    """Show the kernel settings that a kubelet wants, so that it does not change those of the machine."""
    for number, (path, text) in enumerate(masked.items()):
        shown = files / str(number)
        shown.write_text(text + "\n")
        if Path(path).exists():
            _mount("--bind", str(shown), path)


def _mount(*arguments: str) -> None:
    subprocess.run(["mount", *arguments], check=True)


def _import_images(command: list[str]) -> None:
    """Import the images as soon as containerd answers."""
    deadline = time.monotonic() + _CONTAINERD_WITHIN_S
    while (done := subprocess.run(command, check=False)).returncode and time.monotonic() < deadline:
        time.sleep(_LOOK_S)
    done.check_returncode()


def _until_one_ends(watched: dict[int, str]) -> int:
    """Take up every orphan, as the first process must, until one of the two ends."""
    while True:
        pid, status = os.wait()
        if pid in watched:
            code = os.waitstatus_to_exitcode(status)
            print(f"{watched[pid]} ended with {code}", flush=True)
            return abs(code)


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
