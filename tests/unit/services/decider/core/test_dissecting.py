"""A condition is taken apart where it is joined, and nowhere else."""

import pytest

from services.decider.core.conditions import compile_condition
from services.decider.core.dissecting import parts_of


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("restarts >= 3 && exit_code != 0", ["restarts >= 3", "exit_code != 0"]),
        ("ready || restarts > 1 && ready", ["ready", "restarts > 1 && ready"]),
        ("ready && (ready || restarts > 1)", ["ready", "(ready || restarts > 1)"]),
        ("reason == 'a && b' && ready", ["reason == 'a && b'", "ready"]),
        (r'reason == "\"||" || ready', [r'reason == "\"||"', "ready"]),
        ("reason == '''a' && b''' && ready", ["reason == '''a' && b'''", "ready"]),
        (r"reason.matches(r'\|\|') && ready", [r"reason.matches(r'\|\|')", "ready"]),
        ("ready // && no part\n && restarts > 1", ["ready // && no part", "restarts > 1"]),
        ("ready && restarts > 1 // last", ["ready", "restarts > 1 // last"]),
        ("ready", []),
        ("ready ? restarts > 1 && ready : ready || restarts > 2", []),
        ("[ready && ready].all(one, one || ready)", []),
    ],
)
def test_a_condition_falls_into_the_parts_that_are_questions_by_themselves(text: str, parts: list[str]) -> None:
    found = parts_of(compile_condition(text, kind="container"), kind="container")
    assert [part.text for part in found] == parts
