"""Runs the local stack until it is told to stop: `python -m sandbox.stack --dir DIR --playbook FILE`."""

import argparse
import asyncio
from pathlib import Path

from sandbox.stack.local import LocalStack, StackOptions
from sandbox.stack.progress import to_stderr
from sandbox.stack.serving import serve


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
    asyncio.run(serve(LocalStack(options, report=to_stderr), options.directory))


if __name__ == "__main__":
    main()
