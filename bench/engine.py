"""Our engine alone: lines of JSON in memory, read as signals and matched; one pass for each line on standard input.

Run as `python -m bench.engine PLAYBOOK SIGNALS`. It says "ready", then after each pass its seconds and the findings.
"""

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from time import perf_counter

from pydantic import TypeAdapter

from services.decider.core.matching import RuleIndex, index_rules, match
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
    return sum(len(match(rules, _SIGNAL.validate_json(line))) for line in lines)


if __name__ == "__main__":
    main()
