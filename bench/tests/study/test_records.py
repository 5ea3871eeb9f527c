"""The records: packed without loss, the same bytes for the same records, refused where broken."""

import gzip
import json

import pytest

from sqsnn.errors import ConfigError
from sqsnn_bench.study import records
from sqsnn_bench.study.records import Key


def record(model, trial, **changes):
    return {
        "study": "tiny",
        "dataset": "digits",
        "model": model,
        "trial": trial,
        "settings": {"neurons.kind": "lif", "training.seed": 0, "neurons.beta": 0.5},
        "test_accuracy": 0.9,
        **changes,
    }


SOME = [
    record("crx", "search-2", settings={"neurons.kind": "sqs", "training.seed": 0}),
    record("crx", "search-10", error="the loss is nan"),
    record("lif", "seed-1", test_accuracy=None),
]


def test_records_are_packed_without_loss():
    assert records.unpacked(records.packed(SOME)) == SOME
    assert records.unpacked(records.packed(SOME[:1])) == SOME[:1]


def test_what_all_records_share_is_written_once():
    first, *lines = gzip.decompress(records.packed(SOME)).decode().splitlines()
    assert json.loads(first) == {
        "dataset": "digits",
        "study": "tiny",
        "settings": {"training.seed": 0},
    }
    assert all("study" not in line and "training.seed" not in line for line in lines)


def test_packing_sorts_by_trial_and_is_the_same_to_the_byte(tmp_path):
    for one in reversed(SOME):
        records.write(tmp_path, one)
    assert (tmp_path / "trials/digits/crx/search-10.json").is_file()
    known = records.read(tmp_path)
    assert known == {records.key_of(one): one for one in SOME}
    records.pack(tmp_path, known)
    assert not (tmp_path / "trials").exists()
    assert (tmp_path / "trials.jsonl.gz").read_bytes() == records.packed(SOME)
    assert records.read(tmp_path) == known
    assert sorted(known)[:2] == [Key("digits", "crx", "search", n) for n in (2, 10)]


def test_packed_and_loose_records_are_read_together(tmp_path):
    records.pack(tmp_path, {records.key_of(one): one for one in SOME[:2]})
    records.write(tmp_path, SOME[2])
    assert set(records.read(tmp_path)) == {records.key_of(one) for one in SOME}


@pytest.mark.parametrize("name", ["trials.jsonl.gz", "trials/digits/crx/seed-0.json"])
@pytest.mark.parametrize("content", [b"{", b"", b"\x1f\x8b\x08", b"[]"])
def test_broken_records_are_refused_by_file(tmp_path, name, content):
    path = tmp_path / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    with pytest.raises(ConfigError, match=rf"{path.name}.* Restore .*{path.name} from a copy"):
        records.read(tmp_path)


def test_a_loose_record_that_changed_or_lies_elsewhere_is_refused(tmp_path):
    records.write(tmp_path, SOME[0])
    path = records.path_of(tmp_path, records.key_of(SOME[0]))
    whole = path.read_text()
    path.write_text(whole.replace("0.9", "0.8"))
    with pytest.raises(ConfigError, match=r"search-2\.json .*it has changed since"):
        records.read(tmp_path)
    path.write_text(whole)
    path.rename(path.with_name("search-3.json"))
    with pytest.raises(ConfigError, match=r"search-3\.json holds another trial, .*number=2"):
        records.read(tmp_path)


def test_packed_records_are_whole_or_refused(tmp_path):
    path, content = tmp_path / records.PACKED, records.packed(SOME)
    twice = records.packed([*SOME, SOME[0]])
    bomb = gzip.compress(b"\n" * 2**27)
    for wrong, why in (
        (content[:-3], "no whole gzip"),
        (content + b"x", "no whole gzip"),
        (content * 2, "no whole gzip"),
        (bomb, "far more than records"),
        (twice, "holds a trial twice"),
        (gzip.compress(b'{"settings": {}}\n{"settings": {}}'), "dataset: Field required"),
        (gzip.compress(b"{}\n{}"), "table with settings"),
    ):
        path.write_bytes(wrong)
        with pytest.raises(ConfigError, match=rf"trials\.jsonl\.gz.*{why}"):
            records.read(tmp_path)
