"""From a command on Kafka to the changed object, and actions a second of one leader, on a real API server.

The remediator is a process of its own with the rights that `deploy/` ships; etcd, the API server and the controllers
are real. There is no node, so that each workload has a pod that waits for one. When a change was applied is told by the
API server's own audit log, when its command was there by the record's timestamp. Beside it the API server's own limit:
the very requests that the log tells of those commands, made again without Kafka, store, keys or evidence, one after the
other and several at once.
"""

import asyncio
import json
import re
import tempfile
import time
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from itertools import count
from pathlib import Path
from statistics import median, quantiles
from typing import Any
from urllib.parse import parse_qs

from rich.console import Console
from rich.table import Table

from bench.machine import machine
from sandbox.kubernetes.cluster import ClusterOptions, KubernetesCluster
from sandbox.stack.brake import UNBRAKED
from sandbox.stack.kafka import KafkaBroker
from sandbox.stack.process import ChildProcess
from sandbox.stack.progress import to_stderr
from sandbox.stack.valkey import ValkeyServer
from shared.contracts.actions import SetMemory
from shared.contracts.codec import decode
from shared.contracts.commands import Command
from shared.contracts.inbox import Outcome, Result
from shared.contracts.model import JsonObject
from shared.contracts.objects import OUR_COMPONENT, section, text
from shared.contracts.topics import COMMANDS, INBOX
from shared.contracts.workloads import WorkloadRef
from shared.infra.kafka import KafkaArchive, KafkaPublisher, create_topics
from shared.infra.kube import KubeClient, KubeError, PatchType
from tests.cluster.audit import COMPLETE, username
from tests.integration.service_process import decider_publisher, service, until

PACED = 220
WARM_UP = 20
EVERY_S = 0.3
BATCH = 100
TURNS = 3
AT_ONCE = 8
WITHIN = timedelta(minutes=5)
_NAMESPACE = "bank"
_DEPLOYMENTS = f"/apis/apps/v1/namespaces/{_NAMESPACE}/deployments"
_MEBIBYTE = 1 << 20
_BEFORE, _AFTER = 128 * _MEBIBYTE, 256 * _MEBIBYTE
_EXPIRES_IN = timedelta(hours=1)
_WORKLOAD = re.compile(r"web-\d{5}")


@dataclass(frozen=True, slots=True)
class Request:
    """One request of the remediator, as the API server's audit log tells it."""

    verb: str
    uri: str
    workload: str
    ended: datetime

    @property
    def is_change(self) -> bool:
        """Tell whether it changes the workload."""
        return self.verb in {"patch", "update"} and "/deployments/" in self.uri


@dataclass(frozen=True, slots=True)
class Stage:
    """Everything that runs; a number names each workload, and none is used twice."""

    cluster: KubernetesCluster
    admin: KubeClient
    remediator: ChildProcess
    publisher: KafkaPublisher
    archive: KafkaArchive
    numbers: "count[int]"

    def requests(self) -> list[Request]:
        """Return what the remediator has asked for about the workloads, in the log's order."""
        told = map(json.loads, self.cluster.plane.audit_log.read_text().splitlines())
        found: list[Request] = []
        for event in filter(_is_ours, told):
            named = _WORKLOAD.search(text(event, "requestURI"))
            # a list of all there is names no workload: it is read for the command at hand
            name = named[0] if named else found[-1].workload if found else ""
            ended = datetime.fromisoformat(text(event, "stageTimestamp"))
            found.append(Request(text(event, "verb"), text(event, "requestURI"), name, ended))
        return found

    async def results(self) -> dict[str, Result]:
        """Return the results so far, by their commands."""
        messages = [decode(record).message async for record in self.archive.read(INBOX)]
        return {one.command: one for one in messages if isinstance(one, Result)}


Figures = Mapping[str, Sequence[float]]


def main() -> None:
    """Measure and print."""
    with tempfile.TemporaryDirectory() as directory:
        waits, rates, calls = asyncio.run(_measured(Path(directory)))
    _print(waits, rates, calls)


async def _measured(directory: Path) -> tuple[Sequence[float], Figures, Sequence[str]]:
    async with _stage(directory) as stage:
        waits = await _paced(stage)
        rates: dict[str, list[float]] = {name: [] for name in ("leader", "one by one", "at once")}
        calls: list[str] = []
        for turn in range(TURNS):
            to_stderr(f"turn {turn + 1} of {TURNS}: {BATCH} commands, then the same requests alone")
            rate, requests = await _rate(stage)
            rates["leader"].append(rate)
            calls = _calls_of_one(requests)
            rates["one by one"].append(await _alone(stage, requests, at_once=1))
            rates["at once"].append(await _alone(stage, requests, at_once=AT_ONCE))
        return waits, rates, calls


