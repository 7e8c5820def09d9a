"""Our engine alone: lines of JSON in memory, matched; one pass for each line on standard input.

Run as `python -m bench.engine PLAYBOOK SIGNALS`. It says "ready", then after each pass its seconds and the findings.
"""

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from time import perf_counter

from pydantic import TypeAdapter
from pydantic_core import from_json

from services.decider.core.matching import Matched, RuleIndex, index_rules, match, may_meet
from services.decider.core.playbook import load_playbook
from shared.contracts.signals import Signal

_SIGNAL: TypeAdapter[Signal] = TypeAdapter(Signal)


def main() -> None:
    playbook, signals = map(Path, sys.argv[1:])
    rules = index_rules(load_playbook(playbook.read_text(), file=str(playbook)))
    lines = signals.read_bytes().splitlines()
    print("ready", flush=True)
    for _ in sys.stdin:
        began = perf_counter()
        met = _pass(rules, lines)
        print(json.dumps({"seconds": perf_counter() - began, "met": met}), flush=True)


def _pass(rules: RuleIndex, lines: Sequence[bytes]) -> int:
    return sum(len(matched(rules, line)) for line in lines)


def matched(rules: RuleIndex, line: bytes) -> Sequence[Matched]:
    """Return what a signal's JSON means to rules; as in a replay, what can meet none of them is not read in full."""
    if not may_meet(rules, from_json(line, cache_strings="keys")):
        return ()
    return match(rules, _SIGNAL.validate_json(line))


if __name__ == "__main__":
    main()
