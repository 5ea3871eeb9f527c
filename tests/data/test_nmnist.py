"""N-MNIST's zips: read as they were written, and refused, with the place, where damaged."""

import io
import struct
import zipfile

import event_files
import pytest

from sqsnn.data.nmnist import open_nmnist
from sqsnn.data.specs import SPECS
from sqsnn.errors import DataError

EVENTS = [(10, 3, 4, True), (10, 0, 33, False), (5000, 33, 0, True)]


def as_rows(events):
    return list(zip(*(column.tolist() for column in events), strict=True))


@pytest.fixture
def nmnist(tmp_path):
    """Writes a zip and reads it."""

    def read(members):
        path = tmp_path / "Train.zip"
        raw = members if isinstance(members, bytes) else event_files.nmnist_zip(members)
        path.write_bytes(raw)
        return list(open_nmnist(SPECS["nmnist"], path, "train").read())

    return read


def test_an_event_of_nmnist_is_five_bytes_big_endian(nmnist):
    raw = bytes([3, 4, 0b1000_0001, 2, 3, 5, 6, 0b0111_1111, 255, 255])
    (recording,) = nmnist({"Train/7/00001.bin": raw})
    assert (recording.where, recording.label) == ("Train/7/00001.bin", 7)
    assert as_rows(recording.events) == [
        (0x010203, 3, 4, True),
        (2**23 - 1, 5, 6, False),
    ]


def test_recordings_are_read_in_the_order_of_their_names_below_any_folder(nmnist):
    raw = event_files.nmnist_member(EVENTS)
    found = nmnist(
        {"some/Train/5/2.bin": raw, "some/Train/0/9.bin": raw, "some/Train/5/1.bin": raw}
    )
    assert [recording.label for recording in found] == [0, 5, 5]
    assert [recording.where[-5:] for recording in found] == ["9.bin", "1.bin", "2.bin"]
    assert all(as_rows(recording.events) == EVENTS for recording in found)


def test_an_overflow_of_the_clock_moves_all_later_events(nmnist):
    rows = [(8000, 1, 1, True), (8100, 0, 240, False), (100, 2, 2, True), (0, 9, 240, True)]
    rows += [(50, 3, 3, False)]
    (recording,) = nmnist({"Train/1/1.bin": event_files.nmnist_member(rows)})
    assert as_rows(recording.events) == [
        (8000, 1, 1, True),
        (100 + 2**13, 2, 2, True),
        (50 + 2**14, 3, 3, False),
    ]


def test_what_a_mac_adds_to_a_zip_is_no_recording(nmnist):
    raw = event_files.nmnist_member(EVENTS)
    others = {"__MACOSX/Train/5/._1.bin": b"x", "Train/5/.DS_Store": b"x", "Train/5/": b""}
    assert len(nmnist({"Train/5/1.bin": raw, "readme.txt": b"x", **others})) == 1


@pytest.mark.parametrize(
    ("raw", "place", "message"),
    [
        (b"", 0, "expected events of 5 bytes, found an empty member"),
        (event_files.nmnist_member(EVENTS)[:-2], 10, "expected events of 5 bytes, found 3 bytes"),
        (event_files.nmnist_member([*EVENTS, (6000, 34, 0, True)]), 15, "x from 0 to 33, found 34"),
        (event_files.nmnist_member([*EVENTS, (6000, 0, 34, True)]), 16, "y from 0 to 33, found 34"),
        (
            event_files.nmnist_member([*EVENTS, (4999, 0, 0, True)]),
            17,
            "a time of at least 5000 us, found 4999 us",
        ),
        (event_files.nmnist_member([(0, 0, 240, True)]), 0, "only overflows of the clock"),
    ],
)
def test_damaged_members_are_refused_with_the_byte(nmnist, raw, place, message):
    with pytest.raises(
        DataError, match=rf"Train\.zip is broken, at Train/3/2\.bin, byte {place}: .*{message}"
    ):
        nmnist({"Train/3/1.bin": event_files.nmnist_member(EVENTS), "Train/3/2.bin": raw})


@pytest.mark.parametrize(
    ("members", "message"),
    [
        (b"", "the list of its members: expected a whole zip file"),
        (b"no zip at all", "the list of its members: expected a whole zip file"),
        (event_files.nmnist_zip({"Train/3/1.bin": b"12345"})[:-5], "expected a whole zip file"),
        ({}, "expected recordings <digit>/<number>.bin, found 0 members"),
        ({"Train/x/1.bin": b"12345"}, "Train/x/1.bin: expected only recordings"),
        ({"Train/12/1.bin": b"12345"}, "Train/12/1.bin: expected only recordings"),
        ({"Train/3/1.txt": b"12345"}, "Train/3/1.txt: expected only recordings"),
    ],
)
def test_what_is_no_zip_of_digits_is_refused(nmnist, members, message):
    with pytest.raises(DataError, match=rf"Train\.zip is broken, at .*{message}"):
        nmnist(members)


def test_two_members_of_one_name_are_refused(nmnist):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive, pytest.warns(UserWarning, match="Duplicate"):
        for _ in range(2):
            archive.writestr("Train/3/1.bin", event_files.nmnist_member(EVENTS))
    with pytest.raises(DataError, match=r"'Train/3/1\.bin' stands there twice"):
        nmnist(buffer.getvalue())


def test_a_member_with_the_wrong_checksum_is_refused(nmnist):
    member = event_files.nmnist_member(EVENTS)
    raw = event_files.nmnist_zip({"Train/3/1.bin": member})
    crc = struct.pack("<I", zipfile.crc32(member))
    with pytest.raises(DataError, match=r"Train/3/1\.bin: expected a whole member, found Bad CRC"):
        nmnist(raw.replace(crc, b"\0\0\0\0"))


@pytest.mark.parametrize("name", [b".rain/3/1.bin", b"Train/3/\0.bin", b"Train_3_1.bin"])
def test_a_recording_whose_name_became_another_is_missed(tmp_path, name):
    raw = event_files.nmnist_zip(
        {
            "Train/3/1.bin": event_files.nmnist_member(EVENTS),
            "Train/3/2.bin": event_files.nmnist_member(EVENTS),
        }
    )
    place = raw.rindex(b"Train/3/1.bin")  # in the index
    path = tmp_path / "Train.zip"
    path.write_bytes(raw[:place] + name + raw[place + len(name) :])
    with pytest.raises(DataError, match=r"Train\.zip is broken"):
        open_nmnist(SPECS["nmnist"], path, "train")
