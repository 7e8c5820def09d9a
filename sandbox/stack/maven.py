"""Fetch pinned jars through jgo, which honours the user's own Maven repositories (`jgo.conf`)."""

import hashlib
import shutil
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from pathlib import Path
from tempfile import TemporaryDirectory

import requests
from jgo.config import GlobalSettings
from jgo.constants import MAVEN_CENTRAL_URL
from jgo.maven import MavenContext

from sandbox.stack.errors import InstallError
from sandbox.stack.jars import Jar
from sandbox.stack.progress import Report

_AT_ONCE = 6
_TRIES = 4
_TIMEOUT_S = 60
_REPORT_EVERY = 8
_MEGABYTE = 1_000_000


def fetch_jars(jars: Sequence[Jar], target: Path, *, report: Report) -> None:
    """Put every jar into `target`, each at once and whole; blocking.

    Raises:
        InstallError: a jar could not be fetched, or is not the one that was pinned.
    """
    target.mkdir(parents=True, exist_ok=True)
    # beside the target, so that moving a finished file is one rename
    with TemporaryDirectory(prefix="fetch-", dir=target.parent) as staging, ThreadPoolExecutor(_AT_ONCE) as pool:
        context = _context(Path(staging))
        jobs = [pool.submit(_fetch_one, jar, context, target=target) for jar in jars]
        try:
            _follow(jobs, report)
        finally:
            pool.shutdown(cancel_futures=True)


def sha256_of(path: Path) -> str:
    """Return the SHA-256 of a file, in hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _follow(jobs: Sequence[Future[int]], report: Report) -> None:
    size_bytes = 0
    for done, job in enumerate(as_completed(jobs), start=1):
        size_bytes += job.result()
        if done % _REPORT_EVERY == 0 or done == len(jobs):
            report(f"  {done} of {len(jobs)} jars, {size_bytes / _MEGABYTE:.0f} MB")


def _context(staging: Path) -> MavenContext:
    repositories = {"central": MAVEN_CENTRAL_URL} | GlobalSettings.load().repositories
    return MavenContext(repo_cache=staging, remote_repos=repositories, timeout=_TIMEOUT_S)


def _fetch_one(jar: Jar, context: MavenContext, *, target: Path) -> int:
    fetched = _download(jar, context)
    found = sha256_of(fetched)
    if found != jar.sha256:
        raise InstallError(f"{jar.filename} has SHA-256 {found}, pinned is {jar.sha256}; it was not used")
    size_bytes = fetched.stat().st_size
    fetched.replace(target / jar.filename)
    return size_bytes


def _download(jar: Jar, context: MavenContext) -> Path:
    component = context.project(jar.group, jar.artifact).at_version(jar.version)
    for attempt in range(1, _TRIES + 1):
        try:
            return component.artifact().resolve()
        except (requests.RequestException, RuntimeError) as exc:  # jgo raises RuntimeError for "not found"
            # jgo writes in place: half a file would count as the whole one at the next try
            shutil.rmtree(context.repo_cache / component.path_prefix, ignore_errors=True)
            if attempt == _TRIES:
                raise InstallError(
                    f"{jar.filename} could not be fetched: {exc}. Check the network, or name a mirror in the "
                    "[repositories] section of ~/.config/jgo.conf; what is there already is kept"
                ) from exc
    raise AssertionError("unreachable: the last attempt returns or raises")
