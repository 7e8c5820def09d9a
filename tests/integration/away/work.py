"""Work for every service, a piece of it per case: what is to be done, and what was done, by all that tells of it."""

import asyncio
import json
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

import aiohttp

from shared.contracts.actions import SetMemory
from shared.contracts.codec import decode
from shared.contracts.commands import Command
from shared.contracts.inbox import Outcome, Result
from shared.contracts.incidents import Incident
from shared.contracts.model import Message
from shared.contracts.reports import Analyzer, Report
from shared.contracts.signals import ContainerSignal, ContainerState, EventSignal
from shared.contracts.topics import (
    COMMANDS,
    DEAD_LETTERS,
    INBOX,
    INCIDENTS,
    RCA_REPORTS,
    SIGNALS_KUBERNETES,
)
from shared.contracts.workloads import ObjectRef, WorkloadRef
from shared.infra.kafka import AssignedConsumer
from tests.integration.away.stage import Stage
from tests.integration.service_process import until

MEBIBYTE = 1 << 20
PODS = "/api/v1/namespaces/bank/pods"
DEPLOYMENTS = "/apis/apps/v1/namespaces/bank/deployments"
_TOLD = (COMMANDS, INBOX, INCIDENTS, RCA_REPORTS, SIGNALS_KUBERNETES, DEAD_LETTERS)
M = TypeVar("M", bound=Message)


@dataclass
class Told:
    """All that was written to the topics, in the order of their partitions."""

    messages: list[Message] = field(default_factory=list[Message])

    def all(self, kind: type[M]) -> list[M]:
        """Return the messages of a kind."""
        return [one for one in self.messages if isinstance(one, kind)]

    async def follow(self, consumer: AssignedConsumer) -> None:
        """Read for ever."""
        while True:
            for record in await consumer.batch(within=timedelta(milliseconds=100)):
                self.messages.append(decode(record).message)


@asynccontextmanager
async def telling(bootstrap: str) -> AsyncGenerator[Told]:
    """Follow the topics while the context lasts."""
    told = Told()
    async with AssignedConsumer(bootstrap, topics=_TOLD, group="test", start={}) as consumer:
        following = asyncio.create_task(told.follow(consumer))
        try:
            yield told
        finally:
            following.cancel()
            await asyncio.gather(following, return_exceptions=True)


