"""The CLI's `cluster` commands: a real Kubernetes on this machine, for tests, the demo, and whoever wants to look."""

import os
import shutil
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated

import typer

from sandbox.kubernetes.binaries import bin_dir, install_kubernetes, kubernetes_version
from sandbox.kubernetes.debian import MONITORING_PACKAGES, NODE_PACKAGES, install_packages
from sandbox.kubernetes.node import sweep_all
from sandbox.stack import detached
from sandbox.stack.progress import to_stderr

app = typer.Typer(no_args_is_help=True, help="A real Kubernetes on this machine: etcd to kubelet.")
DIRECTORY = Path(".sre-agent") / "kubernetes"
_READY_WITHIN_S = 1_800
"""Long enough for the programs to be built first."""
NodeOption = Annotated[bool, typer.Option("--node/--no-node", help="With a node that runs real pods; needs root.")]
BackOffOption = Annotated[str, typer.Option(help='How long a crashed container waits at most, as in "5s".')]
DirectoryOption = Annotated[Path, typer.Option(help="Where state and logs go.")]


@app.command()
def build() -> None:
    """Build Kubernetes' programs from the Go module proxy; fetch what a node needs beside them."""
    target = install_kubernetes(print)
    for names in (NODE_PACKAGES, MONITORING_PACKAGES):
        install_packages(names, print)
    print(f"Kubernetes {kubernetes_version()} is in {target}")


@app.command()
def up(
    *, node: NodeOption = True, longest_back_off: BackOffOption = "", directory: DirectoryOption = DIRECTORY
) -> None:
    """Start a cluster and leave it running; print where its kubeconfig is."""
    detached.refuse_if_running(directory, cure="make cluster-down")
    shutil.rmtree(directory, ignore_errors=True)
    arguments = _arguments(node=node, longest_back_off=longest_back_off)
    detached.start("sandbox.kubernetes", arguments, directory, within_s=_READY_WITHIN_S, tell=print)
    print(f"The cluster is up:  export KUBECONFIG={detached.state(directory)['urls']['kubeconfig']}")
    print(f"Its own kubectl:    {bin_dir() / 'kubectl'}")
    print("To stop it:         make cluster-down")


@app.command()
def down(*, directory: DirectoryOption = DIRECTORY) -> None:
    """Stop the cluster that `up` started, and remove what is left of one that crashed."""
    was_running = detached.stop(directory)
    if os.geteuid() == 0:
        sweep_all()
    shutil.rmtree(directory, ignore_errors=True)
    print("stopped" if was_running else "nothing is running")


@app.command(context_settings={"allow_extra_args": True, "ignore_unknown_options": True})
def run(context: typer.Context, *, node: NodeOption = True, longest_back_off: BackOffOption = "") -> None:
    """Run a command while a cluster of its own is up: `sre-agent cluster run -- pytest tests/cluster`.

    The command finds the administrator's kubeconfig in KUBECONFIG and SRE_TEST_KUBECONFIG, the cluster's directory in
    SRE_TEST_CLUSTER, and the cluster's own kubectl first on its PATH.
    """
    with TemporaryDirectory(prefix="sre-agent-") as made:
        directory = Path(made) / "kubernetes"
        arguments = _arguments(node=node, longest_back_off=longest_back_off)
        detached.start("sandbox.kubernetes", arguments, directory, within_s=_READY_WITHIN_S, tell=to_stderr)
        try:
            code = subprocess.run(context.args, check=False, env=_environment(directory)).returncode
        finally:
            detached.stop(directory)
    raise typer.Exit(code)


def _arguments(*, node: bool, longest_back_off: str) -> list[str]:
    return [*(() if node else ("--no-node",)), *(("--longest-back-off", longest_back_off) if longest_back_off else ())]


def _environment(directory: Path) -> dict[str, str]:
    kubeconfig = str(detached.state(directory)["urls"]["kubeconfig"])
    path = os.pathsep.join([str(bin_dir()), str(Path(sys.executable).parent), os.environ["PATH"]])
    cluster = {"KUBECONFIG": kubeconfig, "SRE_TEST_KUBECONFIG": kubeconfig, "SRE_TEST_CLUSTER": str(directory)}
    return {**os.environ, **cluster, "PATH": path}
