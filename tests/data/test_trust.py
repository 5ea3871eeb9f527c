"""Whatever the system says of a file, the file is not called broken; and memory has a limit."""

import builtins
import errno
import gzip
import io
import os
import subprocess
import sys
from pathlib import Path

import event_files
import h5py
import numpy as np
import own_files
import pytest

from sqsnn.data import images, trust
from sqsnn.data.hdf5_recordings import open_hdf5
from sqsnn.data.nmnist import open_nmnist
from sqsnn.data.own.event_folder import open_event_folder
from sqsnn.data.own.reading import read_own
from sqsnn.data.specs import SPECS
from sqsnn.errors import ConfigError, DataError

ACCUSATIONS = ("broken", "damaged", "delete", "remove", "whole", "copy")


def write_nmnist(folder):
    raw = event_files.nmnist_zip({"Train/3/1.bin": event_files.nmnist_member([(5, 1, 2, True)])})
    (folder / "Train.zip").write_bytes(raw)
    return folder / "Train.zip"


def write_hdf5(folder):
    event_files.write_hdf5(folder / "a.h5", [[0.5]] * 27, [[1]] * 27, range(27), list("x" * 27))
    return folder / "a.h5"


def write_idx(folder):
    (folder / "a.gz").write_bytes(gzip.compress(bytes((0, 0, 8, 1, 0, 0, 0, 1, 3))))
    return folder / "a.gz"


def write_events(folder):
    place = folder / "a" / "1.bin"
    place.parent.mkdir()
    place.write_bytes(event_files.nmnist_member([(5, 1, 2, True)]))
    return place


def writer_of(kind):
    def write(folder):
        return own_files.write(folder, own_files.MAKERS[kind](np.random.default_rng(0)))

    return write


READERS = {
    "zip": (write_nmnist, lambda path: list(open_nmnist(SPECS["nmnist"], path, "train").read())),
    "h5": (write_hdf5, lambda path: list(open_hdf5(SPECS["braille"], path, "train").read())),
    "gz": (write_idx, lambda path: images._read_idx(path, (1,))),
    "bin": (write_events, lambda path: open_event_folder(path.parents[1])),
    **{kind: (writer_of(kind), read_own) for kind in own_files.MAKERS},
}


def refuse_to_open(monkeypatch, path, number):
    """Let no opening of a file succeed: the tests may run as root, who may read everything."""

    def refusing(original):
        def opened(name, *args, **kwargs):
            if Path(os.fsdecode(name) if not isinstance(name, int) else ".") == path:
                raise OSError(number, os.strerror(number), str(path))
            return original(name, *args, **kwargs)

        return opened

    monkeypatch.setattr(io, "open", refusing(io.open))
    monkeypatch.setattr(builtins, "open", refusing(builtins.open))
    monkeypatch.setattr(h5py, "File", refusing(h5py.File))


@pytest.mark.parametrize("number", [errno.EACCES, errno.EIO, errno.ESTALE, errno.EMFILE])
@pytest.mark.parametrize("kind", READERS)
def test_a_file_that_may_not_be_read_is_not_called_broken(tmp_path, monkeypatch, kind, number):
    write, read = READERS[kind]
    path = write(tmp_path)
    read(path)
    refuse_to_open(monkeypatch, path, number)
    with pytest.raises(DataError) as caught:
        read(path)
    said = str(caught.value)
    assert said.startswith(f"{path} cannot be read: {os.strerror(number)}")
    assert not any(word in said.lower() for word in ACCUSATIONS)


HOLD = "import h5py, sys; file = h5py.File(sys.argv[1], 'r+'); print(1, flush=True); input()"


def test_a_file_that_another_program_holds_is_not_called_broken(tmp_path):
    path = write_hdf5(tmp_path)
    command = [sys.executable, "-c", HOLD, str(path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as holder:
        assert holder.stdout is not None
        holder.stdout.readline()
        with pytest.raises(DataError, match="another program has it open for writing") as caught:
            open_hdf5(SPECS["braille"], path, "train")
        holder.communicate(b"\n")
    assert str(path) in str(caught.value) and "broken" not in str(caught.value)
    assert open_hdf5(SPECS["braille"], path, "train").count == 27


@pytest.mark.parametrize("raw", [b"a,y\n" + b"1" * 100, b"a,y\n1,\xff"])
def test_a_fault_of_the_content_is_one(tmp_path, raw):
    path = tmp_path / "own.csv"
    path.write_bytes(raw)
    with pytest.raises(DataError, match="line 2"):
        read_own(path)
    assert trust.denied(path, OSError("Invalid data stream")) is None
    assert trust.denied(path, OSError(errno.EINVAL, "a place before the start")) is None


def test_the_limit_of_memory_can_be_raised(tmp_path, monkeypatch):
    path = tmp_path / "a"
    path.write_bytes(bytes(10))
    trust.check_size(path, "values", trust.SMALL)
    with pytest.raises(DataError, match=r"a, values: expected at most .* by \$SQSNN_LARGEST, in"):
        trust.check_size(path, "values", 2**30)
    monkeypatch.setenv(trust.LARGEST_VARIABLE, "1.1")
    trust.check_size(path, "values", 2**30)
    with pytest.raises(DataError, match="at most 1,100,000,000 bytes"):
        trust.check_size(path, "values", 2**31)
    for wrong in ("much", "-1", "nan", "inf", "0", "1e400"):
        monkeypatch.setenv(trust.LARGEST_VARIABLE, wrong)
        with pytest.raises(ConfigError, match=f"SQSNN_LARGEST is '{wrong}'; it may be"):
            trust.check_size(path, "values", 1)


@pytest.mark.parametrize("suffix", [".csv", ".ts", ".arff", ".npz", ".parquet"])
def test_a_file_of_a_terabyte_without_content_is_refused_at_once(tmp_path, suffix):
    path = tmp_path / f"own{suffix}"
    with path.open("wb") as file:
        file.truncate(10**12)
    with pytest.raises(DataError, match="the file: expected at most 8,589,934,592 bytes"):
        read_own(path)


def test_a_line_without_an_end_is_refused_at_its_limit(tmp_path, monkeypatch):
    monkeypatch.setattr("sqsnn.data.own.faults.SMALL", 1000)
    path = tmp_path / "own.csv"
    path.write_bytes(b"a,y\n" + b"1" * 1001)
    with pytest.raises(DataError, match="line 2: expected lines of at most 1,000 bytes"):
        read_own(path)
