"""What holds a rule back for a time: nothing of it is counted or begun, and what is open waits until it ends."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from services.decider.core.silencing import silence_about
from shared.contracts.inbox import Silence
from shared.contracts.incidents import Reason
from shared.contracts.workloads import WorkloadRef


@dataclass(frozen=True, slots=True, kw_only=True)
class Hold:
    """One thing that holds a rule back; `by` names it in decisions."""

    reason: Reason
    by: str
    until: datetime
    detail: str


def hold_on(workload: WorkloadRef, *, rule: str, silences: Iterable[Silence], now: datetime) -> Hold | None:
    """Return what holds a rule back on a workload at a moment."""
    silence = silence_about(silences, workload, rule=rule, now=now)
    if silence is None:
        return None
    until = silence.expires_at
    detail = f"by {silence.by} until {until.isoformat(timespec='seconds')}: {silence.cause}"
    return Hold(reason=Reason.SILENCED, by=silence.id, until=until, detail=detail)
