"""Refusals: each says what it means and what a person does about it, and the runbook has them all."""

import pytest

from scripts.refusals_runbook import document
from shared.contracts.refusals import ADVICE, Refusal


@pytest.mark.parametrize("refusal", Refusal)
def test_each_refusal_says_what_it_means_and_what_is_to_be_done(refusal: Refusal) -> None:
    advice = ADVICE[refusal]
    assert advice.meaning.endswith(".")
    assert advice.remedy.endswith(".")


def test_no_two_refusals_say_the_same() -> None:
    assert len({advice.meaning for advice in ADVICE.values()}) == len(ADVICE)


@pytest.mark.parametrize("refusal", Refusal)
def test_the_runbook_has_a_section_of_each_refusal(refusal: Refusal) -> None:
    section = document().partition(f"\n## {refusal}\n")[2].partition("\n## ")[0]
    words = " ".join(section.split())
    assert ADVICE[refusal].meaning in words
    assert ADVICE[refusal].remedy in words


def test_the_runbooks_lines_are_short() -> None:
    assert max(map(len, document().splitlines())) <= 130
