"""Which signals are news: what says the same as the last of its object and part is not published again."""

from dataclasses import dataclass, field
from hashlib import blake2b

from shared.contracts.signals import AlertSignal, ContainerSignal, EventSignal, SampleSignal, Signal

_UNTOLD = {"id": True, "at": True, "object": {"resource_version"}, "labels": True}
"""What changes without anything having become of the object. A label that a person sets on a pod in a crash loop must
not count as one crash more; the next thing that does become of it tells the labels as they are by then."""
_DIGEST_BYTES = 16
_Part = tuple[str, str]


@dataclass(slots=True)
class News:
    """What was published last of each object and part, by a digest: thousands of pods are held here."""

    _last: dict[str, dict[_Part, bytes]] = field(default_factory=dict[str, dict[_Part, bytes]])

    def is_news(self, signal: Signal) -> bool:
        """Tell whether a signal says something that the last of its object and part did not."""
        if isinstance(signal, EventSignal):
            return True
        return self._last.get(_uid(signal), {}).get(_part(signal)) != _content(signal)

    def told(self, signal: Signal) -> None:
        """Remember a signal that was published."""
        if not isinstance(signal, EventSignal):
            self._last.setdefault(_uid(signal), {})[_part(signal)] = _content(signal)

    def forget(self, uid: str) -> None:
        """Forget an object that is gone."""
        self._last.pop(uid, None)


def _uid(signal: Signal) -> str:
    return "" if isinstance(signal, SampleSignal | AlertSignal) else signal.object.uid


def _part(signal: Signal) -> _Part:
    return signal.kind, signal.container if isinstance(signal, ContainerSignal) else ""


def _content(signal: Signal) -> bytes:
    return blake2b(signal.model_dump_json(exclude=_UNTOLD).encode(), digest_size=_DIGEST_BYTES).digest()
