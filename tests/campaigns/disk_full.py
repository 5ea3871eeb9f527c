"""Train on a disk that from some call on takes nothing more: full, read-only, or not ours.

The command must end in a line that names the file, and go on when the disk takes files again, to
the bytes of a training that met no such disk. Prints a line; the exit status tells whether it
holds.

    python tests/campaigns/disk_full.py --cases 300 --seed 0
"""

import argparse
import errno
import os
import re
import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import faults
from victims import VICTIMS, Arena, Outcome, arena, report

GOOD = ("went on", "resumed", "not hindered")
ERRORS = (errno.ENOSPC, errno.EROFS, errno.EACCES, errno.EFBIG)
LARGEST = 20_000  # bytes; more than any file of these runs


def judge(place: Arena, name: str, error: int, at: int) -> Outcome:
    """Hinder a command from a call on, or files from growing beyond a size; then let it go on."""
    place.prepare(name)
    call = VICTIMS[name].call
    if error == errno.EFBIG:  # the system's own limit, and not one that is played
        code, said = place.call(faults.limited, at, call)
    else:
        code, said = place.call(faults.refused_from, at, error, call)
    if code == 0:
        return place.judge(name, "not hindered")
    named = rf"^(run/\S+|the output) cannot be written: {os.strerror(error)}"
    if code != 2 or "Traceback" in said or not re.search(named, said):
        return Outcome("foreign", f"{code} {said}")
    return place.finish(name, "went on")


def run(place: Arena, count: int, seed: int) -> list[tuple[object, Outcome]]:
    """Judge so many cases, of all commands and errors in turn.

    Args:
        place: Where they train.
        count: Number of cases.
        seed: Seed of the calls from which the disk takes nothing.
    """
    rng, found = np.random.default_rng(seed), []
    kinds = [(name, error) for error in ERRORS for name in VICTIMS]
    for number in range(count):
        name, error = kinds[number % len(kinds)]
        most = LARGEST if error == errno.EFBIG else place.calls[name]
        at = int(rng.integers(1, most + 1))
        case = (name, errno.errorcode[error], at)
        found.append((case, judge(place, name, error, at)))
    return found


def main() -> int:
    """Run the campaign and print its figures."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--cases", type=int, default=300)
    parser.add_argument("--seed", type=int, default=0)
    chosen = parser.parse_args()
    with arena() as place:
        return report("disks that take no more", run(place, chosen.cases, chosen.seed), GOOD)


if __name__ == "__main__":
    sys.exit(main())
