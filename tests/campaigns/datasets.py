"""Give the readers of the named datasets, of event folders and of the cache damaged files.

Each must end in an error of sqsnn that names the file, or in what a plain independent reader finds
in the same bytes; the cache, which carries checksums, in what was put in. Prints a table as
readers.py does.

    python tests/campaigns/datasets.py --files 60000 --seed 0
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import dataset_files
from campaigns.readers import Campaign, main

DATASETS = Campaign(
    dataset_files.MAKERS,
    lambda rng, _, raw: dataset_files.harm(rng, raw),
    dataset_files.read,
    dataset_files.agrees,
)

if __name__ == "__main__":
    sys.exit(main(__doc__, DATASETS))
