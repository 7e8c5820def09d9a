"""The commands that work on keys: make the pair by which commands are signed and believed."""

from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(no_args_is_help=True, help="Work on the keys that sign commands.")
commands = typer.Typer(no_args_is_help=True)
commands.add_typer(app, name="keys")


@app.callback()
def root() -> None:
    """Keep `create` a word of its own, although it is the only one."""


@app.command("create")
def create(
    *,
    directory: Annotated[Path, typer.Option("--to", help="Where the two halves are written; a pair there is kept.")],
) -> None:
    """Make a pair of keys: one half for the decider alone, the other for the remediators."""
    from shared.infra.keys import create_pair  # noqa: PLC0415 - cryptography takes 50 ms to import

    pair = create_pair(directory)
    print(f"key {pair.key_id}")
    print(f"  the decider signs with  {pair.signing}   (secret: SRE_SIGNING_KEY_FILE)")
    print(f"  remediators believe     {pair.checking}   (public: SRE_CHECKING_KEYS_FILE)")


if __name__ == "__main__":  # an image holds no entry points of the CLI
    app()
