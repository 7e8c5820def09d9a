"""Our whole program over a file: the playbook loaded, each line read as a signal and matched, each finding printed.

Run as `python -m bench.program PLAYBOOK SIGNALS`. A finding is flushed at once, as the peer does with its events.
"""

import sys
from pathlib import Path

from pydantic import TypeAdapter

from services.decider.core.matching import index_rules, match
from services.decider.core.playbook import load_playbook
from shared.contracts.model import body_of
from shared.contracts.signals import Signal
from shared.runtime.collecting import collect_seldom

_SIGNAL: TypeAdapter[Signal] = TypeAdapter(Signal)


def main() -> None:
    collect_seldom()
    playbook, signals = map(Path, sys.argv[1:])
    rules = index_rules(load_playbook(playbook.read_text(), file=str(playbook)))
    with signals.open("rb") as lines:
        for line in lines:
            for entry in match(rules, _SIGNAL.validate_json(line)):
                print(body_of(entry).decode(), flush=True)


if __name__ == "__main__":
    main()
