"""Runs the local stack until it is told to stop: `python -m sandbox.stack --dir DIR --playbook FILE`."""

import argparse
import asyncio
import signal
from pathlib import Path

from sandbox.stack.local import LocalStack, StackOptions
from sandbox.stack.progress import to_stderr


def main() -> None:
    """Start, say so, and wait."""
    parser = argparse.ArgumentParser(prog="python -m sandbox.stack", description=__doc__)
    parser.add_argument("--dir", type=Path, required=True)
    parser.add_argument("--playbook", type=Path, required=True)
    parser.add_argument("--kubeconfig", type=Path)
    parser.add_argument("--api-port", type=int, default=0)
    arguments = parser.parse_args()
    options = StackOptions(
        directory=arguments.dir,
        playbook=arguments.playbook,
        kubeconfig=arguments.kubeconfig,
        api_port=arguments.api_port,
    )
    asyncio.run(_run(options))


async def _run(options: StackOptions) -> None:
    stopping = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stopping.set)
    async with LocalStack(options, report=to_stderr):
        (options.directory / "ready").touch()
        await stopping.wait()


if __name__ == "__main__":
    main()
