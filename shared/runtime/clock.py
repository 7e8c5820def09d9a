"""The real clock."""

import asyncio
from datetime import UTC, datetime, timedelta


class SystemClock:
    """Tell the machine's time."""

    def now(self) -> datetime:
        """Return the present moment, aware, in UTC."""
        return datetime.now(UTC)

    async def sleep(self, delay: timedelta) -> None:
        """Return after `delay`."""
        await asyncio.sleep(delay.total_seconds())
