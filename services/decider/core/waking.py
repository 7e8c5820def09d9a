"""Wake-ups where time is made up: which workloads ask for one, and when it comes."""

from dataclasses import dataclass, field
from datetime import datetime
from heapq import heappop, heappush
from typing import NamedTuple

from services.decider.core.steps import WAKE_EVERY
from shared.contracts.inbox import WakeUp
from shared.contracts.workloads import WorkloadRef
from shared.kernel.ids import derive


class Due(NamedTuple):
    """A wake-up to come: when it comes, to whom, and the moment that was asked for."""

    moment: datetime
    key: str
    asked: datetime


@dataclass(slots=True)
class Waking:
    """Who asks to be woken. A wake-up comes at its moment, or at the next look after one that changed nothing."""

    _asked: dict[str, datetime] = field(default_factory=dict[str, datetime])
    _woken: dict[str, datetime] = field(default_factory=dict[str, datetime])
    _line: list[Due] = field(default_factory=list[Due])

    def ask(self, key: str, moment: datetime | None) -> None:
        """Wake a workload at a moment instead of what it asked for before; not at all where there is none."""
        if moment is None:
            self._asked.pop(key, None)
            return
        self._asked[key] = moment
        heappush(self._line, Due(self._moment_of(key, moment), key, moment))

    def take_due(self, until: datetime, *, inclusive: bool) -> WakeUp | None:
        """Return the next wake-up that comes before a moment, or also at it; it is not returned again."""
        while self._line and (self._line[0].moment < until or (inclusive and self._line[0].moment == until)):
            due = heappop(self._line)
            if self._asked.get(due.key) == due.asked and due.moment == self._moment_of(due.key, due.asked):
                self._woken[due.key] = due.moment
                return _wake_up(due)
        return None

    def _moment_of(self, key: str, asked: datetime) -> datetime:
        woken = self._woken.get(key)
        return asked if woken is None or asked > woken else woken + WAKE_EVERY


def _wake_up(due: Due) -> WakeUp:
    return WakeUp(
        id=derive("wakeup", due.key, due.asked.isoformat()),
        at=due.moment,
        workload=WorkloadRef.parse(due.key),
        due=due.asked,
    )
