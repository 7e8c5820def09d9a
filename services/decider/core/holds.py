"""What holds a rule back for a time: nothing of it is counted or begun, and what is open waits until it ends."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime

from services.decider.core.language import MaintenanceWords
from services.decider.core.maintenance import maintenance_about
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


def hold_on(
    workload: WorkloadRef,
    *,
    rule: str,
    silences: Iterable[Silence],
    maintenance: Iterable[MaintenanceWords],
    now: datetime,
) -> Hold | None:
    """Return what holds a rule back on a workload at a moment; of several the one that lasts longest."""
    held = (
        *_silenced(silences, workload, rule=rule, now=now),
        *_in_maintenance(maintenance, workload, rule=rule, now=now),
    )
    return max(held, key=lambda one: one.until, default=None)


def _silenced(silences: Iterable[Silence], workload: WorkloadRef, *, rule: str, now: datetime) -> Iterator[Hold]:
    silence = silence_about(silences, workload, rule=rule, now=now)
    if silence is not None:
        until = silence.expires_at
        detail = f"by {silence.by} until {_told(until)}: {silence.cause}"
        yield Hold(reason=Reason.SILENCED, by=silence.id, until=until, detail=detail)


def _in_maintenance(
    windows: Iterable[MaintenanceWords], workload: WorkloadRef, *, rule: str, now: datetime
) -> Iterator[Hold]:
    found = maintenance_about(windows, workload, rule=rule, now=now)
    if found is not None:
        detail = f"{found.words.name} until {_told(found.until)}"
        yield Hold(reason=Reason.MAINTENANCE, by=found.words.name, until=found.until, detail=detail)


def _told(moment: datetime) -> str:
    return moment.isoformat(timespec="seconds")
