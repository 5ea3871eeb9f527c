"""A trained neuron as a program: read back, it has the law of that neuron."""

import math
import re
import shutil

import numpy as np
import pytest
import torch
from hardware_reference import circuit_law
from tools import TINY, p_value, populations_of

from sqsnn.errors import CheckpointError, ConfigError
from sqsnn.hardware import from_qasm3
from sqsnn.runs import folder as folders
from sqsnn.runs import loading, run
from sqsnn.runs.export import export_neuron
from sqsnn.runs.folder import RunFolder
from sqsnn.settings.run import from_flat

STEPS = TINY["steps"]
MODELS = {
    # Couplings that are far from the identity: neurons then differ.
    "bidirectional": {"circuit_options": {"coupling": 1.0}},
    "the whole membrane": {"circuit": "crx", "reset_steps": None},
    "no reset": {"circuit": "crx", "reset_steps": 0},
    "paper": {"circuit": "crx", "drive": "rectified"},
    "saturating": {"circuit": "crx", "drive": "saturating"},
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


def bound(program: str, neurons, neuron: int, currents: torch.Tensor, spikes: torch.Tensor):
    """The program as a circuit, its inputs turned as its head says, by the values written there.

    `spikes`, (T, N), are the own ones where the program does not choose by them.
    """
    circuit, written = from_qasm3(program), Head(program)
    angles = {}
    for parameter in circuit.parameters:
        step, e, history = re.fullmatch(r"phi_(\d+)_(\d+)_?(\d*)", parameter.name).groups()
        step, channel = int(step), neurons.circuit.encoding[int(e)].channel
        own = spikes[:, channel].clone()
        if history:
            own[step - len(history) : step] = torch.tensor(list(map(int, history)))
        value = written.potential(step, channel, currents[:, channel], own)
        angles[parameter] = written.gains[int(e)] * math.pi * value
    return circuit.assign_parameters(angles)


class Head:
    """What the comments of a program say."""

    def __init__(self, program: str) -> None:
        self.text = "\n".join(line[3:] for line in program.splitlines() if line[:2] == "//")
        found = re.findall(r"phi_t_(\d+) = (\S+) \* pi", self.text)
        self.gains = {int(e): float(gain) for e, gain in found}
        self.learned = [
            (
                float(beta),
                float(c),
                [float(theta) for theta in re.findall(r"theta_\d (\S+?)(?:,|$)", rest)],
            )
            for beta, c, rest in re.findall(r"channel \d: beta (\S+), c ([^,\n]+)(.*)", self.text)
        ]

    def potential(self, step: int, channel: int, currents, spikes) -> float:
        if "max(z_t, 0)" in self.text:
            return max(currents[step].item(), 0.0)
        if "clip(z_t, 0, 1)" in self.text:
            return min(max(currents[step].item(), 0.0), 1.0)
        beta, c, reset = self.learned[channel]
        whole, v = "u_t = max(" in self.text, 0.0
        for t in range(step + 1):
            v = beta * v + currents[t].item() + c
            if whole and t:
                v -= reset[0] * spikes[t - 1].item()
            v = max(v, -1.0)
        if not whole:
            before = enumerate(reset, start=1)
            v -= sum(theta * spikes[step - k].item() for k, theta in before if k <= step)
        return min(max(v, 0.0), 1.0)


@pytest.mark.parametrize("model", MODELS)
def test_the_program_read_back_has_the_law_of_that_neuron(once, model, tmp_path):
    folder = RunFolder(shutil.copytree(once[model].path, tmp_path / "run"))
    network = loading.load(folder).network.double()
    laws, programs = [], []
    currents = torch.tensor([[0.4, 0.3], [0.7, 0.9]], dtype=torch.float64)
    for layer, neuron in ((0, 0), (0, 2), (1, 1)):
        neurons = populations_of(network)[layer]
        given = currents[:, : neurons.channels]
        path, _ = export_neuron(folder, layer, neuron, None, None)
        program = path.read_text("utf-8")
        every = given[:, None, None].expand(-1, 1, neurons.size, -1).contiguous()
        expected = neurons.sequence_probabilities(every)[0, neuron].detach().numpy()
        # Trained in single precision and written as text: to seven digits.
        for number, wanted in enumerate(expected):
            bits = f"{number:0{STEPS * neurons.channels}b}"
            own = torch.tensor(list(map(int, bits))).reshape(STEPS, neurons.channels)
            circuit = bound(program, neurons, neuron, given, own)
            assert circuit.num_clbits == STEPS * neurons.channels
            assert circuit_law(circuit)[number] == pytest.approx(wanted, abs=1e-6)
        if "if (" in program or "u_t" not in program:  # one circuit for all that it may fire
            np.testing.assert_allclose(circuit_law(circuit), expected, atol=1e-6)
        laws.append(expected)
        programs.append(program)
    for one, other in ((0, 1), (0, 2), (1, 2)):
        assert abs(laws[one] - laws[other]).max() > 1e-3  # another neuron would be seen
        assert programs[one] != programs[other]


def test_the_program_of_braket_has_the_law_too_on_its_own_simulator(folder):
    from braket.default_simulator import StateVectorSimulator
    from braket.ir.openqasm import Program

    path, _ = export_neuron(folder, 0, 0, None, None, "braket")
    assert path == folder.path / "layer-0-neuron-0.braket.qasm"
    neurons = populations_of(loading.load(folder).network.double())[0]
    currents = torch.tensor([0.6, 0.5], dtype=torch.float64).reshape(STEPS, 1, 1, 1)
    law = neurons.sequence_probabilities(currents.expand(-1, -1, neurons.size, -1))[0, 0]
    program = path.read_text("utf-8")
    written, angles = Head(program), {}
    for step, history in re.findall(r"input float phi_(\d)_0_?(\d*);", program):
        own = torch.tensor([int(history or 0), 0])
        value = written.potential(int(step), 0, currents.flatten(), own)
        angles["phi_" + step + "_0" + (history and "_" + history)] = math.pi * value
    done = StateVectorSimulator().run(Program(source=program, inputs=angles), shots=4000)
    counts = np.bincount(np.array(done.measurements).astype(int) @ [2, 1], minlength=4)
    # Braket takes no seed: of right programs one in a million fails.
    assert p_value(counts, law.detach().numpy()) > 1e-6


def test_neurons_that_share_a_circuit_have_one_program(tmp_path):
    settings = from_flat("digits", {**TINY, "circuit": "crx", "share": "population"})
    folder = run.begin(settings, tmp_path / "run", pictures=False)
    one, other = (export_neuron(folder, 0, neuron, None, None)[0] for neuron in (0, 2))
    assert one != other and one.read_text("utf-8") == other.read_text("utf-8")


def test_the_inputs_are_the_encoding_and_nothing_else(once, tmp_path):
    folder = RunFolder(shutil.copytree(once["integrate_and_fire"].path, tmp_path / "run"))
    program, drawing = export_neuron(folder, 1, 0, 3, None)
    assert program == folder.path / "layer-1-neuron-0.qasm"
    assert drawing == folder.path / "layer-1-neuron-0.txt"
    text = program.read_text("utf-8")
    # Channel and memory, after every history of at most three steps.
    histories = [[""], ["_0", "_1"], ["_00", "_01", "_10", "_11"]]
    named = [f"phi_{t}_{e}{h}" for t in range(3) for e in range(2) for h in histories[t]]
    assert sorted(re.findall(r"input float\[64\] (\w+);", text)) == named
    assert text.startswith("OPENQASM 3")
    assert not re.search("^[^/].*theta", text, re.MULTILINE)
    assert {parameter.name for parameter in from_qasm3(text).parameters} == set(named)
    shown = drawing.read_text("utf-8")
    assert all(name in shown for name in named)
    assert max(map(len, shown.splitlines())) <= 100
    # Three steps of a run of two: three measurements, and resets between them.
    counts = from_qasm3(text).count_ops()
    assert (counts["measure"], counts["reset"]) == (3, 2)


def test_the_whole_membrane_runs_free_in_as_many_steps_as_fit(once, tmp_path):
    folder = RunFolder(shutil.copytree(once["the whole membrane"].path, tmp_path / "run"))
    named = [
        f"phi_{t}_0" + (f"_{history:0{t}b}" if t else "")
        for t in range(6)
        for history in range(2**t)
    ]
    for steps, inputs in ((6, named), (7, [f"phi_{t}_0" for t in range(7)])):
        text = export_neuron(folder, 0, 0, steps, None)[0].read_text("utf-8")
        assert re.findall(r"input float\[64\] (\w+);", text) == inputs
        assert ("if (" in text) == (steps == 6)
        assert {parameter.name for parameter in from_qasm3(text).parameters} == set(inputs)


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
