"""The API's part of the CLI: what it shows in tables, what it changes by commands."""

from typing import Annotated, Any

import typer
from pydantic import TypeAdapter
from rich.console import Console
from rich.markup import escape
from rich.table import Column, Table

from services.api import silence_commands
from services.api.asking import LOCAL, ApiOption, Output, OutputOption, RequestError, TokenOption, get, post
from services.api.core.heading import heading
from services.api.core.playbooks import PlaybookStatus
from services.api.core.rules import RuleStatus
from services.api.core.showing import IncidentShown
from services.api.core.timeline import TimelineEntry
from services.api.handlers import Resumed
from services.api.routes import Status
from shared.contracts.incidents import Incident
from shared.contracts.playbooks import PlaybookFault
from shared.contracts.scores import HINDSIGHTS

app = typer.Typer(no_args_is_help=True)
app.add_typer(silence_commands.app, name="silence")
_STYLES = {"healed": "green", "escalated": "red", "awaiting-approval": "yellow"}


VersionOption = Annotated[
    str, typer.Option("--version", help="The version that `incident` showed; refused if it has changed since.")
]
NoteOption = Annotated[str, typer.Option("--note", help="Why, for the record.")]


@app.command()
def status(api: ApiOption = LOCAL, output: OutputOption = Output.TABLE) -> None:
    """Show the services' health; exit code 1 if one is not ready."""
    text = get(api, "/v1/status")
    told = Status.model_validate_json(text)
    if output is Output.JSON:
        print(text)
    else:
        _print_status(told)
    if not told.ready:
        raise typer.Exit(1)


@app.command()
def incidents(
    *,
    api: ApiOption = LOCAL,
    only_open: Annotated[bool, typer.Option("--open", help="Only those that are not ended.")] = False,
    limit: Annotated[int, typer.Option(min=1, max=500)] = 50,
    output: OutputOption = Output.TABLE,
) -> None:
    """List incidents, the newest first."""
    text = get(api, "/v1/incidents", only_open=str(only_open).lower(), limit=str(limit))
    if output is Output.JSON:
        print(text)
        return
    table = Table(Column("id", no_wrap=True), "opened", "workload", "rule", "phase", "seconds", "owner")
    for one in TypeAdapter(list[Incident]).validate_json(text):
        lasted = f"{(one.closed_at - one.signal_at).total_seconds():.1f}" if one.closed_at else ""
        opened = one.opened_at.strftime("%m-%d %H:%M:%S")
        table.add_row(one.id, opened, one.workload.key, one.rule, _phase(one), lasted, escape(one.owner))
    Console().print(table)


@app.command()
def incident(incident: str, api: ApiOption = LOCAL, output: OutputOption = Output.TABLE) -> None:
    """Show an incident's story."""
    text = get(api, f"/v1/incidents/{incident}")
    story = get(api, f"/v1/incidents/{incident}/timeline")
    if output is Output.JSON:
        print(f'{{"incident": {text}, "timeline": {story}}}')
        return
    one = Incident.model_validate_json(text)
    table = Table("seconds", "what", "reason", "detail", title=f"{escape(one.workload.key)}: {_phase(one)}")
    for line in TypeAdapter(list[TimelineEntry]).validate_json(story):
        table.add_row(f"{line.seconds:+.2f}", line.happening.value, line.reason, escape(line.detail))
    for word, said in heading(one):
        print(f"{word}: {said}")
    Console().print(table)


@app.command()
def rules(
    *,
    api: ApiOption = LOCAL,
    since: Annotated[str, typer.Option(help="Count from this day (UTC) on: 2026-11-20; else the last month.")] = "",
    output: OutputOption = Output.TABLE,
) -> None:
    """List the rules, and how what they were kept from ordering turned out: their scores."""
    text = get(api, "/v1/rules", **({"since": since} if since else {}))
    if output is Output.JSON:
        print(text)
        return
    table = Table(
        "rule", "mode", *(one.value for one in HINDSIGHTS), Column("precision", no_wrap=True), "predictions held"
    )
    for one in TypeAdapter(list[RuleStatus]).validate_json(text):
        counts = (str(one.score.of(hindsight)) for hindsight in HINDSIGHTS)
        mode = one.mode.value if one.mode is not None else "not in force"
        table.add_row(escape(one.name), mode, *counts, one.score.precision_in_words, one.score.predictions_in_words)
    Console().print(table)


