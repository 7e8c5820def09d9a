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
from services.decider.core.linting import remarks_on
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
OF_GLOBS = "    - {{name: r{}, signal: container, where: {{reason: [{}]}}, ladder: [{{action: escalate}}]}}\n"
FIRST_RULES = ", ".join(f"r{one}" for one in range(50))


def windows_of(names: int, glob: str) -> str:
    """Return the beginning of a playbook whose windows name each so many globs of rules."""
    listed = ", ".join(f"'{glob.format(one)}'" for one in range(names))
    window = "    - {{name: w{}, schedule: '0 0 * * *', duration: 1h, rules: [{}]}}\n"
    windows = "".join(window.format(one, listed) for one in range(20))
    return HEAD.replace("rules:", f"maintenance:\n{windows}  rules:")


HOSTILE: dict[str, tuple[str, str]] = {
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
    "more rules than are held against each other": (
        HEAD + "".join(RULE.format(name=f"r{one}", when="ready") for one in range(4_000)),
        "6:5: spec.rules: expected at most 1000 of them",
    ),
    "windows of thousands of globs over thousands of rules": (
        windows_of(1_000, "*{}") + "".join(RULE.format(name=f"r{one}", when="ready") for one in range(3_000)),
        "6:62: spec.maintenance[0].rules: expected at most 100 of them",
    ),
    "windows of globs that stand for no rule": (
        windows_of(100, "*x{}") + "".join(RULE.format(name=f"r{one}", when="ready") for one in range(1_000)),
        f"6:63: spec.maintenance[0].rules[0]: no rule '*x0'; expected one of: {FIRST_RULES} and 950 more",
    ),
    "facts that are held against thousands of globs": (
        HEAD
        + "".join(OF_GLOBS.format(one, ", ".join(f"'*{one}-{other}'" for other in range(40))) for one in range(900)),
        "56:54: spec.rules[50].where.reason: expected at most 2000 globs in what all rules say of facts",
    ),
    "thousands of facts that no signal has": (
        HEAD
        + "    - {name: one, signal: container, ladder: [{action: escalate}], where: {"
        + "".join(f"x{one}: 1, " for one in range(20_000))
        + "}}\n",
        "6:76: spec.rules[0].where.x0: container signals have no fact 'x0'; expected one of: cluster, ",
    ),
    "conditions that ask for patterns again and again": (
        HEAD
        + "".join(
            RULE.format(name=f"r{one}", when=" || ".join(f"reason.matches('{one}-{other}')" for other in range(100)))
            for one in range(200)
        ),
        "80:44: spec.rules[74].when: expected at most 200000 characters in the conditions of all rules",
    ),
    "thousands of ladders that are not there, beside as many that are": (
        HEAD.replace(
            "rules:", f"ladders: {{{', '.join(f'l{one}: [{{action: escalate}}]' for one in range(6_000))}}}\n  rules:"
        )
        + "".join(f"    - {{name: r{one}, signal: container, ladder: m{one}}}\n" for one in range(4_000)),
        (
            "7:45: spec.rules[0].ladder: there is no ladder 'm0'; expected one of: "
            f"{FIRST_RULES.replace('r', 'l')} and 5950 more"
        ),
    ),
}
LARGE: dict[str, tuple[str, list[str]]] = {
    "rules that differ by a fact": (HEAD + "".join(OF_GLOBS.format(one, f"r{one}") for one in range(1_000)), []),
    "rules that differ by a glob": (
        HEAD + "".join(OF_GLOBS.format(one, f"'*{one}-'") for one in range(1_000)),
        [
            (
                "506:7: spec.rules[500]: there is too much to hold each rule against those before it;"
                " from this one on it is not done [warning]"
            )
        ],
    ),
    "as many windows as there may be": (
        windows_of(100, "*{}") + "".join(RULE.format(name=f"r{one}", when="ready") for one in range(1_000)),
        [],
    ),
}
"""Playbooks as large as they may be, with what is remarked on each."""


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
    assert any(fault.startswith(expected) for fault in faults_of(text))


@pytest.mark.parametrize("name", LARGE)
def test_a_playbook_as_large_as_it_may_be_is_checked_before_it_costs_anything(name: str) -> None:
    text, expected = LARGE[name]
    begun = time.process_time()
    remarks = remarks_on(load_playbook(text, file="playbook.yaml"))
    assert time.process_time() - begun < NOT_RUNAWAY_S
    assert [str(remark).removeprefix("playbook.yaml:") for remark in remarks] == expected


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
