"""A real cluster leaves nothing on the machine: not when it is stopped, and not when its script is killed."""

import os
import signal
import subprocess
import sys
from collections.abc import Generator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import pytest

from sandbox.stack import detached
from tests.contracts.cluster.backend import until

pytestmark = pytest.mark.cluster
SETTINGS = (
    "vm/overcommit_memory",
    "kernel/panic",
    "kernel/panic_on_oops",
    "kernel/keys/root_maxkeys",
    "kernel/keys/root_maxbytes",
    "net/ipv4/ip_forward",
)


@dataclass(frozen=True)
class Traces:
    """What a cluster could leave on the machine; of what others do there meanwhile, nothing."""

    settings: tuple[str, ...]
    devices: frozenset[str]
    cgroups: frozenset[str]
    mounts: frozenset[str]
    processes: frozenset[str]


def traces(directory: Path) -> Traces:
    groups = Path("/sys/fs/cgroup").glob("*/sre-agent-node*"), Path("/sys/fs/cgroup").glob("sre-agent-node*")
    return Traces(
        settings=tuple((Path("/proc/sys") / name).read_text() for name in SETTINGS),
        devices=frozenset(path.name for path in Path("/sys/class/net").glob("sre-agent*")),
        cgroups=frozenset(str(path) for found in groups for path in found),
        mounts=frozenset(line for line in Path("/proc/mounts").read_text().splitlines() if str(directory) in line),
        processes=processes_of(directory),
    )


def processes_of(directory: Path) -> frozenset[str]:
    """Return the command lines of processes that name a directory."""
    found: list[str] = []
    for place in Path("/proc").iterdir():
        try:
            words = (place / "cmdline").read_bytes().decode(errors="replace") if place.name.isdecimal() else ""
        except OSError:
            continue
        if str(directory) in words and place.name != str(os.getpid()):
            found.append(words.replace("\0", " "))
    return frozenset(found)


def cluster(command: str, directory: Path) -> None:
    program = [sys.executable, "-m", "shared.runtime.cli", "cluster", command, "--directory", str(directory)]
    subprocess.run(program, check=True, timeout=120)


@pytest.fixture
def directory(tmp_path: Path) -> Generator[Path]:
    yield tmp_path / "kubernetes"
    cluster("down", tmp_path / "kubernetes")


def test_stopped_it_leaves_nothing(directory: Path) -> None:
    before = traces(directory)
    cluster("up", directory)
    during = traces(directory)
    assert len(during.processes) > 5
    assert during.devices > before.devices
    assert (during.settings, during.mounts) == (before.settings, before.mounts)
    cluster("down", directory)
    assert traces(directory) == before
    assert not directory.exists()


def test_its_script_killed_it_leaves_no_process_and_down_sweeps_the_rest(directory: Path) -> None:
    before = traces(directory)
    cluster("up", directory)
    supervisor = detached.running(directory)
    assert supervisor is not None
    os.kill(supervisor, signal.SIGKILL)
    until(lambda: not processes_of(directory), within=timedelta(seconds=20))
    after = traces(directory)
    assert (after.settings, after.mounts) == (before.settings, before.mounts)
    cluster("down", directory)
    assert traces(directory) == before
