"""Rules that ask a query: what is a query, whose samples they are about, and which answers name no workload."""

import time

import pytest

from services.decider.core.bounding import MAX_QUERIES
from services.decider.core.faults import MAX_FAULTS, Fault, PlaybookError
from services.decider.core.linting import remarks_on
from services.decider.core.matching import index_rules, match
from services.decider.core.playbook import Playbook, load_playbook
from services.decider.core.promql import QueryError, check_query, names_no_workload
from services.decider.core.telling import rule_in_words
from shared.contracts.inbox import Finding
from shared.contracts.signals import SampleSignal
from tests.unit.services.decider.core.build import FRONTEND, START

HEAD = "apiVersion: sre-agent.dev/v1alpha1\nkind: HealingPlaybook\nmetadata: {name: test}\nspec:\n  rules:\n"
RULE = "    - {{name: {name}, signal: sample, promql: '{query}', ladder: [{{action: escalate}}]}}\n"
ERRORS = "sum by (namespace, deployment) (rate(errors_total[5m])) > 0"
CHAIN = "a" + " + a" * 100


def asking(query: str = ERRORS, *, name: str = "errors") -> Playbook:
    return load_playbook(HEAD + RULE.format(name=name, query=query), file="p")


def sample(query: str) -> SampleSignal:
    return SampleSignal(id=f"sample-{query}", at=START, cluster="test", workload=FRONTEND, query=query, value=1.0)


def test_a_rule_that_asks_a_query_is_met_by_the_samples_that_bear_its_name() -> None:
    index = index_rules(asking())
    assert [entry.rule for entry in match(index, sample("errors")) if isinstance(entry, Finding)] == ["errors"]
    assert match(index, sample("other")) == []


def test_what_it_asks_is_told_in_words() -> None:
    playbook = asking()
    assert f"asks Prometheus: {ERRORS}" in rule_in_words(playbook, playbook.rules["errors"])


@pytest.mark.parametrize(
    "query",
    [
        "up",
        "absent(up)",
        "vector(1)",
        "max_over_time(rate(a[5m])[1h:1m]) > 1",
        "topk(3, a)",
        'a{b=~"x|y"} unless on (pod) c',
        'label_replace(a, "deployment", "$1", "name", "(.+)")',
        "a\n  # why\n  > bool 0",
    ],
)
def test_what_answers_with_samples_is_a_query(query: str) -> None:
    check_query(query)


@pytest.mark.parametrize(
    ("query", "line", "column"),
    [
        ("a b", 1, 3),
        ("sum by (pod)\n(a)\n+ b c", 3, 5),
        ("1 +", 1, 3),
        ("rate(a[5m]) and ratee(b[5m])", 1, 17),
        ("a ) > 1", 1, 3),
        ("max((a)", 1, 4),
        ("a{b=c}", 1, 5),
        ('a{b="c}', 1, 5),
        ("", 1, 1),
    ],
)
def test_a_broken_query_is_told_with_the_place_where_it_breaks(query: str, line: int, column: int) -> None:
    with pytest.raises(QueryError) as refused:
        check_query(query)
    assert (refused.value.line, refused.value.column) == (line, column)


@pytest.mark.parametrize("query", ["a[5m]", "(a[5m])", "rate(a[5m])[1h:]", "time()", "1 + 1", '"text"', "-1"])
def test_what_answers_with_no_samples_is_refused(query: str) -> None:
    with pytest.raises(QueryError):
        check_query(query)


@pytest.mark.parametrize(
    ("query", "is_lost"),
    [
        ("sum(a) > 0", True),
        ("sum by (cluster) (a)", True),
        ("sum by (deployment) (a)", True),
        ("2 * (max by (namespace) (a))", True),
        ("vector(1)", True),
        ("sum by (namespace, deployment) (a)", False),
        ("-sum by (node) (a)", False),
        ("sum without (pod) (a)", False),
        ("topk(3, a)", False),
        ("a", False),
        ("sum(a) / sum(b)", False),
    ],
)
def test_labels_that_can_name_no_workload_are_noticed_where_they_are_known(query: str, *, is_lost: bool) -> None:
    assert names_no_workload(query) is is_lost
    assert [remark.fault.path for remark in remarks_on(asking(query + " > 0"))].count("spec.rules[0].promql") == is_lost


def test_a_parameter_in_quotes_of_a_query_cannot_end_them() -> None:
    parameters = "{app: {default: 'x\"} or vector(1) #'}, least: {default: 2.5}, tick: {default: \"'\"}}"
    query = 'a{app="${app}", b=`${tick}`} > ${least}'
    text = HEAD.replace("  rules:", f"  parameters: {parameters}\n  rules:") + RULE.format(name="one", query=query)
    playbook = load_playbook(text, file="p")
    assert playbook.rules["one"].words.promql == 'a{app="x\\"} or vector(1) #", b=`\'`} > 2.5'


def test_more_queries_than_can_be_asked_in_a_round_are_refused() -> None:
    rules = [RULE.format(name=f"r{place}", query="up") for place in range(MAX_QUERIES + 1)]
    assert load_playbook(HEAD + "".join(rules[:-1]), file="p").rules
    with pytest.raises(PlaybookError, match=f"at most {MAX_QUERIES} rules"):
        load_playbook(HEAD + "".join(rules), file="p")


@pytest.mark.parametrize(
    ("query", "faults"), [(CHAIN, 0), (f"{CHAIN} b", MAX_FAULTS), (f"{'(' * 32}{CHAIN}", MAX_FAULTS)]
)
def test_as_many_queries_as_may_be_asked_cost_no_more_than_seconds(query: str, faults: int) -> None:
    text = HEAD + "".join(RULE.format(name=f"r{place}", query=query) for place in range(MAX_QUERIES))
    begun = time.process_time()
    assert len(faults_of(text)) == faults
    assert time.process_time() - begun < 5


def faults_of(text: str) -> list[Fault]:
    try:
        load_playbook(text, file="p")
    except PlaybookError as refused:
        return refused.faults
    return []
