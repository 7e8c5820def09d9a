"""The sandbox's part of the CLI: the demo, and the local stack."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Annotated

import typer

from sandbox.demo.main import run
from sandbox.stack.errors import StackError
from sandbox.stack.local import STATE_FILE, StackOptions
from sandbox.stack.ports import is_free
from sandbox.stack.process import tail_of

app = typer.Typer(no_args_is_help=True)
STATE = Path(".sre-agent")
PLAYBOOK = Path("healing-playbook.yaml")
_READY_WITHIN_S, _STOP_WITHIN_S, _LOOK_S = 180, 30, 0.1
PlaybookOption = Annotated[Path, typer.Option(help="The playbook that decides.", exists=True, dir_okay=False)]
DirectoryOption = Annotated[Path, typer.Option(help="Where state and logs go.")]
KubeconfigOption = Annotated[
    Path | None, typer.Option(help="A cluster to look after, instead of a simulated one.", exists=True)
]


@app.command()
def demo(
    *,
    playbook: PlaybookOption = PLAYBOOK,
    directory: DirectoryOption = STATE / "demo",
    time_scale: Annotated[float, typer.Option(help="How much faster the cluster's delays pass.")] = 1.0,
) -> None:
    """Break a small bank three ways on a stack of its own, and watch it heal."""
    _refuse_if_running(directory)
    shutil.rmtree(directory, ignore_errors=True)
    directory.mkdir(parents=True)
    options = StackOptions(directory=directory.resolve(), playbook=playbook.resolve(), time_scale=time_scale)
    raise typer.Exit(run(options))


@app.command()
def up(
    *,
    playbook: PlaybookOption = PLAYBOOK,
    directory: DirectoryOption = STATE / "local",
    kubeconfig: KubeconfigOption = None,
    api_port: Annotated[int, typer.Option(help="0 lets the system choose.")] = 8080,
) -> None:
    """Start the stack and leave it running; print the API's address."""
    _refuse_if_running(directory)
    if api_port and not is_free(api_port):
        raise StackError(f"port {api_port} is in use; choose another: sre-agent up --api-port 0")
    directory.mkdir(parents=True, exist_ok=True)
    ready, log = directory / "ready", directory / "stack.log"
    ready.unlink(missing_ok=True)
    command = [sys.executable, "-m", "sandbox.stack", "--dir", str(directory.resolve())]
    command += ["--playbook", str(playbook.resolve()), "--api-port", str(api_port)]
    command += ["--kubeconfig", str(kubeconfig.resolve())] if kubeconfig else []
    with log.open("wb") as out:
        child = subprocess.Popen(  # noqa: S603 - our own module
            command, stdout=out, stderr=out, stdin=subprocess.DEVNULL, start_new_session=True, env=_environment()
        )
    _show_until_ready(child, ready, log)
    print(f"The API and the page: {_state(directory)['urls']['api']}")
    print(f"Kubernetes:           export KUBECONFIG={_state(directory)['urls'].get('kubeconfig', kubeconfig)}")
    print(f"To change something:  export SRE_TOKEN=$(cat {directory / 'token'})")
    print("To stop it:           make down")


@app.command()
def down(*, directory: DirectoryOption = STATE / "local") -> None:
    """Stop the stack that `up` started."""
    pid = _running(directory)
    if pid is None:
        print("nothing is running")
        return
    os.kill(pid, signal.SIGTERM)
    deadline = time.monotonic() + _STOP_WITHIN_S
    while _is_alive(pid) and time.monotonic() < deadline:
        time.sleep(_LOOK_S)
    if _is_alive(pid):
        os.kill(pid, signal.SIGKILL)  # what it started dies with it
    print("stopped")


def _show_until_ready(child: "subprocess.Popen[bytes]", ready: Path, log: Path) -> None:
    shown, deadline = 0, time.monotonic() + _READY_WITHIN_S
    while not ready.exists():
        lines = log.read_text(errors="replace").splitlines()
        for line in lines[shown:]:
            print(line)
        shown = len(lines)
        if child.poll() is not None or time.monotonic() > deadline:
            child.kill()
            raise StackError(f"the stack did not start; the end of {log}:\n{tail_of(log)}")
        time.sleep(_LOOK_S)


def _refuse_if_running(directory: Path) -> None:
    pid = _running(directory)
    if pid is not None:
        raise StackError(f"a stack runs already in {directory} (pid {pid}); stop it first: make down")


def _running(directory: Path) -> int | None:
    try:
        pid = int(str(_state(directory)["supervisor"]))
    except (FileNotFoundError, ValueError, KeyError):
        return None
    return pid if _is_alive(pid) else None


def _is_alive(pid: int) -> bool:
    try:
        told = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False
    return told.rpartition(")")[2].split()[0] != "Z"  # one that only waits to be noticed has ended


def _state(directory: Path) -> dict[str, dict[str, str]]:
    return json.loads((directory / STATE_FILE).read_text())


def _environment() -> dict[str, str]:
    root = Path(__file__).resolve().parents[1]
    return {**os.environ, "PYTHONPATH": str(root)}
