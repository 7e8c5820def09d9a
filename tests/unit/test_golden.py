"""Golden histories, decided again: every byte is as it was when they were written (`make golden` writes them)."""

import json
from pathlib import Path

import pytest

from tests.golden.files import decided, histories, records_of


def lines_of(path: Path) -> list[str]:
    return path.read_text(encoding="utf-8").splitlines()


@pytest.mark.parametrize("path", histories(), ids=lambda path: path.stem)
def test_a_golden_history_is_decided_byte_for_byte_as_it_was(path: Path) -> None:
    lines = lines_of(path)
    assert list(decided(records_of(lines))) == lines


def test_they_tell_of_enough_incidents_and_of_every_end() -> None:
    ends: dict[str, tuple[str, str]] = {}
    for line in (line for path in histories() for line in lines_of(path) if '"topic":"sre.incidents"' in line):
        incident = json.loads(line)["out"]["body"]
        ends[incident["id"]] = incident["phase"], incident["reason"]
    assert len(ends) >= 20
    assert len(set(ends.values())) >= 9
