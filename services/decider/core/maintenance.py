"""Maintenance windows: which of a playbook's is about a rule on a workload at a moment, and until when."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from services.decider.core.language import MaintenanceWords
from services.decider.core.schedules import latest_start
from services.decider.core.silencing import is_named_by
from shared.contracts.workloads import WorkloadRef


@dataclass(frozen=True, slots=True)
class Maintenance:
    """A window that is open, until when."""

    words: MaintenanceWords
    until: datetime


def maintenance_about(
    windows: Iterable[MaintenanceWords], workload: WorkloadRef, *, rule: str, now: datetime
) -> Maintenance | None:
    """Return the open window about a rule on a workload; of several the one that ends last."""
    opened = (_opened(words, now) for words in windows if _is_about(words, workload, rule=rule))
    return max((one for one in opened if one is not None), key=lambda one: (one.until, one.words.name), default=None)


def _is_about(words: MaintenanceWords, workload: WorkloadRef, *, rule: str) -> bool:
    is_there = not words.namespaces or is_named_by(words.namespaces, workload.namespace)
    return is_there and (not words.rules or is_named_by(words.rules, rule))


def _opened(words: MaintenanceWords, now: datetime) -> Maintenance | None:
    start = latest_start(words.schedule, timezone=words.timezone, now=now, within=words.duration)
    return Maintenance(words, start + words.duration) if start is not None else None
