"""Our whole program over a file: the playbook loaded, each line matched as a replay does, each finding printed.

Run as `python -m bench.program PLAYBOOK SIGNALS`. A finding is flushed at once, as the peer does with its events.
"""

import sys
from pathlib import Path

from bench.engine import matched
from services.decider.core.matching import index_rules
from services.decider.core.playbook import load_playbook
from shared.contracts.model import body_of
from shared.runtime.collecting import collect_seldom


def main() -> None:
    collect_seldom()
    playbook, signals = map(Path, sys.argv[1:])
    rules = index_rules(load_playbook(playbook.read_text(), file=str(playbook)))
    with signals.open("rb") as lines:
        for line in lines:
            for entry in matched(rules, line):
                print(body_of(entry).decode(), flush=True)


if __name__ == "__main__":
    main()