@asynccontextmanager
async def _stage(directory: Path) -> AsyncGenerator[Stage]:
    options = ClusterOptions(directory=directory / "cluster")
    async with (
        KubernetesCluster(options, report=to_stderr) as cluster,
        KafkaBroker(directory / "kafka", report=to_stderr) as broker,
        ValkeyServer(directory / "valkey") as store,
        KubeClient(cluster.plane.kubeconfig) as admin,
        KafkaArchive(broker.bootstrap) as archive,
        decider_publisher(broker.bootstrap) as publisher,
    ):
        await create_topics(broker.bootstrap)
        env = {
            **UNBRAKED,
            "SRE_KAFKA_BOOTSTRAP": broker.bootstrap,
            "SRE_REDIS_URL": store.url,
            "SRE_KUBECONFIG": str(cluster.accounts["remediator"]),
        }
        remediator = service("remediator", env=env, directory=directory)
        try:
            await remediator.start()
            await remediator.until_ready()
            yield Stage(cluster, admin, remediator, publisher, archive, count())
        finally:
            await remediator.stop()


async def _paced(stage: Stage) -> list[float]:
    """Return the milliseconds from each command's record to the answer to its change, the first ones left out."""
    names = await _deploy(stage, PACED)
    to_stderr(f"{PACED} commands, one each {EVERY_S * 1000:.0f} ms")
    for name in names:
        await stage.publisher.publish(_command(name), topic=COMMANDS)
        await asyncio.sleep(EVERY_S)
    await _until_applied(stage, names)
    applied = _applied(stage.requests())
    ordered = await _ordered(stage)
    return [(applied[name] - ordered[name]).total_seconds() * 1000 for name in names][WARM_UP:]


async def _rate(stage: Stage) -> tuple[float, list[Request]]:
    """Return actions a second of commands that all waited, from the first change to the last, and their requests."""
    names = await _deploy(stage, BATCH)
    await stage.remediator.stop()
    await stage.publisher.publish_all([_command(name) for name in names], topic=COMMANDS)
    await stage.remediator.start()
    await _until_applied(stage, names)
    requests = [one for one in stage.requests() if one.workload in set(names)]
    applied = sorted(_applied(requests).values())
    return (BATCH - 1) / (applied[-1] - applied[0]).total_seconds(), requests


async def _alone(stage: Stage, requests: Sequence[Request], *, at_once: int) -> float:
    """Return how many commands' requests a second the API server answers to nobody but us."""
    names = await _deploy(stage, BATCH)
    theirs = list(dict.fromkeys(one.workload for one in requests))
    by_workload = {name: [one for one in requests if one.workload == name] for name in theirs}
    token = max(result.token for result in (await stage.results()).values())
    waiting = list(zip(theirs, names, strict=True))
    async with KubeClient(stage.cluster.accounts["remediator"]) as client:

        async def work() -> None:
            while waiting:
                was, name = waiting.pop()
                for request in by_workload[was]:
                    await _again(client, request, name=name, token=token)

        began = time.monotonic()
        async with asyncio.TaskGroup() as group:
            for _ in range(at_once):
                group.create_task(work())
        return BATCH / (time.monotonic() - began)


async def _again(client: KubeClient, request: Request, *, name: str, token: int) -> None:
    uri = request.uri.replace(request.workload, name)
    path, _, query = uri.partition("?")
    if request.is_change:
        await client.patch(path, _change(name, token), kind=PatchType.STRATEGIC)
    elif request.verb == "create":
        await client.create(path, _event(name))
    elif request.verb == "list":
        await _list_again(client, path, parse_qs(query))
    else:
        await client.get(path)


async def _list_again(client: KubeClient, path: str, query: Mapping[str, list[str]]) -> None:
    if "continue" in query:
        return  # the first page's own list asks for the further ones; a token of then has expired
    asked = {name: values[0] for name, values in query.items() if name != "limit"}
    try:
        await client.list(path, **asked)
    except KubeError as refused:
        if refused.status != HTTPStatus.NOT_FOUND:  # a kind that is not installed was asked for as well
            raise


def _calls_of_one(requests: Sequence[Request]) -> list[str]:
    name = requests[-1].workload
    return [f"{one.verb} {one.uri.replace(name, '…')}" for one in requests if one.workload == name]


def _is_ours(event: JsonObject) -> bool:
    """Tell whether the remediator asked for something about the workloads, and was answered."""
    is_answer = text(event, "stage") == COMPLETE and text(section(event, "user"), "username") == username("remediator")
    return is_answer and f"/namespaces/{_NAMESPACE}/" in text(event, "requestURI")


