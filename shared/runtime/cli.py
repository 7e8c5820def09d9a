"""The command line `sre-agent`: commands come from the parts that are installed, by the entry points of their group.

Each entry point bears a command's name, so that the one that is asked for is loaded alone: all of them load a web
server, clients of a cluster and of a store, and a sandbox, which takes longer than most commands do.
"""

import os
import sys
from collections.abc import Sequence
from importlib.metadata import EntryPoint, entry_points, version
from typing import Annotated

import typer

from shared.kernel.errors import ConfigError, SreAgentError
from shared.runtime.collecting import collect_seldom
from shared.runtime.variables import unknown_among

GROUP = "sre_agent.commands"
EXIT_FAILED, EXIT_MISUSED = 1, 2


def _show_version(wanted: bool) -> None:  # noqa: FBT001 - typer's own shape
    if wanted:
        print(version("sre-agent"))  # noqa: T201
        raise typer.Exit


VersionOption = Annotated[
    bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Print the version and exit.")
]


def build(points: Sequence[EntryPoint] | None = None, *, asked: str = "") -> typer.Typer:
    """Return the CLI with the command that is asked for, or with all where there is none of this name.

    Parts that are not installed are named in the help.
    """
    app = typer.Typer(no_args_is_help=True, pretty_exceptions_enable=False)
    known = sorted(entry_points(group=GROUP) if points is None else points, key=lambda one: (_part_of(one), one.value))
    is_alone = any(point.name == asked and _merged(app, point) for point in known)
    missing = [] if is_alone else _missing(app, known)
    note = f" Not installed: {', '.join(missing)}." if missing else ""

    @app.callback(help=f"Heal Kubernetes workloads by the rules of a playbook.{note}")
    def root(_version: VersionOption = False) -> None: ...  # noqa: FBT002

    return app


def main() -> None:
    """Run the CLI; errors that a person can mend are one line on stderr."""
    collect_seldom()
    for line in unknown_among(os.environ):  # no more than told: a stray variable must not keep `pause` from stopping
        print(f"warning: {line}", file=sys.stderr)  # noqa: T201
    try:
        build(asked=next(iter(sys.argv[1:]), ""))()
    except ConfigError as wrong:
        _fail(wrong, EXIT_MISUSED)
    except SreAgentError as failed:
        _fail(failed, EXIT_FAILED)


def _missing(app: typer.Typer, points: Sequence[EntryPoint]) -> list[str]:
    """Merge all that is installed, each part's app once; return the parts that are not."""
    apps = {point.value: point for point in points}
    return list(dict.fromkeys(_part_of(point) for point in apps.values() if not _merged(app, point)))


def _part_of(point: EntryPoint) -> str:
    """Return what a person calls the part: `api` for `services.api.commands`."""
    return point.module.split(".")[-2]


def _merged(app: typer.Typer, point: EntryPoint) -> bool:
    try:
        part: typer.Typer = point.load()
    except ModuleNotFoundError:
        return False
    app.registered_commands += part.registered_commands
    app.registered_groups += part.registered_groups
    return True


def _fail(error: SreAgentError, code: int) -> None:
    print(error, file=sys.stderr)  # noqa: T201
    sys.exit(code)


if __name__ == "__main__":
    main()
