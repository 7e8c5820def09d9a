"""How long to wait before trying again, as a pure function of the attempt."""

from dataclasses import dataclass
from datetime import timedelta
from hashlib import blake2b

_JITTER_STEPS = 1 << 16


@dataclass(frozen=True, slots=True)
class Backoff:
    """Exponential delays between `base` and `cap`, spread by a jitter that derives from a key, not from chance."""

    base: timedelta = timedelta(milliseconds=200)
    cap: timedelta = timedelta(seconds=10)
    factor: float = 2.0
    jitter: float = 0.2

    def delay(self, attempt: int, *, key: str = "") -> timedelta:
        """Return the wait before attempt `attempt` (the first retry is 1); never longer than `cap`."""
        ceiling = self.cap / self.base
        exponent = min(max(attempt, 1) - 1, 64)
        whole = min(self.factor**exponent, ceiling)
        return self.base * whole * (1 - self.jitter * _spread(key, attempt))


def _spread(key: str, attempt: int) -> float:
    digest = blake2b(f"{key}/{attempt}".encode(), digest_size=2).digest()
    return int.from_bytes(digest, "big") / _JITTER_STEPS
