"""All five services as processes, and a proxy before each thing that they depend on."""

import sys
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from urllib.parse import urlsplit

from sandbox.cluster.__main__ import write_kubeconfig
from sandbox.stack.brake import UNBRAKED
from sandbox.stack.kafka import Forwarded, KafkaBroker
from sandbox.stack.ports import free_port
from sandbox.stack.process import ChildProcess, ServiceSpec
from sandbox.stack.valkey import ValkeyServer
from shared.infra.kafka import KafkaPublisher, create_topics
from shared.infra.kube import KubeClient
from tests.fakes.gemini import gemini, text
from tests.fakes.prometheus import prometheus
from tests.integration.service_process import decider_publisher, readiness, service
from tests.proxy import Proxy
from tests.unit.services.rca.core.test_rca import answer

DEPENDENCIES: Mapping[str, Sequence[str]] = {
    "kafka": ("collector", "decider", "remediator", "rca", "api"),
    "redis": ("remediator", "api"),
    "kubernetes": ("collector", "remediator"),
    "prometheus": ("collector",),
    "model": ("rca",),
}
"""By its check's name, each with the services that depend on it."""
SERVICES = DEPENDENCIES["kafka"]
ROOT = Path(__file__).resolve().parents[3]
PLAYBOOK = """\
apiVersion: sre-agent.dev/v1alpha1
kind: HealingPlaybook
metadata: {name: away}
spec:
  rules:
    - name: crash
      signal: container
      where: {reason: CrashLoopBackOff}
      cooldown: 10m
      ladder: [{action: restart-pod, verify: {healthy_for: 1s, within: 2m}}]
"""
QUERIES = "interval_seconds: 5\nqueries: [{name: load, expr: node_load1}]\n"


@dataclass(frozen=True)
class Stage:
    """What runs; the test itself has ways to Kafka and the cluster that nothing disturbs."""

    bootstrap: str
    client: KubeClient
    publisher: KafkaPublisher
    proxies: Mapping[str, Proxy]
    processes: Mapping[str, ChildProcess]
    api: str
    audit: Path

    async def named(self, service: str, dependency: str) -> bool:
        """Tell whether a service says that it is not ready, because of a dependency."""
        report = await readiness(self.processes[service])
        checks = report["checks"]
        return not report["ready"] and dependency in checks and not checks[dependency]["ok"]

    async def is_ready(self) -> bool:
        """Tell whether every service is ready."""
        return all([await process.spec.ready() for process in self.processes.values()])


@asynccontextmanager
async def staged(directory: Path) -> AsyncGenerator[Stage]:
    """Run all of it while the context lasts."""
    (directory / "playbook.yaml").write_text(PLAYBOOK)
    (directory / "queries.yaml").write_text(QUERIES)
    async with AsyncExitStack() as stack:
        arrives, cluster_port, api_port = free_port(), free_port(), free_port()
        store = await stack.enter_async_context(ValkeyServer(directory / "valkey"))
        model = await stack.enter_async_context(gemini(text(answer())))
        metrics = await stack.enter_async_context(prometheus())
        behind = {
            "kafka": arrives,
            "redis": _port(store.url),
            "kubernetes": cluster_port,
            "prometheus": _port(metrics.url),
            "model": _port(model.url),
        }
        proxies = {name: await stack.enter_async_context(Proxy(port)) for name, port in behind.items()}
        forwarded = Forwarded(leaves=proxies["kafka"].port, arrives=arrives)
        broker = await stack.enter_async_context(KafkaBroker(directory / "kafka", forwarded=forwarded))
        await create_topics(broker.bootstrap)
        await stack.enter_async_context(_started(_cluster(directory, cluster_port)))
        client = await stack.enter_async_context(KubeClient(directory / "cluster" / "kubeconfig"))
        await client.create("/api/v1/namespaces", {"metadata": {"name": "bank"}})
        publisher = await stack.enter_async_context(decider_publisher(broker.bootstrap))
        env = _environment(directory, proxies, api_port)
        processes = {name: service(name, env=env, directory=directory) for name in SERVICES}
        for process in processes.values():
            await stack.enter_async_context(_started(process))
        api = f"http://127.0.0.1:{api_port}"
        audit = directory / "cluster" / "audit.jsonl"
        yield Stage(broker.bootstrap, client, publisher, proxies, processes, api, audit)


def _environment(directory: Path, proxies: Mapping[str, Proxy], api_port: int) -> dict[str, str]:
    url = {name: f"127.0.0.1:{proxy.port}" for name, proxy in proxies.items()}
    write_kubeconfig(directory / "kubeconfig", f"http://{url['kubernetes']}")
    return {
        **UNBRAKED,
        "SRE_KAFKA_BOOTSTRAP": url["kafka"],
        "SRE_REDIS_URL": f"redis://{url['redis']}/0",
        "SRE_KUBECONFIG": str(directory / "kubeconfig"),
        "SRE_PROMETHEUS_URL": f"http://{url['prometheus']}",
        "SRE_QUERIES_FILE": str(directory / "queries.yaml"),
        "SRE_PLAYBOOK_FILE": str(directory / "playbook.yaml"),
        "GEMINI_API_KEY": "not-a-real-key",
        "SRE_GEMINI_TIMEOUT_SECONDS": "15",
        "SRE_GEMINI_BASE_URL": f"http://{url['model']}",
        "SRE_API_PORT": str(api_port),
        "SRE_API_TOKEN": "ann:s3cret",
    }


def _cluster(directory: Path, port: int) -> ChildProcess:
    kubeconfig = directory / "cluster" / "kubeconfig"

    async def is_ready() -> bool:
        return kubeconfig.exists()

    return ChildProcess(
        ServiceSpec(
            name="cluster",
            argv=[sys.executable, "-m", "sandbox.cluster", "--dir", str(kubeconfig.parent), "--port", str(port)],
            env={"PYTHONPATH": str(ROOT)},
            log_path=directory / "cluster.log",
            ready=is_ready,
            ready_within=timedelta(seconds=60),
        )
    )


@asynccontextmanager
async def _started(process: ChildProcess) -> AsyncGenerator[None]:
    try:
        await process.start()
        await process.until_ready()
        yield
    finally:
        await process.stop()


def _port(url: str) -> int:
    return urlsplit(url).port or 0
