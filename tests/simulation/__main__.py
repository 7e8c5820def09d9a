"""Runs seeds: `python -m tests.simulation --seeds 1000000 --from 0`; a seed that fails prints its story."""

import argparse
import os
import sys
from collections.abc import Iterable
from concurrent.futures import ProcessPoolExecutor

from tests.simulation.run import Ran, simulate

_TOLD_EVERY = 100


def main() -> int:
    """Run the seeds on all processors; return 1 if one of them failed."""
    parser = argparse.ArgumentParser(prog="python -m tests.simulation", description=__doc__)
    parser.add_argument("--seeds", type=int, default=200, help="how many")
    parser.add_argument("--from", type=int, default=0, dest="first", help="the first of them")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="how many at once")
    parser.add_argument("--story", action="store_true", help="print all that happened, of seeds that hold as well")
    arguments = parser.parse_args()
    seeds = range(arguments.first, arguments.first + arguments.seeds)
    with ProcessPoolExecutor(arguments.jobs) as pool:
        return _told(pool.map(simulate, seeds, chunksize=4), total=len(seeds), story=arguments.story)


def _told(runs: Iterable[Ran], *, total: int, story: bool) -> int:
    failed: list[int] = []
    for number, ran in enumerate(runs, start=1):
        if ran.violation or story:
            print("\n".join(ran.history if story else ran.history[-200:]))
        if ran.violation:
            failed.append(ran.seed)
            print(f"seed {ran.seed}: {ran.violation}")
        if number % _TOLD_EVERY == 0:
            print(f"{number} of {total} seeds, {len(failed)} failed", file=sys.stderr)
    print(f"{total} seeds, {len(failed)} failed{': ' + ', '.join(map(str, failed)) if failed else ''}")
    if failed:
        print("put them into tests/simulation/seeds.txt: what failed once is tried in every run")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
