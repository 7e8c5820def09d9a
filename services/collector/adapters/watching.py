"""List and watch of one kind, for ever: resumed by version, listed again when that is too old, object by object."""

from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from datetime import timedelta

from shared.contracts.model import JsonObject
from shared.contracts.objects import section, text
from shared.infra.kube import KubeClient, WatchExpiredError

WATCH_FOR = timedelta(minutes=4)


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of object and the path of its list over all namespaces."""

    name: str
    path: str


@dataclass(frozen=True, slots=True)
class Observation:
    """An object as it is now, or as it last was if it is gone; `listed` when it came with a list."""

    kind: Kind
    object: JsonObject
    deleted: bool = False
    listed: bool = False


@dataclass(slots=True)
class Watching:
    """One kind's list and watch; what it knows survives a broken connection and an expired version."""

    client: KubeClient
    kind: Kind
    on_listed: Callable[[], None]
    _known: dict[str, JsonObject] = field(default_factory=dict[str, JsonObject])
    _version: str = ""

    async def observe(self) -> AsyncIterator[Observation]:
        """Yield observations until the watch ends; call again to go on from there.

        Raises:
            UnavailableError: the server does not answer, or the connection broke.
            KubeError: the server refuses.
        """
        if not self._version:
            async for observation in self._list():
                yield observation
        try:
            async for observation in self._watch():
                yield observation
        except WatchExpiredError:
            self._version = ""  # the next call lists, and tells what was deleted meanwhile

    async def _list(self) -> AsyncIterator[Observation]:
        listing = await self.client.list(self.kind.path)
        found = {uid: one for one in listing.items if (uid := _uid(one))}
        for uid in [uid for uid in self._known if uid not in found]:
            yield Observation(self.kind, self._known[uid], deleted=True)
            del self._known[uid]
        for uid, one in found.items():
            yield Observation(self.kind, one, listed=True)
            self._known[uid] = _remembered(one)
        self._version = listing.resource_version
        self.on_listed()

    async def _watch(self) -> AsyncIterator[Observation]:
        async for event in self.client.watch(self.kind.path, resource_version=self._version, within=WATCH_FOR):
            if event.type != "BOOKMARK":
                deleted = event.type == "DELETED"
                yield Observation(self.kind, event.object, deleted=deleted)
                self._remember(event.object, deleted=deleted)
            self._version = text(section(event.object, "metadata"), "resourceVersion")

    def _remember(self, source: JsonObject, *, deleted: bool) -> None:
        if deleted:
            self._known.pop(_uid(source), None)
        else:
            self._known[_uid(source)] = _remembered(source)


def _uid(source: JsonObject) -> str:
    return text(section(source, "metadata"), "uid")


def _remembered(source: JsonObject) -> JsonObject:
    """Return what is needed to tell that an object is gone: its identity and owners, not its whole state."""
    metadata = section(source, "metadata")
    kept = ("name", "namespace", "uid", "resourceVersion", "ownerReferences", "generation")
    return {"metadata": {name: metadata[name] for name in kept if name in metadata}}
