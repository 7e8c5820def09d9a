"""The decider's part of the CLI: check a playbook, replay the topics."""

import asyncio
import json
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from services.decider.adapters.playbook_file import read_playbook
from services.decider.adapters.replaying import Replay, differences, replay_inbox
from services.decider.core.faults import Fault, PlaybookError
from services.decider.core.playbook import Playbook
from shared.contracts.codec import body_of
from shared.contracts.incidents import Decision
from shared.infra.kafka import KafkaArchive

app = typer.Typer(no_args_is_help=True)
playbook_app = typer.Typer(no_args_is_help=True, help="Work on playbooks.")
app.add_typer(playbook_app, name="playbook")


class Output(StrEnum):
    """How to print."""

    TABLE = "table"
    JSON = "json"


OutputOption = Annotated[Output, typer.Option("--output", "-o", help="A table for people, JSON for programs.")]
BootstrapOption = Annotated[
    str, typer.Option("--bootstrap", envvar="SRE_KAFKA_BOOTSTRAP", help="The broker, host:port.")
]


@playbook_app.command("check")
def check(file: Path, output: OutputOption = Output.TABLE) -> None:
    """Check a playbook: exit code 0, or 1 with every fault's line, column and what was expected."""
    try:
        playbook = read_playbook(file)
    except PlaybookError as invalid:
        _print_faults(invalid.faults, output)
        raise typer.Exit(1) from invalid
    _print_playbook(playbook, file, output)


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


def _print_faults(faults: list[Fault], output: Output) -> None:
    if output is Output.JSON:
        print(json.dumps([_fault_words(fault) for fault in faults], indent=2))
        return
    for fault in faults:
        print(fault)
    print(f"{len(faults)} fault{'s' if len(faults) > 1 else ''}; the playbook cannot be used")


def _fault_words(fault: Fault) -> dict[str, str | int]:
    return {
        "file": fault.file,
        "line": fault.mark.line,
        "column": fault.mark.column,
        "path": fault.path,
        "expected": fault.expected,
        "hint": fault.hint,
    }


def _print_playbook(playbook: Playbook, file: Path, output: Output) -> None:
    if output is Output.JSON:
        print(json.dumps({"file": str(file), "hash": playbook.hash, "rules": list(playbook.rules)}))
        return
    print(f"{file}: {len(playbook.rules)} rules, hash {playbook.hash}: fit for use")


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
