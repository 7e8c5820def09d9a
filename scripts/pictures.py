"""Draws docs/images/demo.svg: what `sre-agent demo` prints, run now."""

import os
import re
import subprocess
import sys
from pathlib import Path

from rich.console import Console
from rich.text import Text

ROOT = Path(__file__).resolve().parent.parent
WIDTH = 118
_FONTS = re.compile(r"@font-face\s*{[^}]*}")


def main() -> int:
    """Return the demo's exit code."""
    environment = os.environ | {"FORCE_COLOR": "1", "COLUMNS": str(WIDTH), "TERM": "xterm-256color"}
    command = [sys.executable, "-m", "shared.runtime.cli", "demo"]
    shown = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    with Path("/dev/null").open("w") as nowhere:
        console = Console(record=True, width=WIDTH, file=nowhere)
        console.print("[bold]$ make demo[/]")
        for line in shown.stdout.splitlines():
            console.print(Text.from_ansi(line), soft_wrap=False, no_wrap=True, overflow="ellipsis")
    drawn = _FONTS.sub("", console.export_svg(title="SRE-Agent"))  # a picture loads nothing from elsewhere
    (ROOT / "docs" / "images" / "demo.svg").write_text(drawn, encoding="utf-8")
    return shown.returncode


if __name__ == "__main__":
    sys.exit(main())
