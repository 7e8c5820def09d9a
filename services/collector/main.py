"""Wires the collector: settings → adapters → handlers → one supervised task per kind of object."""

from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import timedelta
from functools import partial

from services.collector.adapters.prometheus import connect, read_queries
from services.collector.adapters.watching import Kind, Observation, Watching
from services.collector.core.queries import EVERY
from services.collector.handlers import Collecting, Sampling
from services.collector.settings import CollectorSettings
from shared.contracts.topics import PLAYBOOKS
from shared.infra.kafka import AssignedConsumer, KafkaPublisher, ask_broker
from shared.infra.kube import KubeClient, KubeError
from shared.kernel.backoff import Backoff
from shared.kernel.errors import TransientError
from shared.runtime.consuming import consume
from shared.runtime.dependencies import depending
from shared.runtime.health import Check
from shared.runtime.lifecycle import Runtime, Task, run_service
from shared.runtime.log import logger
from shared.runtime.settings import read_settings
from shared.runtime.tasks import every, pause, until_stopping

NAME = "collector"
_PLAYBOOKS_GROUP = "sre-collector-playbooks"
"""Bears no offsets that matter: the newest playbook is looked up at each start."""
KINDS = (
    Kind("Node", "/api/v1/nodes"),
    Kind("ReplicaSet", "/apis/apps/v1/replicasets"),
    Kind("Job", "/apis/batch/v1/jobs"),
    Kind("Deployment", "/apis/apps/v1/deployments"),
    Kind("StatefulSet", "/apis/apps/v1/statefulsets"),
    Kind("DaemonSet", "/apis/apps/v1/daemonsets"),
    Kind("Pod", "/api/v1/pods"),
    Kind("Event", "/api/v1/events"),
)
_BACKOFF = Backoff(cap=timedelta(seconds=5))


@dataclass(slots=True)
class Following:
    """Observes one kind, and says of it whether it is well: the API server answers, and nothing is left untold."""

    kind: Kind
    client: KubeClient
    collecting: Collecting
    check: Check
    _failures: int = 0
    _is_owing: bool = False

    async def run(self, runtime: Runtime) -> None:
        """Observe until the service stops; whatever breaks is taken up again where it was."""
        watching = Watching(self.client, self.kind, self._tell, on_answer=self._answered)
        while not runtime.stopping.is_set():
            try:
                await watching.observe()
                self._well()
            except (TransientError, KubeError) as failed:
                self._failures += 1
                self.check.bad(str(failed))
                await pause(_BACKOFF.delay(self._failures, key=self.kind.name), runtime)

    async def _tell(self, observations: Sequence[Observation]) -> None:
        self._is_owing = True
        await self.collecting.handle(observations)
        self._well()

    def _answered(self) -> None:
        if not self._is_owing:  # else it is Kafka that is away, and this answer is no cure for it
            self.check.ok()  # the failures still count: what opens may break at once, again and again

    def _well(self) -> None:
        self._failures, self._is_owing = 0, False
        self.check.ok()


async def follow(kind: Kind, client: KubeClient, collecting: Collecting, *, runtime: Runtime) -> None:
    """Observe one kind until the service stops."""
    following = Following(kind, client, collecting, runtime.health.watch(f"watch-{kind.name.lower()}"))
    # a watch may be silent for long; what is not published yet stays news
    await until_stopping(following.run(runtime), runtime)


async def ask(client: KubeClient) -> None:
    """Ask the API server for something small, which it cannot answer without its store.

    A watch tells nothing of a server that has lost its store, and of one that is out of reach only when its time is up.

    Raises:
        UnavailableError: it does not answer.
    """
    with suppress(KubeError):  # it answers; whoever misses the right says so
        await client.get(KINDS[0].path, limit="1")


@asynccontextmanager
async def wire(runtime: Runtime, settings: CollectorSettings) -> AsyncGenerator[Mapping[str, Task]]:
    """Open the adapters and yield the tasks that run on them."""
    async with (
        KubeClient(settings.kubeconfig) as client,
        depending(runtime, kafka=partial(ask_broker, settings.kafka_bootstrap), kubernetes=partial(ask, client)),
        KafkaPublisher(settings.kafka_bootstrap, source=NAME) as publisher,
    ):
        collecting = Collecting(publisher, client, cluster=settings.cluster, clock=runtime.clock)
        watches = {
            f"watch-{kind.name.lower()}": partial(follow, kind, client, collecting, runtime=runtime) for kind in KINDS
        }
        async with _sampling(settings, publisher, runtime) as sampling:
            yield {**watches, **sampling}


@asynccontextmanager
async def _sampling(
    settings: CollectorSettings, publisher: KafkaPublisher, runtime: Runtime
) -> AsyncGenerator[Mapping[str, Task]]:
    if not settings.prometheus_url:
        logger().info("prometheus.not_asked", why="SRE_PROMETHEUS_URL is not set")
        yield {}
        return
    file = read_queries(settings.queries_file) if settings.queries_file is not None else None
    bootstrap, interval = settings.kafka_bootstrap, file.interval if file is not None else EVERY
    async with (
        connect(settings.prometheus_url) as prometheus,
        depending(runtime, prometheus=prometheus.answers),
        AssignedConsumer(bootstrap, topics=[PLAYBOOKS], group=_PLAYBOOKS_GROUP, start={}) as playbooks,
    ):
        sampling = Sampling(publisher, prometheus, file.queries if file is not None else (), cluster=settings.cluster)
        yield {
            "sample": lambda: every(interval, sampling.sample, runtime=runtime),
            "playbook": lambda: consume(
                playbooks, sampling.follow, publisher=publisher, runtime=runtime, name="playbook"
            ),
        }


def main() -> int:
    """Run the collector until it is told to stop; return the exit code."""
    settings = read_settings(CollectorSettings)
    return run_service(NAME, settings, lambda runtime: wire(runtime, settings))
