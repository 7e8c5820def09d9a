"""The remediator's part of the CLI: the audit trail, verified, shown and exported."""

import asyncio
import json
import sys
from collections.abc import Sequence
from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from services.remediator.adapters.verifying import (
    Doubtful,
    against_results,
    trail_of_file,
    trail_of_topic,
    values_of_topic,
)
from services.remediator.core.trail import Break, Trail, head_break
from services.remediator.trail_words import Selection, document_of, entries_of, verdict_lines
from shared.contracts.audit import AuditEntry
from shared.contracts.signatures import doubt_about
from shared.infra.kafka import KafkaArchive
from shared.kernel.errors import ConfigError

app = typer.Typer(no_args_is_help=True)
audit_app = typer.Typer(no_args_is_help=True, help="The audit trail: all that was tried, and what became of it.")
app.add_typer(audit_app, name="audit")
_BROKEN = 1
LOCAL = "127.0.0.1:9092"


class Output(StrEnum):
    """How a command prints."""

    TABLE = "table"
    JSON = "json"


BootstrapOption = Annotated[
    str, typer.Option("--bootstrap", envvar="SRE_KAFKA_BOOTSTRAP", help="The broker, host:port.")
]
OutputOption = Annotated[Output, typer.Option("--output", "-o", help="A table for people, JSON for programs.")]
KeysOption = Annotated[
    Path | None,
    typer.Option("--keys", help="Public keys (PEM) of the remediators: check the signature of each entry, too."),
]
ClusterOption = Annotated[
    str, typer.Option("--cluster", envvar="SRE_CLUSTER", help="Of which cluster they are, with --keys.")
]
FileOption = Annotated[
    Path | None, typer.Option("--from-file", help="A file of `sre-agent audit export`, instead of Kafka.")
]


@audit_app.command()
def verify(
    *,
    file: FileOption = None,
    head: Annotated[
        str, typer.Option("--head", help="A hash that was noted before: it must still be that of an entry.")
    ] = "",
    results: Annotated[
        bool, typer.Option("--results", help="Compare with the results in the inbox, one entry each.")
    ] = False,
    strict: Annotated[
        bool, typer.Option("--strict", help="Fail also where a leader wrote late, or an entry lies there twice.")
    ] = False,
    keys: KeysOption = None,
    cluster: ClusterOption = "local",
    bootstrap: BootstrapOption = LOCAL,
    output: OutputOption = Output.TABLE,
) -> None:
    """Check that the audit trail is one chain; exit code 1 where it is broken, with each place, expected and found."""
    if file is not None and (results or keys is not None):
        raise ConfigError("--from-file: a file holds neither results nor signatures; without --results and --keys")
    trail, more = asyncio.run(_read(file, bootstrap, results=results, doubtful=_doubtful(keys, cluster)))
    noted = head_break(trail, head) if head else None
    breaks = [*trail.breaks, *([noted] if noted else []), *more]
    _print_verdict(trail, breaks, output)
    if breaks or (strict and (trail.late or trail.repeated)):
        raise typer.Exit(_BROKEN)


@audit_app.command()
def show(
    *,
    workload: Annotated[str, typer.Option("--workload", help="Only about this one: namespace/kind/name.")] = "",
    incident: Annotated[str, typer.Option("--incident", help="Only about this one.")] = "",
    bootstrap: BootstrapOption = LOCAL,
    output: OutputOption = Output.TABLE,
) -> None:
    """Show the entries of the trail, oldest first; whether they are one chain, `verify` tells."""
    found = asyncio.run(_entries(bootstrap, Selection(workload=workload, incident=incident)))
    if output is Output.JSON:
        print(json.dumps([entry.model_dump(mode="json") for entry in found], indent=2, ensure_ascii=False))
        return
    Console().print(_table(found))


@audit_app.command()
def export(
    *,
    file: Annotated[Path | None, typer.Option("--file", "-f", help="Where to; stdout where not said.")] = None,
    bootstrap: BootstrapOption = LOCAL,
) -> None:
    """Write the entries as they lie on the topic, one a line, for `verify --from-file`."""
    values = asyncio.run(_values(bootstrap))
    whole = b"".join(value + b"\n" for value in values)
    if file is None:
        sys.stdout.buffer.write(whole)
        return
    try:
        file.write_bytes(whole)
    except OSError as unwritable:
        raise ConfigError(f"{file}: cannot be written: {unwritable.strerror}") from unwritable
    print(f"{file}: {len(values)} entries")


async def _read(
    file: Path | None, bootstrap: str, *, results: bool, doubtful: Doubtful | None
) -> tuple[Trail, Sequence[Break]]:
    if file is not None:
        return trail_of_file(file), ()
    archive = KafkaArchive(bootstrap)
    if results:
        return await against_results(archive, doubtful=doubtful)
    return await trail_of_topic(archive, doubtful=doubtful), ()


def _doubtful(keys: Path | None, cluster: str) -> Doubtful | None:
    """Return what tells why a record is not believed; None where no keys are given to tell it by."""
    if keys is None:
        return None
    from shared.infra.keys import read_checking_keys  # noqa: PLC0415 - cryptography takes 50 ms to import

    return partial(doubt_about, keys=read_checking_keys(keys), cluster=cluster)


async def _values(bootstrap: str) -> list[bytes]:
    return [value async for value in values_of_topic(KafkaArchive(bootstrap))]


async def _entries(bootstrap: str, selection: Selection) -> list[AuditEntry]:
    return list(entries_of(await _values(bootstrap), selection))


def _print_verdict(trail: Trail, breaks: Sequence[Break], output: Output) -> None:
    if output is Output.JSON:
        print(json.dumps(document_of(trail, breaks), indent=2, ensure_ascii=False))
        return
    for line in verdict_lines(trail, breaks):
        print(line)


def _table(entries: Sequence[AuditEntry]) -> Table:
    table = Table("entry", "when", "workload", "action", "outcome", "reason", "asked by", "incident", "token")
    for entry in entries:
        cells = (
            str(entry.sequence),
            f"{entry.at:%Y-%m-%d %H:%M:%S}",
            entry.workload.key,
            entry.action.kind,
            entry.outcome.value,
            entry.reason,
            entry.requested_by,
            entry.incident,
            str(entry.token),
        )
        table.add_row(*map(escape, cells))
    return table
