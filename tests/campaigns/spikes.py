"""Give the readers of recorded spikes damaged and hostile files.

Each must end in an error of sqsnn that names the file, or in the spikes that a plain independent
reader finds in the same bytes. Prints a table as readers.py does.

    python tests/campaigns/spikes.py --files 2000 --seed 0
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import spike_files
from campaigns.readers import Campaign, Case, main


def hostile() -> list[Case]:
    """Files of spikes that are meant to do harm."""
    return [
        Case(kind, {f"recording.{'npz' if kind == 'times' else kind}": raw})
        for kind, found in spike_files.hostile().items()
        for raw in found
    ]


SPIKES = Campaign(
    spike_files.MAKERS, spike_files.hurt, spike_files.read, spike_files.agrees, hostile
)

if __name__ == "__main__":
    sys.exit(main(__doc__, SPIKES))
