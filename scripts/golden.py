"""Writes the golden histories (tests/golden) from scenarios and playbooks' cases, as decided now: `make golden`."""

from collections.abc import Sequence

from shared.contracts.codec import Record
from tests.golden import files, scenarios, tried


def main() -> None:
    """Write one file a history; what is different from before shows in the diff."""
    for path in files.histories():
        path.unlink()
    for number, (name, told) in enumerate(scenarios.HISTORIES.items()):
        _write(name, scenarios.written(number, told))
    for path in tried.cases_files():
        _write(tried.history_of(path), list(tried.written(path)))


def _write(name: str, records: Sequence[Record]) -> None:
    lines = files.decided(records)
    (files.HISTORIES / f"{name}.jsonl").write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")


if __name__ == "__main__":
    main()
