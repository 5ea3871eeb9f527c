"""Nothing of HDF5 beyond values is believed: links, other files, bombs, empty promises."""

import zlib

import h5py
import numpy as np
import pytest

from sqsnn.data import images
from sqsnn.data.hdf5 import dataset, opened
from sqsnn.errors import DataError


def soft(file, secret):
    file["values"] = h5py.SoftLink("/other")


def external(file, secret):
    file["values"] = h5py.ExternalLink(str(secret), "/other")


def external_group(file, secret):
    file["group"] = h5py.ExternalLink(str(secret), "/")


def storage(file, secret):
    file.create_dataset("values", (4,), np.uint8, external=[(str(secret), 0, 4)])


def virtual(file, secret):
    layout = h5py.VirtualLayout((4,), np.uint8)
    layout[:] = h5py.VirtualSource(str(secret), "other", (4,))
    file.create_virtual_dataset("values", layout)


def huge(file, secret):
    file.create_dataset("values", (10**6, 10**6), np.float32, chunks=(100, 100))


def empty(file, secret):
    file.create_dataset("values", (4,), np.float32)


def part(file, secret):
    file.create_dataset("values", (100,), np.float32, chunks=(10,))[:90] = 1


def foreign_filter(file, secret):
    plan = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    plan.set_chunk((4,))
    plan.set_filter(32015, h5py.h5z.FLAG_OPTIONAL, ())
    space = h5py.h5s.create_simple((4,))
    h5py.h5d.create(file.id, b"values", h5py.h5t.NATIVE_FLOAT, space, plan)


def twice_packed(file, secret):
    plan = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    plan.set_chunk((4,))
    plan.set_deflate(9)
    plan.set_deflate(9)
    space = h5py.h5s.create_simple((4,))
    h5py.h5d.create(file.id, b"values", h5py.h5t.NATIVE_FLOAT, space, plan)


def bomb(file, secret):
    made = file.create_dataset("values", (4,), np.uint8, chunks=(4,), compression="gzip")
    made.id.write_direct_chunk((0,), zlib.compress(bytes(10**7), 9))


def lzf(file, secret):
    file.create_dataset("values", data=np.zeros(4), compression="lzf")


def group(file, secret):
    file.create_group("values")


HOSTILE = {
    soft: "a link",
    external: "a link",
    external_group: "a link",
    storage: "values of other files",
    virtual: "values of other files",
    huge: "expected at most .* found 4,000,000,000,000 bytes; .*SQSNN_LARGEST",
    empty: "values: expected values, found none",
    part: "expected 10 chunks, found 0",
    foreign_filter: "expected values packed by gzip, or not",
    lzf: "expected values packed by gzip, or not",
    twice_packed: "expected values packed by gzip, or not",
    bomb: "expected chunks of 4 bytes, found others",
    group: "expected values, found a group",
}


@pytest.mark.parametrize("make", HOSTILE, ids=lambda make: make.__name__)
def test_what_is_not_plain_values_is_refused_before_it_is_read(tmp_path, make):
    path, secret = tmp_path / "a.h5", tmp_path / "secret.h5"
    with h5py.File(secret, "w") as file:
        file["other"] = file["values"] = np.arange(4, dtype=np.uint8)
    with h5py.File(path, "w") as file:
        make(file, secret)
        file["other"] = np.arange(4)
    name = "group/values" if make is external_group else "values"
    with (
        pytest.raises(DataError, match=HOSTILE[make]) as caught,
        opened(path, "four values") as file,
    ):
        dataset(path, file, name)
    assert str(path) in str(caught.value)


@pytest.mark.parametrize(
    "packing",
    [
        {},
        {"chunks": (3, 2)},
        {"compression": "gzip", "shuffle": True},
        {"shuffle": True, "compression": 9},
    ],
)
def test_plain_and_packed_values_are_found(tmp_path, packing):
    path, values = tmp_path / "a.h5", np.arange(35.0).reshape(5, 7)
    with h5py.File(path, "w") as file:
        file.create_dataset("group/values", data=values, **packing)
    with opened(path, "values") as file:
        np.testing.assert_array_equal(dataset(path, file, "group/values"), values)


@pytest.mark.parametrize(
    ("kind", "found"), [([("a", "f4"), ("b", "i4")], "a"), ("S4", "S4"), ("i4", "int32")]
)
def test_values_of_another_type_are_refused(tiny, usps_h5, kind, found):
    path = usps_h5()
    with h5py.File(path, "r+") as file:
        del file["train/data"]
        file["train/data"] = np.zeros((tiny.train_size, tiny.features), kind)
    with pytest.raises(DataError, match=f"expected fractional values .* found .*{found}"):
        images.read_usps_h5(tiny, (path,), "train")
