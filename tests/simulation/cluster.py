"""The cluster of the simulation: the sandbox's, asked in the same process behind rough weather; effects are told."""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from sandbox.cluster.asking import list_options_of, patch_kind_of, persistence_of, target_of
from sandbox.cluster.documents import Document, annotations_of, at, is_leaving
from sandbox.cluster.errors import StatusError
from sandbox.cluster.logs import container_of, log_text
from sandbox.cluster.patching import Patch
from sandbox.cluster.resources import LEASES, PODS, Subresource
from sandbox.cluster.simulation import Simulation
from sandbox.cluster.views import listing
from sandbox.cluster.writes import Target
from services.remediator.adapters.register import NAME, NAMESPACE
from shared.contracts.actions.marks import COMMAND_ANNOTATION, TOKEN_ANNOTATION
from shared.contracts.model import JsonObject, JsonValue
from shared.contracts.requests import PatchType
from shared.infra.kube import KubeError, Listing, error_of
from tests.simulation.weather import Weather

_SERVER = "API server"
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Effect:
    """A change of the cluster that a command brought about."""

    command: str
    token: int
    object: str


class SimulatedCluster:
    """Ask the API server; what it does may have been done though no answer comes."""

    def __init__(
        self,
        simulation: Simulation,
        *,
        weather: Weather,
        on_effect: Callable[[Effect], None] = lambda _: None,
        is_fenced: bool = False,
    ) -> None:
        self._simulation = simulation
        self._weather = weather
        self._on_effect = on_effect
        self._is_fenced = is_fenced

    async def get(self, path: str) -> JsonObject:
        """Return one object."""
        return await self._ask(lambda: self._simulation.api.get(target_of(path)))

    async def list(self, path: str, **query: str) -> Listing:
        """Return all objects of a path, or those that a query selects."""
        return await self._ask(lambda: self._listed(target_of(path), query))

    async def create(self, path: str, body: Mapping[str, JsonValue], *, dry_run: bool = False) -> JsonObject:
        """Create an object, or a subresource such as an eviction."""
        return await self._ask(lambda: self._created(target_of(path), dict(body), dry_run=dry_run), is_write=True)

    async def patch(self, path: str, body: JsonValue, *, kind: PatchType, dry_run: bool = False) -> JsonObject:
        """Patch an object and return it."""
        return await self._ask(
            lambda: self._patched(target_of(path), Patch(patch_kind_of(kind), body), dry_run=dry_run), is_write=True
        )

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
        held: Document = {"uid": uid, **({"resourceVersion": resource_version} if resource_version else {})}
        grace: Document = {"gracePeriodSeconds": grace_seconds} if grace_seconds is not None else {}
        return await self._ask(
            lambda: self._deleted(target_of(path), {"preconditions": held, **grace}, dry_run=dry_run), is_write=True
        )

    async def logs(self, path: str, **query: str) -> str:
        """Return the end of a container's log."""
        return await self._ask(lambda: self._log(target_of(path), query))

    async def _ask(self, answer: Callable[[], T], *, is_write: bool = False) -> T:
        await self._weather.request(_SERVER)
        try:
            answered = answer()
        except StatusError as refused:
            status: Any = refused.document()
            raise error_of(refused.code, status, is_write=is_write) from refused
        await self._weather.answer(_SERVER)
        return answered

    def _listed(self, target: Target, query: Mapping[str, str]) -> Listing:
        options = list_options_of(dict(query), target)
        page: Any = listing(target.resource, self._simulation.api.list(target.resource, options))
        return Listing(list(page["items"]), str(page["metadata"]["resourceVersion"]))

    def _created(self, target: Target, body: Document, *, dry_run: bool) -> JsonObject:
        persistence = persistence_of({"dryRun": "All"} if dry_run else {})
        if target.subresource is not Subresource.EVICTION:
            return self._simulation.api.create(target, body, persistence)
        self._judge(target, body)
        pod = self._simulation.api.get(Target(PODS, target.namespace, target.name))
        self._simulation.api.evict(target, body, persistence)
        if not dry_run and not is_leaving(pod):
            self._on_effect(_effect(pod, f"Pod {target.name}"))
        return {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "code": 201}

    def _patched(self, target: Target, patch: Patch, *, dry_run: bool) -> JsonObject:
        before = self._simulation.api.get(target)
        self._judge(target, self._simulation.api.patch(target, patch, persistence_of({"dryRun": "All"}))[0])
        after, _ = self._simulation.api.patch(target, patch, persistence_of({"dryRun": "All"} if dry_run else {}))
        if not dry_run and at(after, "metadata", "generation") != at(before, "metadata", "generation"):
            self._on_effect(_effect(after, f"{target.resource.kind} {target.name}"))
        return after

    def _deleted(self, target: Target, options: Document, *, dry_run: bool) -> JsonObject:
        before = self._simulation.api.get(target)
        self._judge(target, before)
        self._simulation.api.delete(target, options, persistence_of({"dryRun": "All"} if dry_run else {}))
        if not dry_run and not is_leaving(before):
            self._on_effect(_effect(before, f"{target.resource.kind} {target.name}"))
        return {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success"}

    def _judge(self, target: Target, after: Document) -> None:
        """Deny what the policy `sre-agent-remediator-fence` denies."""
        if not self._is_fenced or target.resource is LEASES:
            return
        register = self._simulation.store.get(LEASES, (NAMESPACE, NAME))
        if register is None or _token_of(after) < _token_of(register):
            raise KubeError(403, "Forbidden", "another leader came after this one")

    def _log(self, target: Target, query: Mapping[str, str]) -> str:
        pod = self._simulation.api.get(Target(PODS, target.namespace, target.name))
        container, is_previous = container_of(pod, query.get("container", "")), query.get("previous") == "true"
        lines = self._simulation.kubelet.log(pod, container, previous=is_previous)
        if lines is None:
            raise KubeError(400, "BadRequest", f"container {container} has no such log")
        return log_text(lines, query)


async def follow(simulation: Simulation) -> None:
    """Let the cluster's time pass with the loop's, until cancelled."""
    await simulation.clock.follow()


def _effect(changed: Mapping[str, Any], what: str) -> Effect:
    return Effect(annotations_of(dict(changed)).get(COMMAND_ANNOTATION, ""), _token_of(changed), what)


def _token_of(document: Mapping[str, Any]) -> int:
    token = annotations_of(dict(document)).get(TOKEN_ANNOTATION, "0")
    return int(token) if token.isdecimal() else 0


def present_time() -> float:
    """Read the running loop's clock, for a cluster that is to follow it."""
    return asyncio.get_running_loop().time()
