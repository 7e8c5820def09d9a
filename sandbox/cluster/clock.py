"""Virtual time: every delay of the cluster waits here, so a test advances it and a live run follows the wall."""

import asyncio
import heapq
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

Reading = Callable[[], float]


def standing_still() -> float:
    """Read a clock that only moves when it is advanced."""
    return 0.0


@dataclass(order=True, slots=True)
class _Timer:
    due: float
    order: int
    ring: Callable[[], None] = field(compare=False)


class Clock:
    """Virtual seconds since the start: `reading * scale`, plus whatever was advanced by hand.

    Stamps stay near the wall clock whatever the scale: a delay of 10 s at scale 10 is stamped 1 s later.
    """

    def __init__(self, *, start: datetime, scale: float = 1.0, reading: Reading = standing_still) -> None:
        self.scale = scale
        self._start = start
        self._reading = reading
        self._origin = reading()
        self._advanced = 0.0
        self._timers: list[_Timer] = []
        self._count = 0
        self._stirred: Callable[[], None] = _nobody

    def now(self) -> datetime:
        """Return the present moment for a timestamp."""
        return self._start + timedelta(seconds=self._virtual() / self.scale)

    def since(self, moment: datetime) -> timedelta:
        """Return the virtual time passed since a stamp."""
        return (self.now() - moment) * self.scale

    def later(self, delay: timedelta, ring: Callable[[], None]) -> None:
        """Ring once, after a virtual delay."""
        self._count += 1
        heapq.heappush(self._timers, _Timer(self._virtual() + delay.total_seconds(), self._count, ring))
        self._stirred()

    def advance(self, delta: timedelta) -> None:
        """Move time on at once, ringing every timer at its own moment, in order."""
        target = self._virtual() + delta.total_seconds()
        while self._timers and self._timers[0].due <= target:
            self._advanced += max(0.0, self._timers[0].due - self._virtual())
            heapq.heappop(self._timers).ring()
        self._advanced += max(0.0, target - self._virtual())

    async def follow(self) -> None:
        """Ring the timers as real time passes, until cancelled."""
        stirred = asyncio.Event()
        self._stirred = stirred.set
        while True:
            stirred.clear()
            self.advance(timedelta(0))
            await _first_of(stirred, self._real_delay())

    def _virtual(self) -> float:
        return (self._reading() - self._origin) * self.scale + self._advanced

    def _real_delay(self) -> float | None:
        if not self._timers:
            return None
        return max(0.0, self._timers[0].due - self._virtual()) / self.scale


def manual_clock(start: datetime = datetime(2030, 1, 1, tzinfo=UTC)) -> Clock:
    """Return a clock that stands still until advanced."""
    return Clock(start=start)


def wall_clock(scale: float = 1.0) -> Clock:
    """Return a clock that runs with the wall's, its delays shortened by `scale`."""
    return Clock(start=datetime.now(UTC), scale=scale, reading=time.monotonic)


def _nobody() -> None:
    """Stand in for the follower while nobody follows."""


async def _first_of(stirred: asyncio.Event, delay: float | None) -> None:
    try:
        async with asyncio.timeout(delay):
            await stirred.wait()
    except TimeoutError:
        return
