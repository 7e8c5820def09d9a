"""The order of the doing: an observation to signals, and those that are news to the topic."""

from collections.abc import Iterator
from datetime import datetime, timedelta

from services.collector.adapters.prometheus import Prometheus
from services.collector.adapters.watching import Observation
from services.collector.core.news import News
from services.collector.core.objects import section, text
from services.collector.core.owners import Owners
from services.collector.core.queries import Queries, samples_of
from services.collector.core.signals import (
    event_moment,
    event_signal,
    node_signal,
    pod_signals,
    workload_signal,
)
from shared.contracts.model import JsonObject
from shared.contracts.signals import Signal
from shared.contracts.topics import SIGNALS_KUBERNETES, SIGNALS_PROMETHEUS
from shared.contracts.workloads import CLUSTER_SCOPE, WorkloadRef
from shared.infra.broker import Publisher
from shared.infra.kube import KubeClient, KubeError
from shared.kernel.clock import Clock
from shared.kernel.errors import UnavailableError

WORKLOADS = frozenset({"Deployment", "StatefulSet", "DaemonSet"})
OWNERS = {"ReplicaSet": "/apis/apps/v1/namespaces/{}/replicasets/{}", "Job": "/apis/batch/v1/namespaces/{}/jobs/{}"}
_OLD_EVENT = timedelta(minutes=5)
_NOT_FOUND = 404


class Collecting:
    """Observations to signals."""

    def __init__(self, publisher: Publisher, client: KubeClient, *, cluster: str, clock: Clock) -> None:
        self._publisher = publisher
        self._client = client
        self._cluster = cluster
        self._clock = clock
        self._owners = Owners()
        self._news = News()

    async def handle(self, observation: Observation) -> None:
        """Publish what an observation brings; acknowledged when it returns.

        Raises:
            UnavailableError: the broker or the API server does not answer; what was not published stays news.
        """
        kind, source = observation.kind.name, observation.object
        await self._learn(kind, source, deleted=observation.deleted)
        for signal in self._signals(observation, self._clock.now()):
            if self._news.is_news(signal):
                await self._publisher.publish(signal, topic=SIGNALS_KUBERNETES)
                self._news.told(signal)
        if observation.deleted:
            self._news.forget(text(section(source, "metadata"), "uid"))
            self._owners.forget(source, kind)

    async def _learn(self, kind: str, source: JsonObject, *, deleted: bool) -> None:
        if kind in OWNERS or kind == "Pod":
            self._owners.learn(source, kind)
        while kind == "Pod" and not deleted and (missing := self._owners.unknown(source)) is not None:
            await self._ask_for(missing)

    async def _ask_for(self, missing: WorkloadRef) -> None:
        """Learn the owner of an object that our watch has not told yet; one that is gone owns itself."""
        path = OWNERS.get(missing.kind, "")
        nobody: JsonObject = {"metadata": {"name": missing.name, "namespace": missing.namespace}}
        try:
            found = await self._client.get(path.format(missing.namespace, missing.name)) if path else nobody
        except KubeError as refused:
            if refused.status != _NOT_FOUND:
                raise
            found = nobody
        self._owners.learn(found, missing.kind)

    def _signals(self, observation: Observation, now: datetime) -> Iterator[Signal]:
        kind, source = observation.kind.name, observation.object
        if kind in WORKLOADS:
            yield workload_signal(source, kind, cluster=self._cluster, now=now, deleted=observation.deleted)
        elif observation.deleted:
            return
        elif kind == "Pod":
            yield from pod_signals(source, self._owners.top(source, kind), cluster=self._cluster, now=now)
        elif kind == "Node":
            yield node_signal(source, cluster=self._cluster, now=now)
        elif kind == "Event" and not _is_old(observation, now):
            yield event_signal(source, self._about(source), cluster=self._cluster, now=now)

    def _about(self, event: JsonObject) -> WorkloadRef:
        about = section(event, "involvedObject")
        named = WorkloadRef(
            kind=text(about, "kind") or "Unknown",
            namespace=text(about, "namespace") or CLUSTER_SCOPE,
            name=text(about, "name") or "unknown",
        )
        return self._owners.top_of(named)


def _is_old(observation: Observation, now: datetime) -> bool:
    """Tell whether an event only came with a list and is history: a start must not bring back what is over."""
    occurred = event_moment(observation.object)
    return observation.listed and occurred is not None and now - occurred > _OLD_EVENT


class Sampling:
    """Prometheus' samples to signals."""

    def __init__(self, publisher: Publisher, prometheus: Prometheus, queries: Queries, *, cluster: str) -> None:
        self._publisher = publisher
        self._prometheus = prometheus
        self._queries = queries
        self._cluster = cluster

    async def sample(self) -> None:
        """Ask every query once and publish its samples; a query that fails does not keep the others back.

        Raises:
            UnavailableError: a query failed, or the broker does not answer; the message names all that failed.
        """
        problems: list[str] = []
        for query in self._queries.queries:
            try:
                answer = await self._prometheus.ask(query)
            except UnavailableError as failed:
                problems.append(str(failed))
                continue
            for signal in samples_of(query, answer, cluster=self._cluster):
                await self._publisher.publish(signal, topic=SIGNALS_PROMETHEUS)
        if problems:
            raise UnavailableError("; ".join(problems))
