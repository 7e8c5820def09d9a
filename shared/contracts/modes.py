"""Modes: how far a rule, a step or a whole playbook may go."""

from enum import StrEnum


class Mode(StrEnum):
    """How far a rule may go, from nothing to acting by itself; an inner mode may only be stricter.

    `shadow` decides and sends no command, `dry-run` has the API server tell what would change.
    """

    OFF = "off"
    SHADOW = "shadow"
    DRY_RUN = "dry-run"
    APPROVAL = "approval"
    LIVE = "live"

    @property
    def strictness(self) -> int:
        """Return 0 for `live`, growing with strictness."""
        return (Mode.LIVE, Mode.APPROVAL, Mode.DRY_RUN, Mode.SHADOW, Mode.OFF).index(self)


def strictest(*modes: Mode) -> Mode:
    """Return the strictest of some modes."""
    return max(modes, key=lambda mode: mode.strictness)
