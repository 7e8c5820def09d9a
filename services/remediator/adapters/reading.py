"""Commands as a leader reads them: what it has handled is committed while its hold on the lease is certain."""

from collections.abc import Sequence
from datetime import timedelta

from services.remediator.tenure import Tenure
from shared.contracts.codec import Record
from shared.infra.broker import MAX_RECORDS, WAIT, Consumer


class TenuredConsumer:
    """Read under one tenure. A commit after it would set the group back behind what the next leader has committed."""

    def __init__(self, consumer: Consumer, tenure: Tenure) -> None:
        self._consumer = consumer
        self._tenure = tenure

    async def batch(self, *, max_records: int = MAX_RECORDS, within: timedelta = WAIT) -> list[Record]:
        """Return the next records."""
        return await self._consumer.batch(max_records=max_records, within=within)

    async def commit(self, records: Sequence[Record]) -> None:
        """Go on after these records from now on.

        Raises:
            UnavailableError: the broker does not answer, or the tenure is over, or may be.
        """
        self._tenure.check()
        await self._consumer.commit(records)

    async def rewind(self, records: Sequence[Record]) -> None:
        """Let the next batch begin at these records again."""
        await self._consumer.rewind(records)
