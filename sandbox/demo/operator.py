"""The person of the demo: looks at the API, and approves what waits for a yes."""

import asyncio
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import httpx

from sandbox.demo.story import Story, story_of

_LOOK_S = 0.25
_PATIENCE = timedelta(seconds=150)
_FINAL = frozenset({"healed", "escalated", "closed"})
_REFUSED = 400
TellLine = Callable[[dict[str, Any]], None]


class Operator:
    """Follow incidents through the REST API; it may be away for a moment, as any service may."""

    def __init__(self, url: str, token: str) -> None:
        self._url = url
        self._client = httpx.AsyncClient(base_url=url, headers={"Authorization": f"Bearer {token}"}, timeout=5.0)
        self._seen: set[str] = set()

    async def known(self) -> set[str]:
        """Return the ids of the incidents that are known already."""
        return {str(one["id"]) for one in await self._rows("/v1/incidents")}

    async def follow(self, fault: str, workload: str, *, known: set[str], tell: TellLine) -> Story:
        """Tell each line of the story of a workload's new incident as it comes; return the story when it has ended."""
        self._seen.clear()
        try:
            async with asyncio.timeout(_PATIENCE.total_seconds()):
                incident = await self._new_incident(workload, known)
                return await self._until_ended(fault, incident, tell)
        except TimeoutError:
            return Story(fault=fault, phase="not healed in time")

    async def close(self) -> None:
        """Close all connections."""
        await self._client.aclose()

    async def _new_incident(self, workload: str, known: set[str]) -> str:
        while True:
            for one in await self._rows("/v1/incidents"):
                ref = one["workload"]
                if one["id"] not in known and f"{ref['namespace']}/{ref['kind']}/{ref['name']}" == workload:
                    return str(one["id"])
            await asyncio.sleep(_LOOK_S)

    async def _until_ended(self, fault: str, incident: str, tell: TellLine) -> Story:
        approved = -1
        while True:
            now = await self._get(f"/v1/incidents/{incident}")
            report = await self._get(f"/v1/reports/{incident}")
            await self._tell_new(incident, tell)
            if now and now["phase"] == "awaiting-approval" and now["step"] != approved:
                approved = now["step"] if await self._approve(incident, now["version"]) else approved
            if now and now["phase"] in _FINAL and report:
                await self._tell_new(incident, tell)
                return story_of(fault, now, report)
            await asyncio.sleep(_LOOK_S)

    async def _tell_new(self, incident: str, tell: TellLine) -> None:
        for line in await self._rows(f"/v1/incidents/{incident}/timeline"):
            key = f"{line['happening']}/{line['reason']}/{line['id']}"
            if key not in self._seen:
                self._seen.add(key)
                tell(line)

    async def _approve(self, incident: str, version: str) -> bool:
        body = {"version": version, "note": "approved by the demo"}
        try:
            answer = await self._client.post(f"/v1/incidents/{incident}/approve", json=body)
        except httpx.HTTPError:
            return False
        return answer.status_code < _REFUSED

    async def _rows(self, path: str) -> list[dict[str, Any]]:
        return await self._get(path) or []

    async def _get(self, path: str) -> Any:  # noqa: ANN401 - the API's JSON
        """Return an answer; None where there is none at this moment."""
        try:
            answer = await self._client.get(path)
        except httpx.HTTPError:
            return None
        return answer.json() if answer.status_code < _REFUSED else None
