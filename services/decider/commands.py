"""The decider's part of the CLI: playbooks, the topics replayed, incidents exported."""

import asyncio
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Column, Table

from services.decider.adapters.export_file import STDOUT, ExportArchive, read_export_file, write_export
from services.decider.adapters.exporting import export_incident
from services.decider.adapters.inquiring import inquire
from services.decider.adapters.playbook_file import read_playbook
from services.decider.adapters.rehearsing import Rehearsed, rehearse_topics
from services.decider.adapters.replaying import differences, replay_inbox
from services.decider.core.divergence import Parting, within
from services.decider.core.inquiry import SignalAccount
from services.decider.core.playbook import Playbook
from services.decider.core.replaying import Placed, Replay, Span
from services.decider.inquiry_words import (
    document_of_incident,
    document_of_signal,
    lines_of_incident,
    lines_of_signal,
)
from services.decider.playbook_commands import Output, OutputOption
from services.decider.rehearsal_words import decision_lines, document_of, notes_on, rules_table
from shared.contracts.model import JsonObject, body_of
from shared.contracts.scores import HINDSIGHTS, Score, scores_of
from shared.infra.broker import Archive
from shared.infra.kafka import KafkaArchive
from shared.kernel.errors import ConfigError

app = typer.Typer(no_args_is_help=True)
_DIFFERS = 1


BootstrapOption = Annotated[
    str, typer.Option("--bootstrap", envvar="SRE_KAFKA_BOOTSTRAP", help="The broker, host:port.")
]
LOCAL = "127.0.0.1:9092"


@app.command()
def replay(  # noqa: PLR0913 - options of one command
    file: Annotated[Path | None, typer.Argument(help="A file of `sre-agent export`, instead of Kafka.")] = None,
    *,
    bootstrap: BootstrapOption = LOCAL,
    compare: Annotated[
        bool,
        typer.Option("--check", help="Compare with the decisions that were made live; exit code 1 if they differ."),
    ] = False,
    begin: Annotated[str, typer.Option("--from", help="Print from this moment on: 2026-11-25T10:00:00Z.")] = "",
    end: Annotated[str, typer.Option("--until", help="Print what is before this moment.")] = "",
    first: Annotated[
        list[str] | None, typer.Option("--from-offset", help="Print from PARTITION:OFFSET of the inbox on; repeatable.")
    ] = None,
    last: Annotated[
        list[str] | None, typer.Option("--until-offset", help="Print up to PARTITION:OFFSET and with it; repeatable.")
    ] = None,
    other: Annotated[
        Path | None,
        typer.Option("--playbook", help="Show what this playbook would have done; exit code 1 where that differs."),
    ] = None,
    scored: Annotated[
        bool, typer.Option("--scores", help="Print how what rules were kept from ordering turned out, by rule.")
    ] = False,
    output: OutputOption = Output.TABLE,
) -> None:
    """Read the inbox again, decide again, and print the decisions; nothing is published.

    It is decided from the inbox's beginning (what retention kept of it), whatever part of it is to be printed: what is
    open at a moment follows from what came before. A file is always compared with the decisions that it holds.
    """
    span = _span(begin, end, first=first or [], last=last or [])
    log = _log(file, bootstrap)
    if other is not None:
        if compare:
            raise ConfigError("--check holds the log against itself; expected either this or --playbook")
        _print_rehearsal(log, read_playbook(other), span=span, output=output)
        return
    replayed, differing = asyncio.run(_replay(log, compare=compare))
    _print = _print_scores if scored else _print_decisions
    _print(replayed.within(span), output)
    _print_cut(log.begins or replayed.begins)
    if differing is None:
        return
    _print_verdict(replayed, differing)
    if differing:
        raise typer.Exit(_DIFFERS)


@app.command()
def export(
    incident: str,
    *,
    file: Annotated[
        Path | None, typer.Option("--file", "-f", help="Where to; INCIDENT.jsonl where not said, - for stdout.")
    ] = None,
    bootstrap: BootstrapOption = LOCAL,
) -> None:
    """Write all that the topics hold about an incident into one file, which `replay FILE` and `explain` read offline.

    Secrets and personal data are taken out of the evidence; signals and decisions are as they were, byte for byte.
    """
    path = file or Path(f"{incident}.jsonl")
    found = asyncio.run(export_incident(KafkaArchive(bootstrap), incident))
    write_export(path, found)
    if path != STDOUT:
        header = found.header
        print(f"{path}: {header.records} records about {header.workload}, {header.redactions} redactions in evidence")


@dataclass(frozen=True, slots=True)
class _Log:
    """Where the topics are read; of a file it is known where its partition began."""

    archive: Archive
    begins: Mapping[int, int]

    @property
    def is_file(self) -> bool:
        return bool(self.begins)


def _log(file: Path | None, bootstrap: str) -> _Log:
    if file is None:
        return _Log(KafkaArchive(bootstrap), {})
    found = read_export_file(file)
    return _Log(ExportArchive(found), {found.header.partition: found.header.begins})


