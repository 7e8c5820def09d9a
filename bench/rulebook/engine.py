# pyright: basic, reportMissingImports=false
"""The peer's engine alone, run by its own Python: lines of JSON in memory, handed to Drools as the peer does.

Run as `python engine.py RULEBOOK SIGNALS`. It says "ready", then after each line on standard input, which asks for a
pass, the seconds and the matches. The events are handed over as text, so that Python's part is the least that it can
be; `post` is the function that ansible-rulebook calls, with its garbage collection every 1,000 events.
"""

import json
import sys
from pathlib import Path
from time import perf_counter

import yaml
from ansible_rulebook.json_generator import visit_ruleset
from ansible_rulebook.rules_parser import parse_rule_sets
from drools.rule import Rule
from drools.ruleset import Ruleset, post


def main() -> None:
    rulebook, signals = map(Path, sys.argv[1:])
    (found,) = parse_rule_sets(yaml.safe_load(rulebook.read_text()), {})
    ruleset = Ruleset(name=found.name, serialized_ruleset=json.dumps(visit_ruleset(found, {})["RuleSet"]))
    met: list[object] = []
    for rule in found.rules:
        ruleset.add_rule(Rule(name=rule.name, callback=met.append))
    lines = signals.read_text().splitlines()
    print("ready", flush=True)
    for _ in sys.stdin:
        met.clear()
        began = perf_counter()
        for line in lines:
            post(found.name, line)
        print(json.dumps({"seconds": perf_counter() - began, "met": len(met)}), flush=True)


if __name__ == "__main__":
    main()
