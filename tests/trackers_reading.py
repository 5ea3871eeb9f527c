"""What trackers must hold of a run, and how tests read what they hold."""

import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from wandb.proto.wandb_internal_pb2 import Record

from sqsnn.runs.folder import RunFolder

Curves = dict[int, dict[str, float]]


def curves_of(folder: RunFolder) -> Curves:
    """All figures of each epoch, as the folder of a run has them."""
    found: Curves = {}
    lines = folder.read_metrics()
    for line, seconds in zip(lines, folder.read_timing(len(lines)), strict=True):
        hidden, output = line.pop("spikes_per_sample")
        line |= {"spikes_per_sample/hidden": hidden, "spikes_per_sample/output": output}
        epoch = line.pop("epoch")
        assert seconds is not None
        found[epoch] = {**line, "seconds": seconds}
    return found


def result_of(folder: RunFolder) -> dict[str, float]:
    """The figures of the test."""
    return {
        name: figure
        for name, figure in folder.read_result().items()
        if isinstance(figure, int | float)
    }


def assert_names_no_place(content: bytes, *further: str) -> None:
    """Fail where bytes hold a folder of this machine, or a key."""
    names = [str(Path.cwd()), str(Path(__file__).parents[1]), str(Path.home()), "5ecret", *further]
    assert not [name for name in names if name.encode() in content]


def wandb_records(path: Path) -> Iterator[Any]:
    """The records of an offline run: after 7 bytes, a log in the format of LevelDB."""
    content, at, record = path.read_bytes(), 7, b""
    while at < len(content):
        left = 2**15 - at % 2**15
        if left < 7:  # the end of a block is filled up
            at += left
            continue
        _, length, kind = struct.unpack("<IHB", content[at : at + 7])
        record += content[at + 7 : at + 7 + length]
        at += 7 + length
        if kind in (1, 4):  # whole, or the last part
            yield Record.FromString(record)
            record = b""
