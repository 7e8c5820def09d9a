"""What the demo shows: steps as they are done, each incident's story line by line, a table at the end."""

import os
import sys
from collections.abc import Sequence
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.rule import Rule
from rich.table import Table

from sandbox.demo.faults import Fault
from sandbox.demo.story import Story, middle_and_worst

_PLAIN_COLUMNS = 110
"""How wide a file or a pipe is taken for: narrower, the table's names would be cut."""
_MEASURES = ("detected", "decided", "acted", "healed")
_TITLES = ("detect", "decide", "act", "healed")
_MARKS = {
    "signal": "[yellow]●[/]",
    "decision": "[blue]◆[/]",
    "evidence": "[cyan]▣[/]",
    "preview": "[magenta]△[/]",
    "change": "[magenta]▲[/]",
    "report": "[green]✎[/]",
}


class Screen:
    """Print for people; what comes from a cluster is never taken for markup."""

    def __init__(self) -> None:
        is_sized = sys.stdout.isatty() or "COLUMNS" in os.environ
        self._console = Console(highlight=False, soft_wrap=True, width=None if is_sized else _PLAIN_COLUMNS)

    def step(self, text: str) -> None:
        """Say what is being done."""
        self._console.print(f"[dim]-[/] {escape(text)}")

    def fault(self, fault: Fault, number: int, total: int) -> None:
        """Say what is broken now."""
        self._console.print(Rule(f"[bold]{number}/{total} {fault.name}[/]: {escape(fault.told)}", align="left"))

    def line(self, line: dict[str, Any]) -> None:
        """Show one line of an incident's story."""
        reason = line["reason"]
        style = "bold green" if reason in {"verified", "recovered"} else "bold yellow" if "approval" in reason else ""
        shown = f"[{style}]{reason}[/]" if style else reason
        at = f"{line['seconds']:+8.2f} s"
        self._console.print(f"  {at}  {_MARKS[line['happening']]} {shown}  [dim]{escape(line['detail'])}[/]")

    def table(self, stories: Sequence[Story]) -> None:
        """Show the times of all faults, their median and their worst; seconds from the signal."""
        table = Table("fault", "end", "action", *_TITLES, "report by", title="Seconds from the signal")
        for story in stories:
            times = [_shown(getattr(story, name)) for name in _MEASURES]
            end = f"[{'green' if story.is_healed else 'red'}]{story.phase}[/]"
            table.add_row(story.fault, end, story.action, *times, story.explained_by)
        pairs = [middle_and_worst(stories, name) for name in _MEASURES]
        table.add_section()
        for index, title in enumerate(("median", "worst")):
            table.add_row(title, "", "", *(_shown(pair[index] if pair else None) for pair in pairs), "")
        self._console.print(table)


def _shown(seconds: float | None) -> str:
    return "" if seconds is None else f"{seconds:.2f}"