@app.command()
def approve(
    incident: str, *, token: TokenOption, version: VersionOption = "", api: ApiOption = LOCAL, note: NoteOption = ""
) -> None:
    """Let the step that an incident waits with be carried out."""
    _answer(api, incident, "approve", token=token, version=version, note=note)
    print(f"{incident}: approved")


@app.command()
def reject(
    incident: str, *, token: TokenOption, version: VersionOption = "", api: ApiOption = LOCAL, note: NoteOption = ""
) -> None:
    """Refuse the step that an incident waits with."""
    _answer(api, incident, "reject", token=token, version=version, note=note)
    print(f"{incident}: rejected")


@app.command()
def pause(
    cause: Annotated[str, typer.Argument(help="Why; shown wherever something does not happen because of it.")],
    token: TokenOption,
    api: ApiOption = LOCAL,
) -> None:
    """Stop all writes to the cluster until `resume`; what others have paused holds besides."""
    post(api, "/v1/pause", token=token, body={"cause": cause})
    print("all actions are paused")


@app.command()
def resume(
    *,
    token: TokenOption,
    of: Annotated[str, typer.Option("--of", help="Whose pause to end, where it is not your own.")] = "",
    api: ApiOption = LOCAL,
) -> None:
    """End your own pause; actions go on unless something else is stopped."""
    told = TypeAdapter(Resumed).validate_json(post(api, "/v1/resume", token=token, body={"of": of}))
    print(f"the pause of {told.lifted.by} is over")
    print("\n".join(f"still, {one.words}" for one in told.in_force) or "actions go on")


@app.command()
def act(
    workload: Annotated[str, typer.Argument(help="namespace/kind/name")],
    *,
    token: TokenOption,
    action: Annotated[str, typer.Option(help='The action as JSON, such as {"kind": "rollback"}.')],
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only tell what it would change.")] = False,
    api: ApiOption = LOCAL,
    note: NoteOption = "",
) -> None:
    """Ask for an action on a workload, within the same limits as the playbook's."""
    try:
        wanted = TypeAdapter(dict[str, Any]).validate_json(action)
    except ValueError as wrong:
        raise RequestError(f"--action: expected a JSON object: {wrong}") from wrong
    body = {"workload": workload, "action": wanted, "dry_run": dry_run, "note": note}
    print(post(api, "/v1/actions", token=token, body=body))


def _answer(api: str, incident: str, answer: str, *, token: str, version: str, note: str) -> None:
    """Answer what was shown in a version; where none is said, show what is there, and answer to that."""
    if not version:
        now = IncidentShown.model_validate_json(get(api, f"/v1/incidents/{incident}"))
        version = now.shown_version
        print("\n".join(f"{word}: {said}" for word, said in heading(now) if word in {"version", "change"}))
    post(api, f"/v1/incidents/{incident}/{answer}", token=token, body={"version": version, "note": note})


def _phase(incident: Incident) -> str:
    style = _STYLES.get(incident.phase.value, "")
    return f"[{style}]{incident.phase.value}[/{style}]" if style else incident.phase.value


def _print_status(told: Status) -> None:
    table = Table("service", "ready", "instance", "why not")
    for service in told.services:
        bad = "; ".join(f"{name}: {check.reason}" for name, check in service.checks.items() if not check.ok)
        table.add_row(service.service, "yes" if service.ready else "no", service.instance, service.reason or bad)
    Console().print(table)
    if told.playbook:
        _print_playbook(told.playbook)
    for stop in told.stops:
        print(stop.words)


def _print_playbook(told: PlaybookStatus) -> None:
    since = told.since.isoformat(timespec="seconds")
    print(f"playbook {told.name} {told.hash}: in force since {since}, {len(told.rules)} rules, mode {told.mode.value}")
    if told.rejected is None:
        return
    print(f"its file is rejected since {told.rejected.since.isoformat(timespec='seconds')}:")
    for fault in told.rejected.faults:
        print(f"  {_fault_line(fault)}")


def _fault_line(fault: PlaybookFault) -> str:
    place = f"{fault.file}:{fault.line}:{fault.column}: " if fault.line else ""
    path = f"{fault.path}: " if fault.path else ""
    return f"{place}{path}{fault.expected}{f' ({fault.hint})' if fault.hint else ''}"
