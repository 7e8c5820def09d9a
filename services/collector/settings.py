"""The collector's settings, read once from the environment."""

from pathlib import Path

from shared.runtime.settings import ServiceSettings


class CollectorSettings(ServiceSettings):
    """Adds the cluster's address; without a kubeconfig it is the cluster that the pod runs in.

    Prometheus is asked only where its address is given: the queries of a file, and those of the rules in force.
    """

    kubeconfig: Path | None = None
    prometheus_url: str = ""
    queries_file: Path | None = None
