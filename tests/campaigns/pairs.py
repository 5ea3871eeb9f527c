"""Start two trainings at the same moment in one folder.

Exactly one must go on, to the bytes of a training that had the folder to itself; the other must be
refused in a line that names who owns the folder. Prints a line; the exit status tells whether it
holds.

    python tests/campaigns/pairs.py --pairs 500 --seed 0
"""

import argparse
import re
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from victims import VICTIMS, Arena, Outcome, arena, report

GOOD = ("one went on",)
LEAD = 0.03  # seconds for both to be forked
APART = 0.04  # seconds at most between the two; a training takes some times as long


def judge(place: Arena, name: str, apart: float) -> Outcome:
    """Start a command twice, so many seconds apart."""
    place.prepare(name)
    moment = time.time() + LEAD
    files = ("first", "second")
    processes = [
        place.start(called_at, moment + wait, VICTIMS[name].call, errors=file)
        for wait, file in zip((0.0, apart), files, strict=True)
    ]
    codes = [place.warm.wait(process) for process in processes]
    said = [place.said(file) for file in files]
    if sorted(codes) != [0, 2]:
        return Outcome("none went on" if 0 not in codes else "not one", f"{codes} {said}")
    winner = codes.index(0)
    told = said[1 - winner]
    owner = f"run is in use by process {processes[winner]} on "
    if not re.fullmatch(rf"({owner}|run holds a run already: ).*\n", told):
        return Outcome("not told", told)
    return place.judge(name, "one went on")


def called_at(moment: float, call: Callable[[], None]) -> None:
    """Call something at a moment."""
    while time.time() < moment:
        pass
    call()


def run(place: Arena, count: int, seed: int) -> list[tuple[object, Outcome]]:
    """Judge so many pairs, of all commands in turn.

    Args:
        place: Where they start.
        count: Number of pairs.
        seed: Seed of the times between the two; half of the pairs start at the same moment.
    """
    rng, names = np.random.default_rng(seed), list(VICTIMS)
    found: list[tuple[object, Outcome]] = []
    for number in range(count):
        name, apart = names[number % len(names)], float(rng.uniform(0, APART))
        apart *= number // len(names) % 2
        found.append(((name, apart), judge(place, name, apart)))
    return found


def main() -> int:
    """Run the campaign and print its figures."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--pairs", type=int, default=500)
    parser.add_argument("--seed", type=int, default=0)
    chosen = parser.parse_args()
    with arena() as place:
        return report("pairs of starts", run(place, chosen.pairs, chosen.seed), GOOD)


if __name__ == "__main__":
    sys.exit(main())
