"""Messages: names are filled in by what a signal says, and nothing that a cluster says can break out of them."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.decider.core.language import MESSAGE_CHARS
from services.decider.core.wording import WordingError, check_wording, worded
from shared.contracts.signals import FactValue, facts_of
from tests.unit.services.decider.core.build import container

ALERT: dict[str, FactValue] = {"alertname": "Slow", "labels": {"team": "payments", "app.kubernetes.io/name": "web"}}


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("{workload} in {namespace}", "frontend in bank"),
        ("{restarts} restarts of {container}, ready: {ready}", "3 restarts of server, ready: false"),
        ("image {image}", "image -"),
        ("{{workload}} is {{{workload}}}", "{workload} is {frontend}"),
        ("nothing to fill in", "nothing to fill in"),
    ],
)
def test_names_are_filled_in_by_the_signals_facts(text: str, told: str) -> None:
    check_wording(text, kind="container")
    assert worded(text, facts_of(container(restarts=3))) == told


def test_labels_are_named_one_by_one_and_one_that_is_missing_is_told_as_nothing() -> None:
    text = "{labels.team} {labels.app.kubernetes.io/name} {labels.tier}"
    check_wording(text, kind="alert")
    assert worded(text, ALERT) == "payments web -"


def test_numbers_are_told_without_more_places_than_anybody_reads() -> None:
    assert worded("{value} {big}", {"value": 0.1 + 0.2, "big": 12}) == "0.3 12"


@pytest.mark.parametrize(
    ("text", "line", "column", "hint"),
    [
        ("{workloads}", 1, 1, "did you mean 'workload'?"),
        ("a\n {labels}", 2, 2, ""),
        ("a\nb{labels.}", 2, 2, "did you mean 'labels'?"),
        ("{{x}} {workload", 1, 7, "a brace itself is written {{ or }}"),
        ("workload}", 1, 9, "a brace itself is written {{ or }}"),
        ("{work{load}", 1, 1, "a brace itself is written {{ or }}"),
        ("{}", 1, 1, ""),
    ],
)
def test_what_cannot_be_filled_in_is_refused_at_its_place(text: str, line: int, column: int, hint: str) -> None:
    with pytest.raises(WordingError) as refused:
        check_wording(text, kind="alert")
    assert (refused.value.line, refused.value.column, refused.value.hint) == (line, column, hint)


@given(st.text(max_size=400))
def test_what_a_cluster_says_has_no_controls_and_an_end(said: str) -> None:
    told = worded("<{message}>", {"message": said})
    assert len(told) <= 202
    assert not any(unicodedata.category(sign) in {"Cc", "Cf", "Cs", "Zl", "Zp"} for sign in told)


@given(st.text(max_size=400))
def test_what_a_cluster_says_is_never_filled_in_itself(said: str) -> None:
    assert worded("{message}", {"message": f"{{secret}}{said}", "secret": "!"}).startswith("{secret}")


@given(st.text(max_size=100))
def test_a_text_whose_braces_are_doubled_is_told_as_it_is(text: str) -> None:
    doubled = text.replace("{", "{{").replace("}", "}}")
    check_wording(doubled, kind="node")
    assert worded(doubled, {}) == text


def test_a_message_has_an_end_however_many_names_it_has() -> None:
    assert len(worded("{message}" * 200, {"message": "x" * 500})) == MESSAGE_CHARS
