"""Damaged files of runs, saved networks and studies: refused by name, or read as they were.

A slice of tests/campaigns/folders.py, whose parts are tested here too.
"""

import numpy as np
import pytest
from campaigns import folders
from file_damage import FOLDER, MISSING, PIPE, damage

from sqsnn.errors import CheckpointError


def test_no_damage_is_believed():
    found = list(folders.campaign(3, seed=3))
    assert len(found) == 21
    wrong = [
        (kind, it) for kind, outcomes in found for it in outcomes if it.name not in folders.WELL
    ]
    assert not wrong


def test_the_campaign_notices_what_it_must(tmp_path):
    def judged(use, wanted=1):
        case = folders.Case({"a.json": b"1"}, "a.json", use, [])
        return folders.judge(case, tmp_path, wanted).name

    def refuse(text):
        def use(path):
            raise CheckpointError(text)

        return use

    assert judged(lambda path: 1) == "right"
    assert judged(lambda path: 2) == "wrong"
    assert judged(lambda path: 1 / 0) == "foreign"
    assert judged(refuse("a.json is damaged")) == "refused"
    assert judged(refuse("it is damaged")) == "unnamed"
    assert judged(refuse("a.json is damaged\nbadly")) == "unnamed"


def test_a_folder_is_as_it_was_after_any_damage(tmp_path):
    files = {"a.json": b'{"x": 1}\n', "deep/b.bin": bytes(range(50))}
    folders.restore(tmp_path, files)
    rng = np.random.default_rng(0)
    for content in (
        FOLDER,
        MISSING,
        PIPE,
        *(damage(rng, files["a.json"], [])[1] for _ in range(50)),
    ):
        folders.put(tmp_path / "a.json", content)
        folders.put(tmp_path / "further", b"")
        folders.restore(tmp_path, files)
        assert folders.read_all(tmp_path) == files


@pytest.mark.parametrize("name", ["a.json", "b.bin"])
def test_damage_changes_a_file(name):
    raw = {"a.json": b'{"x": 1, "y": [2.5]}\n', "b.bin": bytes(range(50))}[name]
    rng = np.random.default_rng(1)
    done = [damage(rng, raw, [b"other"]) for _ in range(300)]
    assert sum(content == raw for _, content in done) < 40
    assert len({how for how, _ in done}) > 8
