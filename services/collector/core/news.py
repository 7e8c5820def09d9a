"""Which signals are news: what says the same as the last of its object and part is not published again."""

from dataclasses import dataclass, field
from datetime import datetime
from hashlib import blake2b
from typing import NamedTuple

from shared.contracts.signals import AlertSignal, ContainerSignal, EventSignal, NodeSignal, SampleSignal, Signal

_UNTOLD = {"id": True, "at": True, "object": {"resource_version"}, "labels": True}
"""What changes without anything having become of the object. A label that a person sets on a pod in a crash loop must
not count as one crash more; the next thing that does become of it tells the labels as they are by then."""
_DIGEST_BYTES = 16
_Part = tuple[str, str]


class _Told(NamedTuple):
    content: bytes
    at: datetime


@dataclass(slots=True)
class News:
    """What was published last of each object and part, by a digest: thousands of pods are held here."""

    _last: dict[str, dict[_Part, _Told]] = field(default_factory=dict[str, dict[_Part, _Told]])

    def is_news(self, signal: Signal) -> bool:
        """Tell whether a signal says something that the last of its object and part did not."""
        if isinstance(signal, EventSignal):
            return True
        before = self._before(signal)
        return before is None or before.content != _content(signal)

    def dated(self, signal: Signal, *, now: datetime) -> Signal:
        """Return a node's signal at a moment after the last of the same node: that of observation where it tells none.

        A node says since when it is ready; a cordon or a pressure that came within that would look as old as it to
        windows. A container's moment stays that of its state: what it tells of its end before is no newer than that.
        """
        before = self._before(signal)
        if before is None or not isinstance(signal, NodeSignal) or signal.at > before.at:
            return signal
        return signal.model_copy(update={"at": max(now, before.at)})

    def told(self, signal: Signal) -> None:
        """Remember a signal that was published."""
        if not isinstance(signal, EventSignal):
            self._last.setdefault(_uid(signal), {})[_part(signal)] = _Told(_content(signal), signal.at)

    def forget(self, uid: str) -> None:
        """Forget an object that is gone."""
        self._last.pop(uid, None)

    def _before(self, signal: Signal) -> _Told | None:
        """Return what was told last of the same object and part; of an event nothing, each count is its own."""
        return self._last.get(_uid(signal), {}).get(_part(signal))


def _uid(signal: Signal) -> str:
    return "" if isinstance(signal, SampleSignal | AlertSignal) else signal.object.uid


def _part(signal: Signal) -> _Part:
    return signal.kind, signal.container if isinstance(signal, ContainerSignal) else ""


def _content(signal: Signal) -> bytes:
    return blake2b(signal.model_dump_json(exclude=_UNTOLD).encode(), digest_size=_DIGEST_BYTES).digest()
