"""What is kept of a command beside its result: its entry in the audit trail, and its Event on the workload."""

from services.remediator.adapters.auditing import AuditTrail
from services.remediator.adapters.eventing import Events
from shared.contracts.commands import Command
from shared.contracts.inbox import Result


class Records:
    """Keep what became of commands, after each result was told and settled; keeping it twice keeps it once."""

    def __init__(self, trail: AuditTrail, events: Events) -> None:
        self._trail = trail
        self._events = events

    async def recall(self, command: Command) -> Result | None:
        """Return the result that was kept of a command; None if none was.

        Raises:
            UnavailableError: the broker does not answer.
        """
        return await self._trail.recall(command)

    async def keep(self, command: Command, result: Result, *, traceparent: str | None) -> None:
        """Keep a result that will not change any more.

        Raises:
            UnavailableError: the broker does not answer; the next delivery of the command keeps it.
        """
        await self._trail.note(command, result, traceparent=traceparent)
        await self._events.tell(command, result)
