"""Looks for stops before each write: on their topic, and on the objects of the cluster that may say one.

What was asked less than a second ago is not asked again. Where it cannot be told whether a stop is in force, nothing is
written.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from typing import TypeVar

from services.remediator.adapters.cluster import Cluster
from services.remediator.core.stopping import (
    AGENT_NAMESPACE,
    OVER_ALL,
    STOP_CONFIG_MAP,
    Place,
    Word,
    place_of,
    places_over,
    word_at,
)
from shared.contracts.actions.base import StoppedError
from shared.contracts.codec import Record, decode
from shared.contracts.model import JsonObject, JsonValue
from shared.contracts.paths import path_of
from shared.contracts.stops import EVERYTHING, Stop, Way
from shared.contracts.topics import STOPS
from shared.contracts.workloads import WorkloadRef
from shared.infra.broker import Archive, Publisher
from shared.infra.kube import KubeError, Listing, PatchType
from shared.kernel.clock import Clock
from shared.kernel.errors import PoisonError, UnavailableError
from shared.kernel.ids import derive
from shared.runtime.metrics import STOPS_IN_FORCE

FRESH = timedelta(seconds=1)
"""How old an answer may be: half of the two seconds within which a stop is to hold."""
_NOT_FOUND = 404
Failed = KubeError | UnavailableError
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class _Seen:
    """What an object said, and when it was asked."""

    asked_at: float
    word: Word | None


class Stops:
    """Know which stops are in force."""

    def __init__(self, client: Cluster, archive: Archive, publisher: Publisher, *, clock: Clock) -> None:
        self._client = client
        self._topic = _StopsTopic(archive)
        self._publisher = publisher
        self._clock = clock
        self._seen: dict[Place, _Seen] = {}
        self._met: set[Place] = set()

    async def over(self, workload: WorkloadRef) -> Stop | None:
        """Return a stop that is in force over a workload, the widest; None if there is none.

        All are looked for at the same time. One that is found holds, whatever could not be looked at beside it.

        Raises:
            KubeError: the API server does not allow to look.
            UnavailableError: broker or API server does not answer, or a word on the topic cannot be read.
        """
        async with asyncio.TaskGroup() as group:
            looking = {place: group.create_task(_tried(partial(self._word, place))) for place in places_over(workload)}
            told = await _tried(self._topic.told)
            by_api = None if isinstance(told, Exception) else _by_api(told)
            if by_api is not None or isinstance(told, Exception):
                for one in looking.values():
                    one.cancel()  # whatever they say by now changes nothing
        if isinstance(told, Exception):
            raise told
        return by_api or self._widest({place: one.result() for place, one in looking.items()})

    async def tell(self) -> None:
        """Write to the topic which stops the cluster says, and which of those told it says no more.

        Of namespaces and workloads it tells what commands have met there.

        Raises:
            KubeError: the API server does not allow to look.
            UnavailableError: broker or API server does not answer; what is not told yet follows.
        """
        told = await self._topic.told()
        STOPS_IN_FORCE.set(sum(stop.holds for stop in told.values()))
        known = {place for stop in told.values() if stop.holds and (place := place_of(stop)) is not None}
        for place in sorted({*OVER_ALL, *known, *self._met}, key=lambda one: one.key):
            await self._tell(place, told.get(place.key))
            self._met.discard(place)

    def _widest(self, looked: Mapping[Place, Word | Failed | None]) -> Stop | None:
        """Return the first stop that was seen.

        Raises:
            KubeError: there is none, and the API server did not allow to look everywhere.
            UnavailableError: there is none, and it did not answer everywhere.
        """
        for place, word in looked.items():
            if isinstance(word, Word):
                self._met.add(place)
                return self._stop(place, word)
        failed = next((one for one in looked.values() if isinstance(one, Exception)), None)
        if failed is not None:
            raise failed
        return None

    async def _tell(self, place: Place, told: Stop | None) -> None:
        word = await self._word(place)
        if word is None and told is not None and told.holds:
            await self._publish(self._said(place, Word(told.by, told.cause), holds=False))
        elif word is not None and not _says(told, word):
            await self._publish(self._stop(place, word))

    def _stop(self, place: Place, word: Word) -> Stop:
        """Return a stop that was seen; it is in force since it was first told of."""
        told = self._topic.known.get(place.key)
        if told is not None and _says(told, word):
            return told
        return self._said(place, word, holds=True)

    def _said(self, place: Place, word: Word, *, holds: bool) -> Stop:
        now = self._clock.now()
        name = derive("stop", place.key, str(holds), now.isoformat())
        return Stop(id=name, at=now, way=place.way, scope=place.scope, holds=holds, by=word.by, cause=word.cause)

    async def _publish(self, stop: Stop) -> None:
        await self._publisher.publish(stop, topic=STOPS, partition=0)
        self._topic.expire()

    async def _word(self, place: Place) -> Word | None:
        now, path = _now(), _path(place)
        seen = self._seen.get(place)
        if seen is not None and now - seen.asked_at < FRESH.total_seconds():
            return seen.word
        self._seen = {one: seen for one, seen in self._seen.items() if now - seen.asked_at < FRESH.total_seconds()}
        found = await self._found(path) if path else None
        word = word_at(place, found) if found is not None else None
        self._seen[place] = _Seen(now, word)
        return word

    async def _found(self, path: str) -> JsonObject | None:
        try:
            return await self._client.get(path)
        except KubeError as refused:
            if refused.status == _NOT_FOUND:
                return None
            raise


class StoppableCluster:
    """The cluster's port, of which nothing that writes is passed on while a stop is in force over a workload.

    What writes raises `StoppedError` then, and as `Stops.over` where it cannot be told.
    """

    def __init__(self, client: Cluster, stops: Stops, workload: WorkloadRef) -> None:
        self._client = client
        self._stops = stops
        self._workload = workload

    async def get(self, path: str) -> JsonObject:
        """Return one object."""
        return await self._client.get(path)

    async def list(self, path: str, **query: str) -> Listing:
        """Return all objects of a path, or those that a query selects."""
        return await self._client.list(path, **query)

    async def create(self, path: str, body: Mapping[str, JsonValue], *, dry_run: bool = False) -> JsonObject:
        """Create an object, or a subresource such as an eviction."""
        if not dry_run:
            await self.check()
        return await self._client.create(path, body, dry_run=dry_run)

    async def patch(self, path: str, body: JsonValue, *, kind: PatchType, dry_run: bool = False) -> JsonObject:
        """Patch an object and return it."""
        if not dry_run:
            await self.check()
        return await self._client.patch(path, body, kind=kind, dry_run=dry_run)

    async def delete(
        self,
        path: str,
        *,
        uid: str,
        resource_version: str = "",
        grace_seconds: int | None = None,
        dry_run: bool = False,
    ) -> JsonObject:
        """Delete the object of that uid, and of that version where one is named, within a grace other than its own."""
        if not dry_run:
            await self.check()
        return await self._client.delete(
            path, uid=uid, resource_version=resource_version, grace_seconds=grace_seconds, dry_run=dry_run
        )

    async def logs(self, path: str, **query: str) -> str:
        """Return the end of a container's log."""
        return await self._client.logs(path, **query)

    async def check(self) -> None:
        """Look for a stop, for what is sent elsewhere than to the cluster.

        Raises:
            StoppedError: one is in force.
        """
        stop = await self._stops.over(self._workload)
        if stop is not None:
            raise StoppedError(stop.words)


