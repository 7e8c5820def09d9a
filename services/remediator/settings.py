"""The remediator's settings, read once from the environment."""

from datetime import timedelta
from pathlib import Path

from pydantic import Field

from services.remediator.core.brake import Limits, Scope
from shared.runtime.settings import ServiceSettings


class RemediatorSettings(ServiceSettings):
    """Adds the store, the cluster, whose commands and records are believed, and what holds whatever they say."""

    redis_url: str = "redis://127.0.0.1:6379/0"
    checking_keys_file: Path
    records_key_file: Path
    records_former_keys_file: Path | None = None
    kubeconfig: Path | None = None
    webhooks_file: Path | None = None
    dry_run: bool = False
    evidence_within_seconds: float = Field(default=10.0, ge=1.0, le=30.0)
    act_within_seconds: float = Field(default=40.0, ge=1.0, le=45.0)
    lease_ttl_seconds: float = Field(default=5.0, ge=1.0, le=60.0)
    brake_workload_per_hour: int = Field(default=6, ge=1)
    brake_node_per_hour: int = Field(default=12, ge=1)
    brake_namespace_per_hour: int = Field(default=30, ge=1)
    brake_cluster_per_hour: int = Field(default=60, ge=1)
    brake_node_at_once: int = Field(default=2, ge=1)
    brake_namespace_at_once: int = Field(default=5, ge=1)
    brake_cluster_at_once: int = Field(default=10, ge=1)
    brake_namespace_percent: int = Field(default=50, ge=1, le=100)
    brake_nodes_percent: int = Field(default=50, ge=1, le=100)
    protected_namespaces: frozenset[str] = frozenset({"kube-system", "kube-public", "kube-node-lease", "sre-agent"})

    @property
    def evidence_within(self) -> timedelta:
        """Return how long a command may wait for its evidence."""
        return timedelta(seconds=self.evidence_within_seconds)

    @property
    def act_within(self) -> timedelta:
        """Return how long an action may take as a whole.

        A command is taken up within a minute, its evidence and this may follow, and after two minutes the decider
        calls its result missing.
        """
        return timedelta(seconds=self.act_within_seconds)

    @property
    def lease_ttl(self) -> timedelta:
        """Return how long a lease lives that is not renewed."""
        return timedelta(seconds=self.lease_ttl_seconds)

    @property
    def limits(self) -> Limits:
        """Return the brake's limits."""
        return Limits(
            per_hour={
                Scope.WORKLOAD: self.brake_workload_per_hour,
                Scope.NODE: self.brake_node_per_hour,
                Scope.NAMESPACE: self.brake_namespace_per_hour,
                Scope.CLUSTER: self.brake_cluster_per_hour,
            },
            at_once={
                Scope.NODE: self.brake_node_at_once,
                Scope.NAMESPACE: self.brake_namespace_at_once,
                Scope.CLUSTER: self.brake_cluster_at_once,
            },
            namespace_percent=self.brake_namespace_percent,
            nodes_percent=self.brake_nodes_percent,
        )
