"""`sqsnn export`: two files, their names, and what is refused."""

import re

import pytest

from sqsnn.hardware import from_qasm3


@pytest.mark.parametrize(
    ("flags", "name", "steps"),
    [
        ([], "layer-0-neuron-0", 2),
        (["--layer", 1, "--neuron", 1, "--steps", 4], "layer-1-neuron-1", 4),
    ],
    ids=["default", "all flags"],
)
def test_a_neuron_is_written_as_a_program_and_a_drawing(sqsnn, trained, flags, name, steps):
    done = sqsnn("export", "a", *flags)
    assert (done.code, done.err) == (0, "")
    program, drawing = done.out.replace("\\", "/").splitlines()
    assert (program, drawing) == (f"a/{name}.qasm", f"a/{name}.txt")
    circuit = from_qasm3((trained / f"{name}.qasm").read_text("utf-8"))
    assert circuit.count_ops()["measure"] == circuit.num_clbits == steps
    # One angle per step and history of own spikes, of which the drive counts three at most.
    histories = sum(2 ** min(step, 3) for step in range(steps))
    assert len(circuit.parameters) == histories
    assert all(p.name.startswith("phi_") for p in circuit.parameters)
    assert "phi_0_0" in (trained / f"{name}.txt").read_text("utf-8")


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        ("a --layer 2", r"layer is 2, but the run has the layers 0\.\.1"),
        ("a --layer 1 --neuron 2", r"neuron is 2, but layer 1 has 0\.\.1"),
        ("a --neuron first", "first"),
        ("a --steps -1", "steps"),
        ("nowhere", "nowhere holds no run"),
    ],
)
def test_a_wrong_call_is_refused_in_one_line(refused, trained, flags, said):
    assert re.search(said, refused("export", *flags.split()))
    assert not list(trained.glob("layer-*"))
