"""The clusters that the suite runs on: the sandbox's always, and a real one where SRE_TEST_KUBECONFIG names it."""

# the client's models are typed in part only
# pyright: basic, reportArgumentType=false, reportOptionalMemberAccess=false
# pyright: reportAttributeAccessIssue=false, reportIndexIssue=false

import asyncio
import os
import shutil
import sys
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

from kubernetes import client, config

from sandbox.stack.process import ChildProcess, ServiceSpec

KUBECTL = shutil.which("kubectl")
SANDBOX_WINDOW = 200
"""How many changes the sandbox remembers here, so that a test can outlive them."""
REAL = "SRE_TEST_KUBECONFIG"
RUNS = ["sh", "-c", "trap 'exit' TERM; sleep 3600 & wait"]
ROOT = Path(__file__).resolve().parents[3]


@dataclass(frozen=True)
class Backend:
    """One cluster: how to reach it, and how a pod must look that can run there."""

    kubeconfig: Path
    image: str = "bank/server:v1"
    node_selector: tuple[tuple[str, str], ...] = ()

    def api(self) -> Any:
        """Return a client of the unmodified `kubernetes` package."""
        return config.new_client_from_config(str(self.kubeconfig))

    def container(self, name: str = "server", *, command: list[str] | None = None, **fields: Any) -> dict[str, Any]:
        """Return a container that can run there; without a command it runs until it is told to stop."""
        own = {"name": name, "image": self.image, "imagePullPolicy": "IfNotPresent", "command": command or RUNS}
        return own | fields

    def pod(self, name: str, *containers: dict[str, Any], notes: dict[str, str] | None = None, **spec: Any) -> Any:
        """Return a pod that can run there."""
        own = {
            "containers": list(containers or [self.container()]),
            "terminationGracePeriodSeconds": 1,
            "nodeSelector": dict(self.node_selector),
        }
        metadata = {"name": name, "labels": {"app": name}, "annotations": notes or {}}
        return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": own | spec}

    def unplaced(self, name: str) -> Any:
        """Return a pod that no node takes, so that nobody but the test writes to it."""
        return self.pod(name, nodeSelector={"node": "none"})

    def deployment(
        self, name: str, *, replicas: int = 1, command: list[str] | None = None, kind: str = "Deployment", **spec: Any
    ) -> dict[str, Any]:
        """Return a Deployment, or another kind with a template, that can run there."""
        pod = self.pod(name, self.container(command=command))
        template = {"metadata": {"labels": {"app": name}}, "spec": pod["spec"]}
        own = {"replicas": replicas, "selector": {"matchLabels": {"app": name}}, "template": template}
        return {"apiVersion": "apps/v1", "kind": kind, "metadata": {"name": name}, "spec": own | spec}


def backends() -> list[str]:
    """Return which clusters there are."""
    return ["sandbox", "real"] if os.environ.get(REAL) else ["sandbox"]


@contextmanager
def running(kind: str, directory: Path) -> Generator[Backend]:
    """Run a cluster, or use the real one."""
    if kind == "real":
        yield Backend(Path(os.environ[REAL]), "localhost/busybox:1", (("node", "real"),))
        return
    kubeconfig = directory / "kubeconfig"

    async def is_ready() -> bool:
        return kubeconfig.exists()

    child = ChildProcess(
        ServiceSpec(
            name="cluster",
            argv=[sys.executable, "-m", "sandbox.cluster", "--dir", str(directory), "--window", str(SANDBOX_WINDOW)],
            env={"PYTHONPATH": str(ROOT)},
            log_path=directory / "cluster.log",
            ready=is_ready,
        )
    )
    with asyncio.Runner() as runner:
        runner.run(child.start())
        try:
            runner.run(child.until_ready())
            yield Backend(kubeconfig)
        finally:
            runner.run(child.stop())


def until(holds: Callable[[], bool], *, within: timedelta = timedelta(seconds=60)) -> None:
    """Return when something holds; fail at the deadline."""
    deadline = time.monotonic() + within.total_seconds()
    while not holds():
        assert time.monotonic() < deadline, "it did not come about in time"
        time.sleep(0.05)


def is_missing(ask: Callable[[], object]) -> bool:
    """Tell whether an object is not there."""
    try:
        ask()
    except client.ApiException as refused:
        return refused.status == 404
    return False
