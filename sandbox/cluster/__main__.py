"""Runs the cluster: `python -m sandbox.cluster --dir DIR`; writes a kubeconfig and an audit log there."""

import argparse
import asyncio
import json
import signal
from pathlib import Path
from typing import TYPE_CHECKING

from aiohttp import web

from sandbox.cluster.clock import wall_clock
from sandbox.cluster.http import ClusterHttp
from sandbox.cluster.simulation import Simulation

if TYPE_CHECKING:
    from sandbox.cluster.documents import Document

_STOP_WITHIN_S = 1.0


def main() -> None:
    """Serve until told to stop."""
    parser = argparse.ArgumentParser(prog="python -m sandbox.cluster", description=__doc__)
    parser.add_argument("--dir", type=Path, required=True, help="where kubeconfig and audit.jsonl are written")
    parser.add_argument("--port", type=int, default=0, help="0 lets the system choose")
    parser.add_argument("--nodes", type=int, default=2)
    parser.add_argument("--time-scale", type=float, default=1.0, help="how much faster delays pass than by the clock")
    parser.add_argument("--window", type=int, default=10_000, help="how many changes a watch may go back")
    arguments = parser.parse_args()
    arguments.dir.mkdir(parents=True, exist_ok=True)
    simulation = Simulation(wall_clock(arguments.time_scale), nodes=arguments.nodes, window=arguments.window)
    asyncio.run(serve(simulation, arguments.dir, port=arguments.port))


async def serve(simulation: Simulation, directory: Path, *, port: int) -> None:
    """Serve the API on loopback until SIGTERM or SIGINT."""
    http = ClusterHttp(simulation, directory / "audit.jsonl")
    runner = web.AppRunner(http.app(), access_log=None, shutdown_timeout=_STOP_WITHIN_S)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", port)
    await site.start()
    write_kubeconfig(directory / "kubeconfig", f"http://127.0.0.1:{runner.addresses[0][1]}")
    following = asyncio.create_task(simulation.clock.follow())
    stopping = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stopping.set)
    waiting = asyncio.create_task(stopping.wait())
    await asyncio.wait({waiting, following}, return_when=asyncio.FIRST_COMPLETED)
    following.cancel()
    await runner.cleanup()


def write_kubeconfig(path: Path, server: str) -> None:
    """Write the file by which any Kubernetes client finds the cluster."""
    config: Document = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "sandbox", "cluster": {"server": server}}],
        "users": [{"name": "sandbox", "user": {"username": "sandbox"}}],
        "contexts": [{"name": "sandbox", "context": {"cluster": "sandbox", "user": "sandbox", "namespace": "default"}}],
        "current-context": "sandbox",
    }
    path.write_text(json.dumps(config, indent=2))


if __name__ == "__main__":
    main()
