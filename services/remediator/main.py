"""Wires the remediator: one process holds the lease and works, the others stand by to take it over."""

import asyncio
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import timedelta
from functools import partial

from services.remediator.adapters.acting import Actor
from services.remediator.adapters.auditing import AuditTrail
from services.remediator.adapters.calling import Webhooks
from services.remediator.adapters.capturing import Capture
from services.remediator.adapters.cluster import Cluster
from services.remediator.adapters.eventing import Events
from services.remediator.adapters.fencing import FencedCluster
from services.remediator.adapters.ledger import Ledger
from services.remediator.adapters.predicting import Predictor
from services.remediator.adapters.reading import TenuredConsumer
from services.remediator.adapters.register import Register
from services.remediator.adapters.stopping import StoppableCluster, Stops
from services.remediator.adapters.surveying import Survey
from services.remediator.adapters.webhooks_file import read_webhooks
from services.remediator.braking import Brake
from services.remediator.core.urgency import urgency_of_record
from services.remediator.core.webhooks import Webhook
from services.remediator.handlers import Remediation
from services.remediator.records import Records
from services.remediator.settings import RemediatorSettings
from services.remediator.tenure import Tenure
from services.remediator.terms import Terms
from services.remediator.trust import OwnTrust, Trust
from shared.contracts.requests import Call
from shared.contracts.signatures import Keys, record_seal
from shared.contracts.topics import COMMANDS
from shared.infra.broker import Archive, Consumer, Publisher
from shared.infra.kafka import AssignedConsumer, KafkaArchive, KafkaPublisher, ask_broker
from shared.infra.keys import checks_of, read_checking_keys, read_former_keys, read_signing_key
from shared.infra.kube import KubeClient, KubeError
from shared.infra.redis import Lease, Redis, Term, connect
from shared.kernel.errors import TransientError
from shared.runtime.consuming import consume_most_urgent_first
from shared.runtime.dependencies import depending
from shared.runtime.lifecycle import Runtime, Task, run_service
from shared.runtime.log import logger
from shared.runtime.metrics import LEADER, STOPS_IN_FORCE
from shared.runtime.settings import read_settings
from shared.runtime.tasks import pause

