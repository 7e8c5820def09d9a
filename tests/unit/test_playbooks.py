"""The ready playbooks: each says what it does and never does, is fit for use, and is tried as a whole."""

from functools import cache
from pathlib import Path

import pytest

from services.decider.adapters.cases_file import CasesFile, read_cases_file
from services.decider.adapters.playbook_file import read_playbook
from services.decider.core.coverage import coverage_of
from services.decider.core.language import EscalateRung
from services.decider.core.linting import remarks_on
from services.decider.core.trial import Trial, try_cases
from shared.contracts.actions import RestartPodRung, SetMemoryRung

FOLDER = Path(__file__).resolve().parents[2] / "deploy" / "playbooks"
PLAYBOOKS = sorted(path for path in FOLDER.glob("*.yaml") if not path.name.endswith(".test.yaml"))
BANK = FOLDER / "bank-of-anthos.yaml"
LEAST_PERCENT = 95
each = pytest.mark.parametrize("path", PLAYBOOKS, ids=lambda path: path.stem)


@cache
def tried(path: Path) -> tuple[CasesFile, list[Trial]]:
    file = read_cases_file(path.with_suffix(".test.yaml"))
    return file, try_cases(file.cases, file.playbook)


def test_there_is_one_for_each_trouble_that_users_meet() -> None:
    assert {path.stem for path in PLAYBOOKS} >= {
        *("crash-loop", "out-of-memory", "image-pull", "bad-rollout", "failed-probes", "pending-pods", "node-trouble"),
        *("evictions", "failed-jobs", "hpa-at-maximum", "volume-nearly-full", "certificate-expiry", "quota-exceeded"),
    }


@each
def test_it_says_what_it_does_what_it_never_does_and_why(path: Path) -> None:
    comment = "".join(line for line in path.read_text(encoding="utf-8").splitlines() if line.startswith("#"))
    words = ("emptyDir", "spared") if path == BANK else ("Does:", "Never:", "Needs:", "Thresholds:")
    assert [word for word in words if word not in comment] == []


@each
def test_nothing_is_remarked_on_it(path: Path) -> None:
    assert list(map(str, remarks_on(read_playbook(path)))) == []


@each
def test_its_incidents_have_an_owner_a_runbook_and_a_person_at_the_end(path: Path) -> None:
    for rule in read_playbook(path).rules.values():
        assert rule.words.owner
        assert rule.words.runbook
        assert isinstance(rule.words.ladder[-1], EscalateRung)
        assert rule.words.ladder[-1].message


@each
def test_its_cases_pass_and_reach_nearly_all_of_it(path: Path) -> None:
    file, trials = tried(path)
    assert [verdict for trial in trials for verdict in trial.verdicts if not verdict.met] == []
    coverage = coverage_of(file.playbook, trials)
    assert coverage.percent >= LEAST_PERCENT, coverage.missed


@each
def test_its_cases_tell_what_it_must_not_do_as_well(path: Path) -> None:
    file, _ = tried(path)
    assert any(case.expect for case in file.cases.words.cases)
    assert any(case.expect_none and not case.expect for case in file.cases.words.cases)


def test_the_bank_takes_all_of_them() -> None:
    assert set(read_playbook(BANK).files) == {path.name for path in PLAYBOOKS}


def test_no_rule_of_the_bank_that_replaces_pods_is_about_a_database() -> None:
    replacing = [
        rule
        for rule in read_playbook(BANK).rules.values()
        if any(isinstance(rung, RestartPodRung | SetMemoryRung) for rung in rule.words.ladder)
    ]
    assert {rule.name for rule in replacing} == {"crash-loop", "out-of-memory", "not-ready"}
    assert all('!(workload in ["accounts-db", "ledger-db"])' in rule.words.when for rule in replacing)
