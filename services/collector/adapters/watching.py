"""List and watch of one kind, for ever: resumed by version, listed again when that is too old, object by object."""

from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import timedelta

from services.collector.core.rounds import rounds
from shared.contracts.model import JsonObject
from shared.contracts.objects import section, text
from shared.infra.kube import KubeClient, WatchEvent, WatchExpiredError

WATCH_FOR = timedelta(seconds=20)
"""A watch that has died without a word is noticed this long and a little grace later.

A short one costs a request and no list: where anything has changed, the server ends it with a bookmark to go on from.
"""


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


Tell = Callable[[Sequence[Observation]], Awaitable[None]]


@dataclass(slots=True)
class Watching:
    """One kind's list and watch; what it knows survives a broken connection and an expired version.

    `tell` is given what is observed, no name twice at once; what it raises ends the watch, and the same is told again.
    `on_answer` is called when all is listed, and when a watch is open.
    """

    client: KubeClient
    kind: Kind
    tell: Tell
    on_answer: Callable[[], None]
    _known: dict[str, JsonObject] = field(default_factory=dict[str, JsonObject])
    _version: str = ""

    async def observe(self) -> None:
        """Tell what is observed until the watch ends; call again to go on from there.

        Raises:
            UnavailableError: the server does not answer, or the connection broke.
            KubeError: the server refuses.
            WatchExpiredError: what was known is too old; the next call lists, and tells what was deleted meanwhile.
        """
        if not self._version:
            await self._list()
        try:
            await self._watch()
        except WatchExpiredError:
            self._version = ""
            raise

    async def _list(self) -> None:
        found: set[str] = set()
        version = ""
        async for page in self.client.pages(self.kind.path):
            named = {_name(one): one for one in page.items if _uid(one)}
            await self._tell(one for name, listed in named.items() for one in self._changes(name, listed))
            found |= named.keys()
            version = page.resource_version
        await self._tell(self._gone(one) for name, one in list(self._known.items()) if name not in found)
        self._version = version
        self.on_answer()

    def _changes(self, name: str, listed: JsonObject) -> Iterator[Observation]:
        """Return what a list says that was not told yet: after a watch has expired, most of it was."""
        known = self._known.get(name)
        if known is not None and _uid(known) != _uid(listed):
            yield self._gone(known)
        if known is None or _identity(known) != _identity(listed):
            yield Observation(self.kind, listed, listed=True)

    def _gone(self, known: JsonObject) -> Observation:
        return Observation(self.kind, known, deleted=True)

    async def _watch(self) -> None:
        watch = self.client.watch(self.kind.path, resource_version=self._version, within=WATCH_FOR)
        async with watch as changes:
            self.on_answer()
            async for events in changes:
                await self._tell(self._observed(event) for event in events if event.type != "BOOKMARK")
                self._version = text(section(events[-1].object, "metadata"), "resourceVersion")

    def _observed(self, event: WatchEvent) -> Observation:
        return Observation(self.kind, event.object, deleted=event.type == "DELETED")

    async def _tell(self, observations: Iterable[Observation]) -> None:
        for some in rounds(observations, lambda one: _name(one.object)):
            await self.tell(some)
            for one in some:
                self._remember(one)

    def _remember(self, told: Observation) -> None:
        name = _name(told.object)
        if told.deleted:
            self._known.pop(name, None)
        else:
            self._known[name] = _remembered(told.object)


def _name(source: JsonObject) -> str:
    metadata = section(source, "metadata")
    return f"{text(metadata, 'namespace')}/{text(metadata, 'name')}"


def _uid(source: JsonObject) -> str:
    return text(section(source, "metadata"), "uid")


def _identity(source: JsonObject) -> tuple[str, str]:
    """Return what tells an object, and each change of it, from all others."""
    return _uid(source), text(section(source, "metadata"), "resourceVersion")


def _remembered(source: JsonObject) -> JsonObject:
    """Return what is needed to tell that an object is gone: its identity and owners, not its whole state."""
    metadata = section(source, "metadata")
    kept = ("name", "namespace", "uid", "resourceVersion", "ownerReferences", "generation")
    return {"metadata": {name: metadata[name] for name in kept if name in metadata}}
