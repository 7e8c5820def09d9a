"""One watch: what happens to the selected objects after a version, as the lines that a client reads."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta

from sandbox.cluster.documents import Document
from sandbox.cluster.errors import StatusError
from sandbox.cluster.resources import Resource
from sandbox.cluster.selectors import Selection
from sandbox.cluster.store import Change, Kind, Store

_QUEUE = 10_000
_START_ENDS = "k8s.io/initial-events-end"
_NOTHING: Document = {}
_BOOKMARK_EVERY = timedelta(seconds=10)


class Watch:
    """Follow a store; open it before the first wait, so that nothing falls between."""

    def __init__(
        self, store: Store, resource: Resource, selection: Selection, *, version: str, marks_the_start: bool = False
    ) -> None:
        self._store = store
        self._resource = resource
        self._selection = selection
        self._changes: asyncio.Queue[Change] = asyncio.Queue(_QUEUE)
        self._overrun = False
        self._first = self._initial() if marks_the_start else self._begin(version)
        store.listen(self._take)

    def close(self) -> None:
        """Stop following."""
        self._store.ignore(self._take)

    async def events(self, *, bookmarks: bool, within: timedelta) -> AsyncIterator[Document]:
        """Yield the events until the time is over; an ERROR event is the last."""
        for event in self._first:
            yield event
        loop = asyncio.get_running_loop()
        end = loop.time() + within.total_seconds()
        while (left := end - loop.time()) > 0 and not self._overrun:
            try:
                async with asyncio.timeout(min(left, _BOOKMARK_EVERY.total_seconds())):
                    event = self._event_of(await self._changes.get())
            except TimeoutError:
                event = self._bookmark() if bookmarks else None
            if event is not None:
                yield event
        if bookmarks and not self._overrun:
            yield self._bookmark()  # so that the next watch need not go back further than this one

    def _initial(self) -> list[Document]:
        """Return what is there, and the bookmark that says that this was all."""
        return [*self._begin(""), self._bookmark({"annotations": {_START_ENDS: "true"}})]

    def _begin(self, version: str) -> list[Document]:
        if version in {"", "0"}:
            return [_event(Kind.ADDED, one) for one in self._store.select(self._resource, self._selection)]
        try:
            changes = self._store.changes_after(int(version), self._resource)
        except StatusError as gone:
            self._overrun = True
            return [{"type": "ERROR", "object": gone.document()}]
        return [event for change in changes if (event := self._event_of(change)) is not None]

    def _take(self, change: Change) -> None:
        if change.resource is not self._resource:
            return
        try:
            self._changes.put_nowait(change)
        except asyncio.QueueFull:
            self._overrun = True  # a client that does not read is cut off, and lists again

    def _event_of(self, change: Change) -> Document | None:
        """Return a change as those see it who see only the selected objects."""
        now = change.kind is not Kind.DELETED and self._selection.holds(change.now)
        before = change.before is not None and self._selection.holds(change.before)
        if now:
            return _event(Kind.MODIFIED if before else Kind.ADDED, change.now)
        return _event(Kind.DELETED, change.now) if before else None

    def _bookmark(self, more: Document = _NOTHING) -> Document:
        metadata: Document = {"resourceVersion": str(self._store.version), "creationTimestamp": None, **more}
        marked: Document = {**self._resource.header(), "metadata": metadata}
        return {"type": "BOOKMARK", "object": marked}


def _event(kind: Kind, document: Document) -> Document:
    return {"type": kind.value, "object": document}
