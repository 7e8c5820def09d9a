"""Broken and hostile playbooks: each is refused soon, with exactly these words, and all faults at once.

`broken/` holds the playbooks, each beside the text that a person is shown, and those of several files in folders; what
is too large to be kept is made here.
"""

import time
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from services.decider.adapters.playbook_file import read_playbook
from services.decider.core.faults import PlaybookError
from services.decider.core.playbook import load_playbook

BROKEN = Path(__file__).parent / "broken"
PLAYBOOKS = sorted(BROKEN.glob("*.yaml"))
FOLDERS = sorted(path for path in BROKEN.iterdir() if path.is_dir())
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
WINDOWS = "".join(f"    - {{name: w{one}, schedule: '0 0 */31 * MON#5', duration: 1h}}\n" for one in range(5_000))
HOSTILE = {
    "windows that never open": (
        HEAD.replace("rules:", "maintenance:\n" + WINDOWS + "  rules:") + RULE.format(name="one", when="ready"),
        "6:5: spec.maintenance: expected at most 20 of them",
    ),
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


BOMBS: dict[str, tuple[Mapping[str, str], str]] = {
    "files that include the next one, for ever": (
        {f"{one}.yaml": HEAD.replace("rules:", f"include: [{one + 1}.yaml]") for one in range(100)},
        "0.yaml:5:12: spec.include: expected at most 64 files",
    ),
    "files that include each other as deep as they may": (
        {f"{one}.yaml": HEAD.replace("rules:", f"include: [{one + 1}.yaml]") for one in range(40)},
        "8.yaml:5:13: spec.include[0]: expected files to include each other at most 8 levels deep",
    ),
    "files that all include the next one ten times": (
        {f"{one}.yaml": HEAD.replace("rules:", f"include: [{f'{one + 1}.yaml, ' * 10}]") for one in range(8)}
        | {"8.yaml": HEAD + RULE.format(name="one", when="ready")},
        "expected at most 200 inclusions in all",
    ),
    "a large file, included again and again": (
        {
            "0.yaml": HEAD.replace("rules:", f"include: [{'1.yaml, ' * 150}]"),
            "1.yaml": HEAD + "".join(RULE.format(name=f"r{one}", when="ready") for one in range(4_000)),
        },
        "expected at most 50000 values, with all that is included",
    ),
    "large files": (
        {"0.yaml": HEAD.replace("rules:", f"include: [{', '.join(f'{one}.yaml' for one in range(1, 60))}]")}
        | {f"{one}.yaml": HEAD.replace("rules:", f"mode: {'x' * 900_000}") for one in range(1, 60)},
        "expected at most 1000000 characters in all files",
    ),
    "a parameter that is said a thousand times": (
        {
            "0.yaml": HEAD.replace("rules:", f"parameters: {{much: {{default: {'x' * 100_000}}}}}\n  rules:")
            + RULE.format(name="one", when="ready").replace(
                "escalate}", 'escalate, message: "' + "${much}" * 1_000 + '"}'
            ),
        },
        "expected at most 1000000 characters, with all that parameters say",
    ),
    "parameters that double from file to file": (
        {
            f"{one}.yaml": HEAD.replace(
                "rules:",
                f"parameters: {{p: {{default: {'x' * 1000}}}}}\n"
                f'  include: [{{file: {one + 1}.yaml, with: {{p: "{"${p}" * 20}"}}}}]',
            )
            for one in range(8)
        },
        "expected at most 1000000 characters, with all that parameters say",
    ),
}


def faults_of(text: str) -> list[str]:
    refused = refused_soon(lambda: load_playbook(text, file="playbook.yaml"))
    return [fault.removeprefix("playbook.yaml:") for fault in refused]


def faults_in(folder: Path, *, top: str = "playbook.yaml") -> list[str]:
    refused = refused_soon(lambda: read_playbook(folder / top))
    return [fault.replace(f"{folder}/", "") for fault in refused]


def refused_soon(load: Callable[[], object]) -> list[str]:
    begun = time.process_time()
    with pytest.raises(PlaybookError) as refused:
        load()
    assert time.process_time() - begun < NOT_RUNAWAY_S
    return [str(fault) for fault in refused.value.faults]


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


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)
def test_a_broken_playbook_of_several_files_is_refused_with_exactly_these_words(folder: Path) -> None:
    assert faults_in(folder) == (folder / "faults.txt").read_text(encoding="utf-8").splitlines()


@pytest.mark.parametrize("name", BOMBS)
def test_a_hostile_playbook_of_several_files_is_refused_before_it_costs_anything(name: str, tmp_path: Path) -> None:
    files, expected = BOMBS[name]
    for file, text in files.items():
        (tmp_path / file).write_text(text, encoding="utf-8")
    assert expected in "\n".join(faults_in(tmp_path, top="0.yaml"))


def test_a_file_that_is_reached_through_a_link_out_of_the_folder_is_refused(tmp_path: Path) -> None:
    folder = tmp_path / "playbooks"
    folder.mkdir()
    (tmp_path / "outside.yaml").write_text(HEAD + RULE.format(name="one", when="ready"), encoding="utf-8")
    (folder / "inside.yaml").symlink_to(tmp_path / "outside.yaml")
    (folder / "playbook.yaml").write_text(HEAD.replace("rules:", "include: [inside.yaml]"), encoding="utf-8")
    assert faults_in(folder)[0] == (
        "playbook.yaml:5:13: spec.include[0]: expected a readable playbook:"
        " it lies outside of the folder of the playbook's own file"
    )
