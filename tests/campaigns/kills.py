"""Kill trainings, at random and at each system call of a write, and go on with them.

After a kill the same command, or the one that it names, must end with the bytes of a training that
was never killed. Prints a table; the exit status tells whether it holds.

    python tests/campaigns/kills.py --random 100 --calls 100 --seed 0
"""

import argparse
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import faults
from victims import VICTIMS, Arena, Outcome, arena, report

GOOD = ("went on", "resumed", "ended before")


class Kill(NamedTuple):
    """A kill: at a call that changes files, counted from 1, or at a share of a whole training."""

    call: int | None = None
    share: float = 0.0


def judge(place: Arena, name: str, kills: list[Kill]) -> Outcome:
    """Kill a command, and what goes on with it, one after another; then go on to the end."""
    place.prepare(name)
    call, how = VICTIMS[name].call, "ended before"
    for kill in kills:
        if kill.call is not None:
            code, _ = place.call(faults.killed_at, kill.call, call)
        else:
            process = place.start(call)
            time.sleep(kill.share * place.seconds[name])
            code = place.warm.kill(process)
        if code < 0:
            how = "went on"
    return place.finish(name, how)


def cases(
    random: int, calls: int, seed: int, known: dict[str, int]
) -> Iterator[tuple[str, list[Kill]]]:
    """Kills of all commands in turn; in every fourth case what goes on is killed as well.

    Args:
        random: Cases with kills at random.
        calls: Cases with kills at calls, spread over all calls of a command.
        seed: Another seed gives other kills.
        known: The calls of each command.
    """
    rng = np.random.default_rng(seed)
    names = list(VICTIMS)
    for number in range(random):
        shares = rng.uniform(0, 1, 2 if number % 4 == 3 else 1)
        yield names[number % len(names)], [Kill(share=float(share)) for share in shares]
    each = -(-calls // len(names))
    for number in range(calls):
        name = names[number % len(names)]
        # Every call once, before any is taken again.
        first = (number // len(names) + rng.uniform()) / each * known[name]
        second = [Kill(int(rng.integers(1, known[name] + 1)))] if number % 4 == 3 else []
        yield name, [Kill(1 + int(first)), *second]


def run(
    place: Arena, random: int, calls: int, seed: int
) -> list[tuple[tuple[str, list[Kill]], Outcome]]:
    """Judge all cases."""
    return [(case, judge(place, *case)) for case in cases(random, calls, seed, place.calls)]


def main() -> int:
    """Run the campaign and print its figures."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--random", type=int, default=100, help="cases with kills at random")
    parser.add_argument("--calls", type=int, default=100, help="cases with kills at system calls")
    parser.add_argument("--seed", type=int, default=0)
    chosen = parser.parse_args()
    with arena() as place:
        found = run(place, chosen.random, chosen.calls, chosen.seed)
    kills = sum(len(kills) for (_, kills), _ in found)
    return report(f"kills ({kills} of them)", found, GOOD)


if __name__ == "__main__":
    sys.exit(main())
