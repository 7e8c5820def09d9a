"""Conditions: each kind of signal can be asked, each of its facts by its name and type."""

import pytest

from services.decider.core.conditions import ConditionError, Facts, compile_condition
from shared.contracts.signals import SIGNALS, FactType, FactValue, fact_types

KINDS = [str(model.model_fields["kind"].default) for model in SIGNALS]
QUESTIONS = {str: '{} == ""', int: "{} > 1", float: "{} > 1.0", bool: "{}", dict[str, str]: "size({}) == 0"}


@pytest.mark.parametrize("kind", KINDS)
def test_every_fact_of_a_kind_can_be_asked_for(kind: str) -> None:
    for name, fact in fact_types(kind).items():
        asked = "__namespace__" if name == "namespace" else name
        assert compile_condition(QUESTIONS[fact].format(asked), kind=kind).text


@pytest.mark.parametrize("kind", KINDS)
def test_a_condition_sees_every_fact_that_it_asks_for(kind: str) -> None:
    samples: dict[FactType, FactValue] = {str: "", int: 2, float: 2.0, bool: True, dict[str, str]: {}}
    facts = Facts(kind, {name: samples[fact] for name, fact in fact_types(kind).items()})
    for name, fact in fact_types(kind).items():
        asked = "__namespace__" if name == "namespace" else name
        assert compile_condition(QUESTIONS[fact].format(asked), kind=kind).holds(facts), name


def test_a_fact_whose_name_cel_keeps_for_itself_is_spelled_as_kubernetes_does() -> None:
    with pytest.raises(ConditionError) as refused:
        compile_condition('namespace == "bank"', kind="container")
    assert "__namespace__" in refused.value.hint
    facts = {name: fact() for name, fact in fact_types("container").items()} | {"namespace": "bank"}
    assert compile_condition('__namespace__ == "bank"', kind="container").holds(Facts("container", facts))


def test_a_fact_that_is_not_there_is_named_with_its_place_and_a_hint() -> None:
    with pytest.raises(ConditionError) as refused:
        compile_condition("restarts > 1 &&\n  restart > 2", kind="container")
    assert (refused.value.line, refused.value.column) == (2, 3)
    assert "restarts" in refused.value.hint


def test_a_condition_that_would_never_come_to_an_end_does_not_hold() -> None:
    bomb = "[1,2,3,4,5,6,7,8,9,10].all(a," * 9 + "true" + ")" * 9
    facts = {name: fact() for name, fact in fact_types("container").items()}
    assert not compile_condition(bomb, kind="container").holds(Facts("container", facts))


@pytest.mark.parametrize("text", ["(" * 33 + "true" + ")" * 33, "restarts > 1 || " * 300 + "true"])
def test_a_condition_that_the_compiler_should_not_be_asked_is_refused(text: str) -> None:
    with pytest.raises(ConditionError, match="at most"):
        compile_condition(text, kind="container")


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ('message.matches("(")', (1, 17)),
        ("restarts > 1 &&\n  message.matches(r'a(b')", (2, 19)),
        ('matches(message, "[z-a]")', (1, 18)),
    ],
)
def test_a_pattern_that_is_none_is_named_with_its_place(text: str, place: tuple[int, int]) -> None:
    with pytest.raises(ConditionError) as refused:
        compile_condition(text, kind="container")
    assert (refused.value.line, refused.value.column) == place
    assert "as RE2 knows them" in refused.value.expected


@pytest.mark.parametrize("text", ['message.matches("a+")', r'message.matches(r"\(\d+\)")', "message.matches(image)"])
def test_a_pattern_that_is_one_is_left_alone(text: str) -> None:
    assert compile_condition(text, kind="container").text == text


def test_rules_that_ask_the_same_share_one_compiled_condition() -> None:
    text = 'reason == "asked by many"'
    assert compile_condition(text, kind="pod") is compile_condition(text, kind="pod")
    assert compile_condition(text, kind="pod") is not compile_condition(text, kind="container")
