"""The order of the doing: an observation to signals, and those that are news to the topic."""

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from typing import Protocol
from urllib.parse import quote

from services.collector.adapters.watching import Observation
from services.collector.core.news import News
from services.collector.core.owners import Owners, about, self_of
from services.collector.core.queries import Query, queries_of, round_of, samples_of
from services.collector.core.signals import (
    event_moment,
    event_signal,
    is_ours,
    node_signal,
    pod_signals,
    workload_signal,
)
from shared.contracts.codec import Envelope
from shared.contracts.model import JsonObject
from shared.contracts.objects import section, text
from shared.contracts.playbooks import PlaybookInForce
from shared.contracts.signals import Signal
from shared.contracts.topics import SIGNALS_KUBERNETES, SIGNALS_PROMETHEUS
from shared.contracts.workloads import WorkloadRef
from shared.infra.broker import Publisher
from shared.infra.kube import KubeError
from shared.kernel.clock import Clock
from shared.kernel.errors import UnavailableError

WORKLOADS = frozenset({"Deployment", "StatefulSet", "DaemonSet"})
OWNERS = {"ReplicaSet": "/apis/apps/v1/namespaces/{}/replicasets/{}", "Job": "/apis/batch/v1/namespaces/{}/jobs/{}"}
_OLD_EVENT = timedelta(minutes=5)
_NOT_FOUND = 404


class Cluster(Protocol):
    """What is asked of the cluster besides the watches."""

    async def get(self, path: str) -> JsonObject:
        """Return one object.

        Raises:
            KubeError: the server refuses.
            UnavailableError: it does not answer.
        """
        ...


class Collecting:
    """Observations to signals."""

    def __init__(self, publisher: Publisher, client: Cluster, *, cluster: str, clock: Clock) -> None:
        self._publisher = publisher
        self._client = client
        self._cluster = cluster
        self._clock = clock
        self._owners = Owners()
        self._news = News()

    async def handle(self, observations: Sequence[Observation]) -> None:
        """Publish what observations of different objects bring; acknowledged when it returns.

        Raises:
            UnavailableError: the broker or the API server does not answer; what was not published stays news.
            KubeError: the API server refuses to tell an owner.
        """
        signals = [signal for one in observations for signal in await self._signals(one)]
        now = self._clock.now()
        news = [self._news.dated(signal, now=now) for signal in signals if self._news.is_news(signal)]
        await self._publisher.publish_all(news, topic=SIGNALS_KUBERNETES)
        for signal in news:
            self._news.told(signal)
        for gone in (one for one in observations if one.deleted):
            self._forget(gone)

    async def _signals(self, observation: Observation) -> list[Signal]:
        source, itself = observation.object, self_of(observation.object, observation.kind.name)
        if itself is None:
            return []
        await self._learn(itself, source, deleted=observation.deleted)
        return list(self._said(observation, itself, self._clock.now()))

    def _forget(self, gone: Observation) -> None:
        itself = self_of(gone.object, gone.kind.name)
        if itself is not None:
            self._news.forget(text(section(gone.object, "metadata"), "uid"))
            self._owners.forget(itself)

    async def _learn(self, itself: WorkloadRef, source: JsonObject, *, deleted: bool) -> None:
        is_pod = itself.kind == "Pod"
        if is_pod or itself.kind in OWNERS:
            self._owners.learn(itself, source)
        while is_pod and not deleted and (missing := self._owners.unknown(itself)) is not None:
            await self._ask_for(missing)

    async def _ask_for(self, missing: WorkloadRef) -> None:
        """Learn the owner of an object that our watch has not told yet; one that is gone owns itself."""
        path, names = OWNERS.get(missing.kind, ""), (missing.namespace, missing.name)
        nobody: JsonObject = {}
        try:
            found = await self._client.get(path.format(*(quote(one, safe="") for one in names))) if path else nobody
        except KubeError as refused:
            if refused.status != _NOT_FOUND:
                raise
            found = nobody
        self._owners.learn(missing, found)
        if found is nobody:
            self._owners.forget(missing)

    def _said(self, observation: Observation, itself: WorkloadRef, now: datetime) -> Iterator[Signal]:
        source, cluster, deleted = observation.object, self._cluster, observation.deleted
        if itself.kind in WORKLOADS:
            yield workload_signal(source, itself, cluster=cluster, now=now, deleted=deleted)
        elif itself.kind == "Pod":
            workload = self._owners.top_of(itself)
            yield from pod_signals(source, workload, cluster=cluster, now=now, deleted=deleted)
        elif itself.kind == "Node":
            yield node_signal(source, itself, cluster=cluster, now=now, deleted=deleted)
        elif itself.kind == "Event" and not _is_no_news(observation, now) and (named := about(source)) is not None:
            yield event_signal(source, self._owners.top_of(named), cluster=cluster, now=now)


def _is_no_news(observation: Observation, now: datetime) -> bool:
    """Tell whether an event tells of no trouble: aged out, history that came with a list, or written by ourselves.

    A start must not bring back what is over, and no rule may meet what was done because of it.
    """
    if observation.deleted or is_ours(observation.object):
        return True
    occurred = event_moment(observation.object)
    return observation.listed and occurred is not None and now - occurred > _OLD_EVENT


class Prometheus(Protocol):
    """What answers queries."""

    async def ask(self, query: Query) -> JsonObject:
        """Return the answer to a query.

        Raises:
            UnavailableError: it does not answer, or refuses the query; the message names the query.
        """
        ...


class Sampling:
    """Prometheus' samples to signals: of the queries of a file, and of those that the rules in force ask themselves."""

    def __init__(self, publisher: Publisher, prometheus: Prometheus, file: Sequence[Query], *, cluster: str) -> None:
        self._publisher = publisher
        self._prometheus = prometheus
        self._file = file
        self._cluster = cluster
        self._round = round_of(file, ())

    async def follow(self, envelope: Envelope) -> None:
        """Take up the queries of the playbook that is in force now; the next round asks them."""
        if isinstance(envelope.message, PlaybookInForce):
            self._round = round_of(self._file, queries_of(envelope.message))

    async def sample(self) -> None:
        """Ask every query once and publish its samples; a query that fails does not keep the others back.

        Raises:
            UnavailableError: a query failed, or the broker does not answer; the message names all that failed.
        """
        asked = self._round
        problems = [f"query {name} of the file is not asked: a rule's own has that name" for name in asked.hidden]
        for query in asked.queries:
            try:
                answer = await self._prometheus.ask(query)
            except UnavailableError as failed:
                problems.append(str(failed))
                continue
            samples = list(samples_of(query, answer, cluster=self._cluster))
            await self._publisher.publish_all(samples, topic=SIGNALS_PROMETHEUS)
        if problems:
            raise UnavailableError("; ".join(problems))
