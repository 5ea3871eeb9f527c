"""The journal: a trial that starts a second time is said to, with the reason, by any command."""

import json

import pytest

from sqsnn_bench.study.journal import NAME, Journal
from sqsnn_bench.study.records import Key

KEY = Key("digits", "lif", "seed", 0)


@pytest.fixture
def command(tmp_path):
    """Begin a command in one folder; gives its journal and what it said."""

    def begin():
        said = []
        return Journal(tmp_path, said.append), said

    return begin


def test_a_trial_that_runs_once_is_written_down_in_silence(command, tmp_path):
    journal, said = command()
    journal.started(KEY, 0)
    journal.done(KEY)
    assert (said, journal.again) == ([], 0)
    entries = [json.loads(line) for line in (tmp_path / NAME).read_text().splitlines()]
    assert [entry["event"] for entry in entries] == ["started", "done"]
    assert {entry["trial"] for entry in entries} == {"digits/lif/seed-0"}


@pytest.mark.parametrize(
    ("end", "why"),
    [
        (lambda journal: None, "the command that ran it was killed"),
        (lambda journal: journal.stopped(KEY), "the command that ran it ended before it"),
        (lambda journal: journal.lost(KEY, "its worker was killed"), "its worker was killed"),
        (lambda journal: journal.done(KEY), "its record was gone"),
    ],
    ids=["killed", "stopped", "lost", "removed"],
)
def test_a_second_start_is_said_with_its_reason(command, end, why):
    first, _ = command()
    first.started(KEY, 0)
    end(first)
    again, said = command()
    again.started(KEY, 0)
    assert said == [f"digits/lif/seed-0 starts again, start 2: {why}"]
    assert again.again == 1


def test_starts_by_other_commands_count(command):
    journal, said = command()
    journal.started(KEY, 2)
    assert said == ["digits/lif/seed-0 starts again, start 3: another command had started it"]


def test_a_reason_is_said_once(command):
    journal, said = command()
    journal.started(KEY, 0)
    journal.lost(KEY, "its worker was killed")
    journal.started(KEY, 0)
    assert said == [
        "digits/lif/seed-0 was lost: its worker was killed",
        "digits/lif/seed-0 starts again, start 2",
    ]


def test_a_record_of_another_command_is_said_to_be_its(command, tmp_path):
    journal, _ = command()
    journal.done(KEY, "by the command on vm")
    assert json.loads((tmp_path / NAME).read_text())["why"] == "by the command on vm"


def test_a_line_that_a_crash_tore_is_left_out(command, tmp_path):
    journal, _ = command()
    journal.started(KEY, 0)
    with (tmp_path / NAME).open("a") as file:
        file.write('{"time": "2026-11-2')
    again, said = command()
    again.started(KEY, 0)
    assert len(said) == 1


def test_a_line_that_is_no_entry_is_left_out_and_named(command, tmp_path):
    journal, _ = command()
    journal.started(KEY, 0)
    with (tmp_path / NAME).open("a") as file:
        file.write('{"trial": ["a"]}\nno JSON\n')
    _, said = command()
    assert [line.partition(" No figure")[0] for line in said] == [
        f"{tmp_path / NAME}, line 2 does not fit: trial: Input should be a valid string, but is "
        "['a'].",
        f"{tmp_path / NAME}, line 3 is not valid JSON: Expecting value.",
    ]
