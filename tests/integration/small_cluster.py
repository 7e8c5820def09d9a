"""A small simulated cluster with the namespace `bank`, served within the test's own process, and a client of it."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from aiohttp import web

from sandbox.cluster.__main__ import write_kubeconfig
from sandbox.cluster.clock import manual_clock
from sandbox.cluster.http import ClusterHttp
from sandbox.cluster.resources import NAMESPACES
from sandbox.cluster.simulation import Simulation
from sandbox.cluster.writes import Target
from shared.infra.kube import KubeClient


@dataclass(frozen=True)
class SmallCluster:
    """The cluster: its simulation, whose time the test moves on, the server, and a client."""

    simulation: Simulation
    runner: web.AppRunner
    client: KubeClient


@asynccontextmanager
async def small_cluster(directory: Path) -> AsyncGenerator[SmallCluster]:
    """Serve a cluster while the context lasts."""
    simulation = Simulation(manual_clock())
    simulation.api.create(Target(NAMESPACES), {"metadata": {"name": "bank"}})
    runner = web.AppRunner(ClusterHttp(simulation, directory / "audit.jsonl").app(), shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    write_kubeconfig(directory / "kubeconfig", f"http://127.0.0.1:{runner.addresses[0][1]}")
    async with KubeClient(directory / "kubeconfig") as client:
        yield SmallCluster(simulation, runner, client)
    await runner.cleanup()
