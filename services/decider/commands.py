"""The decider's part of the CLI: playbooks, and the topics replayed."""

import asyncio
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from services.decider import playbook_commands
from services.decider.adapters.replaying import Replay, differences, replay_inbox
from services.decider.playbook_commands import Output, OutputOption
from shared.contracts.codec import body_of
from shared.contracts.incidents import Decision
from shared.infra.kafka import KafkaArchive

app = typer.Typer(no_args_is_help=True)
app.add_typer(playbook_commands.app, name="playbook")


BootstrapOption = Annotated[
    str, typer.Option("--bootstrap", envvar="SRE_KAFKA_BOOTSTRAP", help="The broker, host:port.")
]


@app.command()
def replay(
    bootstrap: BootstrapOption = "127.0.0.1:9092",
    compare: Annotated[
        bool,
        typer.Option("--check", help="Compare with the decisions that were made live; exit code 1 if they differ."),
    ] = False,
    output: OutputOption = Output.TABLE,
) -> None:
    """Read the topics again, decide again, and print the decisions; nothing is published."""
    replayed, differing = asyncio.run(_replay(bootstrap, compare=compare))
    _print_decisions(replayed, output)
    console = Console(stderr=True)
    for line in differing:
        console.print(line, markup=False, highlight=False)
    if compare:
        count = sum(1 for _ in replayed.decisions())
        verdict = f"{len(differing)} differences" if differing else "byte for byte the same as live"
        console.print(f"{count} decisions replayed, {len(replayed.findings)} findings: {verdict}")
    if differing:
        raise typer.Exit(1)


async def _replay(bootstrap: str, *, compare: bool) -> tuple[Replay, list[str]]:
    async with KafkaArchive(bootstrap) as archive:
        replayed = await replay_inbox(archive)
        return replayed, await differences(archive, replayed) if compare else []


def _print_decisions(replayed: Replay, output: Output) -> None:
    if output is Output.JSON:
        for _, decision in replayed.decisions():
            print(body_of(decision).decode())
        return
    table = Table("time", "workload", "rule", "reason", "step", "detail", title="Decisions, replayed")
    for _, decision in replayed.decisions():
        table.add_row(*_row(decision))
    Console().print(table)


def _row(decision: Decision) -> tuple[str, ...]:
    step = "" if decision.step is None else f"{decision.step}.{decision.attempt}"
    moment = decision.at.isoformat(timespec="milliseconds")
    return moment, decision.workload.key, decision.rule, decision.reason.value, step, decision.detail
