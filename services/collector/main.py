"""Wires the collector: settings → adapters → handlers → one supervised task per kind of object."""

from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from functools import partial

from services.collector.adapters.prometheus import connect, read_queries
from services.collector.adapters.watching import Kind, Watching
from services.collector.handlers import Collecting, Sampling
from services.collector.settings import CollectorSettings
from shared.infra.kafka import KafkaPublisher
from shared.infra.kube import KubeClient, KubeError
from shared.kernel.backoff import Backoff
from shared.kernel.errors import TransientError
from shared.runtime.lifecycle import Runtime, Task, run_service
from shared.runtime.log import logger
from shared.runtime.settings import read_settings
from shared.runtime.tasks import every, pause, until_stopping

NAME = "collector"
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
_BACKOFF = Backoff()


async def follow(kind: Kind, client: KubeClient, collecting: Collecting, *, runtime: Runtime) -> None:
    """Observe one kind until the service stops; whatever breaks is taken up again where it was."""
    # a watch may be silent for minutes; what is not published yet stays news
    await until_stopping(_observe(kind, client, collecting, runtime=runtime), runtime)


async def _observe(kind: Kind, client: KubeClient, collecting: Collecting, *, runtime: Runtime) -> None:
    check = runtime.health.watch(f"watch-{kind.name.lower()}")
    watching = Watching(client, kind, on_listed=check.ok)
    failures = 0
    while not runtime.stopping.is_set():
        try:
            async for observation in watching.observe():
                await collecting.handle(observation)
                failures = 0
                check.ok()
            check.ok()
        except (TransientError, KubeError) as failed:
            failures += 1
            check.bad(str(failed))
            await pause(_BACKOFF.delay(failures, key=kind.name), runtime)


@asynccontextmanager
async def wire(runtime: Runtime, settings: CollectorSettings) -> AsyncGenerator[Mapping[str, Task]]:
    """Open the adapters and yield the tasks that run on them."""
    async with (
        KafkaPublisher(settings.kafka_bootstrap, source=NAME) as publisher,
        KubeClient(settings.kubeconfig) as client,
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
    if not settings.prometheus_url or settings.queries_file is None:
        logger().info("prometheus.not_asked", why="SRE_PROMETHEUS_URL or SRE_QUERIES_FILE is not set")
        yield {}
        return
    queries = read_queries(settings.queries_file)
    async with connect(settings.prometheus_url) as prometheus:
        sampling = Sampling(publisher, prometheus, queries, cluster=settings.cluster)
        yield {"sample": lambda: every(queries.interval, sampling.sample, runtime=runtime)}


def main() -> int:
    """Run the collector until it is told to stop; return the exit code."""
    settings = read_settings(CollectorSettings)
    return run_service(NAME, settings, lambda runtime: wire(runtime, settings))
