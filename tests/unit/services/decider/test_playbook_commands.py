"""The commands on playbooks: what they print, and their exit codes."""

import json
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
from typer.testing import CliRunner, Result

from services.decider.playbook_commands import commands as app
from shared.kernel.errors import ConfigError

ROOT = Path(__file__).resolve().parents[4]
SHIPPED = ROOT / "healing-playbook.test.yaml"
PLAYBOOK = """\
apiVersion: sre-agent.dev/v1alpha1
kind: HealingPlaybook
metadata: {name: test}
spec:
  rules:
    - name: crash
      signal: container
      where: {reason: CrashLoopBackOff}
      ladder: [{action: restart-pod, verify: {healthy_for: 5s, within: 1m}}, {action: escalate}]
"""
CASES = """\
playbook: playbook.yaml
cases:
  - name: a crash is restarted
    given:
      - {at: 0s, signal: container, facts: {reason: CrashLoopBackOff}}
    expect:
      - {reason: action-ordered, rule: crash, step: 0, action: restart-pod}
"""


def run(*words: str | Path) -> Result:
    return CliRunner().invoke(app, ["playbook", *map(str, words)])


def written(folder: Path, cases: str = CASES) -> Path:
    (folder / "playbook.yaml").write_text(PLAYBOOK, encoding="utf-8")
    path = folder / "playbook.test.yaml"
    path.write_text(cases, encoding="utf-8")
    return path


def test_the_shipped_playbook_passes_its_cases_which_reach_all_of_it() -> None:
    tried = run("test", SHIPPED, "--coverage-threshold", "95", "-o", "json")
    assert tried.exit_code == 0, tried.output
    told = json.loads(tried.stdout)
    assert all(case["passed"] for case in told["cases"])
    assert told["coverage"][0]["missed"] == []


def test_an_expectation_that_is_not_met_stands_against_what_was_decided(tmp_path: Path) -> None:
    path = written(tmp_path, CASES.replace("step: 0, action: restart-pod", "at: 5s"))
    tried = run("test", path, "-o", "json")
    assert tried.exit_code == 1
    verdict = json.loads(tried.stdout)["cases"][0]["verdicts"][0]
    assert (verdict["line"], verdict["met"]) == (7, False)
    assert "reason=action-ordered rule=crash step=0 attempt=1 action=restart-pod at=0s" in verdict["actual"]


def test_the_table_names_the_place_of_what_was_not_met(tmp_path: Path) -> None:
    tried = run("test", written(tmp_path, CASES.replace("step: 0", "attempt: 2")))
    assert tried.exit_code == 1
    assert "FAILED" in tried.stdout
    assert "0 of 1 cases passed" in tried.stdout


@pytest.mark.parametrize(
    ("given", "why"),
    [
        (
            "signal: container, facts: {reason: Error}",
            "rule crash is met by no signal: reason is CrashLoopBackOff: no, 'Error'",
        ),
        ("signal: pod, facts: {ready: false}", "rule crash looks at container signals; the case gives none"),
    ],
)
def test_it_is_said_why_no_signal_of_a_failed_case_met_the_rule(tmp_path: Path, given: str, why: str) -> None:
    path = written(tmp_path, CASES.replace("signal: container, facts: {reason: CrashLoopBackOff}", given))
    tried = run("test", path)
    assert (tried.exit_code, f"a crash is restarted: {why}" in tried.stdout) == (1, True)
    assert json.loads(run("test", path, "-o", "json").stdout)["cases"][0]["unmet"] == [why]


def test_too_little_reached_fails_though_every_case_passed(tmp_path: Path) -> None:
    cases = CASES + "    until: 10s\n"
    tried = run("test", written(tmp_path, cases), "--coverage-threshold", "95")
    assert tried.exit_code == 1
    assert "playbook.yaml: 67 % of 3 rules and steps reached; not reached: rule crash, step 1" in tried.stdout
    assert run("test", written(tmp_path, cases), "--coverage-threshold", "60").exit_code == 0


def test_a_rule_that_is_not_there_is_an_error_before_anything_runs(tmp_path: Path) -> None:
    path = written(tmp_path, CASES.replace("rule: crash", "rule: crush"))
    tried = run("test", path)
    assert tried.exit_code == 2
    assert tried.stdout.splitlines() == [
        f"{path}:7:40: cases[0].expect[0].rule: no rule 'crush'; expected one of: crash (did you mean 'crash'?)",
        "1 fault; nothing was tried",
    ]


def test_a_playbook_that_is_not_there_is_unusable(tmp_path: Path) -> None:
    tried = run("test", written(tmp_path, CASES.replace("playbook.yaml", "nowhere.yaml")))
    assert tried.exit_code == 2
    assert "expected a readable playbook" in tried.output


def test_a_report_for_ci_names_what_failed(tmp_path: Path) -> None:
    path, report = (
        written(tmp_path, CASES.replace("a crash", r'"a \x01 crash"').replace("step: 0", "attempt: 2")),
        tmp_path / "junit.xml",
    )
    path.write_text(
        path.read_text(encoding="utf-8").replace('crash" is restarted', 'crash is restarted"'), encoding="utf-8"
    )
    assert run("test", path, "--junit", report).exit_code == 1
    suite = ET.parse(report).getroot()[0]  # noqa: S314 - written by ourselves
    assert (suite.get("tests"), suite.get("failures")) == ("1", "1")
    assert (suite[0].get("name") or "").endswith("crash is restarted")
    assert f"{path}:7:" in (suite[0][0].get("message") or "")


