"""The schema for editors says what the language says: it accepts what is fit for use and refuses what is not."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema import Draft7Validator

from scripts.playbook_schema import document, words
from tests.unit.services.decider.core.build import PLAYBOOK

ROOT = Path(__file__).resolve().parents[3]
SHIPPED = sorted({ROOT / "healing-playbook.yaml", *(ROOT / "deploy" / "playbooks").glob("*.yaml")})
SCHEMA = Draft7Validator(document())
HEAD = "apiVersion: sre-agent.dev/v1alpha1\nkind: HealingPlaybook\nmetadata: {name: test}\nspec:\n"


def complaints(text: str) -> list[str]:
    found = SCHEMA.iter_errors(yaml.safe_load(text))  # pyright: ignore[reportUnknownMemberType] - partly untyped
    return [one.message for one in found]


@pytest.mark.parametrize("path", [path for path in SHIPPED if ".test." not in path.name], ids=lambda path: path.name)
def test_a_shipped_playbook_is_accepted(path: Path) -> None:
    assert complaints(path.read_text(encoding="utf-8")) == []


def test_files_that_are_composed_are_accepted() -> None:
    text = HEAD + (
        "  include: [a.yaml, {file: b.yaml, with: {cap: 2Gi, names: [a]}}]\n"
        "  parameters: {count: {default: 3, description: x}}\n"
        "  ladders: {ask: [{action: escalate}]}\n"
        '  rules: [{name: a, signal: pod, window: {count: "${n}", within: "${t}"}, by: namespace, ladder: ask}]\n'
    )
    assert complaints(text) == []


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("cooldown: 5m", "cooldwn: 5m"),
        ("cooldown: 5m", "cooldown: five minutes"),
        ("cooldown: 5m", "severity: bad"),
        ("attempts: 2", "attempts: 11"),
        ("signal: container", "signal: contaner"),
        ("{reason: CrashLoopBackOff}", "{reason: 5}"),
        ("cap: 512Mi", "cap: 512"),
        ("action: rollback", "action: rollbak"),
    ],
)
def test_what_is_wrong_is_refused(before: str, after: str) -> None:
    assert complaints(PLAYBOOK) == []
    assert complaints(PLAYBOOK.replace(before, after)) != []


def test_every_word_says_what_it_means() -> None:
    assert [place for place, schema in _words(words(), "file") if not schema.get("description")] == []


def _words(schema: dict[str, Any], place: str) -> Iterator[tuple[str, dict[str, Any]]]:
    for name, part in schema.get("properties", {}).items():
        yield f"{place}.{name}", part
    for name, part in schema.get("$defs", {}).items():
        yield from _words(part, name)
