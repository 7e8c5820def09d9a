"""The bugs that `make plant` puts into the source: each still has its place, and tests that may catch it."""

import pytest

from scripts.plant import ROOT, Bug, bugs


@pytest.mark.parametrize("bug", bugs(), ids=lambda bug: bug.breaks)
def test_a_planted_bug_has_its_place_exactly_once_and_is_python(bug: Bug) -> None:
    source = (ROOT / bug.path).read_text(encoding="utf-8")
    compile(bug.planted(source), bug.file, "exec")


@pytest.mark.parametrize("bug", bugs(), ids=lambda bug: bug.breaks)
def test_there_are_tests_that_may_catch_it(bug: Bug) -> None:
    assert all(list((ROOT / suite).rglob("test_*.py")) for suite in bug.suites)


def test_there_are_enough_of_them_and_each_is_another() -> None:
    assert len({(bug.file, bug.before) for bug in bugs()}) == len(bugs()) >= 25


def test_a_text_that_is_not_there_is_an_error() -> None:
    with pytest.raises(ValueError, match="found 0 times"):
        Bug(file="core/steps.py", before="nowhere", after="", breaks="nothing").planted("some source")
