"""Whatever happens to a file of a dataset, it is refused, or read as a plain reader reads it.

A slice of tests/campaigns/datasets.py, whose parts are tested here too.
"""

import dataset_files
import numpy as np
import own_files
import pytest
from campaigns import readers
from campaigns.datasets import DATASETS

KINDS = list(dataset_files.MAKERS)


def test_damaged_files_are_refused_or_read_as_a_plain_reader_reads_them():
    outcomes = readers.run(300, seed=0, campaign=DATASETS)
    found = [outcome for each in outcomes.values() for outcome in each]
    assert len(found) == 300 and all(outcomes.values())
    assert [outcome for outcome in found if outcome.name not in ("refused", "equal")] == []
    assert all(outcome.name == "equal" for outcome in outcomes["cache"])
    assert {outcome.name for outcome in outcomes["idx"]} == {"refused", "equal"}


@pytest.mark.parametrize("kind", KINDS)
def test_whole_files_are_read_and_the_comparison_sees_a_changed_value(tmp_path, kind):
    rng = np.random.default_rng(0)
    for number in range(5):
        path = own_files.write(tmp_path / str(number), dataset_files.MAKERS[kind](rng))
        found = dataset_files.read(path)
        assert dataset_files.agrees(found, path) is None
        first = found[0][0] if kind in ("idx", "usps", "cache") else found[0][1][0]
        while isinstance(first[0], list):
            first = first[0]
        first[0] += 1
        assert "differs from" in (dataset_files.agrees(found, path) or "")
