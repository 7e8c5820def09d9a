"""`match`: the index gives what asking every rule in turn would give, in the order of the file."""

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter

from services.decider.core.conditions import Facts
from services.decider.core.matching import index_rules, match, may_meet
from services.decider.core.playbook import load_playbook
from shared.contracts.codec import body_of
from shared.contracts.inbox import Finding
from shared.contracts.model import JsonObject
from shared.contracts.signals import ContainerSignal, Signal, facts_of
from tests.unit.services.decider.core.build import container, health

HEAD = "apiVersion: sre-agent.dev/v1alpha1\nkind: HealingPlaybook\nmetadata: {name: test}\nspec:\n  rules:\n"
JSON_OBJECT: TypeAdapter[JsonObject] = TypeAdapter(JsonObject)
REASONS = ("Error", "OOMKilled", "CrashLoopBackOff")
WHERES = st.fixed_dictionaries(
    {},
    optional={
        "reason": st.sets(st.sampled_from(REASONS), min_size=1),
        "restarts": st.sets(st.integers(0, 2), min_size=1),
        "ready": st.sets(st.booleans(), min_size=1),
    },
)
WHENS = st.sampled_from(["", "restarts >= 1", "exit_code == 137 || restarts == 2", 'reason == "Error"'])
SIGNALS = st.builds(
    container,
    reason=st.sampled_from(REASONS),
    restarts=st.integers(0, 3),
    ready=st.booleans(),
    exit_code=st.sampled_from((0, 137)),
)


def rule_text(place: int, where: dict[str, set[object]], when: str) -> str:
    allowed = ", ".join(
        f"{name}: [{', '.join(map(written, sorted(map(str, values))))}]" for name, values in where.items()
    )
    asked = f", when: '{when}'" if when else ""
    about = f"signal: container, where: {{{allowed}}}{asked}"
    return f"    - {{name: rule-{place}, {about}, ladder: [{{action: escalate}}]}}\n"


def written(value: str) -> str:
    return value.lower() if value in {"True", "False"} else value


@given(st.lists(st.tuples(WHERES, WHENS), min_size=1, max_size=6), SIGNALS)
def test_the_index_meets_the_rules_that_asking_each_would_meet(
    rules: list[tuple[dict[str, set[object]], str]], signal: ContainerSignal
) -> None:
    playbook = load_playbook(HEAD + "".join(rule_text(place, *rule) for place, rule in enumerate(rules)), file="test")
    facts = facts_of(signal)
    expected = [
        name
        for name, rule in playbook.rules.items()
        if all(facts[fact] in allowed for fact, allowed in rule.where.items())
        and (rule.condition is None or rule.condition.holds(Facts("container", facts)))
    ]
    met = match(index_rules(playbook), signal)
    assert [one.rule for one in met if isinstance(one, Finding)] == expected


def in_full(signal: Signal) -> JsonObject:
    return JSON_OBJECT.validate_json(body_of(signal))


def without_what_goes_without_saying(signal: ContainerSignal) -> JsonObject:
    return JSON_OBJECT.validate_json(signal.model_dump_json(exclude_defaults=True))


def with_numbers_as_texts(signal: ContainerSignal) -> JsonObject:
    return {name: str(value) if type(value) is int else value for name, value in in_full(signal).items()}


@given(
    st.lists(st.tuples(WHERES, WHENS), min_size=1, max_size=6),
    SIGNALS,
    st.sampled_from([in_full, without_what_goes_without_saying, with_numbers_as_texts]),
)
def test_a_glance_at_a_body_passes_by_no_signal_that_meets_a_rule(
    rules: list[tuple[dict[str, set[object]], str]],
    signal: ContainerSignal,
    written_as: Callable[[ContainerSignal], JsonObject],
) -> None:
    playbook = load_playbook(HEAD + "".join(rule_text(place, *rule) for place, rule in enumerate(rules)), file="test")
    index, body = index_rules(playbook), written_as(signal)
    assert ContainerSignal.model_validate(body) == signal
    assert may_meet(index, body) or not match(index, signal)


def test_a_glance_passes_by_what_no_rule_is_about() -> None:
    index = index_rules(load_playbook(HEAD + rule_text(0, {"reason": {"Error"}}, ""), file="test"))
    assert may_meet(index, in_full(container(reason="Error")))
    assert not may_meet(index, in_full(container(reason="OOMKilled")))
    assert not may_meet(index, in_full(health(healthy=True, seconds=1)))


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"kind": ["container"]},
        {"kind": "of another version"},
        {"kind": "container"},
        {"kind": "container", "labels": {"team": {}}},
        {"kind": "container", "labels": ["team"]},
    ],
)
def test_what_a_body_does_not_say_as_it_is_written_now_is_left_to_its_model(body: JsonObject) -> None:
    index = index_rules(load_playbook(HEAD + rule_text(0, {"labels.team": {"a"}}, ""), file="test"))
    assert may_meet(index, body)


def test_conditions_decide_between_rules_that_say_the_same_otherwise() -> None:
    text = HEAD + rule_text(0, {}, "restarts >= 2") + rule_text(1, {}, 'reason == "Error"')
    index = index_rules(load_playbook(text, file="test"))
    met = [one.rule for one in match(index, container(reason="Error", restarts=1)) if isinstance(one, Finding)]
    assert met == ["rule-1"]


def test_the_health_of_a_workload_is_passed_on_whatever_the_rules_say() -> None:
    signal = health(healthy=True, seconds=1)
    assert match(index_rules(load_playbook(HEAD + rule_text(0, {}, ""), file="test")), signal) == [signal]