def _applied(requests: Sequence[Request]) -> dict[str, datetime]:
    return {one.workload: one.ended for one in requests if one.is_change}


async def _ordered(stage: Stage) -> dict[str, datetime]:
    """Return when each workload's command was written."""
    found: dict[str, datetime] = {}
    async for record in stage.archive.read(COMMANDS):
        found[_name_of(decode(record).message)] = datetime.fromtimestamp(record.timestamp_ms / 1000, UTC)
    return found


def _name_of(message: object) -> str:
    assert isinstance(message, Command)
    return message.workload.name


async def _until_applied(stage: Stage, names: Sequence[str]) -> None:
    async def is_so() -> bool:
        results = await stage.results()
        wrong = [one for one in results.values() if one.outcome is not Outcome.APPLIED]
        assert not wrong, wrong[0]
        return all(f"cmd-{name}" in results for name in names)

    await until(is_so, within=WITHIN)


async def _deploy(stage: Stage, how_many: int) -> list[str]:
    names = [f"web-{next(stage.numbers):05}" for _ in range(how_many)]
    for name in names:
        await stage.admin.create(_DEPLOYMENTS, _deployment(name))
    await until(lambda: _is_quiet(stage, names), within=WITHIN)
    return names


async def _is_quiet(stage: Stage, names: Sequence[str]) -> bool:
    """Tell whether the controllers have said all that they have to say of new workloads."""
    wanted = set(names)
    found: list[Any] = (await stage.admin.list(_DEPLOYMENTS)).items
    return all(
        one.get("status", {}).get("observedGeneration") == one["metadata"]["generation"]
        for one in found
        if one["metadata"]["name"] in wanted
    )


def _deployment(name: str) -> dict[str, Any]:
    labels = {"app": name}
    container = {"name": "server", "image": "web:v1", "resources": {"limits": {"memory": "128Mi"}}}
    return {
        "metadata": {"name": name},
        "spec": {
            "replicas": 1,
            "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels}, "spec": {"containers": [container]}},
        },
    }


def _command(name: str) -> Command:
    now = datetime.now(UTC)
    return Command(
        id=f"cmd-{name}",
        at=now,
        workload=WorkloadRef(kind="Deployment", namespace=_NAMESPACE, name=name),
        incident=f"inc-{name}",
        rule="memory",
        playbook="bench",
        step=0,
        attempt=1,
        action=SetMemory(container="server", from_bytes=_BEFORE, to_bytes=_AFTER),
        dry_run=False,
        expires_at=now + _EXPIRES_IN,
        requested_by="bench",
    )


def _change(name: str, token: int) -> dict[str, Any]:
    container = {"name": "server", "resources": {"limits": {"memory": "256Mi"}}}
    return {
        "metadata": {"annotations": {"sre-agent.dev/command": f"cmd-{name}", "sre-agent.dev/token": str(token)}},
        "spec": {"template": {"spec": {"containers": [container]}}},
    }


def _event(name: str) -> dict[str, Any]:
    about = {"apiVersion": "apps/v1", "kind": "Deployment", "namespace": _NAMESPACE, "name": name}
    return {
        "metadata": {"name": f"{name}.bench", "namespace": _NAMESPACE},
        "involvedObject": about,
        "reason": "Bench",
        "message": "made again",
        "type": "Normal",
        "source": {"component": OUR_COMPONENT},
        "reportingComponent": OUR_COMPONENT,
    }


def _print(waits: Sequence[float], rates: Figures, calls: Sequence[str]) -> None:
    console = Console(width=120)
    table = Table("actions a second", "median (least to most)", title=f"{BATCH} commands, {TURNS} turns; {machine()}")
    names: Mapping[str, str] = {
        "leader": "one leader: from Kafka, claimed, evidence told, changed, result told",
        "one by one": f"the API server alone, its {len(calls)} requests one after the other",
        "at once": f"the API server alone, {AT_ONCE} commands' requests at once",
    }
    for key, name in names.items():
        measured = rates[key]
        table.add_row(name, f"{median(measured):,.1f} ({min(measured):,.1f} to {max(measured):,.1f})")
    console.print(table)
    p99 = quantiles(waits, n=100, method="inclusive")[98]
    console.print(
        f"a command on Kafka to its change applied: median {median(waits):.0f} ms, p99 {p99:.0f} ms, ", end=""
    )
    console.print(f"worst {max(waits):.0f} ms of {len(waits)}, one each {EVERY_S * 1000:.0f} ms")
    for call in calls:
        console.print(f"  {call}", highlight=False)


if __name__ == "__main__":
    main()
