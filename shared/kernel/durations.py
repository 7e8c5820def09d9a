"""Lengths of time as people and playbooks spell them: `1h30m`."""

import re
from datetime import timedelta

LONGEST = timedelta(days=365)
"""Beyond this nobody waits, and moments would leave the calendar."""
_DURATION = re.compile(r"(?:(\d+)d)?(?:(\d+)h)?(?:(\d+)m)?(?:(\d+)s)?")
_DIGITS = 9
_UNITS = ((86_400, "d"), (3_600, "h"), (60, "m"), (1, "s"))


def parse_duration(text: str) -> timedelta:
    """Return the length of time of a text.

    Raises:
        ValueError: the text is none, or longer than anybody waits.
    """
    matched = _DURATION.fullmatch(text) if text else None
    if matched is None:
        raise ValueError("expected a duration such as 30s, 5m or 1h30m")
    if any(len(part or "") > _DIGITS for part in matched.groups()):
        raise ValueError(f"expected a duration of at most {LONGEST.days}d")
    days, hours, minutes, seconds = (int(part or 0) for part in matched.groups())
    length = timedelta(days=days, hours=hours, minutes=minutes, seconds=seconds)
    if length > LONGEST:
        raise ValueError(f"expected a duration of at most {LONGEST.days}d")
    return length


def format_duration(length: timedelta) -> str:
    """Return a length of time as a playbook spells it, in whole seconds."""
    left, text = int(length.total_seconds()), ""
    for seconds, unit in _UNITS:
        count, left = divmod(left, seconds)
        text += f"{count}{unit}" if count else ""
    return text or "0s"