NAME = "remediator"
GROUP = "sre-remediator"
_TELL_EVERY = timedelta(seconds=2)
"""How often it is told which stops the cluster says, for those who have no access to it."""
_SAFETY = 0.7
"""The share of the lease's length that a holder trusts; the rest is for pauses and clocks that differ."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ports:
    """What the remediator stands on; `commands` opens all partitions of the commands' topic.

    `keys` are those of which commands are believed, `own_keys` those of the records that remediators write; the
    publisher signs by one of these. `webhooks` are those that it may call, by their names.
    """

    publisher: Publisher
    archive: Archive
    commands: Callable[[], AbstractAsyncContextManager[Consumer]]
    cluster: Cluster
    redis: Redis
    keys: Keys
    own_keys: Keys
    webhooks: Mapping[str, Webhook] = field(default_factory=dict[str, Webhook])


class Leadership:
    """Stand by for the lease; work while it is held; let go when it may be lost."""

    def __init__(self, settings: RemediatorSettings, ports: Ports, *, runtime: Runtime) -> None:
        self._settings = settings
        self._ports = ports
        self._runtime = runtime
        self._trust = Trust(ports.keys, cluster=settings.cluster)
        self._own = OwnTrust(ports.own_keys, cluster=settings.cluster)
        self._lease = Lease(ports.redis, NAME, ttl=settings.lease_ttl)
        self._register = Register(ports.cluster)
        self._terms = Terms(self._lease, self._register, ports.archive)
        self._check = runtime.health.watch("lease")
        self._renew_every = settings.lease_ttl / 4

    async def run(self) -> None:
        """Hold the lease whenever it can be had, until the service stops."""
        while not self._runtime.stopping.is_set():
            try:
                await self._try_once()
                self._check.ok()
            except* TransientError as failed:
                self._check.bad("; ".join(map(str, failed.exceptions)))
            await pause(self._renew_every, self._runtime)

    async def _try_once(self) -> None:
        if not await self._lease.is_free():
            return
        began = asyncio.get_running_loop().time()
        term = await self._terms.next(self._settings.instance)
        if term is None:
            return
        logger().info("lease.acquired", token=term.token)
        LEADER.set(1)
        try:
            await self._lead(term, Tenure(term, until=self._trusted_until(began)))
        finally:
            LEADER.set(0)
            STOPS_IN_FORCE.set(0)  # the next leader's to tell
            logger().info("lease.ended", token=term.token)

    async def _lead(self, term: Term, tenure: Tenure) -> None:
        self._check.ok()
        ended = asyncio.Event()
        stops = Stops(self._ports.cluster, self._ports.archive, self._ports.publisher, clock=self._runtime.clock)
        async with asyncio.TaskGroup() as group:
            group.create_task(self._hold(term, tenure, ended))
            group.create_task(self._work(tenure, stops, ended))
            group.create_task(self._tell(stops, ended))
        await self._lease.release(term)

    async def _work(self, tenure: Tenure, stops: Stops, ended: asyncio.Event) -> None:
        """Carry out commands until the tenure ends; the lease is held meanwhile, also while the broker is slow."""
        working = replace(self._runtime, stopping=ended)
        async with self._ports.commands() as commands:
            handle = self._trust.guarded(self._remediation(tenure, stops).handle)
            await consume_most_urgent_first(
                TenuredConsumer(commands, tenure),
                handle,
                urgency=urgency_of_record,
                publisher=self._ports.publisher,
                runtime=working,
                name="command",
            )

    async def _tell(self, stops: Stops, ended: asyncio.Event) -> None:
        """Tell of the stops that the cluster says, until the tenure ends; that it cannot be told holds nothing up."""
        working = replace(self._runtime, stopping=ended)
        while not ended.is_set():
            try:
                await stops.tell()
            except (TransientError, KubeError) as failed:
                logger().warning("stops.not_told", why=str(failed))
            await pause(_TELL_EVERY, working)

    async def _hold(self, term: Term, tenure: Tenure, ended: asyncio.Event) -> None:
        """Renew until the service stops or the lease may be somebody else's; then end the work."""
        try:
            while not self._runtime.stopping.is_set() and await self._renewed(term, tenure):
                await pause(self._renew_every, self._runtime)
        finally:
            tenure.end()
            ended.set()

    async def _renewed(self, term: Term, tenure: Tenure) -> bool:
        began = asyncio.get_running_loop().time()
        try:
            if not tenure.is_held or not await self._lease.renew(term):
                return False
        except TransientError as failed:
            self._check.bad(str(failed))
            return tenure.is_held  # the store may come back before the lease is over
        tenure.extend(self._trusted_until(began))
        self._check.ok()
        return tenure.is_held

    def _trusted_until(self, asked: float) -> float:
        """Return when a lease is over for us that was granted after `asked`, whatever the store's clock says."""
        return asked + self._settings.lease_ttl.total_seconds() * _SAFETY

    def _remediation(self, tenure: Tenure, stops: Stops) -> Remediation:
        trail = AuditTrail(self._ports.publisher, self._ports.archive, trust=self._own, token=tenure.token)
        fenced = FencedCluster(self._ports.cluster, tenure=tenure, register=self._register)
        return Remediation(
            self._ports.publisher,
            lambda workload: self._actor(StoppableCluster(fenced, stops, workload), tenure),
            Capture(self._ports.cluster, within=self._settings.evidence_within),
            predictor=Predictor(self._ports.cluster),
            brake=self._brake(tenure),
            stops=stops,
            records=Records(trail, self._events(stops)),
            lease=self._lease,
            tenure=tenure,
            clock=self._runtime.clock,
            settings=self._settings,
        )

    def _actor(self, cluster: StoppableCluster, tenure: Tenure) -> Actor:
        webhooks = Webhooks(self._ports.webhooks, clock=self._runtime.clock)

        async def check() -> None:
            tenure.check()
            await cluster.check()

        async def call(call: Call, *, command: str, dry_run: bool) -> None:
            await webhooks.call(call, command=command, check=check, dry_run=dry_run)

        return Actor(cluster, caller=call, protected_namespaces=self._settings.protected_namespaces)

    def _brake(self, tenure: Tenure) -> Brake:
        ports = self._ports
        ledger = Ledger(ports.publisher, ports.archive, trust=self._own, token=tenure.token, clock=self._runtime.clock)
        return Brake(ledger, Survey(ports.cluster), self._settings.limits)

    def _events(self, stops: Stops) -> Events:
        return Events(
            lambda workload: StoppableCluster(self._ports.cluster, stops, workload),
            instance=self._settings.instance,
            protected_namespaces=self._settings.protected_namespaces,
        )


@asynccontextmanager
async def wire(runtime: Runtime, settings: RemediatorSettings) -> AsyncGenerator[Mapping[str, Task]]:
    """Open the adapters and yield the one task that runs on them."""
    keys = read_checking_keys(settings.checking_keys_file)  # wrong ones are the operator's to mend, first of all
    own_key = read_signing_key(settings.records_key_file)
    own_keys = checks_of([own_key.public]) | read_former_keys(settings.records_former_keys_file)
    webhooks = read_webhooks(settings.webhooks_file)
    async with (
        KubeClient(settings.kubeconfig) as client,
        connect(settings.redis_url) as redis,
        depending(runtime, kafka=partial(ask_broker, settings.kafka_bootstrap), redis=redis.ask, kubernetes=client.ask),
        KafkaPublisher(settings.kafka_bootstrap, source=NAME, seal=record_seal(own_key, settings.cluster)) as publisher,
    ):
        ports = Ports(
            publisher=publisher,
            archive=KafkaArchive(settings.kafka_bootstrap),
            commands=lambda: AssignedConsumer(settings.kafka_bootstrap, topics=[COMMANDS], group=GROUP),
            cluster=client,
            redis=redis,
            keys=keys,
            own_keys=own_keys,
            webhooks=webhooks,
        )
        yield {"lead": Leadership(settings, ports, runtime=runtime).run}


def main() -> int:
    """Run the remediator until it is told to stop; return the exit code."""
    settings = read_settings(RemediatorSettings)
    return run_service(NAME, settings, lambda runtime: wire(runtime, settings))
