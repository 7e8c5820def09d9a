"""The collector's settings, read once from the environment."""

from pathlib import Path

from shared.runtime.settings import ServiceSettings


class CollectorSettings(ServiceSettings):
    """Adds the cluster's address; without a kubeconfig it is the cluster that the pod runs in."""

    kubeconfig: Path | None = None
