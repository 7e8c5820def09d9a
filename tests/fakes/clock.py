"""A clock that tests set; its waits return at once and move it on."""

from datetime import UTC, datetime, timedelta


class FakeClock:
    """Time that passes only by waiting for it."""

    def __init__(self, moment: datetime = datetime(2026, 1, 1, tzinfo=UTC)) -> None:
        self.moment = moment

    def now(self) -> datetime:
        """Return the moment set."""
        return self.moment

    async def sleep(self, delay: timedelta) -> None:
        """Move on by `delay`."""
        self.moment += delay
