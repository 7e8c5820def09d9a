"""The threat model's table of who writes and reads which topic, held against what the services' code names."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from shared.contracts import topics
from shared.contracts.topics import DEAD_LETTERS, SIGNAL_TOPICS, TOPICS, Topic

ROOT = Path(__file__).parents[2]
TABLE = (ROOT / "docs/threat-model.md").read_text(encoding="utf-8").partition("## Who should write what")[2]
FOR_THE_COMMAND_LINE = {"verifying.py", "rehearsing.py", "inquiring.py", "exporting.py", "replaying.py"}
"""Adapters of what a person runs, under an account of their own."""
WRITES = re.compile(r"\btopic=([A-Z_]+)\b|^    [A-Z]\w+: ([A-Z_]+),$", re.MULTILINE)
READS = re.compile(
    r"\.(?:read|read_one|end_offsets)\(([A-Z_]+)\b|topics=\[?([A-Z_]+)\b|^_TOPICS = \(([A-Z_, ]+)\)|inbox=([A-Z_]+)",
    re.MULTILINE,
)


def sources(service: str) -> str:
    files = sorted((ROOT / "services" / service).rglob("*.py"))
    return "\n".join(file.read_text(encoding="utf-8") for file in files if file.name not in FOR_THE_COMMAND_LINE)


def named(found: Iterator[re.Match[str]]) -> set[str]:
    """Return the names of the topics whose constants were found; other constants of that shape are none."""
    words = {word for match in found for group in match.groups() if group for word in re.findall("[A-Z_]+", group)}
    declared: list[Topic | tuple[Topic, ...] | None] = [getattr(topics, word, None) for word in words]
    return {one.name for value in declared if value for one in (value if isinstance(value, tuple) else (value,))}


def row(service: str) -> tuple[set[str], set[str]]:
    line = next(one for one in TABLE.splitlines() if one.startswith(f"| {service} |"))
    writes, reads = (set(re.findall(r"`([a-z.*]+)`", cell)) for cell in line.split("|")[2:4])
    return spelled_out(writes), spelled_out(reads)


def spelled_out(names: set[str]) -> set[str]:
    return names - {"sre.signals.*"} | ({one.name for one in SIGNAL_TOPICS} if "sre.signals.*" in names else set())


@pytest.mark.parametrize("service", ["collector", "decider", "remediator", "rca", "api"])
def test_a_service_is_told_to_write_and_read_what_its_code_does(service: str) -> None:
    writes, reads = row(service)
    code = sources(service)
    assert writes == named(WRITES.finditer(code)) | {DEAD_LETTERS.name}  # whoever consumes buries
    assert reads == named(READS.finditer(code))


def test_each_topic_is_somebodys() -> None:
    told = [row(service) for service in ("collector", "decider", "remediator", "rca", "api")]
    declared = {topic.name for topic in TOPICS if topic.messages}  # the changelog is the stream engine's own
    assert {name for writes, _ in told for name in writes} == declared
