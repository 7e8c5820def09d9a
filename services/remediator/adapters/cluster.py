"""What is asked of a cluster's API server, as raw objects; `KubeClient` is it."""

from collections.abc import Mapping
from typing import Protocol

from shared.contracts.model import JsonObject, JsonValue
from shared.contracts.requests import PatchType
from shared.infra.kube import Listing


class Cluster(Protocol):
    """Reads and changes objects.

    Each method raises `KubeError` where the server refuses, and `UnavailableError` where it does not answer: what was
    to be changed may have been changed all the same.
    """

    async def get(self, path: str) -> JsonObject:
        """Return one object."""
        ...

    async def list(self, path: str, **query: str) -> Listing:
        """Return all objects of a path, or those that a query selects."""
        ...

    async def create(self, path: str, body: Mapping[str, JsonValue], *, dry_run: bool = False) -> JsonObject:
        """Create an object, or a subresource such as an eviction."""
        ...

    async def patch(self, path: str, body: JsonValue, *, kind: PatchType, dry_run: bool = False) -> JsonObject:
        """Patch an object and return it."""
        ...

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
        ...

    async def logs(self, path: str, **query: str) -> str:
        """Return the end of a container's log."""
        ...
