"""The real cluster that `sre-agent cluster run` started: how to reach it, and what its own programs left on record."""

import json
import os
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import pytest
from kubernetes import client, config

# the client's models are typed in part only
# pyright: basic


@dataclass(frozen=True)
class Real:
    """One cluster; `directory` holds its state, its kubeconfigs by account, and its audit log."""

    directory: Path

    @property
    def kubeconfig(self) -> Path:
        """Return the administrator's kubeconfig."""
        return self.directory / "admin.kubeconfig"

    def account(self, name: str) -> Path:
        """Return the kubeconfig of one of our services' accounts."""
        return self.directory / f"{name}.kubeconfig"

    @cached_property
    def api(self) -> Any:
        """Return an administrator's client of the unmodified `kubernetes` package."""
        return config.new_client_from_config(str(self.kubeconfig))

    @cached_property
    def core(self) -> Any:
        return client.CoreV1Api(self.api)

    @cached_property
    def apps(self) -> Any:
        return client.AppsV1Api(self.api)

    def audited(self) -> list[dict[str, Any]]:
        """Return the requests that the API server has logged."""
        lines = (self.directory / "audit.jsonl").read_text().splitlines()
        return [json.loads(line) for line in lines if line.endswith("}")]


def the_cluster() -> Real:
    """Return the cluster; a run without one fails, it does not pass by."""
    directory = os.environ.get("SRE_TEST_CLUSTER")
    if not directory:
        pytest.fail("SRE_TEST_CLUSTER is not set: these tests need a real Kubernetes; run them by: make test-cluster")
    return Real(Path(directory))
