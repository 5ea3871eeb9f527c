"""AEDAT 2.0 and MNIST-DVS: read as written, and refused, with the place, where damaged."""

from pathlib import Path

import event_files
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sqsnn.data import load
from sqsnn.data.aedat import decode_aedat, open_mnist_dvs
from sqsnn.data.events import Binning
from sqsnn.data.own.event_folder import open_event_folder
from sqsnn.data.specs import SPECS
from sqsnn.errors import DataError

PATH = Path("a.aedat")
EVENTS = [(7, 0, 127, True), (5, 127, 0, False), (2**32 - 1, 64, 3, True)]


def rows_of(events):
    return list(zip(*(column.tolist() for column in events), strict=True))


def test_an_event_is_an_address_and_a_time_behind_lines_of_text():
    # Column 2 from the right, row 1, ON; then what is no pixel.
    raw = bytes([0, 0, 1, 2 << 1, 0, 0, 1, 0, 0, 0, 0x80, 0, 0, 0, 2, 0])
    assert rows_of(decode_aedat(PATH, "", b"#!AER-DAT2.0\r\n# 1\n" + raw)) == [(256, 125, 1, True)]
    assert rows_of(decode_aedat(PATH, "", event_files.aedat(EVENTS))) == EVENTS
    assert rows_of(decode_aedat(PATH, "", event_files.aedat(EVENTS, b""))) == EVENTS


@pytest.mark.parametrize(
    ("raw", "said"),
    [
        (b"#!AER-DAT3.1\r\n" + bytes(8), "byte 0: expected AEDAT 2.0, .* found AER-DAT3.1"),
        # Events of six bytes.
        (b"#!AER-DAT1.0\r\n" + bytes(24), "byte 0: expected AEDAT 2.0, .* found AER-DAT1.0"),
        (b"# a\n" + bytes(13), "byte 12: expected events of 8 bytes, found 5 bytes"),
        (b"# a\n", "byte 4: expected events of 8 bytes, found none"),
        (b"# no end", "byte 8: expected events of 8 bytes, found none"),
        (b"", "byte 0: expected events of 8 bytes, found none"),
        (bytes(8) + b"\x00\x40" + bytes(6), "byte 8: expected an address of a DVS128, below 65536"),
        (b"\x00\x00\x80" + bytes(5), "byte 0: expected events of pixels, found none"),
    ],
)
def test_what_is_no_recording_of_a_dvs128_is_refused(raw, said):
    with pytest.raises(DataError, match=f"a.aedat is broken, at {said}"):
        decode_aedat(PATH, "", raw)


@given(st.binary(max_size=80))
@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_bytes_are_events_of_the_camera_or_an_error(raw):
    try:
        events = decode_aedat(PATH, "", raw)
    except DataError:
        return
    assert len(events.times) and events.times.min() >= 0
    assert 0 <= min(events.x.min(), events.y.min()) <= max(events.x.max(), events.y.max()) < 128


def test_a_folder_of_ones_own_may_hold_such_files(tmp_path):
    for name in ("left", "right"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "1.aedat").write_bytes(event_files.aedat(EVENTS[:2]))
    (part,) = open_event_folder(tmp_path).values()
    assert [rows_of(one.events)[1] for one in part.read()] == [(0, 127, 0, False)] * 2
    (tmp_path / "left" / "1.aedat").write_bytes(b"# a\n" + bytes(13))
    with pytest.raises(DataError, match=r"1\.aedat, byte 12: expected events of 8 bytes"):
        open_event_folder(tmp_path)


def test_mnist_dvs_is_cut_out_and_of_each_digit_the_last_tenth_is_the_test(tmp_path):
    event_files.write_mnist_dvs(tmp_path, count=11)
    binning = Binning(steps=4, duration=0.001, pool=1, polarity="channels")
    data = load("mnist-dvs", data_dir=tmp_path, binning=binning)
    assert data.source == "MNIST-DVS, scale 4, 100-recording subset"
    assert data.shape == (1, 26, 26) and data.channels == 2
    test = data.load_test()
    assert test.targets.tolist() == list(range(10))
    for digit in range(10):
        trains = np.asarray(test.values[[digit]])[0]  # (T, units, 2)
        places = np.argwhere(trains)
        # 3 us after the first event, in column `digit` and row 2; the last event is out of time.
        assert places.tolist() == [[0, 2 * 26 + digit, 0]]
    longer = load(
        "mnist-dvs",
        data_dir=tmp_path,
        binning=Binning(steps=1, duration=0.01, pool=1, polarity="channels"),
    )
    found = np.argwhere(np.asarray(longer.load_test().values[[3]])[0])
    assert found.tolist() == [[0, 2 * 26 + 3, 0], [0, 25 * 26 + 3, 1]]


def test_damaged_archives_of_mnist_dvs_are_refused_by_name(tmp_path):
    event_files.write_mnist_dvs(tmp_path, count=2)
    spec, folder = SPECS["mnist-dvs"], tmp_path / "MNIST-DVS"

    def read():
        return list(open_mnist_dvs(spec, folder / "grabbed_data0.zip", "train").read())

    assert [one.label for one in read()] == list(range(10))
    whole = (folder / "grabbed_data4.zip").read_bytes()
    outside = event_files.aedat([(1, 2, 3, True)])
    name = "grabbed_data4/scale4/{}.aedat"
    for raw, said in (
        (whole[: len(whole) // 2], "expected a whole zip file"),
        (event_files.nmnist_zip({"a/scale8/1.aedat": outside}), "expected at least 2 recordings"),
        (
            event_files.nmnist_zip({name.format(1): outside, name.format(2): outside}),
            "at grabbed_data4/scale4/1.aedat: expected events where the digit is, found none",
        ),
        (
            event_files.nmnist_zip({name.format(1): outside[:-1], name.format(2): outside}),
            "at grabbed_data4/scale4/1.aedat, byte 32: expected events of 8 bytes, found 7 bytes",
        ),
    ):
        (folder / "grabbed_data4.zip").write_bytes(raw)
        with pytest.raises(DataError, match=rf"grabbed_data4\.zip is broken.*{said}"):
            read()
