"""A whole real cluster as one thing: built if need be, started, kept running, taken down without a trace."""

import asyncio
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Self

from sandbox.kubernetes.accounts import install_accounts
from sandbox.kubernetes.binaries import install_kubernetes, kubernetes_version
from sandbox.kubernetes.control_plane import ControlPlane, ControlPlaneOptions
from sandbox.kubernetes.debian import NODE_PACKAGES, install_packages
from sandbox.kubernetes.node import NodeOptions, RealNode, check_prerequisites, node_place
from sandbox.stack.detached import STATE_FILE
from sandbox.stack.process import ServiceSpec
from sandbox.stack.progress import Report
from sandbox.stack.supervisor import Supervisor

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, slots=True, kw_only=True)
class ClusterOptions:
    """Where the cluster lives; without `node` it has no machine that runs pods, and needs no root."""

    directory: Path
    node: NodeOptions | None = None
    plane: ControlPlaneOptions = field(default_factory=ControlPlaneOptions)


class KubernetesCluster:
    """Run the cluster as an async context manager; nothing is left when it ends."""

    def __init__(self, options: ClusterOptions, *, report: Report) -> None:
        self._options = options
        self._report = report
        self._supervisor = Supervisor(options.directory / STATE_FILE, report=report)
        self._held = ExitStack()
        self._plane: ControlPlane | None = None
        self.accounts: Mapping[str, Path] = {}

    @property
    def plane(self) -> ControlPlane:
        """Return the control plane.

        Raises:
            RuntimeError: the cluster was not started.
        """
        if self._plane is None:
            raise RuntimeError("the cluster has not been started")
        return self._plane

    async def halt(self, name: str) -> None:
        """Kill a program of the cluster as `kill -9` does, and leave it down."""
        await self._supervisor.halt(name)

    async def resume(self, name: str) -> None:
        """Start a program that was halted; return when it is ready."""
        await self._supervisor.resume(name)

    async def __aenter__(self) -> Self:
        """Start everything and return when all of it is ready."""
        try:
            await self._start()
        except BaseException:
            await self._stop()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        """Stop everything."""
        self._report("Stopping the Kubernetes cluster")
        await self._stop()

    async def _start(self) -> None:
        binaries = await asyncio.to_thread(install_kubernetes, self._report)
        directory = self._options.directory
        self._plane = ControlPlane(directory, binaries, self._options.plane)
        node = await asyncio.to_thread(self._node, binaries)
        self._report(f"Starting Kubernetes {kubernetes_version()}{' with a node that runs pods' if node else ''}")
        await self._supervisor.start([*self._plane.specs(), *node])
        self._supervisor.watch(self._report)
        self.accounts = await install_accounts(self._plane, directory)
        self._report(f"Kubernetes is ready on {self._plane.url}")

    def _node(self, binaries: Path) -> list[ServiceSpec]:
        if self._options.node is None:
            return []
        check_prerequisites()
        packages = install_packages(NODE_PACKAGES, self._report)
        place = self._held.enter_context(node_place())
        directory = self._options.directory / "node"
        return [RealNode(directory, self.plane, packages, place=place, options=self._options.node).spec(binaries)]

    async def _stop(self) -> None:
        await self._supervisor.stop()
        await asyncio.to_thread(self._held.close)
