"""Whatever happens to a file of spikes, it is refused, or read as a plain reader reads it.

A slice of tests/campaigns/spikes.py, whose parts are tested here too.
"""

import numpy as np
import own_files
import pytest
import spike_files
from campaigns import readers
from campaigns.spikes import SPIKES

KINDS = list(spike_files.MAKERS)


def test_damaged_and_hostile_files_are_refused_or_read_as_a_plain_reader_reads_them():
    outcomes = readers.run(300, seed=0, campaign=SPIKES)
    found = [outcome for each in outcomes.values() for outcome in each]
    assert len(found) == 300 and all(outcomes.values())
    assert [outcome for outcome in found if outcome.name not in ("refused", "equal")] == []
    assert sum(outcome.name == "equal" for outcome in found) > 15


@pytest.mark.filterwarnings("ignore:.* spikes are merged")
@pytest.mark.parametrize("kind", KINDS)
def test_whole_files_are_read_and_the_comparison_sees_a_moved_spike(tmp_path, kind):
    rng = np.random.default_rng(0)
    for number in range(10):
        path = own_files.write(tmp_path / str(number), spike_files.MAKERS[kind](rng))
        shapes, places, merged = spike_files.read(path)
        assert spike_files.agrees((shapes, places, merged), path) is None
        assert "differs from" in (spike_files.agrees((shapes, places, merged + 1), path) or "")
        places[-1].append([99, 0])
        assert "differs from" in (spike_files.agrees((shapes, places, merged), path) or "")
