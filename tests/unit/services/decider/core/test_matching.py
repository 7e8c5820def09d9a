"""`match`: the index gives what asking every rule in turn would give, in the order of the file."""

from hypothesis import given
from hypothesis import strategies as st

from services.decider.core.conditions import Facts
from services.decider.core.matching import index_rules, match
from services.decider.core.playbook import load_playbook
from shared.contracts.inbox import Finding
from shared.contracts.signals import ContainerSignal, facts_of
from tests.unit.services.decider.core.build import container, health

HEAD = "apiVersion: sre-agent.dev/v1alpha1\nkind: HealingPlaybook\nmetadata: {name: test}\nspec:\n  rules:\n"
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


def test_conditions_decide_between_rules_that_say_the_same_otherwise() -> None:
    text = HEAD + rule_text(0, {}, "restarts >= 2") + rule_text(1, {}, 'reason == "Error"')
    index = index_rules(load_playbook(text, file="test"))
    met = [one.rule for one in match(index, container(reason="Error", restarts=1)) if isinstance(one, Finding)]
    assert met == ["rule-1"]


def test_the_health_of_a_workload_is_passed_on_whatever_the_rules_say() -> None:
    signal = health(healthy=True, seconds=1)
    assert match(index_rules(load_playbook(HEAD + rule_text(0, {}, ""), file="test")), signal) == [signal]
