"""A trained neuron as a program: read back, it is that neuron and no other."""

import math
import re
import shutil

import numpy as np
import pytest
import torch
from hardware_reference import circuit_law

from sqsnn.errors import CheckpointError, ConfigError
from sqsnn.hardware import from_qasm3
from sqsnn.reports import plots
from sqsnn.training import run, run_folder
from sqsnn.training.config import (
    DataOptions,
    EncodingConfig,
    ModelConfig,
    Recipe,
    TrainingConfig,
    for_dataset,
)
from sqsnn.training.export import export_neuron
from sqsnn.training.run_folder import RunFolder

STEPS = 2
MODELS = {
    "bidirectional": ModelConfig(hidden=(3,)),
    "integrate_and_fire": ModelConfig(hidden=(3,), circuit="integrate_and_fire"),
    "two channels": ModelConfig(hidden=(3,), circuit="crx", channels=2, memory_qubits=2),
}


@pytest.fixture(scope="session")
def once(tmp_path_factory) -> dict[str, RunFolder]:
    """A trained run of every model."""
    options = DataOptions(classes=(0, 1), train_samples=40, test_samples=10)
    runs = {}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(plots, "save_run_pictures", lambda *args, **kwargs: ())
        for name, model in MODELS.items():
            recipe = Recipe(
                model=model,
                encoding=EncodingConfig(steps=STEPS),
                training=TrainingConfig(epochs=1, batch_size=20, learning_rate=0.05),
            )
            path = tmp_path_factory.mktemp("export") / "run"
            runs[name] = run.begin(for_dataset("digits", options, recipe), path)
    return runs


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
    network = run.load(folder).network.double()
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
    ("layer", "neuron", "said"),
    [
        (2, 0, r"layer is 2, but the run has the layers 0\.\.1"),
        (-1, 0, r"layer is -1"),
        (0, 3, r"neuron is 3, but layer 0 has 0\.\.2"),
        (1, 2, r"neuron is 2, but layer 1 has 0\.\.1"),
        (0, -1, r"neuron is -1"),
    ],
)
def test_a_layer_or_neuron_that_there_is_not_is_refused(folder, layer, neuron, said):
    with pytest.raises(ConfigError, match=said):
        export_neuron(folder, layer, neuron, None, None)
    assert not list(folder.path.glob("layer-*"))


@pytest.mark.parametrize("steps", [0, -1])
def test_no_steps_are_refused(folder, steps):
    with pytest.raises(ValueError, match="steps"):
        export_neuron(folder, 0, 0, steps, None)
    assert not list(folder.path.glob("layer-*"))


def test_a_run_without_an_epoch_is_refused(folder, tmp_path):
    fresh = run_folder.create(tmp_path / "fresh", folder.read_config())
    with pytest.raises(CheckpointError, match="no epoch of this run has ended"):
        export_neuron(fresh, 0, 0, None, None)
