"""The objects, their versions and the history that watches read: in memory, one counter for all."""

from bisect import bisect_right
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import StrEnum

from sandbox.cluster.documents import Document, name_of, namespace_of
from sandbox.cluster.errors import expired
from sandbox.cluster.resources import RESOURCES, Resource
from sandbox.cluster.selectors import Selection

Key = tuple[str, str]

_ANYTHING = Selection()


class Kind(StrEnum):
    """What happened to an object, as a watch tells it."""

    ADDED = "ADDED"
    MODIFIED = "MODIFIED"
    DELETED = "DELETED"


@dataclass(frozen=True, slots=True)
class Change:
    """One step of the history: the object after it (its last state when deleted) and before it."""

    version: int
    resource: Resource
    kind: Kind
    now: Document
    before: Document | None

    @property
    def key(self) -> Key:
        """Return where the object is kept."""
        return key_of(self.now)


Listener = Callable[[Change], None]


class Store:
    """Keep objects by resource, namespace and name.

    A stored document is never changed in place: readers may hold it, writers hand in a new one.
    """

    def __init__(self, *, window: int = 10_000) -> None:
        self.version = 1
        self.oldest = 1  # the oldest version a watch may start from
        self._window = window
        self._objects: dict[Resource, dict[Key, Document]] = {resource: {} for resource in RESOURCES}
        self._history: list[Change] = []
        self._listeners: list[Listener] = []
        self._untold: deque[Change] = deque()
        self._is_telling = False

    def listen(self, listener: Listener) -> None:
        """Call `listener` after every change, in the order of the versions, within the writer's own step."""
        self._listeners.append(listener)

    def ignore(self, listener: Listener) -> None:
        """Stop calling `listener`."""
        self._listeners.remove(listener)

    def get(self, resource: Resource, key: Key) -> Document | None:
        """Return one object, or None."""
        return self._objects[resource].get(key)

    def select(self, resource: Resource, selection: Selection = _ANYTHING) -> list[Document]:
        """Return the selected objects in the order of their keys."""
        kept = self._objects[resource]
        return [kept[key] for key in sorted(kept) if selection.holds(kept[key])]

    def select_at(self, resource: Resource, selection: Selection, *, version: int) -> list[Document]:
        """Return the selected objects as they were at a version.

        Raises:
            StatusError: that version lies before the history (410).
        """
        kept = dict(self._objects[resource])
        for change in reversed(self.changes_after(version, resource)):
            if change.before is None:
                kept.pop(change.key, None)
            else:
                kept[change.key] = change.before
        return [kept[key] for key in sorted(kept) if selection.holds(kept[key])]

    def put(self, resource: Resource, document: Document) -> Document:
        """Write an object at the next version and return it as kept."""
        key = key_of(document)
        before = self._objects[resource].get(key)
        self._objects[resource][key] = document
        self._record(Kind.MODIFIED if before else Kind.ADDED, resource, now=document, before=before)
        return document

    def remove(self, resource: Resource, key: Key) -> Document:
        """Take an object out and return its last state, which carries the version of its removal."""
        before = self._objects[resource].pop(key)
        metadata = before["metadata"]
        last: Document = dict(before)
        last["metadata"] = dict(metadata) if isinstance(metadata, dict) else {}
        self._record(Kind.DELETED, resource, now=last, before=before)
        return last

    def changes_after(self, version: int, resource: Resource) -> list[Change]:
        """Return what happened to a resource's objects after a version, oldest first.

        Raises:
            StatusError: that version lies before the history (410).
        """
        if version < self.oldest:
            raise expired(version, self.oldest)
        start = bisect_right(self._history, version, key=_version_of)
        return [change for change in self._history[start:] if change.resource is resource]

    def compact(self) -> None:
        """Forget the history, so that every older version is too old for a watch or a continue token."""
        self._history.clear()
        self.oldest = self.version

    def everything(self) -> Iterator[tuple[Resource, Document]]:
        """Yield every object with its resource."""
        for resource, kept in self._objects.items():
            for document in list(kept.values()):
                yield resource, document

    def _record(self, kind: Kind, resource: Resource, *, now: Document, before: Document | None) -> None:
        self.version += 1
        metadata = now["metadata"]
        if isinstance(metadata, dict):
            metadata["resourceVersion"] = str(self.version)
        change = Change(self.version, resource, kind, now, before)
        self._history.append(change)
        self._forget_beyond_window()
        self._untold.append(change)
        self._tell()

    def _tell(self) -> None:
        """Tell every listener every change in order, also what a listener itself writes meanwhile."""
        if self._is_telling:
            return
        self._is_telling = True
        try:
            while self._untold:
                change = self._untold.popleft()
                for listener in tuple(self._listeners):
                    listener(change)
        finally:
            self._is_telling = False

    def _forget_beyond_window(self) -> None:
        if len(self._history) < 2 * self._window:
            return
        self.oldest = self._history[self._window - 1].version
        del self._history[: self._window]


def key_of(document: Document) -> Key:
    """Return where an object is kept: its namespace and name."""
    return namespace_of(document), name_of(document)


def _version_of(change: Change) -> int:
    return change.version
