"""Broken and hostile playbooks: each is refused soon, with exactly these words, and all faults at once.

`broken/` holds the playbooks, each beside the text that a person is shown; what is too large to be kept is made here.
"""

import time
from pathlib import Path

import pytest

from services.decider.core.faults import PlaybookError
from services.decider.core.playbook import load_playbook

BROKEN = Path(__file__).parent / "broken"
PLAYBOOKS = sorted(BROKEN.glob("*.yaml"))
HEAD = """\
apiVersion: sre-agent.dev/v1alpha1
kind: HealingPlaybook
metadata: {name: broken}
spec:
  rules:
"""
NOT_RUNAWAY_S = 5
"""The slowest takes 0.3 s of a processor; a bound that a noisy machine keeps, and that nothing exponential does."""
RULE = "    - {{name: {name}, signal: container, when: {when}, ladder: [{{action: escalate}}]}}\n"
HOSTILE = {
    "ten megabytes": ("a" * 10_000_000, "1:1: expected at most 1000000 characters, found 10000000"),
    "an alias bomb": (
        "a: &a [x]\n" + "".join(f"k{one}: &k{one} [{'*a, ' * 9}*a]\n" for one in range(200)),
        "10:46: expected a playbook; this text has too many faults to name them all",
    ),
    "brackets": ("[" * 400_000, "1:34: expected at most 32 levels of nesting"),
    "braces": ("{a: " * 100_000, "1:133: expected at most 32 levels of nesting"),
    "half a million values": ("a: [" + "a," * 490_000 + "]", "1:100001: expected at most 50000 values"),
    "a key of half a megabyte": (
        f"? {'x' * 500_000}\n: 1\n",
        f"1:3: {'x' * 60}…: unknown key; expected one of: apiVersion, kind, metadata, spec",
    ),
    "a word of half a megabyte": (
        HEAD + f"    - {{name: one, signal: {'x' * 500_000}, ladder: [{{action: escalate}}]}}\n",
        (
            "6:27: spec.rules[0].signal: expected 'event', 'container', 'pod', 'workload', 'node', "
            f"'sample' or 'alert', found '{'x' * 60}…'"
        ),
    ),
    "a condition of half a megabyte": (
        HEAD + RULE.format(name="one", when=" || ".join(["restarts > 1"] * 31_250)),
        "6:44: spec.rules[0].when: expected a condition of at most 4000 characters, found 499996",
    ),
    "more rules than anybody reads": (
        HEAD + "".join(RULE.format(name=f"r{one}", when="ready") for one in range(9_000)),
        "7147:71: expected at most 50000 values",
    ),
}


def faults_of(text: str) -> list[str]:
    begun = time.process_time()
    with pytest.raises(PlaybookError) as refused:
        load_playbook(text, file="playbook.yaml")
    assert time.process_time() - begun < NOT_RUNAWAY_S
    return [str(fault).removeprefix("playbook.yaml:") for fault in refused.value.faults]


def test_there_are_enough_of_them() -> None:
    assert len(PLAYBOOKS) >= 50


@pytest.mark.parametrize("path", PLAYBOOKS, ids=lambda path: path.stem)
def test_a_broken_playbook_is_refused_with_exactly_these_words(path: Path) -> None:
    expected = path.with_suffix(".txt").read_text(encoding="utf-8").splitlines()
    assert faults_of(path.read_text(encoding="utf-8")) == expected


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_playbook_is_refused_before_it_costs_anything(name: str) -> None:
    text, expected = HOSTILE[name]
    assert expected in faults_of(text)
