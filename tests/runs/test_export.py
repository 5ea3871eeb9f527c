"""A trained neuron as a program: read back, it has the law of that neuron."""

import math
import re
import shutil

import numpy as np
import pytest
import torch
from hardware_reference import circuit_law
from tools import TINY

from sqsnn.errors import CheckpointError, ConfigError
from sqsnn.hardware import from_qasm3
from sqsnn.runs import folder as folders
from sqsnn.runs import loading, run
from sqsnn.runs.export import export_neuron
from sqsnn.runs.folder import RunFolder
from sqsnn.settings.run import from_flat

STEPS = TINY["steps"]
MODELS = {
    "bidirectional": {},
    "integrate_and_fire": {"circuit": "integrate_and_fire"},
    "two channels": {"circuit": "crx", "channels": 2, "memory_qubits": 2},
}


@pytest.fixture(scope="session")
def once(tmp_path_factory) -> dict[str, RunFolder]:
    """A trained run of every model."""
    return {
        name: run.begin(
            from_flat("digits", {**TINY, "learning_rate": 0.05, **model}),
            tmp_path_factory.mktemp("export") / "run",
            pictures=False,
        )
        for name, model in MODELS.items()
    }


@pytest.fixture
def folder(once, tmp_path) -> RunFolder:
    return RunFolder(shutil.copytree(once["bidirectional"].path, tmp_path / "run"))


def bound(program: str, neurons, neuron: int, currents: torch.Tensor):
    """The program as a circuit, its inputs turned as its docstring says: gain pi max(z, 0)."""
    circuit = from_qasm3(program)
    angles = {}
    for parameter in circuit.parameters:
        step, e = map(int, re.fullmatch(r"phi_(\d+)_(\d+)", parameter.name).groups())
        rotation = neurons.circuit.encoding[e]
        trainable = [r for r in neurons.circuit.encoding if r.trainable]
        gain = (
            neurons.gains[neuron, trainable.index(rotation)].item()
            if rotation.trainable
            else rotation.gain
        )
        angles[parameter] = gain * math.pi * max(currents[step, rotation.channel].item(), 0.0)
    return circuit.assign_parameters(angles)


@pytest.mark.parametrize("model", MODELS)
def test_the_program_read_back_has_the_law_of_that_neuron(once, model, tmp_path):
    folder = RunFolder(shutil.copytree(once[model].path, tmp_path / "run"))
    network = loading.load(folder).network.double()
    laws, programs = [], []
    currents = torch.tensor([[0.4, 0.3], [-0.2, 0.6]], dtype=torch.float64)
    for layer, neuron in ((0, 0), (0, 2), (1, 1)):
        neurons = network.populations[layer]
        given = currents[:, : neurons.channels]
        path, _ = export_neuron(folder, layer, neuron, None, None)
        program = path.read_text("utf-8")
        circuit = bound(program, neurons, neuron, given)
        assert circuit.num_clbits == STEPS * neurons.channels
        every = given[:, None, None].expand(-1, 1, neurons.size, -1).contiguous()
        expected = neurons.sequence_probabilities(every)[0, neuron].detach().numpy()
        # Trained in single precision and written as text: to seven digits.
        np.testing.assert_allclose(circuit_law(circuit), expected, atol=1e-6)
        laws.append(expected)
        programs.append(program)
    for one, other in ((0, 1), (0, 2), (1, 2)):
        assert abs(laws[one] - laws[other]).max() > 1e-3  # another neuron would be seen
        assert programs[one] != programs[other]


def test_the_inputs_are_the_encoding_and_nothing_else(once, tmp_path):
    folder = RunFolder(shutil.copytree(once["integrate_and_fire"].path, tmp_path / "run"))
    program, drawing = export_neuron(folder, 1, 0, 3, None)
    assert program == folder.path / "layer-1-neuron-0.qasm"
    assert drawing == folder.path / "layer-1-neuron-0.txt"
    text = program.read_text("utf-8")
    named = [f"phi_{step}_{e}" for step in range(3) for e in range(2)]  # channel and memory
    assert sorted(re.findall(r"input float\[64\] (\w+);", text)) == named
    assert text.startswith("OPENQASM 3")
    assert "theta" not in text
    assert {parameter.name for parameter in from_qasm3(text).parameters} == set(named)
    shown = drawing.read_text("utf-8")
    assert all(name in shown for name in named)
    assert max(map(len, shown.splitlines())) <= 100
    # Three steps of a run of two: three measurements, and resets between them.
    counts = from_qasm3(text).count_ops()
    assert (counts["measure"], counts["reset"]) == (3, 2)


@pytest.mark.parametrize(
    ("layer", "neuron", "steps", "said"),
    [
        (2, 0, None, r"layer is 2, but the run has the layers 0\.\.1"),
        (-1, 0, None, r"layer is -1"),
        (0, 3, None, r"neuron is 3, but layer 0 has 0\.\.2"),
        (1, 2, None, r"neuron is 2, but layer 1 has 0\.\.1"),
        (0, -1, None, r"neuron is -1"),
        (0, 0, 0, "steps"),
        (0, 0, -1, "steps"),
    ],
)
def test_absent_neurons_and_no_steps_are_refused(folder, layer, neuron, steps, said):
    with pytest.raises(ValueError, match=said) as refused:
        export_neuron(folder, layer, neuron, steps, None)
    assert steps is not None or isinstance(refused.value, ConfigError)
    assert not list(folder.path.glob("layer-*"))


def test_a_run_without_an_epoch_is_refused(folder, tmp_path):
    fresh = folders.create(tmp_path / "fresh", folder.read_settings())
    with pytest.raises(CheckpointError, match="no epoch of this run has ended"):
        export_neuron(fresh, 0, 0, None, None)
