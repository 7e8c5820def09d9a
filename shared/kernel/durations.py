"""Lengths of time as people and playbooks spell them: `1h30m`."""

from datetime import timedelta

_UNITS = ((86_400, "d"), (3_600, "h"), (60, "m"), (1, "s"))


def format_duration(length: timedelta) -> str:
    """Return a length of time as a playbook spells it, in whole seconds."""
    left, text = int(length.total_seconds()), ""
    for seconds, unit in _UNITS:
        count, left = divmod(left, seconds)
        text += f"{count}{unit}" if count else ""
    return text or "0s"
