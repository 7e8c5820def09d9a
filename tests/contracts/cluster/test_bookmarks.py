"""Bookmarks: a watch that is about to end tells the version to go on from, also when nothing has changed."""

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from shared.infra.kube import KubeClient
from tests.contracts.cluster.backend import Backend

if TYPE_CHECKING:
    from shared.contracts.model import JsonObject

pytestmark = pytest.mark.contract


async def test_a_watch_without_changes_still_moves_its_version_on(backend: Backend, namespace: str) -> None:
    path = f"/api/v1/namespaces/{namespace}/configmaps"
    async with KubeClient(backend.kubeconfig) as client:
        listing = await client.list(path)
        elsewhere: JsonObject = {"metadata": {"generateName": "elsewhere-"}}
        await client.create("/api/v1/namespaces/default/configmaps", elsewhere)
        watch = client.watch(path, resource_version=listing.resource_version, within=timedelta(seconds=15))
        async with watch as changes:
            told = [event async for events in changes for event in events if event.type == "BOOKMARK"]
    assert told
    metadata = told[-1].object["metadata"]
    assert isinstance(metadata, dict)
    assert int(str(metadata["resourceVersion"])) > int(listing.resource_version)
