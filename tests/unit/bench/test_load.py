"""The benchmarks' load: both sides are told the same, and as many signals meet a rule at any number of rules."""

from pathlib import Path

import pytest
import yaml

from bench.load import ONE_IS_BAD_IN, is_bad, playbook_of, signal_of
from bench.rivals import Case, rate_of
from bench.rulebook.peer import events_in, rulebook_of
from services.decider.core.matching import index_rules, match
from services.decider.core.playbook import load_playbook


@pytest.mark.parametrize("rules", [1, 10, 100])
def test_exactly_the_bad_signals_meet_one_rule_each_and_every_rule_is_met(rules: int) -> None:
    index = index_rules(load_playbook(playbook_of(rules), file="bench"))
    signals = [signal_of(number, workloads=rules) for number in range(ONE_IS_BAD_IN * rules)]
    met = [[finding.key for finding in match(index, signal)] for signal in signals]
    assert [len(found) for found in met] == [int(is_bad(number)) for number in range(len(signals))]
    assert len({key for found in met for key in found}) == rules


def test_the_peer_is_told_the_same_rules(tmp_path: Path) -> None:
    (ruleset,) = yaml.safe_load(rulebook_of(3, signals=Case(3, 1, tmp_path).lines))
    words = load_playbook(playbook_of(3), file="bench").rules_words
    assert [rule["name"] for rule in ruleset["rules"]] == list(words)
    for rule, said in zip(ruleset["rules"], words.values(), strict=True):
        reason, workload = said.where["reason"], said.where["workload"]
        where = f'event.reason == "{reason}" and event.workload.name == "{workload}"'
        assert rule["condition"] == f"{where} and event.restarts >= 3 and event.exit_code != 0"


def test_the_peers_output_names_the_events_that_it_printed() -> None:
    printed = [
        "",
        "** 2026-01-01 00:00:00.000001 [event] *****",
        "{'id': 'signal-7', 'ready': False, 'meta': {'uuid': 'id'}}",
        "*****",
    ]
    assert list(events_in(printed)) == ["signal-7"]


def test_a_rate_counts_what_came_between_the_first_and_the_last_that_met_a_rule() -> None:
    assert rate_of([10.0, 11.0, 12.0], signals=60) == pytest.approx(20.0)
