"""Killed, started twice, or on a full disk: a training goes on to the bytes of an undisturbed one.

A slice of the campaigns in tests/campaigns, which are larger.
"""

import pytest
from campaigns import disk_full, kills, pairs
from victims import Arena, arena


@pytest.fixture(scope="module")
def place():
    with arena() as made:
        yield made


def all_good(found, good):
    return [each for each in found if each[1].name not in good] == []


def test_a_killed_training_goes_on(place):
    assert all_good(kills.run(place, 1, 5, seed=0), kills.GOOD)


def test_of_two_trainings_in_one_folder_one_goes_on(place):
    assert all_good(pairs.run(place, 3, seed=0), pairs.GOOD)


def test_a_training_on_a_full_disk_names_the_file_and_goes_on(place):
    assert all_good(disk_full.run(place, 4, seed=0), disk_full.GOOD)


def test_the_cases_are_those_of_their_seed_and_reach_every_call():
    known = {name: 8 for name in kills.VICTIMS}
    cases = [*kills.cases(3, 24, 1, known)]
    assert cases == [*kills.cases(3, 24, 1, known)] != [*kills.cases(3, 24, 2, known)]
    reached = {(name, it[0].call) for name, it in cases[3:]}
    assert reached == {(name, call) for name in known for call in range(1, 9)}


def test_other_bytes_and_leftovers_are_found(place):
    place.prepare("resume")
    assert place.finish("resume", "went on").name == "went on"
    (place.run / ".x.part").touch()
    assert place.judge("resume", "").name == "left over"
    result = place.run / "metrics.json"
    result.write_bytes(result.read_bytes().replace(b"0", b"1", 1))
    assert place.judge("resume", "") == ("other bytes", "metrics.json")


def test_a_command_that_shows_a_traceback_is_found(monkeypatch):
    monkeypatch.setattr(Arena, "call", lambda *_: (1, "Traceback"))
    assert Arena.finish(object.__new__(Arena), "train", "").name == "foreign"
