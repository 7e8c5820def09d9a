"""The seam through which time enters; the real clock lives in `shared.runtime.clock`."""

from datetime import UTC, datetime, timedelta
from typing import Protocol

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Clock(Protocol):
    """Tell the time and wait for it."""

    def now(self) -> datetime:
        """Return the present moment, aware, in UTC."""
        ...

    async def sleep(self, delay: timedelta) -> None:
        """Return after `delay`."""
        ...


def from_millis(timestamp_ms: int) -> datetime:
    """Return the moment of a Kafka timestamp (milliseconds since the epoch)."""
    return EPOCH + timedelta(milliseconds=timestamp_ms)


def to_millis(moment: datetime) -> int:
    """Return the Kafka timestamp of a moment, rounded down to the millisecond."""
    return (moment - EPOCH) // timedelta(milliseconds=1)
