"""`sqsnn inspect costs`, `noise` and `memory` from the call to the table."""

import json
import re

import pytest

COLUMNS = "80"


@pytest.fixture
def narrow(trained, monkeypatch):
    """The run on a terminal of 80 columns."""
    monkeypatch.setenv("COLUMNS", COLUMNS)
    return trained


def test_costs_are_counted_from_the_command_line(sqsnn, narrow):
    done = sqsnn("inspect", "costs", "a")
    assert (done.code, done.err) == (0, "")
    content = json.loads((narrow / "costs.json").read_text())
    lines = [" ".join(line.split()) for line in done.out.splitlines()]
    assert max(map(len, done.out.splitlines())) <= int(COLUMNS)
    parts = [layer["synaptic_operations"] for layer in content["layers"]]
    numbers = [*parts, content["total"]["synaptic_operations"]]
    assert " ".join(["synaptic operations", *(f"{n:,.0f}" for n in numbers)]) in lines
    assert "measurements 6 4 10" in lines  # two steps of three and two neurons
    assert "costs.json" in sqsnn("train", "--resume", "a").out


def test_a_run_is_put_under_noise_from_the_command_line(sqsnn, narrow):
    options = "--backend fake_boston --strengths 0,0.5,4 --samples 4 --repeats 2"
    done = sqsnn("inspect", "noise", "a", *options.split())
    assert (done.code, done.err) == (0, "")
    lines = [" ".join(line.split()) for line in done.out.splitlines()]
    assert lines[0] == "1 of 3: strength 0"
    content = json.loads((narrow / "noise.json").read_text())
    assert [point["strength"] for point in content["points"]] == [0, 0.5, 4]
    for point in content["points"]:
        row = f"{point['strength']:g} {point['mean']:.1%} {point['deviation']:.1%} "
        assert sum(line.startswith(row) for line in lines) == 1
    assert max(map(len, done.out.splitlines())) <= int(COLUMNS)
    assert (narrow / "noise.png").is_file()
    listed = sqsnn("train", "--resume", "a").out
    assert "noise.png" in listed
    assert "under the noise of a device" in listed


def test_memory_is_measured_from_the_command_line(sqsnn, here, monkeypatch):
    monkeypatch.setenv("COLUMNS", COLUMNS)
    command = "inspect memory bidirectional --size 20 --shots 10"
    done = sqsnn(*command.split())
    assert (done.code, done.err) == (0, "")
    lines = [" ".join(line.split()) for line in done.out.splitlines()]
    assert lines[:2] == ["1 of 2: bidirectional, no drive", "2 of 2: bidirectional, leaky drive"]
    assert "neurons capacity 1 ago 2 ago 3 ago 4 ago 5 ago" in lines
    for name in ("bidirectional, no drive", "bidirectional, leaky drive"):
        (row,) = [line for line in lines if re.fullmatch(rf"{name}( \d\.\d\d){{6}}", line)]
        capacity, *by_delay = map(float, row.split()[-6:])
        assert capacity > 0.8 * sum(by_delay) > 0.3
    assert max(map(len, done.out.splitlines())) <= int(COLUMNS)
    assert list(here.iterdir()) == []


@pytest.mark.parametrize(
    ("command", "said"),
    [
        ("memory moss", "circuit is 'moss'; it may be one of crx"),
        ("memory --delays 0", "--delays: .* but is '0'"),
        (
            "noise nowhere --strengths 1,-1",
            "--strengths: .*greater than or equal to 0, but is '-1'",
        ),
        ("noise nowhere --strengths=", "--strengths: .*at least 1"),
        ("noise nowhere --samples 0", "--samples: .* but is '0'"),
        ("noise nowhere --repeats 1", "--repeats: .* but is '1'"),
        ("noise nowhere", "nowhere holds no run"),
        ("costs nowhere", "nowhere holds no run"),
        ("gradients nowhere", "gradients"),  # part of the laboratory, sqsnn-bench
    ],
)
def test_a_wrong_call_is_refused_in_one_line(refused, here, command, said):
    assert re.search(said, refused("inspect", *command.split()))
    assert list(here.iterdir()) == []
