"""`sqsnn inspect gradients` and `inspect costs` from the call to the tables."""

import json

import pytest

SMALL = ["--classes", "0,1", "--train-samples", 40, "--test-samples", 20, "--hidden", 3]
SMALL += ["--steps", 3, "--epochs", 1]


def test_a_run_is_inspected_from_the_command_line(sqsnn, here):
    assert sqsnn("train", "digits", *SMALL, "--out", "a").code == 0
    options = "--windows 1,3 --repeats 2 --shots 3,4 --max-trials 20 --draws 2 --batch 2"
    done = sqsnn("inspect", "gradients", "a", *options.split())
    assert (done.code, done.err) == (0, "")
    lines = [" ".join(line.split()) for line in done.out.splitlines()]
    assert lines[0] == "1 of 7: geometric, W = 1, R = 2"
    content = json.loads((here / "a" / "gradients.json").read_text())
    assert (content["windows"], content["repeats"], content["shots"]) == ([1, 3], [2], [3, 4])
    assert content["signal"] == "signs"
    assert "--signal signs" not in done.out  # the hint is for the other one
    # A row an estimator in each of two tables, and none wider than a terminal of 80 columns.
    for name, count in (("geometric", 2), ("laplace", 4), ("spsa", 1)):
        assert sum(line.startswith(f"{name} ") for line in lines) == 2 * count
    assert max(map(len, done.out.splitlines())) <= 80
    for one in content["estimates"]:
        name = "spsa" if one["derivative"] == "spsa" else one["inverse"]
        size = one["shots"] or one["repeats"]
        key = f"{name} {one['window']} {size} {one['shots_per_step']:.0f} "
        (row,) = [line for line in lines if line.startswith(key)]
        assert row.split()[-1] == f"{one['quality']['all']['draw_cosine']:.2f}"
    assert (here / "a" / "gradients.png").is_file()
    assert "gradients.png" in sqsnn("train", "--resume", "a").out


def test_costs_are_counted_from_the_command_line(sqsnn, here):
    assert sqsnn("train", "digits", *SMALL, "--out", "a").code == 0
    done = sqsnn("inspect", "costs", "a")
    assert (done.code, done.err) == (0, "")
    content = json.loads((here / "a" / "costs.json").read_text())
    lines = [" ".join(line.split()) for line in done.out.splitlines()]
    assert max(map(len, done.out.splitlines())) <= 80
    parts = [layer["synaptic_operations"] for layer in content["layers"]]
    numbers = [*parts, content["total"]["synaptic_operations"]]
    assert " ".join(["synaptic operations", *(f"{n:,.0f}" for n in numbers)]) in lines
    assert "measurements 9 6 15" in lines  # three steps of three and two neurons
    assert "costs.json" in sqsnn("train", "--resume", "a").out


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--windows", "1,0"], "--windows.1: .* but is '0'"),
        (["--repeats", "0"], "--repeats.0: .* but is '0'"),
        (["--shots", "0"], "--shots.0: .* but is '0'"),
        (["--draws", "1"], "--draws: .* but is '1'"),
        (["--batch", "0"], "--batch: .* but is '0'"),
        (["--signal", "morse"], "--signal"),
        ([], "nowhere holds no run"),
    ],
)
def test_a_wrong_call_is_told_in_one_line(sqsnn, here, options, said):
    done = sqsnn("inspect", "gradients", "nowhere", *options)
    assert (done.code, done.out) == (2, "")
    (line,) = done.err.splitlines()
    with pytest.raises(ValueError, match=said):
        raise ValueError(line)
