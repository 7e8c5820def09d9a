"""What the API told about a fault's incident, as the moments that the demo measures. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from statistics import median
from typing import Any

_ORDERED = frozenset({"action-ordered", "approval-granted"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Story:
    """Seconds from an incident's signal to each step; None for what did not happen."""

    fault: str
    phase: str
    detected: float | None = None
    decided: float | None = None
    acted: float | None = None
    healed: float | None = None
    action: str = ""
    explained_by: str = ""

    @property
    def is_healed(self) -> bool:
        """Tell whether the incident ended well."""
        return self.phase == "healed"


def story_of(fault: str, incident: Mapping[str, Any], report: Mapping[str, Any] | None) -> Story:
    """Return the story of an incident, from the API's own JSON."""
    began = datetime.fromisoformat(incident["signal_at"])
    real: list[dict[str, Any]] = [step for step in incident["steps"] if not step["dry_run"]]
    last: dict[str, Any] = real[-1] if real else {}
    return Story(
        fault=fault,
        phase=incident["phase"],
        detected=_seconds(began, incident["opened_at"]),
        decided=_seconds(began, last.get("ordered_at")),
        acted=_seconds(began, last.get("finished_at")),
        healed=_seconds(began, incident["closed_at"]) if incident["phase"] == "healed" else None,
        action=last["action"]["kind"] if last else "",
        explained_by=report["analyzer"] if report else "",
    )


def middle_and_worst(stories: Sequence[Story], name: str) -> tuple[float, float] | None:
    """Return the median and the worst of one measure; None where no story has it."""
    measured = [value for story in stories if (value := getattr(story, name)) is not None]
    return (median(measured), max(measured)) if measured else None


def _seconds(began: datetime, moment: str | None) -> float | None:
    return (datetime.fromisoformat(moment) - began).total_seconds() if moment else None
