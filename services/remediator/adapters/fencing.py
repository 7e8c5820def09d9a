"""The cluster as a leader may change it: while its hold on the lease is certain, and under its marks."""

from collections.abc import Awaitable, Mapping

from services.remediator.adapters.cluster import Cluster
from services.remediator.adapters.register import Register
from services.remediator.core.fencing import flaw_of, with_token
from services.remediator.tenure import Tenure
from shared.contracts.model import JsonObject, JsonValue
from shared.contracts.requests import PatchType
from shared.infra.crashing import CrashPoint, pass_by
from shared.infra.kube import KubeError, Listing

_FORBIDDEN = 403


class FencedCluster:
    """Read a cluster; write to it under one tenure. What is refused because of a later leader ends the tenure."""

    def __init__(self, cluster: Cluster, *, tenure: Tenure, register: Register) -> None:
        self._cluster = cluster
        self._tenure = tenure
        self._register = register

    async def get(self, path: str) -> JsonObject:
        """Return one object."""
        return await self._cluster.get(path)

    async def list(self, path: str, **query: str) -> Listing:
        """Return all objects of a path, or those that a query selects."""
        return await self._cluster.list(path, **query)

    async def logs(self, path: str, **query: str) -> str:
        """Return the end of a container's log."""
        return await self._cluster.logs(path, **query)

    async def create(self, path: str, body: Mapping[str, JsonValue], *, dry_run: bool = False) -> JsonObject:
        """Create an object, or a subresource such as an eviction, with the tenure's token among its annotations.

        Raises:
            UnavailableError: the tenure is over, or may be.
        """
        self._check()
        marked = with_token(body, self._tenure.token)
        return await self._written(self._cluster.create(path, marked, dry_run=dry_run))

    async def patch(self, path: str, body: JsonValue, *, kind: PatchType, dry_run: bool = False) -> JsonObject:
        """Patch an object and return it.

        Raises:
            KubeError: it lacks the marks, or what it was made for.
            UnavailableError: the tenure is over, or may be.
        """
        flaw = flaw_of(body, token=self._tenure.token)
        if flaw is not None:
            raise KubeError(_FORBIDDEN, "Forbidden", f"the change of {path} is not sent: {flaw}")
        self._check()
        return await self._written(self._cluster.patch(path, body, kind=kind, dry_run=dry_run))

    async def delete(
        self,
        path: str,
        *,
        uid: str,
        resource_version: str = "",
        grace_seconds: int | None = None,
        dry_run: bool = False,
    ) -> JsonObject:
        """Delete the object of that uid, and of that version where one is named, within a grace other than its own.

        Raises:
            UnavailableError: the tenure is over, or may be.
        """
        self._check()
        return await self._written(
            self._cluster.delete(
                path, uid=uid, resource_version=resource_version, grace_seconds=grace_seconds, dry_run=dry_run
            )
        )

    def _check(self) -> None:
        pass_by(CrashPoint.BEFORE_WRITE)
        self._tenure.check()
        pass_by(CrashPoint.WRITE_CHECKED)

    async def _written(self, asked: Awaitable[JsonObject]) -> JsonObject:
        try:
            answer = await asked
        except KubeError as refused:
            if refused.status == _FORBIDDEN:
                await self._yield_to_a_later_leader()
            raise
        pass_by(CrashPoint.WRITTEN)
        return answer

    async def _yield_to_a_later_leader(self) -> None:
        """End the tenure where the register knows a later one: a refusal for that is no result of the command."""
        if (await self._register.read()).token > self._tenure.token:
            self._tenure.end()
            self._tenure.check()
