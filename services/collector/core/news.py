"""Which signals are news: what says the same as the last of its object and part is not published again."""

from dataclasses import dataclass, field

from shared.contracts.signals import AlertSignal, ContainerSignal, EventSignal, SampleSignal, Signal

_UNTOLD = {"id": True, "at": True, "object": {"resource_version"}}


@dataclass(slots=True)
class News:
    """What was published last of each object and part."""

    _last: dict[tuple[str, str, str], str] = field(default_factory=dict[tuple[str, str, str], str])

    def is_news(self, signal: Signal) -> bool:
        """Tell whether a signal says something that the last of its object and part did not."""
        return isinstance(signal, EventSignal) or self._last.get(_place(signal)) != _content(signal)

    def told(self, signal: Signal) -> None:
        """Remember a signal that was published."""
        if not isinstance(signal, EventSignal):
            self._last[_place(signal)] = _content(signal)

    def forget(self, uid: str) -> None:
        """Forget an object that is gone."""
        for place in [place for place in self._last if place[1] == uid]:
            del self._last[place]


def _place(signal: Signal) -> tuple[str, str, str]:
    uid = "" if isinstance(signal, SampleSignal | AlertSignal) else signal.object.uid
    return signal.kind, uid, signal.container if isinstance(signal, ContainerSignal) else ""


def _content(signal: Signal) -> str:
    return signal.model_dump_json(exclude=_UNTOLD)
