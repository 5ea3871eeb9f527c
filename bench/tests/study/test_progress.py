"""What a terminal shows: how far a study is, who is at work, and the best so far."""

import io

import pytest
from rich.console import Console

from sqsnn_bench.study.progress import Lines
from sqsnn_bench.study.records import Key
from sqsnn_bench.study.watching import Standing, standing

SEARCHED = Key("digits", "lif", "search", 1)
RECORD = {"found": {"neurons.beta": 0.9}, "validation_accuracy": 0.975, "seconds": 3.2}


def console(terminal=False):
    return Console(file=io.StringIO(), force_terminal=terminal, width=200, color_system=None)


def test_a_standing_names_the_best_of_each_group(plan):
    worse = RECORD | {"validation_accuracy": 0.5}
    failed = {"found": {}, "error": "the loss is nan"}
    known = {
        SEARCHED: RECORD,
        Key("digits", "crx", "search", 0): worse,
        Key("digits", "crx", "search", 1): failed,
    }
    made = standing(plan(), known, workers=4, at_work=2, again=1)
    assert made == Standing(3, 8, 4, 2, 1, {"digits": ("lif", RECORD)})


def test_a_line_tells_trial_workers_and_best(study):
    out = console()
    Lines(study(), out).done(
        SEARCHED,
        RECORD,
        Standing(3, 8, 4, 2, 0, {"digits": ("crx", RECORD | {"validation_accuracy": 0.98})}),
    )
    assert out.file.getvalue() == (
        "3 of 8: digits, lif, search neurons.beta 0.9: validation 97.50%, 3 s; 4 workers; "
        "best validation 98.00% (SQS crx)\n"
    )


def test_of_values_the_best_is_the_smallest_error(plan):
    known = {
        Key("digits", "lif", "search", number): {"found": {}, "validation_nmse": error}
        for number, error in enumerate((0.4, 0.25))
    }
    made, out = plan(), console()
    reached = standing(made, known, workers=1, at_work=0, again=0)
    assert reached.best == {"digits": ("lif", known[SEARCHED])}
    Lines(made.study, out).done(SEARCHED, known[SEARCHED] | {"seconds": 3.2}, reached)
    assert "validation 0.2500, 3 s; best validation 0.2500 (lif)" in out.file.getvalue()


def test_the_first_line_says_what_is_to_be_done(plan):
    out = console()
    made = plan()
    Lines(made.study, out).begun(made, Standing(3, 8, 2, 0, 0, {}))
    name = made.study.name
    assert out.file.getvalue() == f"{name}: 8 trials, 3 done, 2 workers, into {made.out}\n"


def test_a_trial_of_another_command_is_no_own_one(study):
    out = console()
    standing = Standing(3, 8, 1, 1, 0, {})
    Lines(study(), out).done(SEARCHED, RECORD, standing, "the command on vm")
    assert "97.50%, 3 s, by the command on vm; none" in out.file.getvalue()


@pytest.mark.parametrize(
    ("workers", "at_work", "said"),
    [(4, 2, "2 of 4 workers at work"), (0, 0, "0 of 0 workers at work, waiting for workers")],
)
def test_a_terminal_shows_who_is_at_work(study, workers, at_work, said):
    out = console(terminal=True)
    lines = Lines(study(), out)
    with lines.shown():
        lines.pulse(Standing(3, 8, workers, at_work, 1, {}))
    shown = f"3 of 8 trials, {said}, 1 started again; none validated yet"
    assert shown in out.file.getvalue()


def test_a_file_gets_no_line_of_status(study):
    out = console()
    lines = Lines(study(), out)
    with lines.shown():
        lines.pulse(Standing(3, 8, 4, 2, 1, {}))
    assert out.file.getvalue() == ""