class _StopsTopic:
    """The newest word of each key of the topic, as far as it was read."""

    def __init__(self, archive: Archive) -> None:
        self._archive = archive
        self._reading = asyncio.Lock()
        self._position = 0
        self._asked_at = float("-inf")
        self._unreadable: dict[bytes | None, str] = {}
        self.known: dict[str, Stop] = {}

    async def told(self) -> Mapping[str, Stop]:
        """Return the newest words, read to the topic's end within the last second.

        Raises:
            UnavailableError: the broker does not answer, or the newest word of a key cannot be read.
        """
        async with self._reading:
            if _now() - self._asked_at >= FRESH.total_seconds():
                await self._read_on()
        if self._unreadable:
            raise UnavailableError(
                f"whether a stop is in force cannot be told: {next(iter(self._unreadable.values()))}"
            )
        return self.known

    def expire(self) -> None:
        """Let the topic be read on before the next answer."""
        self._asked_at = float("-inf")

    async def _read_on(self) -> None:
        asked_at = _now()
        end = (await self._archive.end_offsets(STOPS))[0]
        if end < self._position:  # another topic of that name
            self._position, self.known, self._unreadable = 0, {}, {}
        if end > self._position:
            async for record in self._archive.read(STOPS, start={0: self._position}):
                self._take(record)
            self._position = end
        self._asked_at = asked_at

    def _take(self, record: Record) -> None:
        self._unreadable.pop(record.key, None)
        if record.value is None:
            self.known.pop((record.key or b"").decode(errors="replace"), None)
            return
        try:
            message = decode(record).message
        except PoisonError as poison:
            self._unreadable[record.key] = f"{record.place}: {poison}"
            return
        if isinstance(message, Stop):
            self.known[message.key] = message


async def _tried(question: Callable[[], Awaitable[T]]) -> T | Failed:
    """Return the answer, or why there is none: a failure must not keep the others from being heard."""
    try:
        return await question()
    except (KubeError, UnavailableError) as failed:
        return failed


def _by_api(told: Mapping[str, Stop]) -> Stop | None:
    return next((one for one in told.values() if one.way is Way.API and one.holds), None)


def _says(told: Stop | None, word: Word) -> bool:
    return told is not None and told.holds and (told.by, told.cause) == (word.by, word.cause)


def _path(place: Place) -> str | None:
    if place.way is Way.CONFIG_MAP:
        return f"/api/v1/namespaces/{AGENT_NAMESPACE}/configmaps/{STOP_CONFIG_MAP}"
    if place.scope == EVERYTHING:
        return f"/api/v1/namespaces/{AGENT_NAMESPACE}"
    if "/" not in place.scope:
        return f"/api/v1/namespaces/{place.scope}"
    return path_of(WorkloadRef.parse(place.scope))


def _now() -> float:
    return asyncio.get_running_loop().time()