@app.command()
def explain(
    name: Annotated[str, typer.Argument(help="The id of a signal, of a finding or of an incident.")],
    *,
    file: Annotated[
        Path | None, typer.Option("--file", "-f", help="A file of `sre-agent export`, instead of Kafka.")
    ] = None,
    bootstrap: BootstrapOption = LOCAL,
    output: OutputOption = Output.TABLE,
) -> None:
    """Tell why something was decided, or nothing: what each rule made of a signal, what counted, what stopped it."""
    account = asyncio.run(inquire(_log(file, bootstrap).archive, name))
    is_of_signal = isinstance(account, SignalAccount)
    if output is Output.JSON:
        document = document_of_signal(account) if is_of_signal else document_of_incident(account)
        print(json.dumps(document, indent=2, ensure_ascii=False))
        return
    for line in lines_of_signal(account) if is_of_signal else lines_of_incident(account):
        print(line)


def _print_rehearsal(log: _Log, playbook: Playbook, *, span: Span, output: Output) -> None:
    if span.first or span.last:
        raise ConfigError("--from-offset: what another playbook would have decided has no offset; expected --from")
    rehearsed = asyncio.run(rehearse_topics(log.archive, playbook))
    parting = within(rehearsed.parting, begin=span.begin, end=span.end)
    if output is Output.JSON:
        print(json.dumps(document_of(rehearsed, parting, playbook=playbook), indent=2, ensure_ascii=False))
    else:
        _print_parting(rehearsed, parting)
    _print_cut(log.begins or rehearsed.begins)
    if parting.decisions:
        raise typer.Exit(_DIFFERS)


def _print_parting(rehearsed: Rehearsed, parting: Parting) -> None:
    if not parting.decisions:
        print("it would have decided the same")
        return
    Console().print(rules_table(parting))
    for line in (*decision_lines(parting), *notes_on(rehearsed, parting)):
        print(line)


async def _replay(log: _Log, *, compare: bool) -> tuple[Replay, list[str] | None]:
    replayed = await replay_inbox(log.archive)
    if log.is_file:
        return replayed, await differences(log.archive, replayed, looks=0)
    return replayed, await differences(log.archive, replayed) if compare else None


def _span(begin: str, end: str, *, first: list[str], last: list[str]) -> Span:
    return Span(
        begin=_moment("--from", begin),
        end=_moment("--until", end),
        first=_offsets("--from-offset", first),
        last=_offsets("--until-offset", last),
    )


def _moment(option: str, text: str) -> datetime | None:
    if not text:
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        moment = None
    if moment is None or moment.tzinfo is None:
        raise ConfigError(f"{option}: expected a moment with its zone such as 2026-11-25T10:00:00Z, found {text!r}")
    return moment


def _offsets(option: str, texts: list[str]) -> dict[int, int]:
    places: dict[int, int] = {}
    for text in texts:
        partition, _, offset = text.partition(":")
        if not (partition.isdecimal() and offset.isdecimal()):
            raise ConfigError(f"{option}: expected PARTITION:OFFSET such as 3:1500, found {text!r}")
        places[int(partition)] = int(offset)
    return places


def _print_cut(begins: Mapping[int, int]) -> None:
    for partition, begin in sorted(begins.items()):
        if begin:
            line = f"partition {partition}: begins at offset {begin}; what was open before it is not known"
            typer.echo(line, err=True)


def _print_verdict(replayed: Replay, differing: list[str]) -> None:
    for line in differing:
        typer.echo(line, err=True)
    verdict = f"{len(differing)} differences" if differing else "byte for byte the same as live"
    typer.echo(f"{len(replayed.made)} decisions replayed, {len(replayed.findings)} findings: {verdict}", err=True)


def _print_decisions(made: list[Placed], output: Output) -> None:
    if output is Output.JSON:
        for one in made:
            print(body_of(one.decision).decode())
        return
    table = Table("time", "place", "workload", "rule", "reason", "step", "detail", title="Decisions, replayed")
    for one in made:
        table.add_row(*map(escape, _row(one)))
    Console().print(table)


def _print_scores(made: list[Placed], output: Output) -> None:
    scores = scores_of(one.decision for one in made)
    if output is Output.JSON:
        print(json.dumps({rule: _told(score) for rule, score in scores.items()}, indent=2))
        return
    table = Table(
        "rule",
        *(one.value for one in HINDSIGHTS),
        Column("precision", no_wrap=True),
        "predictions held",
        title="Scores, replayed",
    )
    for rule, score in scores.items():
        counts = (str(score.of(one)) for one in HINDSIGHTS)
        table.add_row(escape(rule), *counts, score.precision_in_words, score.predictions_in_words)
    Console().print(table)


def _told(score: Score) -> JsonObject:
    return {**score.model_dump(), "precision": score.precision}


def _row(one: Placed) -> tuple[str, ...]:
    decision = one.decision
    step = "" if decision.step is None else f"{decision.step}.{decision.attempt}"
    moment = decision.at.isoformat(timespec="milliseconds")
    place = f"{one.partition}:{one.offset}"
    return moment, place, decision.workload.key, decision.rule, decision.reason.value, step, decision.detail
