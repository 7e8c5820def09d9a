"""Free local ports that stay free across a restart."""

import random
import socket
from pathlib import Path

_RANGE = Path("/proc/sys/net/ipv4/ip_local_port_range")
_LOWEST = 10_000
_TRIES = 200
_GIVEN: set[int] = set()


def free_ports(count: int) -> list[int]:
    """Return distinct ports of 127.0.0.1 on which nothing listens, and which this process was not given before.

    Who asks will listen only later: nothing else may be given the same port meanwhile. The ports lie below the
    kernel's ephemeral range: else, while a killed server is away, an outgoing connection may be given its port (even
    one that was made to reach it, and then connects to itself).
    """
    chosen: list[int] = []
    candidates = random.SystemRandom().sample(range(_LOWEST, _ephemeral_start()), _TRIES + count)
    for port in candidates:
        if len(chosen) < count and port not in _GIVEN and is_free(port):
            chosen.append(port)
            _GIVEN.add(port)
    if len(chosen) < count:
        raise OSError(f"no {count} free ports between {_LOWEST} and {_ephemeral_start()}")
    return chosen


def free_port() -> int:
    """Return one port of 127.0.0.1 on which nothing listens."""
    return free_ports(1)[0]


def _ephemeral_start() -> int:
    try:
        start = int(_RANGE.read_text().split()[0])
    except (OSError, ValueError):
        return 32_768
    return start if start > _LOWEST + 2 * _TRIES else 65_535


def is_free(port: int) -> bool:
    """Tell whether nothing listens on a port of 127.0.0.1."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True
