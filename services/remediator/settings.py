"""The remediator's settings, read once from the environment."""

from datetime import timedelta
from pathlib import Path

from pydantic import Field

from shared.runtime.settings import ServiceSettings


class RemediatorSettings(ServiceSettings):
    """Adds the store, the cluster, whose commands are believed, and what holds whatever they say."""

    redis_url: str = "redis://127.0.0.1:6379/0"
    checking_keys_file: Path
    kubeconfig: Path | None = None
    dry_run: bool = False
    evidence_within_seconds: float = Field(default=10.0, ge=1.0, le=30.0)
    lease_ttl_seconds: float = Field(default=5.0, ge=1.0, le=60.0)
    protected_namespaces: frozenset[str] = frozenset({"kube-system", "kube-public", "kube-node-lease", "sre-agent"})

    @property
    def evidence_within(self) -> timedelta:
        """Return how long a command may wait for its evidence."""
        return timedelta(seconds=self.evidence_within_seconds)

    @property
    def lease_ttl(self) -> timedelta:
        """Return how long a lease lives that is not renewed."""
        return timedelta(seconds=self.lease_ttl_seconds)
