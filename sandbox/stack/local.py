"""The whole local stack: Kafka, Valkey, a cluster and the five services, as processes on loopback."""

import secrets
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Self

from sandbox.stack.detached import STATE_FILE
from sandbox.stack.kafka import KafkaBroker
from sandbox.stack.ports import free_ports
from sandbox.stack.probes import answers
from sandbox.stack.process import ServiceSpec
from sandbox.stack.progress import Report
from sandbox.stack.supervisor import Supervisor
from sandbox.stack.valkey import ValkeyServer
from shared.infra.kafka import create_topics

SERVICES = ("collector", "decider", "remediator", "rca", "api")
OPERATOR = "operator"
_ROOT = Path(__file__).resolve().parents[2]
_READY_WITHIN = timedelta(seconds=90)


@dataclass(frozen=True, slots=True, kw_only=True)
class StackOptions:
    """What a stack is run with; without a kubeconfig it brings its own simulated cluster.

    `accounts` are kubeconfigs of services that have one of their own; the others use `kubeconfig`. `settings` are
    environment variables of all services beside those that the stack gives them.
    """

    directory: Path
    playbook: Path
    kubeconfig: Path | None = None
    accounts: Mapping[str, Path] = field(default_factory=dict[str, Path])
    settings: Mapping[str, str] = field(default_factory=dict[str, str])
    api_port: int = 0
    time_scale: float = 1.0


class LocalStack:
    """Run the stack as an async context manager; nothing is left when it ends."""

    def __init__(self, options: StackOptions, *, report: Report) -> None:
        self._options = options
        self._report = report
        self._supervisor = Supervisor(options.directory / STATE_FILE, report=report)
        self._kafka = KafkaBroker(options.directory / "kafka", report=report)
        self._valkey = ValkeyServer(options.directory / "valkey")
        ports = free_ports(len(SERVICES) + 1)
        self._ports: dict[str, int] = dict(zip(SERVICES, ports, strict=False))
        self._api_port = options.api_port or ports[-1]
        self.token = secrets.token_urlsafe(24)

    @property
    def bootstrap(self) -> str:
        """Return the broker's address."""
        return self._kafka.bootstrap

    @property
    def api_url(self) -> str:
        """Return the API's address."""
        return f"http://127.0.0.1:{self._api_port}"

    @property
    def health_urls(self) -> Mapping[str, str]:
        """Return the address of each service's health server."""
        return {name: f"http://127.0.0.1:{port}" for name, port in self._ports.items()}

    @property
    def token_file(self) -> Path:
        """Return the file that holds the operator's token."""
        return self._options.directory / "token"

    @property
    def kubeconfig(self) -> Path:
        """Return the file that leads to the cluster."""
        return self._options.kubeconfig or self._options.directory / "cluster" / "kubeconfig"

    @property
    def audit_log(self) -> Path:
        """Return the simulated cluster's audit log."""
        return self._options.directory / "cluster" / "audit.jsonl"

    @property
    def restarts(self) -> Mapping[str, int]:
        """Return how often each process had to be started again."""
        return self._supervisor.restarts

    async def __aenter__(self) -> Self:
        """Start everything and return when all of it is ready."""
        try:
            await self._start()
        except BaseException:
            await self._supervisor.stop()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        """Stop everything."""
        self._report("Stopping the stack")
        await self._supervisor.stop()

    async def _start(self) -> None:
        self.token_file.touch(mode=0o600)
        self.token_file.write_text(self.token)
        self._report(f"Starting Apache Kafka {self._kafka.version}, Valkey {self._valkey.version} and the cluster")
        await self._supervisor.start([await self._kafka.prepare(), await self._valkey.prepare(), *self._cluster()])
        self._report(f"Kafka on {self.bootstrap}; creating the topics")
        await create_topics(self.bootstrap)
        self._report(f"Starting the services: {', '.join(SERVICES)}")
        await self._supervisor.start([self._service(name) for name in SERVICES])
        self._supervisor.watch(self._report)
        self._report(f"Everything is ready; the API is on {self.api_url}")

    def _cluster(self) -> Sequence[ServiceSpec]:
        if self._options.kubeconfig is not None:
            self._report(f"Using the cluster of {self._options.kubeconfig}")
            return []
        directory = self._options.directory / "cluster"
        argv = [sys.executable, "-m", "sandbox.cluster", "--dir", str(directory)]

        async def is_ready() -> bool:
            return (directory / "kubeconfig").exists()

        return [
            ServiceSpec(
                name="cluster",
                argv=[*argv, "--time-scale", str(self._options.time_scale)],
                log_path=self._log("cluster"),
                env={"PYTHONPATH": str(_ROOT)},
                ready=is_ready,
                urls={"kubeconfig": str(self.kubeconfig)},
            )
        ]

    def _service(self, name: str) -> ServiceSpec:
        port = self._ports[name]
        urls = {"api": self.api_url} if name == "api" else {}
        return ServiceSpec(
            name=name,
            argv=[sys.executable, "-m", f"services.{name}"],
            log_path=self._log(name),
            env=self._environment(name, port),
            ready=answers(f"http://127.0.0.1:{port}/readyz"),
            urls=urls,
            depends=("kafka", "valkey"),
            ready_within=_READY_WITHIN,
        )

    def _environment(self, service: str, health_port: int) -> dict[str, str]:
        health = ",".join(f"{name}={url}" for name, url in self.health_urls.items())
        return {
            "PYTHONPATH": str(_ROOT),
            "SRE_KAFKA_BOOTSTRAP": self.bootstrap,
            "SRE_REDIS_URL": self._valkey.url,
            "SRE_KUBECONFIG": str(self._options.accounts.get(service, self.kubeconfig)),
            **self._keys(service),
            "SRE_PLAYBOOK_FILE": str(self._options.playbook),
            "SRE_HEALTH_PORT": str(health_port),
            "SRE_API_PORT": str(self._api_port),
            "SRE_API_TOKEN": f"{OPERATOR}:{self.token}",
            "SRE_API_SERVICES": health,
            **self._options.settings,
        }

    def _keys(self, service: str) -> Mapping[str, str]:
        """Return which keys a service has: halves of the commands' pair, and the remediators' own for their records."""
        from shared.infra.keys import create_pair  # noqa: PLC0415 - cryptography takes 50 ms to import

        pair, records = (create_pair(self._options.directory / name) for name in ("keys", "records-keys"))
        halves = {
            "decider": {"SRE_SIGNING_KEY_FILE": str(pair.signing)},
            "remediator": {
                "SRE_CHECKING_KEYS_FILE": str(pair.checking),
                "SRE_RECORDS_KEY_FILE": str(records.signing),
            },
        }
        return halves.get(service, {})

    def _log(self, name: str) -> Path:
        return self._options.directory / "logs" / f"{name}.log"