@dataclass
class Work:
    """A pod to be restarted by the decider's word, a workload whose memory is to be raised by ours, and an event."""

    name: str
    stage: Stage
    told: Told
    _pod: Any = None

    @property
    def crashing(self) -> WorkloadRef:
        """Return the workload of which a signal tells."""
        return WorkloadRef(kind="Deployment", namespace="bank", name=self.name)

    @property
    def hungry(self) -> WorkloadRef:
        """Return the workload that a command of ours is about."""
        return WorkloadRef(kind="Deployment", namespace="bank", name=f"{self.name}-hungry")

    @property
    def command(self) -> str:
        """Return the id of our own command."""
        return f"memory-{self.name}"

    async def prepare(self) -> None:
        """Make the workloads; return when the pod runs."""
        await self.stage.client.create(DEPLOYMENTS, _deployment(self.crashing.name, replicas=1))
        await self.stage.client.create(DEPLOYMENTS, _deployment(self.hungry.name, replicas=0))

        async def is_there() -> bool:
            self._pod = next(iter(await self._pods()), None)
            return self._pod is not None and self._pod["status"].get("phase") == "Running"

        await until(is_there)

    async def give(self) -> None:
        """Let the work come in."""
        await self.stage.publisher.publish(self._signal(), topic=SIGNALS_KUBERNETES)
        await self.stage.publisher.publish(self._order(), topic=COMMANDS)
        await self.stage.client.create("/api/v1/namespaces/bank/events", self._event())

    async def missing(self) -> list[str]:
        """Return what is not done yet, in words."""
        is_replaced = self._pod["metadata"]["uid"] not in {one["metadata"]["uid"] for one in await self._pods()}
        parts = {
            "collector: the event's signal": any(
                one.reason == f"Marker-{self.name}" for one in self._told(EventSignal)
            ),
            "decider: its command": len(self.commands) == 2,
            "remediator: the memory": await self._memory() == "256Mi",
            "remediator: the restart": is_replaced,
            "remediator: both results": {one.command for one in self.results} == {one.id for one in self.commands},
            "rca: its report": bool(self.reports),
            "api: the report": await self._is_shown(),
        }
        return [part for part, is_done in parts.items() if not is_done]

    async def is_done(self) -> bool:
        """Tell whether every service has done its part."""
        return not await self.missing()

    @property
    def commands(self) -> list[Command]:
        """Return the commands about both workloads, one of each id."""
        return list({one.id: one for one in self.told.all(Command) if one.workload in self._workloads}.values())

    @property
    def results(self) -> list[Result]:
        """Return what became of the commands."""
        return [one for one in self.told.all(Result) if one.workload in self._workloads]

    @property
    def reports(self) -> list[Report]:
        """Return the reports about the incident."""
        incidents = {one.id for one in self.told.all(Incident) if one.workload == self.crashing}
        return [one for one in self.told.all(Report) if one.incident in incidents]

    def writes(self) -> list[str]:
        """Return each change that the remediator made, by what the API server has noted."""
        noted = [json.loads(line) for line in self.stage.audit.read_text().splitlines()]
        ids = {self.command, *(one.id for one in self.commands)}
        return [f"{one['verb']} {one['path']}" for one in noted if one["code"] < 300 and self._is_made(one, ids)]

    def faults(self) -> list[str]:
        """Return what was done wrongly: lost, doubled, or another than was ordered."""
        marks, writes = f"PATCH {PODS}/{self._pod['metadata']['name']}", self.writes()
        expected = [f"PATCH {DEPLOYMENTS}/{self.hungry.name}", f"POST {marks.removeprefix('PATCH ')}/eviction"]
        outcomes = {one.outcome for one in self.results}
        refused = [f"{one.reason} {one.message}" for one in self.results if one.outcome is not Outcome.APPLIED]
        told = {
            f"changes were {writes}": sorted(one for one in writes if one != marks) != sorted(expected),
            f"commands were {[one.id for one in self.commands]}": len(self.commands) != 2,
            f"refused was {refused}": outcomes != {Outcome.APPLIED},
            f"reports were {[one.id for one in self.reports]}": len({one.id for one in self.reports}) != 1,
        }
        return [fault for fault, is_one in told.items() if is_one]

    def analyzers(self) -> set[Analyzer]:
        """Return who wrote the report."""
        return {one.analyzer for one in self.reports}

    @property
    def _workloads(self) -> tuple[WorkloadRef, ...]:
        return self.crashing, self.hungry

    def _told(self, kind: type[M]) -> list[M]:
        return self.told.all(kind)

    def _is_made(self, noted: Any, ids: set[str]) -> bool:
        if "dryRun" in noted["query"]:
            return False
        if noted["path"] == f"{PODS}/{self._pod['metadata']['name']}/eviction":
            return True
        body = json.dumps(noted["body"])
        return any(f'"{one}"' in body for one in ids)

    async def _pods(self) -> list[Any]:
        return (await self.stage.client.list(PODS, labelSelector=f"app={self.crashing.name}")).items

    async def _memory(self) -> str:
        found: Any = await self.stage.client.get(f"{DEPLOYMENTS}/{self.hungry.name}")
        return found["spec"]["template"]["spec"]["containers"][0]["resources"]["limits"]["memory"]

    async def _is_shown(self) -> bool:
        if not self.reports:
            return False
        url = f"{self.stage.api}/v1/reports/{self.reports[0].incident}"
        try:
            async with aiohttp.ClientSession() as session, session.get(url) as answer:
                return answer.status == 200
        except (aiohttp.ClientError, OSError):
            return False

    def _signal(self) -> ContainerSignal:
        metadata = self._pod["metadata"]
        named = ObjectRef(kind="Pod", namespace="bank", name=metadata["name"], uid=metadata["uid"])
        return ContainerSignal(
            id=f"signal-{self.name}",
            at=datetime.now(UTC),
            cluster="local",
            workload=self.crashing,
            object=named,
            container="server",
            state=ContainerState.WAITING,
            reason="CrashLoopBackOff",
        )

    def _order(self) -> Command:
        now = datetime.now(UTC)
        return Command(
            id=self.command,
            at=now,
            workload=self.hungry,
            incident=f"inc-{self.name}",
            rule="rule",
            playbook="hash",
            step=0,
            attempt=1,
            action=SetMemory(container="server", from_bytes=128 * MEBIBYTE, to_bytes=256 * MEBIBYTE),
            dry_run=False,
            expires_at=now + timedelta(seconds=60),
            requested_by="test",
        )

    def _event(self) -> Any:
        return {
            "metadata": {"name": f"marker-{self.name}", "namespace": "bank"},
            "involvedObject": {"kind": "Deployment", "namespace": "bank", "name": self.hungry.name, "uid": "any"},
            "reason": f"Marker-{self.name}",
            "type": "Warning",
            "lastTimestamp": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        }


def _deployment(name: str, *, replicas: int) -> Any:
    container = {"name": "server", "image": "web:v1", "resources": {"limits": {"memory": "128Mi"}}}
    labels = {"app": name}
    return {
        "metadata": {"name": name},
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels}, "spec": {"containers": [container]}},
        },
    }
