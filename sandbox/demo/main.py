"""Runs the demo: the stack, the bank, the faults one after the other, the table, the replay."""

import asyncio
import signal
import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

from sandbox.demo.bank import deploy, until_well
from sandbox.demo.faults import FAULTS, Fault
from sandbox.demo.operator import Operator
from sandbox.demo.screen import Screen
from sandbox.demo.story import Story
from sandbox.kubernetes.cluster import ClusterOptions, KubernetesCluster
from sandbox.stack.local import LocalStack, StackOptions
from shared.infra.kube import KubeClient

_ROOT = Path(__file__).resolve().parents[2]
EXIT_NOT_HEALED, EXIT_INTERRUPTED = 1, 130


def run(options: StackOptions, cluster: ClusterOptions | None = None) -> int:
    """Return 0 when every fault healed and the replay made the same decisions; 130 when interrupted.

    It runs on a real cluster where options for one are given, else on a simulated one.
    """
    try:
        return asyncio.run(_run(options, cluster))
    except (KeyboardInterrupt, asyncio.CancelledError):
        return EXIT_INTERRUPTED


async def _run(options: StackOptions, cluster: ClusterOptions | None) -> int:
    task = asyncio.current_task()
    if task is not None:
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, task.cancel)
    screen = Screen()
    async with _on(cluster, options, screen) as chosen:
        return await _show(chosen, screen)


@asynccontextmanager
async def _on(cluster: ClusterOptions | None, options: StackOptions, screen: Screen) -> AsyncGenerator[StackOptions]:
    """Yield the options of a stack that looks after a real cluster, which runs meanwhile, if one is wanted."""
    if cluster is None:
        yield options
        return
    async with KubernetesCluster(cluster, report=screen.step) as real:
        yield replace(options, kubeconfig=real.plane.kubeconfig, accounts=real.accounts)


async def _show(options: StackOptions, screen: Screen) -> int:
    async with LocalStack(options, report=screen.step) as stack, KubeClient(stack.kubeconfig) as client:
        screen.step(f"The page: {stack.api_url}")
        count = await deploy(client)
        await until_well(client)
        screen.step(f"The bank is deployed: {count} workloads are well")
        stories = await _break_and_heal(stack, client, screen)
        screen.table(stories)
        is_same = await _replay(stack, screen)
    return 0 if is_same and all(story.is_healed for story in stories) else EXIT_NOT_HEALED


async def _break_and_heal(stack: LocalStack, client: KubeClient, screen: Screen) -> list[Story]:
    operator, stories = Operator(stack.api_url, stack.token), list[Story]()
    try:
        for number, fault in enumerate(FAULTS, start=1):
            screen.fault(fault, number, len(FAULTS))
            stories.append(await _heal(fault, operator, client, screen=screen))
    finally:
        await operator.close()
    return stories


async def _heal(fault: Fault, operator: Operator, client: KubeClient, *, screen: Screen) -> Story:
    known = await operator.known()
    await fault.make(client)
    story = await operator.follow(fault.name, fault.key, known=known, tell=screen.line)
    if story.is_healed:
        await until_well(client)
    return story


async def _replay(stack: LocalStack, screen: Screen) -> bool:
    """Decide again from the topics, and compare with what was decided live."""
    command = (sys.executable, "-m", "shared.runtime.cli", "replay", "--check", "-o", "json")
    process = await asyncio.create_subprocess_exec(
        *command,
        "--bootstrap",
        stack.bootstrap,
        cwd=_ROOT,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
    )
    _, told = await process.communicate()
    screen.step(f"Replay of the topics: {told.decode().strip()}")
    return process.returncode == 0
