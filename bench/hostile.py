"""What a hostile, broken or large playbook costs to check: seconds of a processor, the slowest first."""

import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from statistics import median
from time import process_time

from rich.console import Console
from rich.table import Table

from bench.machine import machine
from services.decider.adapters.playbook_file import read_playbook
from services.decider.core.faults import PlaybookError
from services.decider.core.linting import remarks_on
from services.decider.core.playbook import load_playbook
from tests.unit.services.decider.core.test_broken import BOMBS, FOLDERS, HOSTILE, LARGE, PLAYBOOKS

TURNS = 3
SHOWN = 8


def main() -> None:
    """Measure and print."""
    with tempfile.TemporaryDirectory() as directory:
        costs = {name: median(_cost(load) for _ in range(TURNS)) for name, load in _refused(Path(directory))}
    costs |= {name: median(_cost_of_check(text) for _ in range(TURNS)) for name, (text, _) in LARGE.items()}
    refused = len(costs) - len(LARGE)
    table = Table("playbook", "seconds", title=f"{refused} playbooks refused, {len(LARGE)} large ones checked")
    for name, cost in sorted(costs.items(), key=lambda one: -one[1])[:SHOWN]:
        table.add_row(name, f"{cost:.3f}")
    Console().print(table, machine())


def _refused(directory: Path) -> Iterator[tuple[str, Callable[[], object]]]:
    for path in PLAYBOOKS:
        yield path.stem, lambda path=path: read_playbook(path)
    for folder in FOLDERS:
        yield folder.name, lambda folder=folder: read_playbook(folder / "playbook.yaml")
    for name, (text, _) in HOSTILE.items():
        yield name, lambda text=text: load_playbook(text, file="playbook.yaml")
    for number, (name, (files, _)) in enumerate(BOMBS.items()):
        folder = directory / str(number)
        folder.mkdir()
        for file, text in files.items():
            (folder / file).write_text(text, encoding="utf-8")
        yield name, lambda folder=folder: read_playbook(folder / "0.yaml")


def _cost(load: Callable[[], object]) -> float:
    begun = process_time()
    try:
        load()
    except PlaybookError:
        return process_time() - begun
    raise AssertionError("expected a playbook that is refused")


def _cost_of_check(text: str) -> float:
    begun = process_time()
    remarks_on(load_playbook(text, file="playbook.yaml"))
    return process_time() - begun


if __name__ == "__main__":
    main()
