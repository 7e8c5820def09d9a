"""Programs from Debian's packages, unpacked beside the other parts: nothing is installed, none of them starts."""

import platform
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from sandbox.stack.cache import cache_dir, exclusive
from sandbox.stack.errors import InstallError
from sandbox.stack.progress import Report

NODE_PACKAGES = ("busybox-static", "containerd", "containernetworking-plugins", "runc")
MONITORING_PACKAGES = ("prometheus", "prometheus-alertmanager")
_COMPLETE = ".complete"


def install_packages(names: Sequence[str], report: Report) -> Path:
    """Return a root directory with the files of packages (`usr/bin/…`); fetch them if it is not there. Blocking.

    Raises:
        InstallError: this is no Debian, or a package could not be had.
    """
    target = cache_dir() / f"debian-{platform.machine()}-{'-'.join(names)}"
    with exclusive(target.with_name(f"{target.name}.lock")):
        if not (target / _COMPLETE).exists():
            report(f"Fetching from Debian's packages, once, into {target}: {', '.join(names)}")
            _check_tools(names)
            _fetch(names, target)
    return target


def _check_tools(names: Sequence[str]) -> None:
    absent = [tool for tool in ("apt-get", "dpkg-deb") if shutil.which(tool) is None]
    if absent:
        raise InstallError(f"{', '.join(names)} come from Debian's packages; {' and '.join(absent)} not found")


def _fetch(names: Sequence[str], target: Path) -> None:
    shutil.rmtree(target, ignore_errors=True)
    # beside the target, so that moving what is whole is one rename
    with TemporaryDirectory(prefix="debian-", dir=target.parent) as staging:
        _download(names, Path(staging))
        root = Path(staging) / "root"
        for package in sorted(Path(staging).glob("*.deb")):
            _run(["dpkg-deb", "-x", str(package), str(root)], Path(staging), cure=f"remove {target} and try again")
        (root / _COMPLETE).touch()
        root.rename(target)


def _download(names: Sequence[str], staging: Path) -> None:
    command = ["apt-get", "-q", "download", *names]
    try:
        _run(command, staging, cure="")
    except InstallError:  # the lists of packages are old, or not there: a new machine has none
        _run(["apt-get", "-q", "update"], staging, cure="run 'apt-get update' once, as root")
        _run(command, staging, cure="check that the packages are in the sources that apt knows")


def _run(command: list[str], directory: Path, *, cure: str) -> None:
    done = subprocess.run(command, cwd=directory, capture_output=True, text=True, check=False)
    if done.returncode:
        raise InstallError(f"{' '.join(command)}: {done.stderr.strip()}; {cure}")
