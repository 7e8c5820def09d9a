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
    ends: dict[tuple[str, int, str], tuple[str, str]] = {}
    for path in histories():
        partition = 0
        for line in map(json.loads, lines_of(path)):
            partition = line["in"]["partition"] if "in" in line else partition
            if line.get("out", {}).get("topic") == "sre.incidents":
                incident = line["out"]["body"]
                ends[path.stem, partition, incident["id"]] = incident["phase"], incident["reason"]
    assert len(ends) >= 60
    assert len(set(ends.values())) >= 11
