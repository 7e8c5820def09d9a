"""The sandbox's part of the CLI: the demo, the local stack, and a real cluster."""

import shutil
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from sandbox.demo.main import run
from sandbox.kubernetes.cluster import ClusterOptions
from sandbox.kubernetes.commands import app as kubernetes
from sandbox.kubernetes.node import NodeOptions
from sandbox.stack import detached
from sandbox.stack.errors import StackError
from sandbox.stack.local import StackOptions
from sandbox.stack.ports import is_free

app = typer.Typer(no_args_is_help=True)
app.add_typer(kubernetes, name="cluster")
STATE = Path(".sre-agent")
PLAYBOOK = Path("healing-playbook.yaml")
_READY_WITHIN_S = 180
PlaybookOption = Annotated[Path, typer.Option(help="The playbook that decides.", exists=True, dir_okay=False)]
DirectoryOption = Annotated[Path, typer.Option(help="Where state and logs go.")]
KubeconfigOption = Annotated[
    Path | None, typer.Option(help="A cluster to look after, instead of a simulated one.", exists=True)
]


class Backend(StrEnum):
    """Which cluster the demo breaks."""

    SANDBOX = "sandbox"
    REAL = "real"


@app.command()
def demo(
    *,
    playbook: PlaybookOption = PLAYBOOK,
    directory: DirectoryOption = STATE / "demo",
    cluster: Annotated[Backend, typer.Option(help="A simulated cluster, or a real one (built once; needs root).")] = (
        Backend.SANDBOX
    ),
    time_scale: Annotated[float, typer.Option(help="How much faster the simulated cluster's delays pass.")] = 1.0,
) -> None:
    """Break a small bank three ways on a stack of its own, and watch it heal."""
    detached.refuse_if_running(directory, cure="make down")
    shutil.rmtree(directory, ignore_errors=True)
    directory.mkdir(parents=True)
    options = StackOptions(directory=directory.resolve(), playbook=playbook.resolve(), time_scale=time_scale)
    real = ClusterOptions(directory=directory.resolve() / "kubernetes", node=NodeOptions())
    raise typer.Exit(run(options, real if cluster is Backend.REAL else None))


@app.command()
def up(
    *,
    playbook: PlaybookOption = PLAYBOOK,
    directory: DirectoryOption = STATE / "local",
    kubeconfig: KubeconfigOption = None,
    api_port: Annotated[int, typer.Option(help="0 lets the system choose.")] = 8080,
) -> None:
    """Start the stack and leave it running; print the API's address."""
    detached.refuse_if_running(directory, cure="make down")
    if api_port and not is_free(api_port):
        raise StackError(f"port {api_port} is in use; choose another: sre-agent up --api-port 0")
    arguments = ["--playbook", str(playbook.resolve()), "--api-port", str(api_port)]
    arguments += ["--kubeconfig", str(kubeconfig.resolve())] if kubeconfig else []
    detached.start("sandbox.stack", arguments, directory, within_s=_READY_WITHIN_S, tell=print)
    urls = detached.state(directory)["urls"]
    print(f"The API and the page: {urls['api']}")
    print(f"Kubernetes:           export KUBECONFIG={urls.get('kubeconfig', kubeconfig)}")
    print(f"To change something:  export SRE_TOKEN=$(cat {directory / 'token'})")
    print("To stop it:           make down")


@app.command()
def down(*, directory: DirectoryOption = STATE / "local") -> None:
    """Stop the stack that `up` started."""
    print("stopped" if detached.stop(directory) else "nothing is running")
