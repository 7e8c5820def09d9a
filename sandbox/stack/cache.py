"""Where downloaded parts of the stack are kept between runs."""

import fcntl
import os
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path


def cache_dir() -> Path:
    """Return `$SRE_AGENT_CACHE`, or `sre-agent` in the user's XDG cache directory; created if missing."""
    chosen = os.environ.get("SRE_AGENT_CACHE")
    base = os.environ.get("XDG_CACHE_HOME")
    root = Path(chosen) if chosen else (Path(base) if base else Path.home() / ".cache") / "sre-agent"
    root.mkdir(parents=True, exist_ok=True)
    return root.resolve()


@contextmanager
def exclusive(path: Path) -> Generator[None]:
    """Hold the lock file `path`; the kernel drops the lock when its holder dies."""
    with path.open("w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
