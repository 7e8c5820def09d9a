"""Runs a real cluster until it is told to stop: `python -m sandbox.kubernetes --dir DIR [--no-node]`."""

import argparse
import asyncio
import sys
from pathlib import Path

from sandbox.kubernetes.cluster import ClusterOptions, KubernetesCluster
from sandbox.kubernetes.node import NodeOptions
from sandbox.stack.errors import StackError
from sandbox.stack.progress import to_stderr
from sandbox.stack.serving import serve


def main() -> int:
    """Start, say so, and wait; return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m sandbox.kubernetes", description=__doc__)
    parser.add_argument("--dir", type=Path, required=True)
    parser.add_argument("--no-node", action="store_true", help="without a node that runs pods; needs no root then")
    parser.add_argument("--longest-back-off", default="", help="how long a crashed container waits at most, as in 5s")
    arguments = parser.parse_args()
    node = None if arguments.no_node else NodeOptions(longest_back_off=arguments.longest_back_off)
    options = ClusterOptions(directory=arguments.dir, node=node)
    try:
        asyncio.run(serve(KubernetesCluster(options, report=to_stderr), options.directory))
    except StackError as failed:
        to_stderr(str(failed))
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
