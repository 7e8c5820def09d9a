"""The tutorial's own files: the rule is fit for use, its cases pass, and they reach all of it."""

import re
from pathlib import Path

import pytest

from services.decider.adapters.cases_file import CasesFile, read_cases_file
from services.decider.core.coverage import coverage_of
from services.decider.core.linting import remarks_on
from services.decider.core.trial import try_cases

TUTORIAL = Path(__file__).resolve().parents[2] / "docs" / "tutorial.md"


@pytest.fixture
def written(tmp_path: Path) -> CasesFile:
    """Return the cases as a reader saves them, beside the playbook."""
    playbook, cases = re.findall(r"```yaml\n(.*?)```", TUTORIAL.read_text(encoding="utf-8"), re.DOTALL)
    (tmp_path / "my-playbook.yaml").write_text(playbook, encoding="utf-8")
    (tmp_path / "my-playbook.test.yaml").write_text(cases, encoding="utf-8")
    return read_cases_file(tmp_path / "my-playbook.test.yaml")


def test_nothing_is_remarked_on_the_first_rule(written: CasesFile) -> None:
    assert list(map(str, remarks_on(written.playbook))) == []


def test_its_cases_pass_and_reach_all_of_it_as_the_text_says(written: CasesFile) -> None:
    trials = try_cases(written.cases, written.playbook)
    coverage = coverage_of(written.playbook, trials)
    told = TUTORIAL.read_text(encoding="utf-8")
    assert all(trial.passed for trial in trials)
    assert f"`{len(trials)} of {len(trials)} cases passed`" in told
    assert f"`{coverage.percent:.0f} % of {coverage.parts} rules and steps reached`" in told
