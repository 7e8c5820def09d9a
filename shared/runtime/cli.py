"""The command line `sre-agent`: commands come from the parts that are installed, by the entry points of their group."""

import sys
from importlib.metadata import EntryPoint, entry_points, version
from typing import Annotated

import typer

from shared.kernel.errors import ConfigError, SreAgentError
from shared.runtime.commands import app as common

GROUP = "sre_agent.commands"
EXIT_FAILED, EXIT_MISUSED = 1, 2


def _show_version(wanted: bool) -> None:  # noqa: FBT001 - typer's own shape
    if wanted:
        print(version("sre-agent"))  # noqa: T201
        raise typer.Exit


VersionOption = Annotated[
    bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Print the version and exit.")
]


def build(points: "list[EntryPoint] | None" = None) -> typer.Typer:
    """Return the CLI with the commands of all entry points; parts that are not installed are named in the help."""
    app = typer.Typer(no_args_is_help=True, pretty_exceptions_enable=False)
    _merge(app, common)
    missing = [
        point.name
        for point in sorted(points if points is not None else entry_points(group=GROUP), key=lambda one: one.name)
        if not _merged(app, point)
    ]
    note = f" Not installed: {', '.join(missing)}." if missing else ""

    @app.callback(help=f"Heal Kubernetes workloads by the rules of a playbook.{note}")
    def root(_version: VersionOption = False) -> None: ...  # noqa: FBT002

    return app


def main() -> None:
    """Run the CLI; errors that a person can mend are one line on stderr."""
    try:
        build()()
    except ConfigError as wrong:
        _fail(wrong, EXIT_MISUSED)
    except SreAgentError as failed:
        _fail(failed, EXIT_FAILED)


def _merged(app: typer.Typer, point: EntryPoint) -> bool:
    try:
        _merge(app, point.load())
    except ModuleNotFoundError:
        return False
    return True


def _merge(app: typer.Typer, part: typer.Typer) -> None:
    app.registered_commands += part.registered_commands
    app.registered_groups += part.registered_groups


def _fail(error: SreAgentError, code: int) -> None:
    print(error, file=sys.stderr)  # noqa: T201
    sys.exit(code)


if __name__ == "__main__":
    main()
