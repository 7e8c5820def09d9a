"""Reads what a prediction is made from, bounded in time; what cannot be read is a note of it, and stops nothing."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import timedelta

from services.remediator.adapters.cluster import Cluster
from services.remediator.core.differences import difference
from services.remediator.core.evidence import BETWEEN, all_pods_of, names_between
from services.remediator.core.prediction import Seen, lines_of, predicted
from shared.contracts.actions.base import Done
from shared.contracts.commands import Command
from shared.contracts.model import JsonObject
from shared.contracts.paths import (
    BUDGETS,
    EVERY_POD,
    HORIZONTAL_AUTOSCALERS,
    NODES,
    QUOTAS,
    RANGES,
    collection_of,
    path_of,
)
from shared.contracts.predictions import Prediction
from shared.contracts.requests import Patch
from shared.contracts.workloads import CLUSTER_SCOPE, WorkloadRef
from shared.infra.kube import KubeError
from shared.kernel.durations import format_duration
from shared.kernel.errors import UnavailableError

PREDICTED_WITHIN = timedelta(seconds=5)
_ABSENT = 404


@dataclass(frozen=True, slots=True)
class Foretold:
    """What a dry run tells: the lines of its difference and of its prediction, and that prediction itself."""

    changes: tuple[str, ...]
    prediction: Prediction | None = None


@dataclass(slots=True)
class _Reading:
    """What was read so far, by what it is, and why the rest was not."""

    client: Cluster
    found: dict[str, list[JsonObject]] = field(default_factory=dict[str, list[JsonObject]])
    notes: list[str] = field(default_factory=list[str])
    asking: str = ""

    async def all_of(self, what: str, path: str) -> None:
        """Read all objects of a path; where there is no such path there are none."""
        self.asking = what
        try:
            self.found[what] = (await self.client.list(path)).items
        except KubeError as refused:
            if refused.status == _ABSENT:
                self.found[what] = []
            else:
                self.notes.append(f"{what}: {refused}")
        except UnavailableError as failed:
            self.notes.append(f"{what}: {failed}")

    async def one(self, what: str, path: str) -> None:
        """Read one object."""
        self.asking = what
        try:
            self.found[what] = [await self.client.get(path)]
        except (KubeError, UnavailableError) as failed:
            self.notes.append(f"{what}: {failed}")


class Predictor:
    """Predict what dry runs would bring about, each within a bounded time."""

    def __init__(self, client: Cluster, *, within: timedelta = PREDICTED_WITHIN) -> None:
        self._client = client
        self._within = within

    async def foretold(self, command: Command, done: Done) -> Foretold:
        """Return what a dry run tells of a command; failing to read is noted in it, and never fails the dry run."""
        seen = await self._seen(command.workload)
        prediction = predicted(command.workload, done.written, seen)
        lines = lines_of(prediction) if prediction else [f"not judged: {note}" for note in seen.notes]
        return Foretold((*done.changes, *_difference(done, seen.workload), *lines), prediction)

    async def _seen(self, ref: WorkloadRef) -> Seen:
        reading = _Reading(self._client)
        try:
            async with asyncio.timeout(self._within.total_seconds()):
                await _read(reading, ref)
        except TimeoutError:
            reading.notes.append(f"{reading.asking}: not read within {format_duration(self._within)}, nor what follows")
        return _seen_of(ref, reading)


async def _read(reading: _Reading, ref: WorkloadRef) -> None:
    path = path_of(ref)
    if path is None or ref.namespace == CLUSTER_SCOPE:
        return
    await reading.one("workload", path)
    if kind := BETWEEN.get(ref.kind):
        await reading.all_of("owners", collection_of(kind, ref.namespace))
    await reading.all_of("pods", collection_of("Pod", ref.namespace))
    for what, where in _BOUNDS.items():
        await reading.all_of(what, where.format(ref.namespace))
    await reading.all_of("nodes", NODES)
    await reading.all_of("pods of all namespaces", EVERY_POD)


_BOUNDS = {"budgets": BUDGETS, "quotas": QUOTAS, "ranges": RANGES, "autoscalers": HORIZONTAL_AUTOSCALERS}


def _seen_of(ref: WorkloadRef, reading: _Reading) -> Seen:
    found = reading.found
    owners, pods = found.get("owners", [] if ref.kind not in BETWEEN else None), found.get("pods")
    workload = found.get("workload", [])
    return Seen(
        workload=workload[0] if workload else None,
        pods=None if owners is None or pods is None else all_pods_of(ref, pods, names_between(ref, owners)),
        sets=owners or (),
        nodes=found.get("nodes"),
        everywhere=found.get("pods of all namespaces"),
        budgets=found.get("budgets"),
        quotas=found.get("quotas"),
        ranges=found.get("ranges"),
        scalers=found.get("autoscalers"),
        notes=tuple(reading.notes),
    )


def _difference(done: Done, before: JsonObject | None) -> Sequence[str]:
    patched = [one.answer for one in done.written if isinstance(one.request, Patch)]
    return difference(before, patched[-1]) if before is not None and patched else ()