def test_a_playbook_that_is_fit_is_told_with_its_hash() -> None:
    checked = run("check", ROOT / "healing-playbook.yaml")
    assert checked.exit_code == 0
    assert "8 rules" in checked.stdout


def test_a_playbook_that_cannot_be_read_is_for_the_user_to_mend(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="expected a readable playbook"):
        CliRunner().invoke(app, ["playbook", "check", str(tmp_path / "none.yaml")], catch_exceptions=False)


def test_warnings_fail_only_where_they_are_asked_to(tmp_path: Path) -> None:
    path = tmp_path / "playbook.yaml"
    path.write_text(PLAYBOOK.replace(", {action: escalate}", ""), encoding="utf-8")
    assert run("check", path).exit_code == 0
    assert run("check", path, "--strict").exit_code == 1
    told = json.loads(run("check", path, "-o", "json").stdout)
    assert [(one["level"], one["line"]) for one in told["remarks"]] == [("warning", 9)]


def test_a_rule_that_can_never_be_met_fails_the_check(tmp_path: Path) -> None:
    path = tmp_path / "playbook.yaml"
    path.write_text(PLAYBOOK.replace("{reason: CrashLoopBackOff}", "{state: dead}"), encoding="utf-8")
    assert run("check", path).exit_code == 1


def test_faults_are_told_for_programs_too(tmp_path: Path) -> None:
    path = tmp_path / "playbook.yaml"
    path.write_text(PLAYBOOK.replace("signal:", "signl:"), encoding="utf-8")
    checked = run("check", path, "-o", "json")
    assert checked.exit_code == 1
    assert [one["line"] for one in json.loads(checked.stdout)] == [6, 7]


def test_a_rule_is_told_in_words_and_a_wrong_name_with_a_hint() -> None:
    assert "looks at: pod signals" in run("explain", "evicted", "--file", ROOT / "healing-playbook.yaml").stdout
    wrong = run("explain", "evictd", "--file", ROOT / "healing-playbook.yaml")
    assert wrong.exit_code == 2
    assert "did you mean 'evicted'?" in wrong.output


def test_two_playbooks_differ_by_their_exit_code_and_their_lines(tmp_path: Path) -> None:
    before, after = tmp_path / "a.yaml", tmp_path / "b.yaml"
    before.write_text(PLAYBOOK, encoding="utf-8")
    after.write_text(PLAYBOOK.replace("spec:\n", "spec:\n  mode: dry-run\n"), encoding="utf-8")
    assert run("diff", before, before).exit_code == 0
    assert run("diff", before, after, "-o", "json").exit_code == 1
    assert run("diff", before, after).stdout.splitlines() == [
        'stricter playbook: spec.mode: "live" → "dry-run"',
        'stricter rule crash: effective mode: "live" → "dry-run"',
        'stricter rule crash: effective mode of step 0 (restart-pod): "live" → "dry-run"',
    ]


def test_a_playbook_of_several_files_is_checked_tried_compared_and_shown_as_one(tmp_path: Path) -> None:
    cases = written(tmp_path)
    top = tmp_path / "bank.yaml"
    top.write_text(
        "apiVersion: sre-agent.dev/v1alpha1\nkind: HealingPlaybook\nmetadata: {name: bank}\n"
        "spec: {include: [playbook.yaml]}\n",
        encoding="utf-8",
    )
    cases.write_text(CASES.replace("playbook.yaml", "bank.yaml"), encoding="utf-8")
    assert "1 rules of 2 files" in run("check", top).stdout
    assert run("test", cases).exit_code == 0
    assert "looks at: container signals" in run("explain", "crash", "--file", top).stdout
    assert json.loads(run("show", top, "-o", "json").stdout)["files"] == ["bank.yaml", "playbook.yaml"]
    alone = tmp_path / "alone.yaml"
    alone.write_text(run("show", top).stdout, encoding="utf-8")
    assert run("diff", top, alone).exit_code == 0
    assert (
        json.loads(run("check", alone, "-o", "json").stdout)["hash"]
        == json.loads(run("check", top, "-o", "json").stdout)["hash"]
    )


def test_cases_try_a_playbook_with_values_of_their_own(tmp_path: Path) -> None:
    cases = written(
        tmp_path, CASES.replace("cases:", "with: {reason: Mine}\ncases:").replace("CrashLoopBackOff", "Mine")
    )
    (tmp_path / "playbook.yaml").write_text(
        PLAYBOOK.replace("  rules:", "  parameters: {reason: {default: Error}}\n  rules:").replace(
            "{reason: CrashLoopBackOff}", '{reason: "${reason}"}'
        ),
        encoding="utf-8",
    )
    assert run("test", cases).exit_code == 0
    cases.write_text(cases.read_text(encoding="utf-8").replace("with: {reason:", "with: {raeson:"), encoding="utf-8")
    refused = run("test", cases)
    assert refused.exit_code == 2
    assert "playbook.test.yaml:2:8: with.raeson: " in refused.stdout
    assert "has no parameter 'raeson'; expected one of: reason (did you mean 'reason'?)" in refused.stdout


def test_a_single_playbook_is_shown_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "playbook.yaml"
    path.write_text(PLAYBOOK, encoding="utf-8")
    assert run("show", path).stdout == PLAYBOOK
