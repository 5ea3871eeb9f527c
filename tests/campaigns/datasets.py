"""Give the readers of the named datasets, of event folders and of the cache damaged files.

Each must end in an error of sqsnn that names the file, or in what a plain independent reader finds
in the same bytes; the cache, which carries checksums, in what was put in. Prints a table as
readers.py does.

    python tests/campaigns/datasets.py --files 60000 --seed 0
"""

import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import dataset_files
from campaigns.readers import Campaign, Case, main


def cases(count: int, seed: int) -> Iterator[Case]:
    """Files of all kinds in turn, of which one in twenty is whole.

    Args:
        count: How many.
        seed: Another seed makes other files.
    """
    rng = np.random.default_rng(seed)
    kinds = list(dataset_files.MAKERS)
    for number in range(count):
        kind = kinds[number % len(kinds)]
        files = dataset_files.MAKERS[kind](rng)
        whole = number // len(kinds) % 20 == 0
        if not whole:
            victim = list(files)[rng.integers(len(files))]
            files[victim] = dataset_files.harm(rng, files[victim])
        yield Case(kind, files, whole)


DATASETS = Campaign(tuple(dataset_files.MAKERS), cases, dataset_files.read, dataset_files.agrees)

if __name__ == "__main__":
    sys.exit(main(__doc__, DATASETS))
