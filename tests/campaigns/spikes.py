"""Give the readers of recorded spikes damaged and hostile files.

Each must end in an error of sqsnn that names the file, or in the spikes that a plain independent
reader finds in the same bytes. Prints a table as readers.py does.

    python tests/campaigns/spikes.py --files 2000 --seed 0
"""

import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import spike_files
from campaigns.readers import Campaign, Case, main


def cases(count: int, seed: int) -> Iterator[Case]:
    """The hostile files, up to half of all, then files of all kinds, of which 1 in 20 is whole.

    Args:
        count: How many.
        seed: Another seed makes other files.
    """
    rng = np.random.default_rng(seed)
    hostile = [(kind, raw) for kind, found in spike_files.hostile().items() for raw in found]
    chosen = rng.permutation(len(hostile))[: count // 2]
    for index in chosen:
        kind, raw = hostile[index]
        yield Case(kind, {f"recording.{'npz' if kind == 'times' else kind}": raw})
    kinds = list(spike_files.MAKERS)
    for number in range(count - len(chosen)):
        kind = kinds[number % len(kinds)]
        files = spike_files.MAKERS[kind](rng)
        whole = number // len(kinds) % 20 == 0
        if not whole:
            files = {name: spike_files.hurt(rng, kind, raw) for name, raw in files.items()}
        yield Case(kind, files, whole)


SPIKES = Campaign(tuple(spike_files.MAKERS), cases, spike_files.read, spike_files.agrees)

if __name__ == "__main__":
    sys.exit(main(__doc__, SPIKES))
