"""Of a bounded number of records that wait the most urgent first; what may be committed stays contiguous."""

from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from shared.contracts.codec import Record

Urgency = Callable[[Record], int]
"""How urgent a record is; the higher the sooner."""
MOST = 500
"""How many records are looked at ahead. The least urgent of them waits for no more than these: no other is fetched."""
_Place = tuple[str, int]


@dataclass(slots=True)
class _Held:
    record: Record
    urgency: int
    is_done: bool = False


class Lookahead:
    """Records that were fetched and are not committed, in the order of each partition.

    Records of one key are taken in their own order, each as urgent as the most urgent of them that wait.
    """

    def __init__(self, urgency: Urgency, *, most: int = MOST) -> None:
        self._urgency = urgency
        self._most = most
        self._held: dict[_Place, deque[_Held]] = {}
        self._waiting: list[_Held] = []
        self._committable: dict[_Place, Record] = {}

    @property
    def room(self) -> int:
        """Return how many more may be fetched; what is done and stands behind one that waits takes room as well."""
        return self._most - sum(map(len, self._held.values()))

    @property
    def is_idle(self) -> bool:
        """Tell whether nothing waits."""
        return not self._waiting

    @property
    def committable(self) -> list[Record]:
        """Return the last record of each partition up to which all are done, where it was not noted as committed."""
        return list(self._committable.values())

    def add(self, records: Iterable[Record]) -> None:
        """Take in what was fetched next."""
        for record in records:
            held = _Held(record, self._urgency(record))
            self._held.setdefault(_place(record), deque()).append(held)
            self._waiting.append(held)

    def first(self) -> Record | None:
        """Return the record to be handled next; None where nothing waits."""
        urgencies: dict[bytes | None, int] = {}
        for one in self._waiting:
            urgencies[one.record.key] = max(one.urgency, urgencies.get(one.record.key, one.urgency))
        found = max(self._waiting, key=lambda one: urgencies[one.record.key], default=None)
        return found.record if found is not None else None

    def done(self, record: Record) -> None:
        """Note that a record was handled."""
        place = _place(record)
        for one in self._held[place]:
            one.is_done = one.is_done or one.record.offset == record.offset
        self._waiting = [one for one in self._waiting if not one.is_done]
        self._release(place)

    def committed(self) -> None:
        """Note that all that was committable is committed."""
        self._committable.clear()

    def _release(self, place: _Place) -> None:
        held = self._held[place]
        while held and held[0].is_done:
            self._committable[place] = held.popleft().record


def _place(record: Record) -> _Place:
    return record.topic, record.partition
