"""Least privilege, proven: what the services' code asks of a real API server is what their roles grant, and no more."""

# the client's models are typed in part only
# pyright: basic, reportArgumentType=false, reportOptionalMemberAccess=false
# pyright: reportAttributeAccessIssue=false, reportIndexIssue=false

import asyncio
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from kubernetes import client

from services.collector.adapters.watching import Kind, Observation
from services.collector.handlers import Collecting
from services.collector.main import KINDS as WATCHED
from services.remediator.adapters.acting import Actor
from services.remediator.adapters.capturing import Capture
from services.remediator.adapters.eventing import Events
from services.remediator.adapters.predicting import Predictor
from services.remediator.adapters.register import Register
from services.remediator.adapters.stopping import StoppableCluster, Stops
from services.remediator.adapters.surveying import Survey
from shared.contracts.actions import (
    Action,
    DeletePod,
    ExpandVolume,
    RestoreService,
    ResumeCronJob,
    Rollback,
    Scale,
    ScaleHpa,
)
from shared.contracts.actions.base import Done
from shared.infra.kube import KubeClient
from shared.infra.memory import MemoryBroker
from shared.infra.redis import Term
from shared.runtime.clock import SystemClock
from tests.cluster.accounts import ask
from tests.cluster.audit import AuditLog, forbidden, used
from tests.cluster.bank import MORE_MEMORY, Bank, command, pod_of, restart_of
from tests.cluster.leading import led
from tests.cluster.objects import KINDS, path_of, register
from tests.cluster.rights import granted
from tests.cluster.things import autoscaler, bound, service, user_of
from tests.unit.services.remediator.build import result

pytestmark = pytest.mark.cluster
Clients = dict[str, client.ApiClient]


def settle(log: AuditLog, clients: Clients) -> None:
    """Wait for the log by an account that nothing is expected of: people's reads need not be logged."""
    log.settle(lambda path: ask(clients["api"], "GET", path))


async def test_the_remediators_roles_grant_what_its_actions_use_and_nothing_more(
    bank: Bank, kubeconfigs: dict[str, Path], log: AuditLog, clients: Clients, admin: client.ApiClient
) -> None:
    orders_of_all = orders(bank)
    ask(admin, "DELETE", path_of(register()))
    since = log.end()
    async with KubeClient(kubeconfigs["remediator"]) as opened:
        broker = MemoryBroker(SystemClock())
        stops = Stops(opened, broker.archive(), broker.publisher("remediator"), clock=SystemClock())
        for token in (6, 7):
            assert await Register(opened).raise_to(Term("test", token), over=await Register(opened).read())
        for document, action in orders_of_all:
            ordered = command(document, action)
            await Survey(opened).census(ordered, now=datetime.now(UTC))
            await Capture(opened).evidence(ordered, now=datetime.now(UTC))
            actor = Actor(StoppableCluster(led(opened, token=7), stops, ordered.workload))
            done = await actor.act(ordered, token=7, dry_run=False)
            assert isinstance(done, Done)
            await Predictor(opened).foretold(ordered, done)
            events = Events(lambda _: opened, instance="test", protected_namespaces=frozenset())
            await events.tell(ordered, result(ordered))
    settle(log, clients)
    accesses = log.accesses(since=since)
    assert used(accesses, "remediator") == granted()["remediator"]
    assert forbidden(accesses, "remediator") == set()


def orders(bank: Bank) -> list[tuple[Any, Action]]:
    """Return each action on each kind that it is for."""
    workloads = [bank.run(kind, kind.lower()) for kind in KINDS]
    released = bank.release(bank.run("Deployment", "released"))
    cron = bank.run_cron_job("nightly")
    restarts = [(one, restart_of(bank.pods(one["metadata"]["name"])[0])) for one in workloads]
    nightly = (cron, restart_of(bank.pods("nightly-1")[0]))
    of_templates = [(one, MORE_MEMORY) for one in workloads]
    owner, ended = pod_of(bank)
    deletion = DeletePod(pod=ended["metadata"]["name"], uid=ended["metadata"]["uid"])
    others = [(owner, deletion), (workloads[0], Scale(by=1, least=1, most=9)), (cron, ResumeCronJob())]
    return [*restarts, nightly, *of_templates, (released, Rollback()), *others, *of_things(bank, released)]


def of_things(bank: Bank, document: Any) -> list[tuple[Any, Action]]:
    """Return the actions on what else lies around a workload."""
    bank.lay(autoscaler(document["metadata"]["name"]))
    bound(bank)
    bank.lay(service(document["metadata"]["name"]))
    restored = RestoreService(service=document["metadata"]["name"])
    more_room = ExpandVolume(claim="books", factor=2, cap_bytes=2 << 30)
    return [(document, ScaleHpa(by=1, at_most=9)), (document, restored), (user_of(bank), more_room)]


async def test_the_collectors_roles_grant_what_it_watches_and_nothing_more(
    bank: Bank, kubeconfigs: dict[str, Path], log: AuditLog, clients: Clients
) -> None:
    bank.run("Deployment", "watched")
    bank.run_cron_job("nightly")
    since = log.end()
    async with KubeClient(kubeconfigs["collector"]) as opened:
        await asyncio.gather(*(observed(opened, kind) for kind in WATCHED))
    settle(log, clients)
    accesses = log.accesses(since=since)
    assert used(accesses, "collector") == granted()["collector"]
    assert forbidden(accesses, "collector") == set()


async def observed(opened: KubeClient, kind: Kind) -> None:
    """List and watch a kind as the collector does, and handle what is there while nothing else is known yet."""
    clock = SystemClock()
    collecting = Collecting(MemoryBroker(clock).publisher("collector"), opened, cluster="test", clock=clock)
    listing = await opened.list(kind.path)
    for one in listing.items:
        await collecting.handle([Observation(kind, one, listed=True)])
    version = listing.resource_version
    async with opened.watch(kind.path, resource_version=version, within=timedelta(seconds=3)) as changes:
        async for _ in changes:
            pass


@pytest.mark.parametrize("account", ["decider", "rca", "api"])
def test_who_does_not_speak_to_the_cluster_has_no_right_at_all(account: str) -> None:
    assert granted()[account] == set()
