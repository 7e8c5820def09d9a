"""Pauses: those of several people add up; each ends by a word about its owner, or about all."""

from collections.abc import Iterable

from shared.contracts.inbox import Pause, Resume


def with_pause(pauses: Iterable[Pause], pause: Pause) -> tuple[Pause, ...]:
    """Return the pauses with one more, in the order in which they began; a person's latest replaces their own alone."""
    return (*(one for one in pauses if one.by != pause.by), pause)


def without_pauses(pauses: Iterable[Pause], ended: Resume) -> tuple[Pause, ...]:
    """Return the pauses that hold on."""
    return tuple(one for one in pauses if ended.of not in {"", one.by})
