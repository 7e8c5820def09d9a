"""The CLI's silences: what rules leave alone for a time, who said so, and what it suppressed."""

from datetime import timedelta
from typing import Annotated

import typer
from pydantic import TypeAdapter
from rich.console import Console
from rich.markup import escape
from rich.table import Column, Table

from services.api.asking import LOCAL, ApiOption, Output, OutputOption, RequestError, TokenOption, delete, get, post
from services.api.silences import SilenceStatus
from shared.contracts.inbox import Silence
from shared.kernel.durations import parse_duration
from shared.runtime.clock import SystemClock

app = typer.Typer(no_args_is_help=True, help="Keep rules away from something for a time.")
_GLOB = "A name, or a glob of names such as 'bank-*'."


@app.command()
def add(
    cause: Annotated[str, typer.Argument(help="Why; shown wherever something does not happen because of it.")],
    *,
    token: TokenOption,
    lasts: Annotated[str, typer.Option("--for", help="How long, such as 2h or 1d12h; at most 30d.")],
    namespace: Annotated[str | None, typer.Option(help=_GLOB)] = None,
    workload: Annotated[str | None, typer.Option(help=_GLOB)] = None,
    kind: Annotated[str | None, typer.Option(help="The workload's kind, such as Deployment.")] = None,
    rule: Annotated[str | None, typer.Option(help=_GLOB)] = None,
    api: ApiOption = LOCAL,
) -> None:
    """Let no rule count or begin anything about what all these options name; prints the silence's id."""
    said = {"namespace": namespace, "workload": workload, "workload_kind": kind, "rule": rule}
    body = {
        "cause": cause,
        "matchers": {name: glob for name, glob in said.items() if glob is not None},
        "expires_at": (SystemClock().now() + _length(lasts)).isoformat(),
    }
    print(Silence.model_validate_json(post(api, "/v1/silences", token=token, body=body)).id)


@app.command("list")
def list_silences(
    *,
    api: ApiOption = LOCAL,
    only_active: Annotated[bool, typer.Option("--active", help="Only those that hold something back now.")] = False,
    output: OutputOption = Output.TABLE,
) -> None:
    """List silences, the active ones first."""
    text = get(api, "/v1/silences", only_active=str(only_active).lower())
    if output is Output.JSON:
        print(text)
        return
    table = Table(Column("id", no_wrap=True), "about", "owner", "why", "until", "suppressed", "last", "state")
    for one in TypeAdapter(list[SilenceStatus]).validate_json(text):
        about = "\n".join(f"{name}: {glob}" for name, glob in one.silence.matchers.said.items())
        last = f"{one.last_suppressed_at:%m-%d %H:%M:%S}" if one.last_suppressed_at else ""
        table.add_row(
            one.silence.id,
            escape(about),
            escape(one.silence.by),
            escape(one.silence.cause),
            f"{one.silence.expires_at:%m-%d %H:%M:%S}",
            str(one.suppressed),
            last,
            escape(_state(one)),
        )
    Console().print(table)


@app.command()
def end(silence: str, *, token: TokenOption, api: ApiOption = LOCAL) -> None:
    """End a silence before it expires."""
    delete(api, f"/v1/silences/{silence}", token=token)
    print(f"{silence}: ended")


def _length(text: str) -> timedelta:
    try:
        return parse_duration(text)
    except ValueError as wrong:
        raise RequestError(f"--for: {wrong}") from wrong


def _state(one: SilenceStatus) -> str:
    if one.ended is not None:
        return f"ended by {one.ended.by}"
    return "active" if one.active else "expired"
