"""Whatever happens to a data file, it is refused, or read as an independent parser reads it.

A slice of tests/campaigns/readers.py, whose parts are tested here too.
"""

import os
import signal
from dataclasses import replace

import numpy as np
import own_files
import own_reference
import pytest
from campaigns import readers

from sqsnn.data.own.reading import read_own

FORMATS = list(own_files.MAKERS)


def test_damaged_and_hostile_files_are_refused_or_read_as_others_read_them():
    outcomes = readers.run(240, seed=0)
    found = [outcome for each in outcomes.values() for outcome in each]
    assert len(found) == 240 and all(outcomes.values())
    assert [outcome for outcome in found if outcome.name not in ("refused", "equal")] == []
    assert sum(outcome.name == "equal" for outcome in found) > 15


@pytest.mark.parametrize("kind", FORMATS)
def test_whole_files_are_read_as_others_read_them(tmp_path, kind):
    rng = np.random.default_rng(0)
    for number in range(20):
        folder = tmp_path / str(number)
        folder.mkdir()
        path = own_files.write(folder, own_files.MAKERS[kind](rng))
        data = read_own(path, groups=readers.groups_of(path))
        assert own_reference.agrees(data, path) is None


@pytest.mark.parametrize("kind", FORMATS)
def test_the_comparison_sees_a_changed_value_and_a_changed_label(tmp_path, kind):
    path = own_files.write(tmp_path, own_files.MAKERS[kind](np.random.default_rng(3)))
    data = read_own(path, groups=readers.groups_of(path))
    X, y = data.X.copy(), data.y.copy()
    X.flat[0] += 1 + abs(X.flat[0])
    y.flat[-1] = "z" if y.dtype.kind == "U" else y.flat[-1] + 1
    assert own_reference.agrees(data, path) is None
    assert "X differs" in (own_reference.agrees(replace(data, X=X), path) or "")
    assert "y differs" in (own_reference.agrees(replace(data, y=y), path) or "")


def test_a_reader_that_dies_or_hangs_is_started_again(tmp_path, monkeypatch):
    path = own_files.write(tmp_path, {"own.csv": b"a,y\n1,2\n"})
    reader = readers.Reader(readers.read)
    try:
        reader._process.kill()
        reader._process.join()
        assert reader.read(path)[0].name == "foreign"
        data, seconds, _ = reader.read(path)
        assert data.X.tolist() == [[1]] and seconds < readers.SECONDS
        monkeypatch.setattr(readers, "SECONDS", 0.2)
        os.kill(reader._process.pid, signal.SIGSTOP)
        assert reader.read(path)[0].name == "slow"
    finally:
        reader.stop()
